import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { decodeJwt, jwtVerify } from 'jose'
import { memory } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import {
  AccessError,
  ClosedError,
  ProtocolError,
  RemoteError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { reveal } from '../../core/secret.ts'
import { webStreamSource } from '../../links/web-stream/web-stream.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { localKeySet } from '../../security/identity/json-web-keys.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import {
  apiKeyCredentials,
  basicCredentials,
  bearerCredentials,
  type ClientCredentials,
  type TokenSource,
} from './credentials.ts'
import { explainText } from './explain-client.ts'
import { type HttpClient, httpClient } from './http-client.ts'
import { policyService, remoteKeys, requestJson } from './json-request.ts'
import { type OauthTokens, type OauthTokensOptions, oauthTokens } from './oauth-tokens.ts'

/** A server in memory and a client of it. */
async function serve(
  service: HttpService,
  credentials?: ClientCredentials,
): Promise<AsyncDisposable & { client: HttpClient }> {
  const transport = memoryTransport({ clock: systemClock })
  const server = httpServer(service)
  const { address } = await server.listen(transport, memory('server'))
  const client = httpClient('http://memory.test', {
    transport,
    endpoints: [{ address }],
    ...(credentials && { credentials }),
  })
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}

interface Asked {
  readonly form: URLSearchParams
  readonly authorization: string | undefined
}

/** An authorization server: what it was asked, and what it answers next. */
class Issuer implements AsyncDisposable {
  readonly asked: Asked[] = []
  answer: (at: number) => HttpResponse = (at) =>
    HttpResponse.json({ access_token: `t${at}`, token_type: 'Bearer', expires_in: 100 })
  /** Held back until it is opened. */
  gate: Promise<void> | undefined
  readonly clock = { time: 0, now: () => this.clock.time, wallNow: () => NOW }
  readonly failures: unknown[] = []
  #served!: Awaited<ReturnType<typeof serve>>

  static async start(): Promise<Issuer> {
    const issuer = new Issuer()
    issuer.#served = await serve(async (request) => {
      const form = new URLSearchParams(await request.body.text())
      issuer.asked.push({ form, authorization: request.fields.get('authorization') })
      await issuer.gate
      return issuer.answer(issuer.asked.length)
    })
    return issuer
  }

  tokens(options: Partial<OauthTokensOptions> = {}): OauthTokens {
    return oauthTokens({
      client: this.#served.client,
      clientId: 'orders',
      clientSecret: 'top secret',
      clock: this.clock,
      onError: (error) => this.failures.push(error),
      ...options,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#served[Symbol.asyncDispose]()
  }
}

const NOW = Date.parse('2026-11-24T12:00:00Z')
const text = async (tokens: OauthTokens): Promise<string> => reveal(await tokens.token())

test('oauthTokens asks by the client credentials grant, with the secret in Authorization', async () => {
  await using issuer = await Issuer.start()
  const tokens = issuer.tokens({
    clientId: 'a:b c',
    clientSecret: 'p%&é',
    scope: 'read write',
    parameters: { audience: 'api' },
  })
  assert.equal(await text(tokens), 't1')
  const [asked] = issuer.asked
  assert.deepEqual(Object.fromEntries(asked?.form ?? []), {
    audience: 'api',
    grant_type: 'client_credentials',
    scope: 'read write',
  })
  // Each half is encoded as a form is, then joined (RFC 6749 2.3.1).
  const pair = Buffer.from(String(asked?.authorization).slice(6), 'base64').toString()
  assert.equal(pair, 'a%3Ab+c:p%25%26%C3%A9')
})

test('oauthTokens sends the secret in the form when told to', async () => {
  await using issuer = await Issuer.start()
  await issuer.tokens({ authentication: 'client_secret_post' }).token()
  const [asked] = issuer.asked
  assert.equal(asked?.authorization, undefined)
  assert.equal(asked?.form.get('client_id'), 'orders')
  assert.equal(asked?.form.get('client_secret'), 'top secret')
})

for (const [algorithm, pair] of [
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['EdDSA', generateKeyPairSync('ed25519')],
  ['RS256', generateKeyPairSync('rsa', { modulusLength: 2_048 })],
] as const) {
  test(`oauthTokens proves itself with a signature by ${algorithm}, new each time`, async () => {
    await using issuer = await Issuer.start()
    const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const tokens = issuer.tokens({ privateKey, keyId: 'k1' })
    await tokens.token()
    tokens.refused('t1')
    await tokens.token()
    const [first, second] = issuer.asked.map(({ form }) => String(form.get('client_assertion')))
    const { payload, protectedHeader } = await jwtVerify(String(first), pair.publicKey, {
      issuer: 'orders',
      subject: 'orders',
      audience: 'http://memory.test/oauth/token',
      currentDate: new Date(NOW),
    })
    assert.deepEqual([protectedHeader.alg, protectedHeader.kid], [algorithm, 'k1'])
    assert.equal(Number(payload.exp) - Number(payload.iat), 60)
    assert.notEqual(payload.jti, decodeJwt(String(second)).jti)
    assert.equal(issuer.asked[0]?.form.get('client_secret'), null)
  })
}

test('oauthTokens is one request for all who wait, and none while the token is fresh', async () => {
  await using issuer = await Issuer.start()
  const tokens = issuer.tokens()
  assert.deepEqual(await Promise.all([text(tokens), text(tokens), text(tokens)]), [
    't1',
    't1',
    't1',
  ])
  issuer.clock.time = 69_999
  assert.ok(!(tokens.token() instanceof Promise))
  assert.equal(issuer.asked.length, 1)
})

test('oauthTokens refreshes behind the back of callers, and lets them wait near the end', async () => {
  await using issuer = await Issuer.start()
  // Life 100 s, margin 10 s: in the background from 80 s, waited for from 90 s.
  const tokens = issuer.tokens({ marginMs: 10_000 })
  await tokens.token()
  issuer.clock.time = 80_000
  const gate = Promise.withResolvers<void>()
  issuer.gate = gate.promise
  assert.equal(await text(tokens), 't1')
  assert.equal(await text(tokens), 't1')
  gate.resolve()
  issuer.clock.time = 90_000
  assert.equal(await text(tokens), 't2')
  assert.equal(issuer.asked.length, 2)
})

test('oauthTokens uses an old token to its end while no new one can be had', async () => {
  await using issuer = await Issuer.start()
  const tokens = issuer.tokens({ marginMs: 10_000 })
  await tokens.token()
  issuer.answer = () => new HttpResponse({ status: 503, body: '{}' })
  issuer.clock.time = 95_000
  assert.equal(await text(tokens), 't1')
  assert.equal(issuer.failures.length, 1)
  // Within the pause nobody asks again.
  assert.ok(!(tokens.token() instanceof Promise))
  assert.equal(issuer.asked.length, 2)
  issuer.clock.time = 100_000
  await assert.rejects(async () => tokens.token(), TransportError)
  assert.throws(() => tokens.token(), TransportError)
  issuer.answer = (at) => HttpResponse.json({ access_token: `t${at}`, token_type: 'bearer' })
  issuer.clock.time = 101_000
  assert.equal(await text(tokens), 't4')
})

test('oauthTokens uses a short token for most of its life', async () => {
  await using issuer = await Issuer.start()
  issuer.answer = (at) =>
    HttpResponse.json({ access_token: `t${at}`, token_type: 'bearer', expires_in: '8' })
  const tokens = issuer.tokens()
  await tokens.token()
  issuer.clock.time = 5_999
  assert.equal(await text(tokens), 't1')
  assert.equal(issuer.asked.length, 1)
  issuer.clock.time = 6_000
  assert.equal(await text(tokens), 't2')
})

test('oauthTokens keeps a token without a life for defaultLifetimeMs', async () => {
  await using issuer = await Issuer.start()
  issuer.answer = (at) => HttpResponse.json({ access_token: `t${at}`, token_type: 'bearer' })
  const tokens = issuer.tokens({ marginMs: 0, refreshShare: 1, defaultLifetimeMs: 5_000 })
  await tokens.token()
  issuer.clock.time = 4_999
  assert.equal(await text(tokens), 't1')
  issuer.clock.time = 5_000
  assert.equal(await text(tokens), 't2')
})

test('oauthTokens refreshes a grant, follows its rotation, and does not begin anew', async () => {
  await using issuer = await Issuer.start()
  issuer.answer = (at) =>
    HttpResponse.json({ access_token: `t${at}`, token_type: 'bearer', refresh_token: `r${at}` })
  const tokens = issuer.tokens({ refreshToken: 'r0' })
  await tokens.token()
  tokens.refused('t1')
  await tokens.token()
  assert.deepEqual(
    issuer.asked.map(({ form }) => [form.get('grant_type'), form.get('refresh_token')]),
    [
      ['refresh_token', 'r0'],
      ['refresh_token', 'r1'],
    ],
  )
  issuer.answer = () => HttpResponse.json({ error: 'invalid_grant' }, { status: 400 })
  tokens.refused('t2')
  await assert.rejects(
    async () => tokens.token(),
    (error) => error instanceof AccessError && error.status === 'invalid_grant',
  )
  assert.equal(issuer.asked.length, 3)
})

test('oauthTokens that was given a refresh token with its own token may begin anew', async () => {
  await using issuer = await Issuer.start()
  issuer.answer = (at) =>
    at === 2
      ? HttpResponse.json({ error: 'invalid_grant' }, { status: 400 })
      : HttpResponse.json({ access_token: `t${at}`, token_type: 'bearer', refresh_token: 'r' })
  const tokens = issuer.tokens()
  await tokens.token()
  tokens.refused('t1')
  assert.equal(await text(tokens), 't3')
  const grants = issuer.asked.map(({ form }) => form.get('grant_type'))
  assert.deepEqual(grants, ['client_credentials', 'refresh_token', 'client_credentials'])
})

for (const [what, answer, kind, message] of [
  [
    'invalid_client',
    () => HttpResponse.json({ error: 'invalid_client' }, { status: 401 }),
    AccessError,
    /refused a token: invalid_client/,
  ],
  ['a bare 403', () => HttpResponse.json({}, { status: 403 }), AccessError, /status 403/],
  [
    'a hostile error',
    () => HttpResponse.json({ error: 'a\nb' }, { status: 400 }),
    AccessError,
    /status 400/,
  ],
  ['a page', () => HttpResponse.text('<html>'), ProtocolError, /no JSON/],
  ['nothing', () => HttpResponse.json(null), ProtocolError, /no access_token/],
  [
    'an empty token',
    () => HttpResponse.json({ access_token: '', token_type: 'bearer' }),
    ProtocolError,
    /no access_token/,
  ],
  [
    'another kind',
    () => HttpResponse.json({ access_token: 'x', token_type: 'mac' }),
    ProtocolError,
    /not bearer/,
  ],
  [
    'an endless answer',
    () => HttpResponse.text(' '.repeat(70_000)),
    TransportError,
    /out of reach/,
  ],
] as const) {
  test(`oauthTokens answered with ${what} says so, and nothing of its secrets`, async () => {
    await using issuer = await Issuer.start()
    issuer.answer = answer
    const tokens = issuer.tokens({ refreshToken: 'granted' })
    await assert.rejects(
      async () => tokens.token(),
      (error) => {
        assert.ok(error instanceof kind)
        assert.match(error.message, message)
        const dump = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)
        assert.doesNotMatch(dump, /top secret|granted|b3JkZXJz/)
        return true
      },
    )
    assert.doesNotMatch(inspect(tokens, { depth: 9, showHidden: true }), /granted/)
  })
}

test('oauthTokens refuses to be made without the proof that its authentication needs', async () => {
  await using issuer = await Issuer.start()
  const make = (options: object) => () => issuer.tokens(options)
  assert.throws(make({ clientSecret: undefined }), UsageError)
  assert.throws(make({ authentication: 'private_key_jwt' }), UsageError)
  assert.throws(make({ privateKey: 'not PEM but secret' }), (error) => {
    assert.ok(error instanceof UsageError)
    assert.doesNotMatch(inspect(error), /not PEM but secret/)
    return true
  })
  assert.throws(make({ refreshShare: 1.1 }), UsageError)
  assert.throws(make({ timeoutMs: 0 }), UsageError)
})

const SHOWN: HttpService = (request) =>
  HttpResponse.json({
    authorization: request.fields.getAll('authorization'),
    key: request.fields.get('x-api-key'),
  })

for (const [what, credentials, seen] of [
  [
    'a name and a password',
    basicCredentials('al', 'op:en'),
    { authorization: ['Basic YWw6b3A6ZW4='] },
  ],
  ['a token', bearerCredentials('abc'), { authorization: ['Bearer abc'] }],
  [
    'a token of a function',
    bearerCredentials(async () => 'abc'),
    { authorization: ['Bearer abc'] },
  ],
  ['a key', apiKeyCredentials('id.k'), { authorization: [], key: 'id.k' }],
] as const) {
  test(`httpClient shows ${what}, unless the request has its own`, async () => {
    await using served = await serve(SHOWN, credentials)
    assert.deepEqual(await (await served.client.get('/')).body.json(), seen)
    const own = { fields: { authorization: 'Own x', 'x-api-key': 'own' } }
    const kept = await (await served.client.get('/', own)).body.json()
    assert.deepEqual(kept, { authorization: ['Own x'], key: 'own' })
    assert.doesNotMatch(explainText(served.client), /abc|id\.k|YWw6/)
    assert.match(explainText(served.client), /credentials/)
    assert.doesNotMatch(inspect(served.client, { depth: 12, showHidden: true }), /id\.k|op:en/)
  })
}

test('credentials that cannot be sent are refused when they are given', () => {
  assert.throws(() => basicCredentials('a:b', 'x'), UsageError)
  assert.throws(() => basicCredentials('a', 'x\n'), UsageError)
  assert.throws(() => bearerCredentials('a b'), UsageError)
  assert.throws(() => bearerCredentials(''), UsageError)
  assert.throws(() => apiKeyCredentials('k', { header: 'a b' }), UsageError)
  assert.throws(() => apiKeyCredentials('k\n'), UsageError)
})

/** Accepts one token at a time. */
function rotating(): { source: TokenSource; service: HttpService; calls: string[] } {
  let good = 1
  const calls: string[] = []
  return {
    calls,
    source: {
      token: () => `t${good}`,
      refused: () => {
        good = 2
        return true
      },
    },
    service: async (request) => {
      const token = request.fields.get('authorization')
      calls.push(`${request.method} ${token} ${await request.body.text()}`)
      return new HttpResponse({ status: token === 'Bearer t2' ? 200 : 401 })
    },
  }
}

test('bearerCredentials sends a call again, once, when its token was refused', async () => {
  const { source, service, calls } = rotating()
  await using served = await serve(service, bearerCredentials(source))
  const response = await served.client.post('/', 'body')
  assert.equal(response.status, 200)
  assert.deepEqual(calls, ['POST Bearer t1 body', 'POST Bearer t2 body'])
})

test('bearerCredentials gives the 401 itself when another attempt is no use', async () => {
  const cases: [why: string, source: TokenSource, calls: number][] = [
    ['no other token', { token: () => 'x', refused: () => false }, 1],
    ['the same token', { token: () => 'x', refused: () => true }, 1],
    [
      'no token to be had',
      {
        token: (() => {
          let asked = 0
          return () => (asked++ === 0 ? 'x' : Promise.reject(new Error('down')))
        })(),
        refused: () => true,
      },
      1,
    ],
    [
      'refused again',
      {
        token: (() => {
          let asked = 0
          return () => `x${asked++}`
        })(),
        refused: () => true,
      },
      2,
    ],
  ]
  for (const [why, source, expected] of cases) {
    let calls = 0
    const service: HttpService = () => {
      calls++
      return new HttpResponse({ status: 401, body: 'no' })
    }
    await using served = await serve(service, bearerCredentials(source))
    const response = await served.client.get('/')
    assert.equal(response.status, 401, why)
    assert.equal(await response.body.text(), 'no', why)
    assert.equal(calls, expected, why)
  }
})

test('bearerCredentials does not send a stream twice', async () => {
  const { source, service, calls } = rotating()
  await using served = await serve(service, bearerCredentials(source))
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('once'))
      controller.close()
    },
  })
  const response = await served.client.post('/', webStreamSource(stream))
  assert.equal(response.status, 401)
  assert.deepEqual(calls, ['POST Bearer t1 once'])
})

test('a call that waits for a token ends when it is cancelled, with nothing sent', async () => {
  let calls = 0
  const source: TokenSource = { token: () => new Promise(() => {}), refused: () => false }
  const service: HttpService = () => {
    calls++
    return new HttpResponse()
  }
  await using served = await serve(service, bearerCredentials(source))
  const context = new Call()
  const request = new HttpRequest({ target: '/' })
  const pending = served.client.call(request, context)
  const reason = new ClosedError('ERR_ABORTED', 'enough')
  context.cancel(reason)
  await assert.rejects(async () => pending, reason)
  await assert.rejects(async () => served.client.get('/', { timeoutMs: 5 }), {
    code: 'ERR_DEADLINE',
    sent: 'nothing',
  })
  assert.equal(calls, 0)
})

test('requestJson asks and answers in JSON, within its limits', async () => {
  const seen: unknown[] = []
  await using served = await serve(async (request) => {
    seen.push([request.method, request.fields.get('content-type'), await request.body.text()])
    if (request.path === '/no') return new HttpResponse({ status: 404, body: 'x' })
    if (request.path === '/page') return HttpResponse.text('<html>')
    return HttpResponse.json({ ok: 'x'.repeat(10) })
  })
  const { client } = served
  assert.deepEqual(await requestJson(client, '/'), { ok: 'xxxxxxxxxx' })
  assert.deepEqual(await requestJson(client, '/', { a: 1 }), { ok: 'xxxxxxxxxx' })
  assert.deepEqual(seen, [
    ['GET', undefined, ''],
    ['POST', 'application/json', '{"a":1}'],
  ])
  await assert.rejects(requestJson(client, '/no'), RemoteError)
  await assert.rejects(requestJson(client, '/page'), ProtocolError)
  await requestJson(client, '/', undefined, { maxBytes: 19 })
  await assert.rejects(requestJson(client, '/', undefined, { maxBytes: 18 }), ProtocolError)
})

test('remoteKeys and policyService ask over an httpClient', async () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'EdDSA' }
  await using served = await serve(async (request) => {
    if (request.path === '/keys') return HttpResponse.json({ keys: [jwk] })
    const { input } = (await request.body.json()) as { input: { action: string } }
    return HttpResponse.json({ result: input.action === 'GET' })
  })
  const keys = remoteKeys(served.client, '/keys')
  assert.equal((await keys.find({ alg: 'EdDSA', kid: 'a' })).length, 1)
  assert.equal((await localKeySet({ keys: [jwk] }).find({ alg: 'EdDSA', kid: 'b' })).length, 0)
  const service = policyService(served.client, '/v1/data/app')
  const question = { principal: undefined, level: 'resource', resource: '/', context: {} } as const
  assert.equal((await service.decide({ ...question, action: 'GET' })).allow, true)
  assert.equal((await service.decide({ ...question, action: 'PUT' })).allow, false)
})
