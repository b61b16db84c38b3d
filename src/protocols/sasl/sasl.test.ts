import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { AccessError, ProtocolError, UsageError } from '../../core/errors.ts'
import type { HashName } from '../../core/password-crypto.ts'
import { nodePasswordCrypto as crypto } from '../../platform/node-password-crypto.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { PlainClient, PlainServer } from './plain.ts'
import {
  type ChannelBinding,
  type ClientOutcome,
  chooseMechanism,
  type MechanismChoice,
  type SaslClient,
  type SaslMechanism,
  type SaslServer,
  type ServerOutcome,
} from './sasl.ts'
import { saslprep } from './saslprep.ts'
import { ScramClient, type ScramClientOptions } from './scram-client.ts'
import {
  createScramCredential,
  deriveScramKeys,
  formatScramCredential,
  parseScramCredential,
  type ScramCredential,
} from './scram-keys.ts'
import { ScramServer, type ScramServerOptions } from './scram-server.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array | undefined): string => new TextDecoder().decode(data)
type Scram = Exclude<SaslMechanism, 'PLAIN'>

function ask(client: SaslClient, challenge?: string | Uint8Array): Promise<ClientOutcome> {
  const data = typeof challenge === 'string' ? bytes(challenge) : challenge
  return new Promise((resolve) => {
    if (data === undefined) client.start(resolve)
    else client.step(data, resolve)
  })
}

function tell(server: SaslServer, response: string | Uint8Array): Promise<ServerOutcome> {
  const data = typeof response === 'string' ? bytes(response) : response
  return new Promise((resolve) => server.step(data, resolve))
}

function credential(
  hash: HashName,
  password: string,
  salt: string,
  iterations: number,
): Promise<ScramCredential> {
  const raw = decodeBase64(salt) as Uint8Array
  return new Promise((resolve, reject) => {
    deriveScramKeys(crypto, hash, password, raw, iterations, (error, keys) => {
      if (keys === undefined) reject(error)
      else
        resolve({
          hash,
          salt: raw,
          iterations,
          storedKey: keys.storedKey,
          serverKey: keys.serverKey,
        })
    })
  })
}

interface Vector {
  readonly mechanism: Scram
  readonly hash: HashName
  readonly salt: string
  readonly clientNonce: string
  readonly serverNonce: string
  readonly proof: string
  readonly signature: string
}

const VECTORS: readonly (Vector & { source: string })[] = [
  {
    source: 'RFC 5802 section 5',
    mechanism: 'SCRAM-SHA-1',
    hash: 'sha-1',
    salt: 'QSXCR+Q6sek8bf92',
    clientNonce: 'fyko+d2lbbFgONRv9qkxdawL',
    serverNonce: '3rfcNHYJY1ZVvWVs7j',
    proof: 'v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    signature: 'rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  {
    source: 'RFC 7677 section 3',
    mechanism: 'SCRAM-SHA-256',
    hash: 'sha-256',
    salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
    clientNonce: 'rOprNGfwEbeRWgbNEkqO',
    serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    proof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    signature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
]

for (const vector of VECTORS) {
  test(`ScramClient and ScramServer speak as ${vector.source}`, async () => {
    const { mechanism, hash, salt, clientNonce, serverNonce, proof, signature } = vector
    const nonce = clientNonce + serverNonce
    const client = new ScramClient({
      mechanism,
      crypto,
      name: 'user',
      password: 'pencil',
      nonce: clientNonce,
    })
    const stored = await credential(hash, 'pencil', salt, 4_096)
    const server = new ScramServer({
      mechanism,
      crypto,
      credentialOf: (_name, done) => done(stored, ['r']),
      decoySecret: new Uint8Array(32),
      nonce: serverNonce,
    })
    const first = await ask(client)
    assert.ok(first.type === 'send')
    assert.equal(text(first.data), `n,,n=user,r=${clientNonce}`)
    const challenge = await tell(server, first.data)
    assert.ok(challenge.type === 'send')
    assert.equal(text(challenge.data), `r=${nonce},s=${salt},i=4096`)
    const final = await ask(client, challenge.data)
    assert.ok(final.type === 'send')
    assert.equal(text(final.data), `c=biws,r=${nonce},p=${proof}`)
    assert.equal(client.complete, false)
    const accepted = await tell(server, final.data)
    assert.ok(accepted.type === 'accepted')
    assert.equal(text(accepted.data), `v=${signature}`)
    assert.deepEqual(accepted.principal, {
      id: 'user',
      method: 'scram',
      roles: ['r'],
      attributes: { mechanism },
    })
    assert.equal((await ask(client, accepted.data)).type, 'done')
    assert.equal(client.complete, true)
  })
}

const BINDING: ChannelBinding = { type: 'tls-exporter', data: bytes('exported') }

interface Login {
  readonly client: ClientOutcome
  readonly server: ServerOutcome
  readonly sent: readonly string[]
}

const stored = await createScramCredential(crypto, 'pencil', { iterations: 4_096 })

/** A whole login, with what is different said. */
async function login(
  client: Partial<ScramClientOptions> = {},
  server: Partial<ScramServerOptions> = {},
  tamper: (message: string, at: number) => string = (message) => message,
): Promise<Login> {
  const mechanism = client.mechanism ?? 'SCRAM-SHA-256'
  const one = new ScramClient({
    mechanism,
    crypto,
    name: 'user',
    password: 'pencil',
    ...client,
  })
  const other = new ScramServer({
    mechanism,
    crypto,
    credentialOf: (name, done) => done(name === 'user' ? stored : undefined),
    decoySecret: bytes('decoy'),
    ...server,
  })
  const sent: string[] = []
  let mine = await ask(one)
  for (let at = 0; ; at += 2) {
    assert.ok(mine.type === 'send')
    sent.push(text(mine.data))
    const theirs = await tell(other, tamper(text(mine.data), at))
    if (theirs.type === 'refused') {
      const answer = await ask(one, theirs.data)
      return { client: answer, server: theirs, sent }
    }
    sent.push(text(theirs.data))
    mine = await ask(one, tamper(text(theirs.data), at + 1))
    if (mine.type !== 'send') return { client: mine, server: theirs, sent }
  }
}

test('SCRAM logs in over every hash, with and without a binding', async () => {
  for (const hash of ['sha-1', 'sha-256', 'sha-512'] as const) {
    const kept = await createScramCredential(crypto, 'pencil', { hash, iterations: 4_096 })
    const credentialOf: ScramServerOptions['credentialOf'] = (_name, done) => done(kept)
    const name = `SCRAM-${hash.toUpperCase()}` as Scram
    const plain = await login({ mechanism: name }, { credentialOf })
    assert.deepEqual([plain.client.type, plain.server.type], ['done', 'accepted'])
    const bound = { mechanism: `${name}-PLUS` as Scram, binding: BINDING }
    const tied = await login(bound, { credentialOf, binding: BINDING })
    assert.deepEqual([tied.client.type, tied.server.type], ['done', 'accepted'])
    assert.match(String(tied.sent[0]), /^p=tls-exporter,,n=user/)
  }
})

test('SCRAM refuses a wrong password and an unknown name in the same way', async () => {
  const wrong = await login({ password: 'pen' })
  const unknown = await login({ name: 'nobody' }, { decoyIterations: 4_096 })
  for (const { client, server } of [wrong, unknown]) {
    assert.ok(server.type === 'refused' && client.type === 'failed')
    assert.equal(text(server.data), 'e=invalid-proof')
    assert.equal(server.reason, 'unknown name or wrong password')
    assert.ok(client.error instanceof AccessError)
  }
  // The salt of a name that nobody has stays the same, and looks like any other.
  const salts = await Promise.all(
    ['nobody', 'nobody', 'another'].map(async (name) => {
      const { sent } = await login({ name }, { decoyIterations: 4_096 })
      return /s=([^,]+),i=4096$/.exec(String(sent[1]))?.[1]
    }),
  )
  assert.equal(salts[0], salts[1])
  assert.notEqual(salts[0], salts[2])
  assert.equal(decodeBase64(String(salts[0]))?.length, stored.salt.length)
})

test('a ScramServer does not take a decoy’s key for a password', async () => {
  // Whoever knows the decoy secret can make the proof that fits; there is nobody to log in as.
  const decoySecret = new Uint8Array(32).fill(7)
  const server = new ScramServer({
    mechanism: 'SCRAM-SHA-256',
    crypto,
    credentialOf: (_name, done) => done(undefined),
    decoySecret,
    decoyIterations: 4_096,
    nonce: 'server',
  })
  const first = await tell(server, 'n,,n=ghost,r=client')
  assert.ok(first.type === 'send')
  const without = 'c=biws,r=clientserver'
  const message = bytes(`n=ghost,r=client,${text(first.data)},${without}`)
  const storedKey = crypto.hash('sha-256', decoySecret)
  const signature = crypto.hmac('sha-256', storedKey, message)
  const proof = new Uint8Array(signature).map((byte, at) => byte ^ (decoySecret[at] as number))
  const outcome = await tell(server, `${without},p=${encodeBase64(proof)}`)
  assert.ok(outcome.type === 'refused')
  assert.equal(outcome.reason, 'unknown name or wrong password')
})

test('SCRAM notices that somebody took the offer of a binding away', async () => {
  // The client could bind and was offered no PLUS; the server did offer it.
  const { server } = await login({ binding: BINDING }, { binding: BINDING })
  assert.ok(server.type === 'refused')
  assert.equal(server.reason, 'server-does-support-channel-binding')
  // A server that really cannot takes it.
  const honest = await login({ binding: BINDING })
  assert.equal(honest.server.type, 'accepted')
  assert.match(String(honest.sent[0]), /^y,,/)
})

for (const [why, client, server, reason] of [
  [
    'another connection',
    { mechanism: 'SCRAM-SHA-256-PLUS', binding: BINDING },
    { binding: { type: 'tls-exporter', data: bytes('another') } },
    'channel-bindings-dont-match',
  ],
  [
    'another type',
    { mechanism: 'SCRAM-SHA-256-PLUS', binding: BINDING },
    { binding: { type: 'tls-server-end-point', data: bytes('exported') } },
    'unsupported-channel-binding-type',
  ],
  [
    'a binding where there is none',
    { mechanism: 'SCRAM-SHA-256-PLUS', binding: BINDING },
    {},
    'unsupported-channel-binding-type',
  ],
  ['acting as somebody else', { authorizationId: 'root' }, {}, 'it asks to act as somebody else'],
] as const) {
  test(`ScramServer refuses ${why}`, async () => {
    const outcome = await login(client as Partial<ScramClientOptions>, server)
    assert.ok(outcome.server.type === 'refused')
    assert.equal(outcome.server.reason, reason)
    assert.equal(outcome.client.type, 'failed')
  })
}

for (const [why, message] of [
  ['nothing', ''],
  ['no header', 'n=user,r=abc'],
  ['an unknown flag', 'x,,n=user,r=abc'],
  ['a binding without PLUS', 'p=tls-exporter,,n=user,r=abc'],
  ['a mandatory extension', 'n,,m=x,n=user,r=abc'],
  ['no name', 'n,,n=,r=abc'],
  ['a bad escape', 'n,,n=a=2cb,r=abc'],
  ['a NUL in the name', 'n,,n=a\0b,r=abc'],
  ['no nonce', 'n,,n=user,r='],
  ['a nonce with a space', 'n,,n=user,r=a b'],
  ['a long nonce', `n,,n=user,r=${'x'.repeat(513)}`],
  ['a long name', `n,,n=${'x'.repeat(1_025)},r=abc`],
  ['a control character in the name', 'n,,n=a\u0007,r=abc'],
  ['a long message', `n,,n=user,r=abc,${'x'.repeat(4_096)}`],
] as const) {
  test(`ScramServer refuses a first message with ${why}, for good`, async () => {
    const server = new ScramServer({
      mechanism: 'SCRAM-SHA-256',
      crypto,
      credentialOf: (_name, done) => done(stored),
      decoySecret: bytes('decoy'),
    })
    assert.equal((await tell(server, message)).type, 'refused')
    assert.equal((await tell(server, 'n,,n=user,r=abc')).type, 'refused')
  })
}

test('ScramServer refuses bytes that are no UTF-8', async () => {
  const server = new PlainServer({ verify: (_name, _password, done) => done(undefined) })
  assert.equal((await tell(server, new Uint8Array([0, 0x61, 0, 0xff]))).type, 'refused')
})

for (const [why, tamper, kind] of [
  ['a nonce that is not ours', (m: string) => m.replace(/^r=./, 'r=~'), ProtocolError],
  ['a nonce without an addition', (m: string) => m.replace(/^r=[^,]+/, 'r=nonce'), ProtocolError],
  ['too little work', (m: string) => m.replace(/i=\d+/, 'i=4095'), ProtocolError],
  ['too much work', (m: string) => m.replace(/i=\d+/, 'i=1000001'), ProtocolError],
  ['work beyond numbers', (m: string) => m.replace(/i=\d+/, 'i=99999999999'), ProtocolError],
  ['a count of zero', (m: string) => m.replace(/i=\d+/, 'i=0'), ProtocolError],
  ['an empty salt', (m: string) => m.replace(/s=[^,]+/, 's='), ProtocolError],
  ['junk for a salt', (m: string) => m.replace(/s=[^,]+/, 's=!!!!'), ProtocolError],
  ['a mandatory extension', (m: string) => `m=x,${m}`, ProtocolError],
  ['an error', () => 'e=unknown-user', AccessError],
  ['success at once', () => 'v=AAAA', ProtocolError],
] as const) {
  test(`ScramClient refuses a server’s first message with ${why}`, async () => {
    const client = new ScramClient({
      mechanism: 'SCRAM-SHA-256',
      crypto,
      name: 'user',
      password: 'pencil',
      nonce: 'nonce',
    })
    await ask(client)
    const outcome = await ask(client, tamper(`r=nonceserver,s=${'AAAA'.repeat(4)},i=4096`))
    assert.ok(outcome.type === 'failed' && outcome.error instanceof kind)
    assert.equal(client.complete, false)
    const again = await ask(client, `r=nonceserver,s=${'AAAA'.repeat(4)},i=4096`)
    assert.equal(again.type, 'failed')
  })
}

test('ScramClient takes as much and as little work as it is told', async () => {
  const outcome = async (iterations: number): Promise<string> => {
    const client = new ScramClient({
      mechanism: 'SCRAM-SHA-256',
      crypto,
      name: 'user',
      password: 'x',
      nonce: 'n',
      minIterations: 10,
      maxIterations: 20,
    })
    await ask(client)
    return (await ask(client, `r=ns,s=AAAA,i=${iterations}`)).type
  }
  assert.equal(await outcome(10), 'send')
  assert.equal(await outcome(20), 'send')
  assert.equal(await outcome(9), 'failed')
  assert.equal(await outcome(21), 'failed')
})

test('ScramClient does not believe a server that cannot prove it knows the password', async () => {
  const forged = await login({}, {}, (message, at) => (at === 3 ? `v=${'A'.repeat(43)}=` : message))
  assert.ok(forged.client.type === 'failed')
  assert.match(forged.client.error.message, /the server does not know the password/)
  for (const last of ['', 'ok', 'v=', 'v=!', 'x=1']) {
    const outcome = await login({}, {}, (message, at) => (at === 3 ? last : message))
    assert.equal(outcome.client.type, 'failed', last)
  }
})

test('ScramServer refuses a last message that was changed on its way', async () => {
  for (const change of [
    (m: string) => m.replace('c=biws', 'c=eSws'),
    (m: string) => m.replace(/r=./, 'r=~'),
    (m: string) => m.replace(/p=./, (p) => (p === 'p=A' ? 'p=B' : 'p=A')),
    (m: string) => m.replace(/p=.*/, 'p=AAAA'),
    (m: string) => m.replace(/,p=.*/, ''),
    (m: string) => `${m},p=AAAA`,
    () => '',
  ]) {
    const { server } = await login({}, {}, (message, at) => (at === 2 ? change(message) : message))
    assert.equal(server.type, 'refused')
  }
})

test('SCRAM shows the password to nobody', async () => {
  const options = { mechanism: 'SCRAM-SHA-256' as const, crypto, name: 'user' }
  const client = new ScramClient({ ...options, password: 'hunter2' })
  const { sent } = await login({ password: 'pencil' })
  assert.doesNotMatch(sent.join(), /pencil/)
  await ask(client)
  const failed = await ask(client, 'nonsense')
  assert.doesNotMatch(inspect(failed, { depth: 9 }), /hunter2/)
  for (const password of ['', 'bad\u0007hunter2']) {
    assert.throws(
      () => new ScramClient({ ...options, password }),
      (error) => error instanceof UsageError && !error.message.includes('hunter2'),
    )
  }
})

test('names with commas and equals signs are escaped, and come out as they were', async () => {
  const seen: string[] = []
  const outcome = await login(
    { name: 'a=b,c=2C', authorizationId: 'a=b,c=2C' },
    {
      credentialOf: (name, done) => {
        seen.push(name)
        done(stored)
      },
    },
  )
  assert.deepEqual(seen, ['a=b,c=2C'])
  assert.equal(outcome.server.type, 'accepted')
})

test('formatScramCredential writes what PostgreSQL stores, and parse reads it', () => {
  const written = formatScramCredential(stored)
  assert.match(written, /^SCRAM-SHA-256\$4096:[^$]+\$[^:]+:[^:]+$/)
  assert.deepEqual(parseScramCredential(written), {
    ...stored,
    storedKey: new Uint8Array(stored.storedKey),
    serverKey: new Uint8Array(stored.serverKey),
  })
  for (const wrong of ['', 'hunter2', written.slice(0, -4), written.replace('256', '999')]) {
    assert.throws(
      () => parseScramCredential(wrong),
      (error) => error instanceof UsageError && !error.message.includes('hunter2'),
    )
  }
})

test('createScramCredential takes 4096 iterations, and no fewer', () => {
  assert.throws(() => createScramCredential(crypto, 'x', { iterations: 4_095 }), UsageError)
  assert.throws(() => createScramCredential(crypto, ''), UsageError)
})

// RFC 4013 section 3, and what else the RFC says.
for (const [given, expected] of [
  ['I\u00adX', 'IX'],
  ['user', 'user'],
  ['USER', 'USER'],
  ['\u00aa', 'a'],
  ['\u2168', 'IX'],
  ['\u0007', undefined],
  ['\u0627\u0031', undefined],
  ['\u0627\u0031\u0628', '\u0627\u0031\u0628'],
  ['\u0627a\u0628', undefined],
  ['a\u00a0b', 'a b'],
  ['cafe\u0301', 'caf\u00e9'],
  ['\ud800', undefined],
  ['\ue000', undefined],
  ['a\u202eb', undefined],
  ['a\ufffdb', undefined],
] as const) {
  test(`saslprep of ${JSON.stringify(given)} is ${JSON.stringify(expected)}`, () => {
    assert.equal(saslprep(given), expected)
  })
}

test('saslprep property: doing it twice is the same as once', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (given) => {
      const once = saslprep(given)
      if (once !== undefined) assert.equal(saslprep(once), once)
    }),
    { numRuns: 500 },
  )
})

test('base64 property: decodes what it encodes, as Node does, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (given) => {
      const encoded = encodeBase64(given)
      assert.equal(encoded, Buffer.from(given).toString('base64'))
      assert.deepEqual(decodeBase64(encoded), given)
    }),
  )
  for (const wrong of [
    'A',
    'AA',
    'AA=',
    'AB==',
    'AAA',
    'AA-_',
    'A===',
    '====',
    'AAAA ',
    'AA==AA==',
  ]) {
    assert.equal(decodeBase64(wrong), undefined, wrong)
  }
})

for (const [offered, choice, chosen] of [
  [['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'], {}, 'SCRAM-SHA-256'],
  [['scram-sha-256', 'SCRAM-SHA-512'], {}, 'SCRAM-SHA-512'],
  [['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'], {}, 'SCRAM-SHA-256'],
  [['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'], { binding: BINDING }, 'SCRAM-SHA-256-PLUS'],
  [['SCRAM-SHA-256'], { binding: BINDING, requireBinding: true }, undefined],
  [['PLAIN'], {}, undefined],
  [['PLAIN'], { allowPlain: true }, 'PLAIN'],
  [['PLAIN'], { allowPlain: true, requireBinding: true }, undefined],
  [['GSSAPI', 'CRAM-MD5'], { allowPlain: true }, undefined],
] as const) {
  test(`chooseMechanism of ${offered.join(', ')} is ${chosen}`, () => {
    assert.equal(chooseMechanism(offered, choice as MechanismChoice), chosen)
  })
}

test('PLAIN carries a name and a password, once', async () => {
  const client = new PlainClient({ name: 'tim', password: 'tanstaaftanstaaf' })
  const sent = await ask(client)
  assert.ok(sent.type === 'send')
  // RFC 4616 section 4.
  assert.equal(text(sent.data), '\0tim\0tanstaaftanstaaf')
  const server = new PlainServer({
    verify: (name, password, done) =>
      done(
        password === 'tanstaaftanstaaf'
          ? { id: name, method: 'plain', roles: [], attributes: {} }
          : undefined,
      ),
  })
  const outcome = await tell(server, sent.data)
  assert.ok(outcome.type === 'accepted' && outcome.principal.id === 'tim')
  assert.equal((await tell(server, sent.data)).type, 'refused')
  assert.equal((await ask(client, '')).type, 'done')
  assert.equal((await ask(client, 'more')).type, 'failed')
})

for (const message of [
  '',
  'tim',
  'tim\0pw',
  '\0tim\0',
  '\0\0pw',
  '\0tim\0p\0w',
  'root\0tim\0pw',
  'root\0tim\0p\0',
]) {
  test(`PlainServer refuses ${JSON.stringify(message)}`, async () => {
    let asked = 0
    const server = new PlainServer({
      verify: (id, _password, done) => {
        asked++
        done({ id, method: 'plain', roles: [], attributes: {} })
      },
    })
    assert.equal((await tell(server, message)).type, 'refused')
    assert.equal(asked, 0)
  })
}

test('PlainClient refuses what would be something else', () => {
  for (const [name, password] of [
    ['', 'x'],
    ['a', ''],
    ['a\0b', 'x'],
    ['a', 'x\0y'],
  ] as const) {
    assert.throws(() => new PlainClient({ name, password }), UsageError)
  }
})
