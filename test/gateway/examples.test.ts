/**
 * Every configuration of examples/gateway is started and called as a reader would: its addresses
 * lead to servers of the test, its files are there, and what it says of a policy shows.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Greeter } from '../../examples/schemas/greeter_pb.ts'
import { fromRoot } from '../../scripts/repository.ts'
import { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import { httpClient } from '../../src/clients/http/http-client.ts'
import type { GatewayEnvironment } from '../../src/gateway/gateway-environment.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { GrpcError } from '../../src/protocols/grpc/grpc-error.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { generateApiKey } from '../../src/security/identity/api-keys.ts'
import { hashPassword } from '../../src/security/identity/password-hash.ts'
import { grpcServer, grpcService } from '../../src/servers/grpc/grpc-service.ts'
import type { ServiceHandlers } from '../../src/servers/grpc/service-handlers.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { pinOf } from '../../src/transports/tls/certificate-pins.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { ConsulStandIn } from '../support/consul-stand-in.ts'
import { KubernetesStandIn } from '../support/kubernetes-stand-in.ts'
import { GATEWAY_EXAMPLES } from './gateway-examples.ts'
import { collect, named, type Running, rawUpstream, start, upstream } from './running-gateway.ts'

test('every file of examples/gateway is started by a test', async () => {
  const files = await readdir(fromRoot('examples/gateway'))
  assert.deepEqual(
    files.filter((file) => file.endsWith('.yaml')).sort(),
    [...GATEWAY_EXAMPLES].sort(),
  )
})

/**
 * Starts an example. Its variables are taken from `values`, texts of it are replaced by others, its
 * own addresses are any free ones.
 */
async function example(
  t: TestContext,
  name: (typeof GATEWAY_EXAMPLES)[number],
  replace: Readonly<Record<string, string>>,
  values: Readonly<Record<string, string>> = {},
  more: Partial<GatewayEnvironment> = {},
): Promise<Running> {
  let text = await readFile(fromRoot(`examples/gateway/${name}`), 'utf8')
  text = text.replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, key: string, value) => values[key] ?? value)
  const own = { '127.0.0.1:808': '127.0.0.1:0#', '127.0.0.1:8443': '127.0.0.1:0' }
  for (const [from, to] of Object.entries({ ...replace, ...own })) text = text.replaceAll(from, to)
  text = text
    .replaceAll(/127\.0\.0\.1:0#\d/g, '127.0.0.1:0')
    .replaceAll('127.0.0.1:9901', '127.0.0.1:0')
  if (!/^admin:/m.test(text)) text += '\nadmin: { enabled: false }\n'
  return start(t, text, undefined, undefined, more)
}

async function folder(t: TestContext) {
  const path = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(path, { recursive: true }))
  return async (name: string, text: string): Promise<string> => {
    await writeFile(join(path, name), text)
    return join(path, name)
  }
}

async function ask(url: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url, { redirect: 'manual', ...init })
  return `${response.status} ${await response.text()}`
}

/** One request over TLS: status and body. */
async function askTls(port: number, host: string, options: object, path = '/'): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, servername: host, ...options })
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const text = await collect(socket).catch(() => '')
  return text === '' ? '' : `${text.slice(9, 12)} ${text.split('\r\n\r\n')[1]}`
}

async function tlsUpstream(t: TestContext, host: string, service: HttpService) {
  const authority = await DevAuthority.create(systemClock)
  const credentials = await authority.issue({ names: [host] })
  const server = httpServer(service)
  const { address } = await server.listen(tls({ credentials }), 'tcp://127.0.0.1:0')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  const port = address.kind === 'ip' ? address.port : 0
  return { authority, credentials, address: `127.0.0.1:${port}` }
}

test('access.yaml asks who calls, and says who the gateway is', async (t) => {
  const file = await folder(t)
  const seen: (string | undefined)[] = []
  const orders = await upstream(t, ({ fields }) => {
    seen.push(fields.get('x-forwarded-user'), fields.get('authorization'))
    return HttpResponse.text('orders')
  })
  const login = await upstream(t, ({ path }) =>
    path === '/oauth/token'
      ? HttpResponse.json({ access_token: 'of-the-gateway', token_type: 'Bearer', expires_in: 60 })
      : HttpResponse.json({ keys: [] }),
  )
  const { key, line } = generateApiKey({ name: 'nightly-job' })
  const users = `ada:${await hashPassword('open sesame', { costLog2: 10 })}:reader\n`
  const { url } = await example(
    t,
    'access.yaml',
    {
      'https://login.example/.well': `http://${login}/.well`,
      'https://login.example/oauth': `http://${login}/oauth`,
      '127.0.0.1:9000': orders,
    },
    {
      KEYS_FILE: await file('keys', `${line}\n`),
      USERS_FILE: await file('users', users),
      SECRET_FILE: await file('secret', 'shh'),
    },
  )
  const api = url('', 'api')
  assert.match(await ask(`${api}/orders/1`), /^401 /)
  assert.equal(await ask(`${api}/healthz`), '200 ok')
  const robot = { 'x-api-key': key.reveal() }
  const ada = { authorization: `Basic ${btoa('ada:open sesame')}` }
  assert.equal(await ask(`${api}/orders/1`, { headers: robot }), '200 orders')
  assert.equal(await ask(`${api}/orders/1`, { headers: ada }), '200 orders')
  assert.deepEqual(seen, ['nightly-job', 'Bearer of-the-gateway', 'ada', 'Bearer of-the-gateway'])
  assert.match(await ask(`${api}/orders/1`, { method: 'POST', headers: ada }), /^403 /)
  assert.match(await ask(`${api}/orders/audit/1`, { headers: robot }), /^403 /)
})

test('balancing.yaml chooses by key, turn, chance and load', async (t) => {
  const replace: Record<string, string> = {}
  for (const port of [
    9001, 9002, 9003, 9011, 9012, 9013, 9014, 9021, 9022, 9023, 9024, 9031, 9032,
  ]) {
    replace[`127.0.0.1:${port}`] = await upstream(t, () => HttpResponse.text(`${port}`))
  }
  replace['workers.internal:9100'] = replace['127.0.0.1:9001'] as string
  const { url } = await example(t, 'balancing.yaml', replace)
  const many = async (path: string, count: number, headers = {}): Promise<string[]> => {
    const answers: string[] = []
    for (let round = 0; round < count; round++) answers.push(await ask(url(path), { headers }))
    return answers
  }
  assert.equal(new Set(await many('/carts', 6, { cookie: 'cart=7' })).size, 1)
  assert.equal(new Set(await many('/images/a.png', 6)).size, 1)
  const turns = await many('/turns', 6)
  assert.equal(turns.filter((answer) => answer === '200 9031').length, 4)
  for (const path of ['/any', '/least']) {
    for (const answer of await many(path, 4)) assert.match(answer, /^200 903[12]$/)
  }
  // The own zone first, the next priority not at all.
  for (const answer of await many('/', 6)) assert.match(answer, /^200 902[12]$/)
})

test('behind-proxy.yaml believes the hop before it, and shows the app a token', async (t) => {
  const file = await folder(t)
  const app = await tlsUpstream(t, 'app.internal', ({ fields }) =>
    HttpResponse.text(`${fields.get('authorization')} ${fields.get('x-forwarded-for')}`),
  )
  const { url } = await example(
    t,
    'behind-proxy.yaml',
    { '127.0.0.1:9001': app.address },
    {
      TOKEN_FILE: await file('token', 'Bearer of-the-file'),
      CA_FILE: await file('ca.pem', app.authority.ca),
    },
  )
  const from = (client: string, path: string) =>
    ask(url(path), { headers: { 'x-forwarded-for': client } })
  assert.match(await from('192.0.2.9', '/admin'), /^200 undefined 192\.0\.2\.9/)
  assert.equal(await from('198.51.100.1', '/admin'), '403 not from here\n')
  assert.match(await from('198.51.100.1', '/'), /^200 Bearer of-the-file 198/)
  assert.match(await ask(url('/a%2fb')), /^400 /)
})

test('default.yaml serves its demo', async (t) => {
  const { url } = await example(t, 'default.yaml', {})
  assert.match(await ask(url('/api/hello')), /^200 /)
  assert.match(await ask(url('/')), /heddle is running/)
  assert.match(await ask(url('/old/hello')), /^308 /)
  assert.match(await ask(url('/split')), /^200 /)
})

test('dependable.yaml keeps a failing endpoint from its clients', async (t) => {
  const statuses: number[] = []
  const bad = await upstream(t, ({ path, fields }) => {
    if (path !== '/healthz') statuses.push(Number(fields.get('x-envoy-expected-rq-timeout-ms')))
    return HttpResponse.text('bad', { status: path === '/healthz' ? 200 : 503 })
  })
  const good = await upstream(t, named('good'))
  const { url, gateway } = await example(t, 'dependable.yaml', {
    'orders.internal:8080': `{ address: "${bad}" }\n      - { address: "${good}" }`,
    '127.0.0.1:9009': good.replace(/:\d+/, ':1'),
  })
  for (let round = 0; round < 20; round++) assert.equal(await ask(url('/')), '200 good GET /')
  assert.ok((gateway.clusters()[0]?.retries ?? 0) > 0)
  // What remains of an attempt's time, not what was configured for the route.
  assert.ok(
    statuses.every((ms) => ms > 0 && ms <= 1_000),
    statuses.join(),
  )
  assert.ok(statuses.length < 10, `the breaker left ${statuses.length} of 20 through`)
})

test('discovery.yaml finds endpoints in a file, DNS and three registries', async (t) => {
  const file = await folder(t)
  const address = await upstream(t, named('found'))
  const [host = '', port = ''] = address.split(':')
  const consul = new ConsulStandIn(systemClock)
  consul.token = 'of-consul'
  consul.put('users', [{ id: 'a', address: host, port: Number(port), tags: ['v2'] }])
  const kubernetes = new KubernetesStandIn(systemClock)
  kubernetes.apply({
    name: 's',
    service: 'users',
    ports: [{ name: 'http', port: Number(port) }],
    endpoints: [{ addresses: [host] }],
  })
  const kv = { key: btoa('services/users/a'), value: btoa(address), mod_revision: '1' }
  const etcd = await upstream(t, async (request, context) => {
    await request.body.bytes()
    const header = { revision: '1' }
    if (request.path === '/v3/kv/range') return HttpResponse.json({ header, kvs: [kv], count: '1' })
    // A watch on which nothing happens.
    return new Promise<HttpResponse>((_resolve, reject) => void context.onCancel(reject))
  })
  const { url } = await example(
    t,
    'discovery.yaml',
    {
      // A name that every machine knows, in place of one that only the reader’s servers know.
      'target: _http._tcp.users.internal': `target: "localhost:${port}"`,
      'type: consul,': `type: consul, url: "http://${await upstream(t, consul.service)}",`,
      'type: etcd,': `type: etcd, urls: ["http://${etcd}"],`,
      '/run/secrets/consul-token': await file('consul', 'of-consul'),
      '/var/run/secrets/kubernetes.io/serviceaccount/token': await file('token', 'of-the-pod'),
    },
    {
      ENDPOINTS: await file('endpoints.json', JSON.stringify({ endpoints: [address] })),
      KUBERNETES: `http://${await upstream(t, kubernetes.service)}`,
    },
  )
  for (const path of ['/file', '/dns', '/consul', '/etcd', '/kubernetes']) {
    assert.equal(await ask(url(path)), `200 found GET ${path}`)
  }
})

test('edge.yaml leads to HTTPS, and hosts to services', async (t) => {
  const file = await folder(t)
  const authority = await DevAuthority.create(systemClock)
  const own = await authority.issue({ names: ['example.com', 'api.example.com'] })
  const api = await upstream(t, ({ target, fields }) =>
    HttpResponse.text(`${target} ${fields.get('x-api-version')}`),
  )
  const { at, url } = await example(
    t,
    'edge.yaml',
    {
      '127.0.0.1:9001': api,
      '127.0.0.1:9002': api,
      '127.0.0.1:9003': await upstream(t, named('files')),
      '"unix:/run/site.sock"': await upstream(t, named('site')),
    },
    {
      CERT: await file('cert.pem', own.certificate),
      KEY: await file('key.pem', own.key),
      TICKETS: await file('tickets', `${'t'.repeat(40)}\n`),
    },
  )
  assert.match(await ask(url('/a')), /^30[18] /)
  const { port } = at('https')
  const { ca } = authority
  assert.equal(await askTls(port, 'api.example.com', { ca }, '/v2/x'), '200 /x 2')
  assert.equal(await askTls(port, 'example.com', { ca }, '/p'), '200 site GET /p')
  const path = '/users/42/files/a/b'
  assert.equal(await askTls(port, 'api.example.com', { ca }, path), '200 files GET /files/42/a/b')
  // The keys of its tickets are made of the file: a session goes on.
  let session: Buffer | undefined
  for (const expected of [false, true]) {
    const socket = connectTls({ port, servername: 'example.com', ca, ...(session && { session }) })
    socket.on('session', (next: Buffer) => {
      session = next
    })
    await once(socket, 'secureConnect')
    assert.equal(socket.isSessionReused(), expected)
    socket.write('GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n')
    await collect(socket)
  }
})

test('guarded.yaml looks at addresses, at pins, and writes down who was refused', async (t) => {
  const file = await folder(t)
  const audit = await file('audit.log', '')
  const vault = await tlsUpstream(t, 'vault.internal', named('vault'))
  const { at, url } = await example(
    t,
    'guarded.yaml',
    {
      '127.0.0.1:9443': vault.address,
      'sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=': pinOf(vault.credentials.certificate),
      'server_name: vault.internal': `server_name: vault.internal\n      ca_file: ${await file('ca.pem', vault.authority.ca)}`,
    },
    { HEDDLE_AUDIT_LOG: audit },
  )
  assert.equal(await ask(url('/', 'office')), '200 come in')
  assert.equal(await ask(url('/vault', 'office')), '200 vault GET /vault')
  const through = async (client: string): Promise<string> => {
    const socket = connect(at('balanced').port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      `PROXY TCP4 ${client} 192.0.2.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    return (await collect(socket).catch(() => '')).slice(-7)
  }
  assert.equal(await through('203.0.113.1'), 'come in')
  assert.equal(await through('198.51.100.7'), '')
  while (!(await readFile(audit, 'utf8')).includes('198.51.100.7')) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
})

test('layer4.yaml tells protocols apart, and passes bytes on', async (t) => {
  const ssh = await rawUpstream(t, (socket) => void socket.end('SSH-2.0-server\r\n'))
  const postgres = await rawUpstream(t, (socket) => void socket.pipe(socket))
  const { at, url } = await example(t, 'layer4.yaml', {
    '127.0.0.1:22': ssh,
    '127.0.0.1:5432': postgres,
    '127.0.0.1:5433': '127.0.0.1:0',
  })
  assert.equal(await ask(url('/', 'everything')), '200 HTTP on the same port\n')
  const client = connect(at('everything').port, '127.0.0.1')
  client.write('SSH-2.0-client\r\n')
  assert.equal(await collect(client), 'SSH-2.0-server\r\n')
  const database = connect(at('postgres').port, '127.0.0.1')
  database.write('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nbytes')
  assert.equal(await collect(database, 'bytes'), 'bytes')
  database.destroy()
})

test('load.yaml gives each client its share', async (t) => {
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const slow = await upstream(t, async ({ path }) => {
    if (path === '/reports/hold') {
      begun.resolve()
      await held.promise
    }
    return HttpResponse.text('done')
  })
  const { url, gateway } = await example(t, 'load.yaml', {
    '127.0.0.1:9001': slow,
    '127.0.0.1:9002': slow,
  })
  const first = ask(url('/reports/hold'))
  await begun.promise
  // One report of a client at a time; orders go on.
  assert.match(await ask(url('/reports/2')), /^503 /)
  assert.equal(await ask(url('/orders/1')), '200 done')
  held.resolve()
  assert.equal(await first, '200 done')
  // One after the other: more than fifty connections at once would be too many as well.
  const orders: string[] = []
  for (let round = 0; round < 85; round++) orders.push(await ask(url('/orders')))
  assert.ok(
    orders.some((answer) => answer.startsWith('429')),
    'sixty at once are the burst',
  )
  const policies = new Set(gateway.limits().map(({ policy }) => policy))
  assert.deepEqual([...policies].sort(), [
    'bulkhead',
    'concurrency',
    'connection rate',
    'rate limit',
  ])
})

test('aggregation.yaml makes one page of three answers', async (t) => {
  const service = await upstream(t, ({ target }) => {
    if (target.startsWith('/offers')) return new HttpResponse({ status: 500 })
    return HttpResponse.json(target)
  })
  const all = Object.fromEntries(
    [9001, 9002, 9003].map((port) => [`127.0.0.1:${port}`, service] as const),
  )
  const { url } = await example(t, 'aggregation.yaml', all)
  const [status, ...rest] = (await ask(url('/page/7'))).split(' ')
  const { errors, ...page } = JSON.parse(rest.join(' ')) as Record<string, unknown>
  assert.equal(status, '200')
  assert.deepEqual(page, { user: '/users/7', orders: '/orders?user=7&limit=10', offers: null })
  assert.deepEqual(Object.keys(errors as object), ['offers'])
})

test('grpc.yaml routes by method, and retries what the cluster says', async (t) => {
  let asked = 0
  const orders = await upstream(t, ({ target }) => {
    // The health check asks whenever it likes: who does not know it counts as healthy.
    const known = target.startsWith('/shop.')
    if (known) asked++
    const status = known ? (asked === 1 ? '14' : '0') : '12'
    return new HttpResponse({
      fields: { 'content-type': 'application/grpc', 'grpc-status': status },
    })
  })
  const { url } = await example(t, 'grpc.yaml', { '127.0.0.1:50051': orders })
  const call = async (path: string): Promise<string | null> => {
    const headers = { 'content-type': 'application/grpc' }
    const response = await fetch(url(path), { method: 'POST', headers, body: new Uint8Array(5) })
    return response.headers.get('grpc-status')
  }
  assert.equal(await call('/shop.v1.Orders/Get'), '0')
  assert.equal(asked, 2)
  assert.equal(await call('/shop.v1.Orders/Watch'), '0')
  assert.equal(await call('/shop.v1.Users/Get'), '12')
})

test('http2.yaml has one port for pages of both versions and for calls', async (t) => {
  const orders = await upstream(t, grpcServer([grpcService(Greeter, GREETER)]))
  const site = await upstream(t, ({ path, version }) => HttpResponse.text(`${path} ${version}`))
  const replace = {
    '127.0.0.1:50051': orders,
    '127.0.0.1:9000': site,
    'shop.v1.Orders': Greeter.typeName,
  }
  const { url } = await example(t, 'http2.yaml', replace)
  for (const version of ['1.1', '2'] as const) {
    const client = httpClient(url(''), { version })
    t.after(() => client.close())
    const page = await client.get('/page')
    // Behind the gateway it is HTTP/1.1 for both.
    assert.deepEqual([page.version, await page.body.text()], [version, '/page 1.1'])
    const { greet, count } = grpcClient(Greeter, client)
    assert.equal((await greet({ name: 'Ada' })).text, 'hello Ada')
    const counted: string[] = []
    for await (const { text } of count({ to: 3 })) counted.push(text)
    assert.deepEqual(counted, ['1', '2', '3'])
    await assert.rejects(greet({ name: '' }), { status: 'INVALID_ARGUMENT' })
  }
})

const GREETER: ServiceHandlers<typeof Greeter> = {
  greet({ name }) {
    if (name === '') throw new GrpcError('INVALID_ARGUMENT', 'no name')
    return { text: `hello ${name}` }
  },
  async *count({ to }) {
    for (let number = 1; number <= to; number++) yield { text: String(number) }
  },
  async *chat(requests) {
    for await (const { name } of requests) yield { text: name }
  },
}

test('caching.yaml asks the cluster once', async (t) => {
  let asked = 0
  const shop = await upstream(t, ({ method }) => {
    if (method === 'GET') asked++
    const fields = { 'cache-control': 'max-age=60' }
    return HttpResponse.text(`answer ${asked}`, { fields })
  })
  const { url, gateway } = await example(t, 'caching.yaml', { '127.0.0.1:9001': shop })
  assert.equal(await ask(url('/catalog/1?page=2')), '200 answer 1')
  assert.equal(await ask(url('/catalog/1?page=2')), '200 answer 1')
  assert.equal(await ask(url('/catalog/1?page=3')), '200 answer 2')
  assert.equal(await ask(url('/catalog/1?page=2'), { method: 'PUT' }), '200 answer 2')
  assert.equal(await ask(url('/catalog/1?page=2')), '200 answer 3')
  assert.deepEqual(
    gateway.caches().map(({ name, hits, invalidated }) => [name, hits, invalidated]),
    [['route catalog', 1, 1]],
  )
})

test('observed.yaml begins traces, and writes the access log', async (t) => {
  const lines: string[] = []
  const api = await upstream(t, ({ fields }) => HttpResponse.text(fields.get('traceparent') ?? ''))
  const { url } = await example(
    t,
    'observed.yaml',
    { '127.0.0.1:9000': api },
    {},
    { writeOut: (line) => void lines.push(line) },
  )
  const theirs = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const answer = await ask(url('/api/x', 'edge'), { headers: { traceparent: theirs } })
  assert.match(answer, /^200 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/)
  assert.ok(!answer.includes(theirs.slice(3, 35)), 'a trace of its own')
  while (!lines.some((line) => line.includes('/api/x'))) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
})

test('policy-service.yaml asks for a certificate, a rule and a service', async (t) => {
  const file = await folder(t)
  const authority = await DevAuthority.create(systemClock)
  const own = await authority.issue({ names: ['localhost'] })
  const client = (name: string) =>
    authority.issue({ names: [`spiffe://prod.example/${name}`], usage: 'client' })
  const [billing, mallory, gone] = [
    await client('billing'),
    await client('mallory'),
    await client('gone'),
  ]
  const app = await upstream(t, ({ fields }) =>
    HttpResponse.text(`${fields.get('x-client')} ${fields.get('authorization')?.slice(0, 5)}`),
  )
  const policy = await upstream(t, async (request) => {
    const question = JSON.stringify(await request.body.json())
    return HttpResponse.json({ result: question.includes('billing') })
  })
  const { at } = await example(
    t,
    'policy-service.yaml',
    { '127.0.0.1:9000': app, '127.0.0.1:8181': policy },
    {
      CERT: await file('cert.pem', own.certificate),
      KEY: await file('key.pem', own.key),
      CLIENT_CA: await file('clients.pem', authority.ca),
      CLIENT_CRL: await file('clients.crl', await authority.revocationList([gone.certificate])),
      PASSWORD_FILE: await file('password', 'shh'),
    },
  )
  const as = ({ certificate, key }: typeof billing) =>
    askTls(at('api').port, 'localhost', { ca: authority.ca, cert: certificate, key })
  assert.equal(await as(billing), '200 spiffe://prod.example/billing Basic')
  assert.match(await as(mallory), /^403 /)
  assert.equal(await as(gone), '', 'revoked')
})

test('pools.yaml keeps connections for later', async (t) => {
  const [one, two] = [await upstream(t, named('one')), await upstream(t, named('two'))]
  const { url, gateway } = await example(t, 'pools.yaml', {
    '127.0.0.1:9001': one,
    '127.0.0.1:9002': two,
  })
  for (let round = 0; round < 4; round++) assert.match(await ask(url('/')), /^200 (one|two) GET/)
  assert.match(gateway.explain(), /max 64/)
})

test('release.yaml divides users, and shows a third version copies', async (t) => {
  const copied = Promise.withResolvers<void>()
  const { url } = await example(
    t,
    'release.yaml',
    {
      '127.0.0.1:9001': await upstream(t, named('current')),
      '127.0.0.1:9002': await upstream(t, named('current')),
      '127.0.0.1:9003': await upstream(t, named('next')),
      '127.0.0.1:9004': await upstream(t, () => {
        copied.resolve()
        return HttpResponse.text('nobody sees this')
      }),
    },
    {},
    // Chance always says yes.
    { random: () => 0.01 },
  )
  assert.equal(await ask(url('/'), { headers: { 'x-release': 'next' } }), '200 next GET /')
  assert.equal(await ask(url('/')), '200 current GET /')
  await copied.promise
})
