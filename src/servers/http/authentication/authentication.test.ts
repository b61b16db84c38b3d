import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { request as nodeRequest } from 'node:http'
import { test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import type { AccessEvent, LoginGuard } from '../../../core/access.ts'
import { ip } from '../../../core/address.ts'
import type { Connection } from '../../../core/connection.ts'
import { Call } from '../../../core/context.ts'
import { TransportError } from '../../../core/errors.ts'
import { HttpRequest, HttpResponse } from '../../../protocols/http/messages.ts'
import { generateApiKey } from '../../../security/identity/api-keys.ts'
import { localKeySet } from '../../../security/identity/json-web-keys.ts'
import { hashPassword } from '../../../security/identity/password-hash.ts'
import { tcp } from '../../../transports/tcp/tcp.ts'
import { plainPath } from '../authorize.ts'
import { httpServer } from '../http-server.ts'
import { apiKey } from './api-key.ts'
import { type AuthenticateOptions, authenticate } from './authenticate.ts'
import {
  type HttpAuthenticator,
  refusedAttempt,
  schemeAuthenticator,
} from './authorization-field.ts'
import { basic, decodeBasic } from './basic.ts'
import { bearer, opaqueBearer } from './bearer.ts'
import { mutualTls } from './mutual-tls.ts'

interface Answer {
  readonly status: number
  /** Each field as it came, several of a name too. */
  readonly challenges: readonly string[]
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** A server that says who called and what it could still see of the credentials. */
class Stage implements AsyncDisposable {
  readonly events: AccessEvent[] = []
  readonly errors: string[] = []
  readonly #server: ReturnType<typeof httpServer>
  #port = 0

  constructor(authenticators: readonly HttpAuthenticator[], options: AuthenticateOptions = {}) {
    this.#server = httpServer(
      (request, context) =>
        HttpResponse.json({
          id: context.principal?.id,
          method: context.principal?.method,
          roles: context.principal?.roles,
          authorization: request.fields.get('authorization'),
          key: request.fields.get('x-api-key'),
          target: request.target,
        }),
      {
        authentication: authenticate(authenticators, {
          observer: { onAccess: (event) => this.events.push(event) },
          ...options,
        }),
        observer: {
          onExchange: () => {},
          onError: (error) => this.errors.push(`${error.stack} ${JSON.stringify(error)}`),
        },
      },
    )
  }

  static async start(...of: ConstructorParameters<typeof Stage>): Promise<Stage> {
    const stage = new Stage(...of)
    const listener = await stage.#server.listen(tcp(), ip('127.0.0.1', 0))
    stage.#port = listener.address.kind === 'ip' ? listener.address.port : 0
    return stage
  }

  /** By Node's client, so that nothing of ours is on both sides. Headers may be there twice. */
  ask(headers: readonly string[] = [], path = '/'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = ['host', 'a', 'connection', 'close', ...headers]
      const request = nodeRequest(
        { port: this.#port, path, headers: sent as never },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk) => chunks.push(chunk))
          response.on('end', () => {
            const { rawHeaders } = response
            const challenges = rawHeaders.filter(
              (_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'www-authenticate',
            )
            const body = Buffer.concat(chunks).toString()
            resolve({
              status: response.statusCode ?? 0,
              challenges,
              headers: response.headers,
              body,
            })
          })
        },
      )
      request.on('error', reject)
      request.end()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close()
  }
}

const NOW = Date.parse('2026-11-24T12:00:00Z')
const clock = { now: () => 1_000, wallNow: () => NOW }
const users = `alice:${await hashPassword('open sesame', { costLog2: 10 })}:admin`
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const ALICE = `Basic ${base64('alice:open sesame')}`
const pair = generateKeyPairSync('ed25519')
const keys = localKeySet({ keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'EdDSA' }] })
const byToken = bearer({ keys, issuer: 'i', audience: 'a', clock })

function token(exp: number): Promise<string> {
  return new SignJWT({ iss: 'i', aud: 'a', sub: 'bob', exp })
    .setProtectedHeader({ alg: 'EdDSA' })
    .sign(pair.privateKey)
}

test('authenticate serves a caller by name and password, and takes the password away', async () => {
  await using stage = await Stage.start([basic({ users, clock })])
  const answer = await stage.ask(['authorization', ALICE])
  assert.equal(answer.status, 200)
  const seen = { id: 'alice', method: 'basic', roles: ['admin'], target: '/' }
  assert.deepEqual(JSON.parse(answer.body), seen)
  const scheme = await stage.ask(['Authorization', `bAsIc   ${base64('alice:open sesame')}`])
  assert.equal(scheme.status, 200)
})

test('authenticate answers 401 with every way to log in, in order', async () => {
  const { entry } = generateApiKey()
  const key = apiKey({ keys: [entry], realm: 'x' })
  await using stage = await Stage.start([basic({ users, realm: 'a "b"' }), byToken, key])
  const answer = await stage.ask()
  assert.equal(answer.status, 401)
  assert.deepEqual(answer.challenges, [
    'Basic realm="a \\"b\\"", charset="UTF-8"',
    'Bearer realm="heddle"',
    'ApiKey realm="x", header="x-api-key"',
  ])
  assert.equal(answer.body, '401 Unauthorized (ERR_UNAUTHENTICATED)\n')
})

test('authenticate answers 403 where no challenge could help: certificates alone', async () => {
  await using stage = await Stage.start([mutualTls()])
  const answer = await stage.ask()
  assert.equal(answer.status, 403)
  assert.deepEqual(answer.challenges, [])
})

test('authenticate serves a caller by token, and says when one has expired', async () => {
  await using stage = await Stage.start([byToken])
  const good = await stage.ask(['authorization', `Bearer ${await token(NOW / 1_000 + 60)}`])
  assert.equal(JSON.parse(good.body).id, 'bob')
  const old = await stage.ask(['authorization', `Bearer ${await token(NOW / 1_000 - 60)}`])
  assert.equal(old.status, 401)
  assert.deepEqual(old.challenges, [
    'Bearer realm="heddle", error="invalid_token", error_description="the token has expired"',
  ])
  const junk = await stage.ask(['authorization', 'Bearer junk'])
  assert.match(String(junk.challenges[0]), /error_description="the token is not accepted"$/)
})

test('authenticate answers 503 or 502 when it cannot find out, and lets nobody in', async () => {
  const unreachable = {
    kind: 'public' as const,
    find: () => Promise.reject(new TransportError('ERR_CONNECT', 'keys at 10.0.0.1 are down')),
  }
  const by = bearer({ keys: unreachable, issuer: 'i', audience: 'a', clock })
  await using stage = await Stage.start([by], { anonymous: true })
  const answer = await stage.ask(['authorization', `Bearer ${await token(NOW / 1_000 + 60)}`])
  assert.equal(answer.status, 502)
  assert.ok(!answer.body.includes('10.0.0.1'))
})

test('authenticate serves a caller by key in a field or the query, and cuts both out', async () => {
  const { key, entry } = generateApiKey({ roles: ['r'], name: 'job' })
  await using stage = await Stage.start([apiKey({ keys: [entry], query: 'api_key' })])
  const text = key.reveal()
  const field = JSON.parse((await stage.ask(['X-API-Key', text])).body)
  assert.deepEqual(field, { id: 'job', method: 'api-key', roles: ['r'], target: '/' })
  const query = JSON.parse((await stage.ask([], `/p?a=%20b&api_key=${text}&c`)).body)
  assert.deepEqual(query, { id: 'job', method: 'api-key', roles: ['r'], target: '/p?a=%20b&c' })
  const alone = JSON.parse((await stage.ask([], `/p?api%5fkey=${text}`)).body)
  assert.equal(alone.target, '/p')
  for (const twice of [
    await stage.ask(['x-api-key', text, 'x-api-key', text]),
    await stage.ask(['x-api-key', text], `/?api_key=${text}`),
    await stage.ask([], `/?api_key=${text}&api_key=other`),
  ]) {
    assert.equal(twice.status, 401)
  }
  await using strict = await Stage.start([apiKey({ keys: [entry] })])
  assert.equal((await strict.ask([], `/?api_key=${text}`)).status, 401)
})

test('authenticate lets a caller without credentials in only when anonymous is said', async () => {
  await using stage = await Stage.start([basic({ users })], { anonymous: true })
  assert.deepEqual(JSON.parse((await stage.ask()).body), { target: '/' })
  const wrong = await stage.ask(['authorization', `Basic ${base64('alice:wrong')}`])
  assert.equal(wrong.status, 401)
  // A scheme that nobody here knows is no login, and goes no further.
  const other = await stage.ask(['authorization', 'Negotiate abc'])
  assert.deepEqual(JSON.parse(other.body), { target: '/' })
})

test('authenticate keeps the credentials for a service that is to have them', async () => {
  await using stage = await Stage.start([basic({ users })], { keepCredentials: true })
  assert.equal(JSON.parse((await stage.ask(['authorization', ALICE])).body).authorization, ALICE)
})

test('authenticate of a locked-out caller answers 429 and when to try again', async () => {
  const names: (string | undefined)[] = []
  const guard: LoginGuard = {
    check: ({ name }, now) => (name === 'alice' ? now + 1_500 : undefined),
    failed: ({ name }) => names.push(name),
    succeeded: () => {},
  }
  await using stage = await Stage.start([basic({ users })], { guard, clock })
  const answer = await stage.ask(['authorization', ALICE])
  assert.equal(answer.status, 429)
  assert.equal(answer.headers['retry-after'], '2')
  await stage.ask(['authorization', `Basic ${base64('bob:x')}`])
  assert.deepEqual(names, ['bob'])
})

/** What may stand in `Authorization`, and none of which is a login. */
const HOSTILE: readonly [why: string, headers: readonly string[]][] = [
  ['an empty field', ['authorization', '']],
  ['a scheme alone', ['authorization', 'Basic']],
  ['a scheme and spaces', ['authorization', 'Basic   ']],
  ['no scheme', ['authorization', base64('alice:open sesame')]],
  ['a comma behind the scheme', ['authorization', `Basic, ${base64('alice:open sesame')}`]],
  ['a tab for the space', ['authorization', `Basic\t${base64('alice:open sesame')}`]],
  ['the same field twice', ['authorization', ALICE, 'authorization', ALICE]],
  ['two fields', ['authorization', ALICE, 'authorization', 'Bearer x']],
  ['a list in one field', ['authorization', `${ALICE}, ${ALICE}`]],
  [
    'base64url where base64 belongs',
    ['authorization', `Basic ${base64('alice:>>>???').replaceAll('+', '-').replaceAll('/', '_')}`],
  ],
  ['junk in base64', ['authorization', 'Basic YWxpY2U6b3Blbi!zZXNhbWU=']],
  ['junk behind the padding', ['authorization', `${ALICE}=A`]],
  ['bits left over', ['authorization', 'Basic YWxpY2U6YR==']],
  ['no colon', ['authorization', `Basic ${base64('alice')}`]],
  ['a NUL in the name', ['authorization', `Basic ${base64('alice\0:open sesame')}`]],
  ['a NUL in the password', ['authorization', `Basic ${base64('alice:open sesame\0')}`]],
  ['a line feed in the name', ['authorization', `Basic ${base64('alice\n:open sesame')}`]],
  ['bytes that are no UTF-8', ['authorization', 'Basic YWxpY2U6/v8=']],
  ['an empty name and password', ['authorization', `Basic ${base64(':')}`]],
  ['a name from a prototype', ['authorization', `Basic ${base64('__proto__:x')}`]],
  ['parameters', ['authorization', 'Basic realm="x"']],
  ['an unknown scheme', ['authorization', `Digest username="alice"`]],
  ['a long scheme', ['authorization', `${'B'.repeat(65)} x`]],
  ['a long value', ['authorization', `Basic ${'QUFB'.repeat(3_900)}`]],
  ['a token that is none', ['authorization', 'Bearer a.b.c']],
  ['a token with a space', ['authorization', 'Bearer a b']],
  ['a token in quotes', ['authorization', 'Bearer "a.b.c"']],
  ['the field of a proxy', ['proxy-authorization', ALICE]],
]

test('authenticate refuses every malformed field with 401, and shows none of it', async (t) => {
  await using stage = await Stage.start([basic({ users }), byToken])
  for (const [why, headers] of HOSTILE) {
    await t.test(why, async () => {
      const answer = await stage.ask(headers)
      assert.equal(answer.status, 401, answer.body)
      assert.equal(answer.challenges.length, 2)
    })
  }
  const said = `${JSON.stringify(stage.events)} ${stage.errors.join(' ')}`
  assert.doesNotMatch(said, /open sesame|b3BlbiBzZXNhbWU/)
})

test('decodeBasic splits at the first colon, and keeps what is behind it', () => {
  assert.deepEqual(decodeBasic(base64('a:b:c')), ['a', 'b:c'])
  assert.deepEqual(decodeBasic(base64('a:')), ['a', ''])
  assert.deepEqual(decodeBasic(base64('jos\u00e9:p\u00e4ss')), ['jos\u00e9', 'p\u00e4ss'])
  // Padding may be left out, as some clients do.
  assert.deepEqual(decodeBasic('YTpi'), ['a', 'b'])
  assert.deepEqual(decodeBasic('YWE6YmI'), ['aa', 'bb'])
})

test('opaqueBearer asks a function whose a token is', async () => {
  const principal = { id: 'svc', method: 'bearer', roles: [], attributes: {} }
  const by = opaqueBearer({ verify: (given) => (given === 'good' ? principal : undefined) })
  await using stage = await Stage.start([by])
  assert.equal(JSON.parse((await stage.ask(['authorization', 'Bearer good'])).body).id, 'svc')
  assert.equal((await stage.ask(['authorization', 'Bearer bad'])).status, 401)
})

test('schemeAuthenticator carries a dialogue of several steps, and the server’s proof', async () => {
  const open = new Set<string>()
  const scheme = schemeAuthenticator({
    method: 'riddle',
    scheme: 'riddle',
    challenge: () => 'Riddle',
    attempt: (rest) => {
      if (rest === '') return { name: undefined, verify: () => begin() }
      const [id, answer] = rest.split('/')
      if (!open.delete(String(id))) return refusedAttempt('no such dialogue')
      return {
        name: undefined,
        verify: () =>
          answer === '42'
            ? {
                outcome: 'accepted',
                principal: { id: 'sage', method: 'riddle', roles: [], attributes: {} },
                proof: 'riddle="solved"',
              }
            : { outcome: 'refused', reason: 'wrong answer' },
      }
    },
  })
  const begin = () => {
    open.add('d1')
    return { outcome: 'challenged', challenge: 'Riddle id="d1"' } as const
  }
  await using stage = await Stage.start([scheme, basic({ users })])
  assert.deepEqual((await stage.ask()).challenges[0], 'Riddle')
  const first = await stage.ask(['authorization', 'Riddle'])
  assert.deepEqual([first.status, first.challenges], [401, ['Riddle id="d1"']])
  const second = await stage.ask(['authorization', 'Riddle d1/42'])
  assert.equal(JSON.parse(second.body).id, 'sage')
  assert.equal(second.headers['authentication-info'], 'riddle="solved"')
  assert.equal((await stage.ask(['authorization', 'Riddle d1/42'])).status, 401)
})

test('mutualTls names the caller by the certificate of its connection', async () => {
  const service = authenticate([mutualTls({ sources: ['fingerprint'] })])((_request, context) =>
    HttpResponse.text(String(context.principal?.id)),
  )
  const { DevAuthority } = await import('../../../security/dev-certificate.ts')
  const { systemClock } = await import('../../../platform/system-clock.ts')
  const { X509Certificate } = await import('node:crypto')
  const { certificate } = await (await DevAuthority.create(systemClock)).issue({ usage: 'client' })
  const { raw, fingerprint256 } = new X509Certificate(certificate)
  const connection = {
    id: 1,
    facts: {
      remote: { kind: 'ip', host: '192.0.2.1', port: 1 },
      tls: { authorized: true, peerCertificate: () => ({ raw }) },
    },
  } as unknown as Connection
  const response = await service(new HttpRequest(), new Call({ connection }))
  const id = await response.body.text()
  assert.equal(id, fingerprint256.replaceAll(':', '').toLowerCase())
})

for (const [path, plain] of [
  ['/a/b', '/a/b'],
  ['/%61dmin', '/admin'],
  ['/a%20b/', '/a b/'],
  ['/caf%C3%A9', '/caf\u00e9'],
  ['/a/../b', undefined],
  ['/a/%2e%2e/b', undefined],
  ['/a/.', undefined],
  ['//a', undefined],
  ['/a%2Fb', undefined],
  ['/a%5cb', undefined],
  ['/a\\b', undefined],
  ['/a%00', undefined],
  ['/a;x=1/b', undefined],
  ['/a#b', undefined],
  ['/%ff', undefined],
  ['/%', undefined],
  ['*', undefined],
] as const) {
  test(`plainPath of ${path} is ${plain}`, () => {
    assert.equal(plainPath(path), plain)
  })
}
