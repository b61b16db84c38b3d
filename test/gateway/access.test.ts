/**
 * Who may use a gateway, and who it is to its upstreams: logins of every kind, rules, a policy
 * service, credentials of clusters. Everything over real sockets, the issuer's keys too.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { generateApiKey } from '../../src/security/identity/api-keys.ts'
import { hashPassword } from '../../src/security/identity/password-hash.ts'
import { collect, HTTP, type Running, rawUpstream, start, upstream } from './running-gateway.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** Every WWW-Authenticate as it came. */
  readonly challenges: readonly string[]
  readonly text: string
}

/** By Node's client: nothing of ours asks. */
async function ask(
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  const request = httpRequest(url, { method, headers, agent: false })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const { rawHeaders } = response
  const challenges = rawHeaders.filter(
    (_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'www-authenticate',
  )
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode ?? 0, headers: response.headers, challenges, text }
}

async function folder(t: TestContext): Promise<(name: string, text: string) => Promise<string>> {
  const directory = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(directory, { recursive: true }))
  return async (name, text) => {
    const file = join(directory, name)
    await writeFile(file, text)
    return file
  }
}

/** Says what reached it. */
const seen: HttpService = (request) =>
  HttpResponse.json({
    path: request.target,
    authorization: request.fields.get('authorization'),
    key: request.fields.get('x_api_key') ?? request.fields.get('x-api-key'),
    user: request.fields.get('x-user'),
    roles: request.fields.get('x-roles'),
    method: request.fields.get('x-login'),
    twins: request.fields.get('x_user') ?? request.fields.get('x_roles'),
  })

const PRINCIPAL_HEADERS = { id: 'X-User', roles: 'X-Roles', method: 'X-Login' }
const basicOf = (name: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})

/** A gateway in front of `seen`, with what its listener says about access. */
async function guarded(
  t: TestContext,
  listener: object,
  more: { routes?: object[]; cluster?: object; service?: HttpService } = {},
): Promise<Running & { config: object }> {
  const address = await upstream(t, more.service ?? seen)
  const config = {
    listeners: [{ ...HTTP, ...listener }],
    routes: more.routes ?? [{ cluster: 'a' }],
    clusters: [{ name: 'a', endpoints: [address], ...more.cluster }],
  }
  return { ...(await start(t, config)), config }
}

/** An issuer of tokens whose key set is served over HTTP. */
class Issuer {
  keys: JWK[] = []
  up = true
  fetches = 0
  url = ''
  readonly #privateKeys = new Map<string, CryptoKey>()

  static async start(t: TestContext): Promise<Issuer> {
    const issuer = new Issuer()
    const address = await upstream(t, () => {
      issuer.fetches++
      if (!issuer.up) return new HttpResponse({ status: 503 })
      return HttpResponse.json({ keys: issuer.keys })
    })
    issuer.url = `http://${address}/keys?v=1`
    await issuer.rotate('first')
    return issuer
  }

  async rotate(kid: string): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    this.#privateKeys.set(kid, privateKey)
    this.keys = [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }]
  }

  async bearer(claims: object = {}, kid = 'first'): Promise<Record<string, string>> {
    const now = Math.floor(Date.now() / 1_000)
    const token = await new SignJWT({
      iss: 'https://login.example/',
      aud: 'orders',
      sub: 'alice',
      roles: ['reader'],
      exp: now + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(this.#privateKeys.get(kid) as CryptoKey)
    return { authorization: `Bearer ${token}` }
  }

  /** Keys are old at once, and asked for again after the least time. */
  get config(): object {
    return {
      issuer: 'https://login.example/',
      audiences: ['orders'],
      jwks_url: this.url,
      jwks_cooldown: '0s',
    }
  }
}

test('Gateway lets callers in by token, and tells the upstream who they are', async (t) => {
  const issuer = await Issuer.start(t)
  const gateway = await guarded(t, {
    authentication: { jwt: [issuer.config], principal_headers: PRINCIPAL_HEADERS },
  })
  const url = gateway.url('/x')
  const good = await ask(url, {
    ...(await issuer.bearer()),
    'x-user': 'root',
    'X-ROLES': 'admin',
    X_User: 'root',
    x_roles: 'admin',
    'x-login': 'mtls',
  })
  assert.equal(good.status, 200)
  assert.deepEqual(JSON.parse(good.text), {
    path: '/x',
    user: 'alice',
    roles: 'reader',
    method: 'bearer',
  })
  for (const [why, claims] of [
    ['expired', { exp: Math.floor(Date.now() / 1_000) - 60 }],
    ['another audience', { aud: 'billing' }],
    ['another issuer', { iss: 'https://evil.example/' }],
    ['no subject', { sub: undefined }],
    ['no end', { exp: undefined }],
  ] as const) {
    const answer = await ask(url, await issuer.bearer(claims))
    assert.equal(answer.status, 401, why)
    assert.match(String(answer.challenges[0]), /^Bearer realm="heddle", error="invalid_token"/, why)
    assert.equal(answer.headers['x-heddle-error'], 'ERR_UNAUTHENTICATED', why)
  }
  assert.deepEqual((await ask(url)).challenges, ['Bearer realm="heddle"'])
  // One fetch has served all of them.
  assert.equal(issuer.fetches, 1)
})

test('Gateway escapes names that would break a header', async (t) => {
  const issuer = await Issuer.start(t)
  const gateway = await guarded(t, {
    authentication: { jwt: [issuer.config], principal_headers: PRINCIPAL_HEADERS },
  })
  const claims = { sub: 'é, %\r\nx-user: root', roles: ['a,b', 'c d'] }
  const answer = await ask(gateway.url('/'), await issuer.bearer(claims))
  const { user, roles } = JSON.parse(answer.text)
  assert.equal(user, '%C3%A9%2C%20%25%0D%0Ax-user:%20root')
  assert.equal(roles, 'a%2Cb,c%20d')
})

test('Gateway follows an issuer that rotates its keys, and forgets those that are withdrawn', async (t) => {
  const issuer = await Issuer.start(t)
  const gateway = await guarded(t, { authentication: { jwt: [issuer.config] } })
  const status = async (kid: string): Promise<number> =>
    (await ask(gateway.url('/'), await issuer.bearer({}, kid))).status
  assert.equal(await status('first'), 200)
  await issuer.rotate('second')
  assert.equal(await status('second'), 200)
  assert.equal(await status('first'), 401)
})

test('Gateway keeps known keys while the issuer is down, and answers 503 when it has none', async (t) => {
  const issuer = await Issuer.start(t)
  issuer.up = false
  const gateway = await guarded(t, {
    authentication: { jwt: [{ ...issuer.config, jwks_max_age: '0s' }], anonymous: true },
  })
  const token = await issuer.bearer()
  const unknown = await ask(gateway.url('/'), token)
  assert.equal(unknown.status, 503)
  assert.equal(unknown.headers['x-heddle-error'], 'unknown_caller')
  // Who brings no token is not held up by that.
  assert.equal((await ask(gateway.url('/'))).status, 200)
  issuer.up = true
  assert.equal((await ask(gateway.url('/'), token)).status, 200)
  issuer.up = false
  assert.equal((await ask(gateway.url('/'), token)).status, 200)
  assert.equal((await ask(gateway.url('/'), token)).status, 200)
})

test('Gateway tries every way to log in, and offers all of them', async (t) => {
  const write = await folder(t)
  const issuer = await Issuer.start(t)
  const { key, line } = generateApiKey({ roles: ['robot'], name: 'job' })
  const users = `carol:${await hashPassword('open sesame', { costLog2: 10 })}:admin`
  const jwks_file = await write('keys.json', JSON.stringify({ keys: issuer.keys }))
  const gateway = await guarded(t, {
    authentication: {
      realm: 'shop',
      jwt: [{ issuer: 'https://login.example/', audiences: ['orders'], jwks_file }],
      api_keys: { file: await write('keys.txt', `${line}\n`) },
      basic: { users_file: await write('users.txt', users) },
      principal_headers: PRINCIPAL_HEADERS,
    },
  })
  const url = gateway.url('/')
  const who = async (headers: Record<string, string>): Promise<unknown> => {
    const { status, text } = await ask(url, headers)
    return status === 200 ? JSON.parse(text) : status
  }
  const path = '/'
  assert.deepEqual(await who(basicOf('carol', 'open sesame')), {
    path,
    user: 'carol',
    roles: 'admin',
    method: 'basic',
  })
  const robot = { path, user: 'job', roles: 'robot', method: 'api-key' }
  assert.deepEqual(await who({ 'x-api-key': key.reveal() }), robot)
  assert.equal(await who(basicOf('carol', 'wrong')), 401)
  assert.equal(await who(basicOf('mallory', 'open sesame')), 401)
  assert.equal(await who({ 'x-api-key': 'a.b' }), 401)
  assert.deepEqual((await ask(url)).challenges, [
    'Bearer realm="shop"',
    'ApiKey realm="shop", header="x-api-key"',
    'Basic realm="shop", charset="UTF-8"',
  ])
  assert.equal(issuer.fetches, 0)
})

test('Gateway locks out who fails too often, and says for how long', async (t) => {
  const write = await folder(t)
  const users = `carol:${await hashPassword('right', { costLog2: 10 })}`
  const gateway = await guarded(t, {
    authentication: {
      basic: { users_file: await write('users.txt', users) },
      lockout: { max_failures: 2, lock: '60s' },
    },
  })
  const status = async (password: string): Promise<Answer> =>
    ask(gateway.url('/'), basicOf('carol', password))
  assert.equal((await status('a')).status, 401)
  assert.equal((await status('b')).status, 401)
  const locked = await status('right')
  assert.equal(locked.status, 429)
  assert.equal(locked.headers['x-heddle-error'], 'ERR_LOCKED_OUT')
  assert.ok(Number(locked.headers['retry-after']) > 50)
})

test('Gateway names callers by their client certificates', async (t) => {
  const write = await folder(t)
  const authority = await DevAuthority.create(systemClock)
  const server = await authority.issue({ names: ['localhost'] })
  const client = await authority.issue({
    names: ['spiffe://prod.example/orders'],
    usage: 'client',
  })
  const other = await authority.issue({ names: ['spiffe://dev.example/orders'], usage: 'client' })
  const gateway = await guarded(t, {
    tls: {
      certificates: [
        {
          cert_file: await write('cert.pem', server.certificate),
          key_file: await write('key.pem', server.key),
        },
      ],
      client_ca_file: await write('ca.pem', authority.ca),
    },
    authentication: {
      mtls: { sources: ['spiffe'], trust_domains: ['prod.example'] },
      principal_headers: PRINCIPAL_HEADERS,
    },
  })
  const by = async (shown?: { certificate: string; key: string }): Promise<Answer> => {
    const { port } = gateway.at()
    const request = httpsRequest({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca: authority.ca,
      agent: false,
      ...(shown && { cert: shown.certificate, key: shown.key }),
    })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response) text += chunk
    return { status: response.statusCode ?? 0, headers: response.headers, challenges: [], text }
  }
  const good = await by(client)
  assert.equal(JSON.parse(good.text).user, 'spiffe://prod.example/orders')
  assert.ok(new X509Certificate(client.certificate).subjectAltName?.includes('prod.example'))
  // Nothing that could be sent would help, so there is no challenge and no 401.
  assert.equal((await by(other)).status, 403)
  assert.equal((await by()).status, 403)
})

test('Gateway routes have access of their own, and no request tells the upstream who it is', async (t) => {
  const write = await folder(t)
  const users = `carol:${await hashPassword('right', { costLog2: 10 })}`
  const users_file = await write('users.txt', users)
  const gateway = await guarded(
    t,
    { authentication: { basic: { users_file }, principal_headers: PRINCIPAL_HEADERS } },
    {
      routes: [
        { match: { prefix: '/open' }, cluster: 'a', authentication: { anonymous: true } },
        { match: { prefix: '/here' }, fixed_response: { body: 'here' } },
        { cluster: 'a' },
      ],
    },
  )
  const open = await ask(gateway.url('/open'), {
    'x-user': 'root',
    X_User: 'root',
    authorization: 'Own x',
  })
  // Nobody logs in there: what is in Authorization is the upstream's.
  assert.deepEqual(JSON.parse(open.text), { path: '/open', authorization: 'Own x' })
  assert.equal((await ask(gateway.url('/here'))).status, 401)
  assert.equal((await ask(gateway.url('/here'), basicOf('carol', 'right'))).text, 'here')
  assert.equal((await ask(gateway.url('/closed'))).status, 401)
})

test('Gateway lets no trailer say who calls', async (t) => {
  const service: HttpService = async (request) => {
    await request.body.text()
    return HttpResponse.json([...(request.body.trailers ?? [])])
  }
  const gateway = await guarded(
    t,
    { authentication: { anonymous: true, principal_headers: PRINCIPAL_HEADERS } },
    { service },
  )
  const request = httpRequest(gateway.url('/'), { method: 'POST', agent: false })
  request.write('x')
  request.addTrailers({ 'X-User': 'root', x_user: 'root', 'X-Sum': '1' })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  assert.deepEqual(JSON.parse(text), [['X-Sum', '1']])
})

test('Gateway keeps credentials for an upstream that is to have them', async (t) => {
  const write = await folder(t)
  const users = `carol:${await hashPassword('right', { costLog2: 10 })}`
  const users_file = await write('users.txt', users)
  const gateway = await guarded(t, {
    authentication: { basic: { users_file }, keep_credentials: true },
  })
  const headers = basicOf('carol', 'right')
  assert.equal(
    JSON.parse((await ask(gateway.url('/'), headers)).text).authorization,
    headers.authorization,
  )
})

test('Gateway allows what roles allow, on the path that the upstream gets', async (t) => {
  const issuer = await Issuer.start(t)
  const gateway = await guarded(t, {
    authentication: { jwt: [issuer.config] },
    authorization: {
      roles: {
        reader: { allow: [{ actions: ['GET'], resources: ['/orders/**', '/users/{id}/**'] }] },
        clerk: {
          inherits: ['reader'],
          allow: [
            {
              actions: ['POST'],
              resources: ['/orders'],
              when: [{ attribute: 'claims.level', at_least: 2 }, { cidr: ['127.0.0.0/8'] }],
            },
          ],
        },
      },
      deny: [{ name: 'secrets', actions: ['*'], resources: ['/orders/secret/**'] }],
      assignments: [{ principal: 'bob', method: 'bearer', roles: ['clerk'] }],
    },
  })
  const status = async (method: string, path: string, claims: object = {}): Promise<number> => {
    const { host, port } = gateway.at()
    const socket = connect(port, host)
    const { authorization = '' } = await issuer.bearer(claims)
    const head = [`${method} ${path} HTTP/1.1`, 'Host: a', `Authorization: ${authorization}`]
    socket.write(`${head.join('\r\n')}\r\nConnection: close\r\n\r\n`)
    return Number(/^HTTP\/1\.1 (\d+)/.exec(await collect(socket))?.[1])
  }
  assert.equal(await status('GET', '/orders/1'), 200)
  assert.equal(await status('POST', '/orders'), 403)
  assert.equal(await status('GET', '/users/alice/x'), 200)
  assert.equal(await status('GET', '/users/bob/x'), 403)
  assert.equal(await status('POST', '/orders', { roles: ['clerk'], level: 2 }), 200)
  assert.equal(await status('POST', '/orders', { roles: ['clerk'], level: 1 }), 403)
  assert.equal(await status('POST', '/orders', { roles: ['clerk'] }), 403)
  assert.equal(await status('POST', '/orders', { sub: 'bob', roles: [], level: 3 }), 200)
  assert.equal(await status('GET', '/orders/1', { roles: ['nobody'] }), 403)
  // However a path is spelled, it is the same place.
  for (const path of [
    '/orders/secret',
    '/orders/%73ecret/x',
    '/orders/a/../secret/x',
    '/orders//secret',
    '/orders/secret%2Fx',
    '/orders/a%2F..%2Fsecret',
  ]) {
    assert.ok([400, 403].includes(await status('GET', path)), path)
  }
  const { authorization = '' } = await issuer.bearer({ roles: [] })
  const refused = await ask(gateway.url('/orders'), { authorization, accept: 'application/json' })
  assert.equal(JSON.parse(refused.text).error.code, 'ERR_FORBIDDEN')
  assert.doesNotMatch(refused.text, /rule|role|secrets/)
})

test('Gateway asks a policy service, and denies when it is not there', async (t) => {
  const write = await folder(t)
  const inputs: {
    action: string
    resource: string
    principal: { id: string }
    context: { attributes: { host: string } }
  }[] = []
  let up = true
  const service = await upstream(t, async (request) => {
    const { input } = (await request.body.json()) as { input: (typeof inputs)[number] }
    inputs.push(input)
    if (!up) return new HttpResponse({ status: 500 })
    return HttpResponse.json({ result: { allow: input.resource !== '/no', reason: 'because' } })
  })
  const users = `carol:${await hashPassword('right', { costLog2: 10 })}`
  const users_file = await write('users.txt', users)
  const access = (on_failure: string): object => ({
    authentication: { basic: { users_file } },
    authorization: {
      external: { url: `http://${service}/v1/data/app`, allow_ttl: '0s', on_failure },
    },
  })
  const gateway = await guarded(t, access('deny'))
  const status = async (path: string, of: Running = gateway): Promise<number> =>
    (await ask(of.url(path), basicOf('carol', 'right'))).status
  assert.equal(await status('/yes'), 200)
  assert.equal(await status('/no'), 403)
  const [first] = inputs
  assert.deepEqual([first?.action, first?.resource, first?.principal.id], ['GET', '/yes', 'carol'])
  assert.equal(first?.context.attributes.host, new URL(gateway.url('/')).host)
  assert.doesNotMatch(JSON.stringify(inputs), /right|Basic/)
  up = false
  assert.equal(await status('/yes'), 403)
  const open = await guarded(t, access('allow'))
  assert.equal(await status('/yes', open), 200)
  // Rules about connections leave requests to the service; rules about requests must allow as well.
  up = true
  const { authentication, authorization } = access('deny') as {
    authentication: object
    authorization: object
  }
  const login = { level: 'connection', actions: ['connect'], resources: ['**'] }
  const roles = { guest: { allow: [login] } }
  const mixed = { ...authorization, roles, anonymous_roles: ['guest'] }
  const both = await guarded(t, { authentication, authorization: mixed })
  assert.deepEqual([await status('/yes', both), await status('/no', both)], [200, 403])
  const narrow = { ...authorization, allow: [{ actions: ['GET'], resources: ['/other'] }] }
  const narrowed = await guarded(t, { authentication, authorization: narrow })
  assert.equal(await status('/yes', narrowed), 403)
})

test('Gateway refuses connections by rule, before it reads a byte', async (t) => {
  const rules = (cidr: string): object => ({
    authorization: {
      roles: {
        guest: {
          allow: [
            {
              level: 'connection',
              actions: ['connect'],
              resources: ['http'],
              when: [{ cidr: [cidr] }],
            },
            { actions: ['GET'], resources: ['**'] },
          ],
        },
      },
      anonymous_roles: ['guest'],
    },
  })
  const welcome = await guarded(t, rules('127.0.0.0/8'))
  assert.equal((await ask(welcome.url('/'))).status, 200)
  assert.equal((await ask(welcome.url('/'), {}, 'DELETE')).status, 403)
  const closed = await guarded(t, rules('192.0.2.0/24'))
  const { host, port } = closed.at()
  const socket = connect(port, host)
  socket.on('error', () => {})
  await once(socket, 'close')
  assert.equal(socket.bytesRead, 0)
})

test('Gateway shows its own credentials to a cluster, and none of the client’s', async (t) => {
  const write = await folder(t)
  const tokens = await upstream(t, async (request) => {
    const form = new URLSearchParams(await request.body.text())
    const secret = Buffer.from(String(request.fields.get('authorization')).slice(6), 'base64')
    const granted = secret.toString() === 'gateway:s3cret' && form.get('scope') === 'orders'
    if (!granted) return HttpResponse.json({ error: 'invalid_client' }, { status: 401 })
    return HttpResponse.json({
      access_token: `t${++issued}`,
      token_type: 'Bearer',
      expires_in: 600,
    })
  })
  let issued = 0
  const oauth = {
    token_url: `http://${tokens}/oauth/token`,
    client_id: 'gateway',
    client_secret_file: await write('secret', 's3cret\n'),
    scope: 'orders',
  }
  for (const [credentials, shown] of [
    [
      { basic: { username: 'gw', password_file: await write('password', 'pw\n') } },
      { authorization: 'Basic Z3c6cHc=' },
    ],
    [{ bearer: { token_file: await write('token', 'abc\r\n') } }, { authorization: 'Bearer abc' }],
    [
      { api_key: { key_file: await write('key', 'id.key') } },
      { authorization: 'Own x', key: 'id.key' },
    ],
    [{ oauth }, { authorization: 'Bearer t1' }],
  ] as const) {
    const gateway = await guarded(t, {}, { cluster: { credentials } })
    const twin = 'api_key' in credentials ? { X_API_Key: 'own' } : {}
    const headers = { authorization: 'Own x', 'x-api-key': 'own', ...twin }
    const { text } = await ask(gateway.url('/'), headers)
    const { path: _, ...got } = JSON.parse(text)
    const expected = 'api_key' in credentials ? shown : { key: 'own', ...shown }
    assert.deepEqual(got, expected)
    assert.doesNotMatch(gateway.gateway.explain(), /s3cret|abc|id\.key|Z3c6cHc/)
    assert.match(gateway.gateway.explain(), /credentials/)
    assert.doesNotMatch(gateway.gateway.config.text, /s3cret|abc|id\.key/)
  }
})

test('Gateway renews a token that an endpoint refuses, and sends the request once more', async (t) => {
  const write = await folder(t)
  let issued = 0
  const tokens = await upstream(t, () =>
    HttpResponse.json({ access_token: `t${++issued}`, token_type: 'Bearer', expires_in: 600 }),
  )
  const asked: string[] = []
  const gateway = await guarded(
    t,
    {},
    {
      cluster: {
        credentials: {
          oauth: {
            token_url: `http://${tokens}/t`,
            client_id: 'gateway',
            client_secret_file: await write('secret', 's3cret'),
          },
        },
      },
      service: (request) => {
        asked.push(String(request.fields.get('authorization')))
        return new HttpResponse({ status: asked.at(-1) === 'Bearer t1' ? 401 : 200 })
      },
    },
  )
  assert.equal((await ask(gateway.url('/'))).status, 200)
  assert.deepEqual(asked, ['Bearer t1', 'Bearer t2'])
})

test('Gateway reloads users, keeps what did not change, and goes on when a file is wrong', async (t) => {
  const write = await folder(t)
  const line = async (name: string): Promise<string> =>
    `${name}:${await hashPassword(name, { costLog2: 10 })}\n`
  const users_file = await write('users.txt', await line('carol'))
  const gateway = await guarded(t, { authentication: { basic: { users_file } } })
  const status = async (name: string): Promise<number> =>
    (await ask(gateway.url('/'), basicOf(name, name))).status
  assert.deepEqual([await status('carol'), await status('dave')], [200, 401])
  await write('users.txt', (await line('carol')) + (await line('dave')))
  assert.equal((await gateway.gateway.reload()).status, 'applied')
  assert.deepEqual([await status('carol'), await status('dave')], [200, 200])
  await write('users.txt', 'dave:plaintext')
  const outcome = await gateway.gateway.reload()
  assert.equal(outcome.status, 'rejected')
  const problems = outcome.status === 'rejected' ? outcome.problems.join() : ''
  assert.match(problems, /listener http: password file, line 1/)
  assert.doesNotMatch(problems, /plaintext/)
  assert.deepEqual([await status('carol'), await status('dave')], [200, 200])
  await write('users.txt', await line('carol'))
  assert.equal((await gateway.gateway.reload()).status, 'applied')
  assert.deepEqual([await status('carol'), await status('dave')], [200, 401])
})

test('Gateway records logins, lockouts and decisions in its audit log, without a secret', async (t) => {
  const write = await folder(t)
  const users = `carol:${await hashPassword('s3cret', { costLog2: 10 })}:reader`
  const path = await write('audit.log', '')
  const running = await start(t, {
    audit_log: { path },
    listeners: [
      {
        ...HTTP,
        authentication: {
          basic: { users_file: await write('users.txt', users) },
          lockout: { max_failures: 1 },
        },
        authorization: { roles: { reader: { allow: [{ actions: ['GET'], resources: ['/a'] }] } } },
      },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  await ask(running.url('/a'), basicOf('carol', 's3cret'))
  await ask(running.url('/b'), basicOf('carol', 's3cret'))
  await ask(running.url('/a'), basicOf('mallory', 'gue55'))
  await ask(running.url('/a'), basicOf('mallory', 'gue55'))
  await running.gateway.drain()
  const text = await readFile(path, 'utf8')
  const said = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .map(({ type, outcome, principal, resource }) => [type, outcome, principal, resource])
    .map((parts) => parts.filter((part) => part !== undefined).join(' '))
  assert.deepEqual(
    said.filter((line) => !/^(?:start|drain|stop)/.test(line)),
    [
      'login accepted carol',
      'login accepted carol',
      'decision denied carol /b',
      'login refused mallory',
      'lockout locked mallory',
      'login locked-out mallory',
    ],
  )
  assert.doesNotMatch(text, /s3cret|gue55|czNjcmV0|Z3VlNTU/)
})

test('an upgrade is guarded like any request', async (t) => {
  const write = await folder(t)
  const users_file = await write('users.txt', `carol:${await hashPassword('x', { costLog2: 10 })}`)
  const address = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n',
      )
      socket.pipe(socket)
    })
  })
  const running = await start(t, {
    listeners: [{ ...HTTP, authentication: { basic: { users_file } } }],
    routes: [{ cluster: 'a' }],
    clusters: [{ name: 'a', endpoints: [address] }],
  })
  const upgrade = async (headers: string): Promise<string> => {
    const { host, port } = running.at()
    const socket = connect(port, host)
    t.after(() => socket.destroy())
    socket.write(
      `GET / HTTP/1.1\r\nHost: a\r\n${headers}Connection: upgrade\r\nUpgrade: echo\r\n\r\nhi`,
    )
    return collect(socket, '\r\n\r\n')
  }
  assert.match(await upgrade(''), /^HTTP\/1\.1 401/)
  const { authorization } = basicOf('carol', 'x')
  assert.match(await upgrade(`Authorization: ${authorization}\r\n`), /^HTTP\/1\.1 101/)
})
