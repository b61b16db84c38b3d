import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose'
import { ProtocolError, TransportError, UsageError } from '../../core/errors.ts'
import { localKeySet, publicKey, RemoteKeySet, sharedSecret } from './json-web-keys.ts'
import { JwtVerifier, type JwtVerifierOptions } from './jwt-verifier.ts'

const NOW = Date.parse('2026-11-24T12:00:00Z')
const clock = { wallNow: () => NOW }
const SECONDS = NOW / 1_000
const ISSUER = 'https://login.example/'

interface Issuer {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JWK
}

async function issuer(kid: string): Promise<Issuer> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...pair, jwk: { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' } }
}

const one = await issuer('one')
const two = await issuer('two')
const CLAIMS = { sub: 'alice', roles: ['reader'], tenant: 'a' }

function sign(
  key: KeyObject | Uint8Array,
  claims: JWTPayload = {},
  header: { alg?: string; kid?: string; typ?: string } = {},
): Promise<string> {
  return new SignJWT({
    iss: ISSUER,
    aud: 'orders',
    exp: SECONDS + 60,
    iat: SECONDS,
    ...CLAIMS,
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
    .sign(key)
}

function verifier(options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  const keys = localKeySet({ keys: [one.jwk] })
  return new JwtVerifier({ clock, keys, issuer: ISSUER, audience: 'orders', ...options })
}

async function reasonOf(token: string, options?: Partial<JwtVerifierOptions>): Promise<string> {
  const outcome = await verifier(options).verify(token)
  assert.equal(outcome.outcome, 'refused')
  return outcome.outcome === 'refused' ? outcome.reason : ''
}

test('JwtVerifier makes a principal of a token: id, roles and claims', async () => {
  const outcome = await verifier().verify(await sign(one.privateKey))
  assert.ok(outcome.outcome === 'accepted')
  const { principal } = outcome
  assert.deepEqual(
    [principal.id, principal.method, principal.roles],
    ['alice', 'bearer', ['reader']],
  )
  assert.equal(principal.attributes.tenant, 'a')
})

test('JwtVerifier puts the issuer before the id where several are accepted', async () => {
  const other = 'https://other.example/'
  const idOf = async (claims: JWTPayload, options: Partial<JwtVerifierOptions>) => {
    const outcome = await verifier(options).verify(await sign(one.privateKey, claims))
    assert.ok(outcome.outcome === 'accepted')
    return outcome.principal.id
  }
  const both = { issuer: [ISSUER, other] }
  assert.equal(await idOf({}, both), 'https://login.example/|alice')
  assert.equal(await idOf({ iss: other }, both), 'https://other.example/|alice')
  assert.equal(await idOf({}, { ...both, qualifyId: false }), 'alice')
  assert.equal(await idOf({}, { qualifyId: true }), 'https://login.example/|alice')
  assert.equal(await idOf({}, { issuer: [ISSUER] }), 'alice')
})

test('JwtVerifier reads roles from lists, from names with spaces, and inside of objects', async () => {
  const rolesOf = async (claims: JWTPayload, rolesClaim: string): Promise<unknown> => {
    const token = await sign(one.privateKey, { roles: undefined, ...claims })
    const outcome = await verifier({ rolesClaim }).verify(token)
    return outcome.outcome === 'accepted' ? outcome.principal.roles : outcome.reason
  }
  assert.deepEqual(await rolesOf({ scope: 'read  write' }, 'scope'), ['read', 'write'])
  assert.deepEqual(await rolesOf({ realm: { roles: ['a'] } }, 'realm.roles'), ['a'])
  assert.deepEqual(await rolesOf({}, 'roles'), [])
  assert.deepEqual(await rolesOf({}, '__proto__.constructor'), [])
  assert.match(String(await rolesOf({ roles: [1] as never }, 'roles')), /is no list/)
  assert.match(String(await rolesOf({ roles: { admin: true } as never }, 'roles')), /is no list/)
})

test('JwtVerifier refuses another issuer or audience, and tokens without an end or a subject', async () => {
  const refused = async (claims: JWTPayload): Promise<string> =>
    reasonOf(await sign(one.privateKey, claims))
  assert.match(await refused({ iss: 'https://evil.example/' }), /"iss"/)
  assert.match(await refused({ aud: 'billing' }), /"aud"/)
  assert.match(await refused({ aud: undefined } as never), /"aud"/)
  assert.match(await refused({ exp: undefined } as never), /"exp"/)
  assert.match(await refused({ sub: undefined } as never), /"sub"/)
  assert.match(await refused({ sub: '' }), /names nobody/)
  assert.match(await refused({ sub: 'x'.repeat(513) }), /names nobody/)
  assert.match(await refused({ exp: 'never' as never }), /"exp"/)
})

test('JwtVerifier takes a token to its last second and its tolerance, and not beyond', async () => {
  const ending = async (seconds: number, clockToleranceMs: number): Promise<string> => {
    const token = await sign(one.privateKey, { exp: SECONDS + seconds })
    return (await verifier({ clockToleranceMs }).verify(token)).outcome
  }
  assert.equal(await ending(1, 0), 'accepted')
  assert.equal(await ending(0, 0), 'refused')
  assert.equal(await ending(-29, 30_000), 'accepted')
  assert.equal(await ending(-30, 30_000), 'refused')
  const early = await sign(one.privateKey, { nbf: SECONDS + 31 })
  assert.match(await reasonOf(early), /"nbf"/)
  const old = await sign(one.privateKey, { iat: SECONDS - 100 })
  assert.match(await reasonOf(old, { maxTokenAgeMs: 60_000, clockToleranceMs: 0 }), /expired/)
})

test('JwtVerifier tells a caller that a token has expired, and of nothing else why', async () => {
  const expired = await verifier().verify(await sign(one.privateKey, { exp: SECONDS - 100 }))
  assert.equal(expired.outcome === 'refused' && expired.told, 'the token has expired')
  const foreign = await verifier().verify(await sign(two.privateKey))
  assert.equal(foreign.outcome === 'refused' && foreign.told, undefined)
})

test('JwtVerifier refuses alg none, in every spelling', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { iss: ISSUER, aud: 'orders', exp: SECONDS + 60, sub: 'root' }
    await reasonOf(`${part({ alg })}.${part(claims)}.`)
    await reasonOf(`${part({ alg })}.${part(claims)}.AAAA`)
  }
  assert.throws(() => verifier({ algorithms: ['none'] }), UsageError)
  assert.throws(() => verifier({ algorithms: [] }), UsageError)
})

test('JwtVerifier does not take a public key for a shared secret', async () => {
  const pem = one.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: ISSUER, aud: 'orders', exp: SECONDS + 60, sub: 'root' }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  for (const secret of [pem, pem.trim(), one.publicKey.export({ type: 'spki', format: 'der' })]) {
    const forged = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
    assert.match(await reasonOf(forged, { keys: publicKey(pem) }), /alg/i)
    assert.match(await reasonOf(forged), /alg/i)
  }
  for (const keys of [publicKey(pem), localKeySet({ keys: [one.jwk] })]) {
    assert.throws(() => verifier({ keys, algorithms: ['ES256', 'HS256'] }), UsageError)
  }
  const keys = sharedSecret('0123456789abcdef0123456789abcdef')
  assert.throws(() => verifier({ keys, algorithms: ['ES256'] }), UsageError)
})

test('JwtVerifier refuses a token whose algorithm is not that of the one public key', async () => {
  for (const [pair, alg] of [
    [generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ES256'],
    [generateKeyPairSync('ec', { namedCurve: 'P-384' }), 'ES384'],
    [generateKeyPairSync('ed25519'), 'EdDSA'],
    [generateKeyPairSync('rsa', { modulusLength: 2_048 }), 'PS256'],
  ] as const) {
    const keys = publicKey(pair.publicKey.export({ type: 'spki', format: 'pem' }).toString())
    const token = await sign(pair.privateKey, {}, { alg })
    assert.equal((await verifier({ keys }).verify(token)).outcome, 'accepted')
    for (const wrong of ['RS256', 'ES256', 'ES512', 'EdDSA'].filter((one) => one !== alg)) {
      const head = Buffer.from(JSON.stringify({ alg: wrong })).toString('base64url')
      assert.match(await reasonOf(token.replace(/^[^.]*/, head), { keys }), /^ERR_J/)
    }
  }
})

test('JwtVerifier takes a shared secret of 32 bytes, and none that is shorter', async () => {
  const secret = '0123456789abcdef0123456789abcdef'
  const token = await sign(Buffer.from(secret), {}, { alg: 'HS256' })
  const keys = sharedSecret(secret)
  assert.equal((await verifier({ keys }).verify(token)).outcome, 'accepted')
  assert.throws(() => sharedSecret(secret.slice(1)), UsageError)
})

test('JwtVerifier ignores keys and addresses inside of a token', async () => {
  const mallory = await issuer('mallory')
  const claims = { iss: ISSUER, aud: 'orders', exp: SECONDS + 60, sub: 'root' }
  for (const header of [
    { jwk: mallory.jwk },
    { jku: 'http://127.0.0.1:9/keys' },
    { x5u: 'http://127.0.0.1:9/cert' },
    { kid: '../../../../etc/passwd' },
    { kid: "x' OR '1'='1" },
    { crit: ['exp'], exp: 1 },
  ]) {
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', ...(header as object) })
      .sign(mallory.privateKey, { crit: { exp: true } })
    await reasonOf(token)
  }
})

test('JwtVerifier refuses what is no token, of any shape', async () => {
  const good = await sign(one.privateKey)
  const [head, body, signature] = good.split('.') as [string, string, string]
  const nested = Buffer.from('['.repeat(3_000)).toString('base64url')
  for (const junk of [
    '',
    '.',
    '..',
    '...',
    'a.b.c',
    head,
    `${head}.${body}`,
    `${head}.${body}.`,
    `${head}.${body}.${signature}.x`,
    `${head}.${body}.${signature}=`,
    `${head}.${body}.${signature.slice(0, -2)}`,
    `${head}\0.${body}.${signature}`,
    `${nested}.${body}.${signature}`,
    `${head}.${nested}.${signature}`,
    `${Buffer.from('null').toString('base64url')}.${body}.${signature}`,
    `${Buffer.from('{"alg":["ES256"]}').toString('base64url')}.${body}.${signature}`,
    '{"payload":"","signatures":[]}',
    'eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c',
  ]) {
    assert.equal((await verifier().verify(junk)).outcome, 'refused', junk.slice(0, 40))
  }
})

test('JwtVerifier reads a token of maxTokenLength, and none that is longer', async () => {
  const token = await sign(one.privateKey)
  const long = (maxTokenLength: number): Promise<string> =>
    verifier({ maxTokenLength })
      .verify(token)
      .then(({ outcome }) => outcome)
  assert.equal(await long(token.length), 'accepted')
  assert.equal(await long(token.length - 1), 'refused')
})

test('JwtVerifier wants the type of token it is told to', async () => {
  const access = await sign(one.privateKey, {}, { typ: 'at+jwt' })
  assert.equal((await verifier({ type: 'at+jwt' }).verify(access)).outcome, 'accepted')
  assert.match(await reasonOf(await sign(one.privateKey), { type: 'at+jwt' }), /typ/)
})

test('JwtVerifier tries every key that may be meant when the token names none', async () => {
  const bare = (jwk: JWK): JWK => ({ ...jwk, kid: undefined as never })
  const keys = localKeySet({ keys: [bare(one.jwk), bare(two.jwk)] })
  const token = await sign(two.privateKey, {}, { kid: undefined as never })
  assert.equal((await verifier({ keys }).verify(token)).outcome, 'accepted')
  const foreign = await sign((await issuer('x')).privateKey, {}, { kid: undefined as never })
  assert.equal((await verifier({ keys }).verify(foreign)).outcome, 'refused')
})

test('localKeySet keeps public keys only, and no part of a private one', async () => {
  const secret: JWK = { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' }
  assert.throws(() => localKeySet({ keys: [secret] }), ProtocolError)
  assert.throws(() => localKeySet({ keys: [] }), ProtocolError)
  assert.throws(() => localKeySet({}), ProtocolError)
  assert.throws(() => localKeySet('{'), UsageError)
  assert.throws(() => publicKey('nonsense'), UsageError)
  const private_ = { ...(await exportJWK(one.privateKey)), kid: 'one', alg: 'ES256' }
  const keys = localKeySet({ keys: [private_] })
  assert.equal((await verifier({ keys }).verify(await sign(one.privateKey))).outcome, 'accepted')
  const many = Array.from({ length: 101 }, () => one.jwk)
  assert.throws(() => localKeySet({ keys: many }), ProtocolError)
  localKeySet({ keys: many.slice(1) })
})

test('JwtVerifier does not blame the caller for a key that cannot be used', async () => {
  const keys = localKeySet({ keys: [{ ...one.jwk, x: 'AAAA' }] })
  await assert.rejects(verifier({ keys }).verify(await sign(one.privateKey)), ProtocolError)
})

/** A set behind an address: what it gives, how often it was asked, and the time. */
class Remote {
  time = 0
  fetches = 0
  answer: () => Promise<unknown>
  readonly keys: RemoteKeySet
  readonly failures: unknown[] = []

  constructor(answer: () => Promise<unknown>) {
    this.answer = answer
    this.keys = new RemoteKeySet({
      clock: { now: () => this.time },
      fetch: () => {
        this.fetches++
        return this.answer()
      },
      maxAgeMs: 600_000,
      maxStaleMs: 3_600_000,
      cooldownMs: 30_000,
      onError: (error) => this.failures.push(error),
    })
  }

  async verify(token: string): Promise<string> {
    return (await verifier({ keys: this.keys }).verify(token)).outcome
  }
}

const set =
  (...issuers: Issuer[]) =>
  async (): Promise<unknown> => ({
    keys: issuers.map(({ jwk }) => jwk),
  })
const down = (): Promise<unknown> => Promise.reject(new TransportError('ERR_RESET', 'no issuer'))

test('RemoteKeySet fetches once for all who wait, and keeps the set', async () => {
  const remote = new Remote(set(one))
  const token = await sign(one.privateKey)
  await Promise.all([remote.verify(token), remote.verify(token), remote.verify(token)])
  remote.time = 599_999
  assert.equal(await remote.verify(token), 'accepted')
  assert.equal(remote.fetches, 1)
})

test('RemoteKeySet learns a rotated key by its unknown id, once in a cooldown', async () => {
  const remote = new Remote(set(one))
  await remote.verify(await sign(one.privateKey))
  remote.answer = set(one, two)
  const rotated = await sign(two.privateKey, {}, { kid: 'two' })
  remote.time = 29_999
  assert.equal(await remote.verify(rotated), 'refused')
  remote.time = 30_000
  assert.equal(await remote.verify(rotated), 'accepted')
  assert.equal(remote.fetches, 2)
  // Ids that somebody makes up cost one fetch in each cooldown.
  const made = await sign(two.privateKey, {}, { kid: 'made-up' })
  for (let time = 30_000; time < 90_000; time += 1_000) {
    remote.time = time
    assert.equal(await remote.verify(made), 'refused')
  }
  assert.equal(remote.fetches, 3)
})

test('RemoteKeySet forgets a key that its issuer withdrew', async () => {
  const remote = new Remote(set(one, two))
  const token = await sign(one.privateKey)
  assert.equal(await remote.verify(token), 'accepted')
  remote.answer = set(two)
  remote.time = 600_000
  // The first one after the age is served from the old set, which is fetched behind its back.
  assert.equal(await remote.verify(token), 'accepted')
  assert.equal(await remote.verify(token), 'refused')
})

test('RemoteKeySet keeps its keys while the issuer is down, until they are too old', async () => {
  const remote = new Remote(set(one))
  const token = await sign(one.privateKey)
  await remote.verify(token)
  remote.answer = down
  remote.time = 4_199_999
  assert.equal(await remote.verify(token), 'accepted')
  assert.equal(remote.failures.length, 1)
  remote.time = 4_200_000
  await assert.rejects(remote.verify(token), TransportError)
  remote.answer = set(one)
  remote.time = 4_202_000
  assert.equal(await remote.verify(token), 'accepted')
})

test('RemoteKeySet that never had keys throws, and asks again after a second', async () => {
  const remote = new Remote(down)
  const token = await sign(one.privateKey)
  await assert.rejects(remote.verify(token), /no issuer/)
  remote.time = 999
  await assert.rejects(remote.verify(token), /no issuer/)
  assert.equal(remote.fetches, 1)
  remote.answer = set(one)
  remote.time = 1_000
  assert.equal(await remote.verify(token), 'accepted')
})

for (const [what, answer] of [
  ['no keys', { keys: [] }],
  ['only secrets', { keys: [{ kty: 'oct', k: 'AAAA' }] }],
  ['a page', '<html>'],
  ['nothing', null],
] as const) {
  test(`RemoteKeySet takes an answer with ${what} for a failure, and keeps what it has`, async () => {
    const remote = new Remote(set(one))
    const token = await sign(one.privateKey)
    await remote.verify(token)
    remote.answer = async () => answer
    remote.time = 700_000
    await remote.verify(token)
    assert.equal(await remote.verify(token), 'accepted')
    assert.equal(remote.failures.length, 1)
  })
}
