/** Calls of gRPC through a running gateway, between our client and our server. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect, grpcWeb, type RpcProtocolOption } from '../../src/clients/connect/rpc-protocol.ts'
import { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { Channel } from '../../src/core/channel.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import type { GrpcRecord } from '../../src/gateway/status.ts'
import type { GrpcMetadata } from '../../src/protocols/grpc/call-metadata.ts'
import { GrpcError } from '../../src/protocols/grpc/grpc-error.ts'
import { GrpcStatus } from '../../src/protocols/grpc/status.ts'
import { Body } from '../../src/protocols/http/body.ts'
import { parseGrpcTimeout } from '../../src/protocols/http/deadline-header.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { rpcServer } from '../../src/servers/connect/rpc-server.ts'
import { grpcServer } from '../../src/servers/grpc/grpc-service.ts'
import { grpcHealth } from '../../src/servers/grpc/health/grpc-health.ts'
import { Echo } from '../fixtures/echo/echo_pb.ts'
import { echoService } from '../support/echo-service.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

const SERVICE = 'heddle.echo.v1.Echo'

async function gateway(
  t: TestContext,
  service: HttpService,
  {
    route = {},
    cluster = {},
    document = {},
    lines = [],
    protocol = 'grpc' as RpcProtocolOption,
    version = '1.1',
  }: {
    route?: object
    cluster?: object
    document?: object
    lines?: string[]
    protocol?: RpcProtocolOption
    version?: '1.1' | '2'
  } = {},
) {
  const endpoint = await upstream(t, service)
  const running = await start(
    t,
    {
      access_log: { path: 'stdout' },
      listeners: [HTTP],
      routes: [{ name: 'echo', match: { grpc: { service: SERVICE } }, cluster: 'echo', ...route }],
      clusters: [{ name: 'echo', endpoints: [endpoint], http_version: version, ...cluster }],
      ...document,
    },
    undefined,
    undefined,
    { writeOut: (line) => void lines.push(line) },
  )
  const http = httpClient(running.url(''), { retry: false, version })
  t.after(() => http.close({ signal: AbortSignal.abort(new Error('test over')) }))
  return { ...running, http, client: grpcClient(Echo, http, { protocol }) }
}

/** What the gateway says of a call that failed. */
async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof GrpcError, String(error))
  return { status: error.status, message: error.grpcMessage, metadata: error.metadata }
}

for (const version of ['1.1', '2'] as const) {
  test(`Gateway passes calls of gRPC over HTTP/${version}, and counts and logs them by method`, async (t) => {
    const lines: string[] = []
    const { client, gateway: running } = await gateway(t, echoService(), { lines, version })
    const records: unknown[] = []
    running.onRequest = ({ grpc }) => void records.push(grpc)
    let trailers: GrpcMetadata | undefined
    const said = await client.say(
      { text: 'hello', number: 7 },
      { metadata: { 'x-echo': 'm' }, onTrailer: (given) => void (trailers = given) },
    )
    assert.deepEqual([said.text, said.number, trailers?.get('x-echo-trailer')], ['hello', 7, 'm'])
    const numbers: number[] = []
    for await (const { number } of client.expand({ count: 3, payloadBytes: 70_000 }))
      numbers.push(number)
    assert.deepEqual(numbers, [0, 1, 2])
    assert.deepEqual((await client.collect([{ text: 'a' }, { text: 'b' }])).texts, ['a', 'b'])
    const late = client.expand({ count: 2, failAfter: 1, failCode: 9 })
    await assert.rejects(
      async () => {
        for await (const { number } of late) assert.equal(number, 0)
      },
      { status: 'FAILED_PRECONDITION' },
    )
    await assert.rejects(client.fail({ code: 5, message: 'no such' }), { grpcMessage: 'no such' })
    while (lines.length < 5) await turn()
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      logged.map(({ path, grpc_status, status }) => [
        String(path).split('/')[2],
        grpc_status,
        status,
      ]),
      [
        ['Say', 'OK', 200],
        ['Expand', 'OK', 200],
        ['Collect', 'OK', 200],
        ['Expand', 'FAILED_PRECONDITION', 200],
        ['Fail', 'NOT_FOUND', 200],
      ],
    )
    assert.deepEqual(records[3], { path: `/${SERVICE}/Expand`, status: 9, answered: true })
  })
}

test('Gateway passes a conversation over HTTP/2 as it goes, and ends it when its client leaves', async (t) => {
  const counts = { active: 0, aborted: 0 }
  const { client } = await gateway(t, echoService({}, counts), { version: '2' })
  const heard = Promise.withResolvers<void>()
  const requests = async function* () {
    yield { text: 'a' }
    await heard.promise // the answer comes before the next request
    yield { text: 'b' }
  }
  const texts: string[] = []
  for await (const { text } of client.chat(requests())) {
    texts.push(text)
    heard.resolve()
  }
  assert.deepEqual(texts, ['a', 'b'])
  const abort = new AbortController()
  const call = client.say({ delayMs: 60_000 }, { signal: abort.signal })
  while (counts.active === 0) await turn()
  abort.abort()
  await assert.rejects(call)
  while (counts.aborted === 0) await turn()
})

// What the gateway answers itself.
test('Gateway answers clients of gRPC in gRPC: no route, a limit, nobody there, too late', async (t) => {
  const silent: HttpService = () => new Promise(() => {})
  const {
    client,
    http,
    gateway: running,
  } = await gateway(t, silent, {
    document: {
      routes: [
        {
          name: 'slow',
          match: { grpc: { service: SERVICE, method: 'Say' } },
          cluster: 'echo',
          timeout: '30ms',
        },
        {
          name: 'limited',
          match: { grpc: { service: SERVICE, method: 'Fail' } },
          cluster: 'echo',
          timeout: '1ms',
          rate_limits: [{ key: 'all', requests: 1, per: '1h' }],
        },
        { name: 'dead', match: { grpc: { service: 'dead.Echo' } }, cluster: 'dead' },
      ],
      clusters: [
        { name: 'echo', endpoints: [await upstream(t, silent)] },
        { name: 'dead', endpoints: ['127.0.0.1:1'], retry_policy: { num_retries: 0 } },
      ],
    },
  })
  const records: (GrpcRecord | undefined)[] = []
  running.onRequest = ({ grpc }) => void records.push(grpc)
  const late = await failure(client.say({}))
  assert.deepEqual(
    [late.status, late.metadata.get('x-heddle-error')],
    ['DEADLINE_EXCEEDED', 'ERR_DEADLINE'],
  )
  const unknown = await failure(client.look({}))
  assert.deepEqual(
    [unknown.status, unknown.message],
    ['UNIMPLEMENTED', 'no route matches this request (no_route)'],
  )
  await failure(client.fail({}))
  const limited = await failure(client.fail({}))
  assert.equal(limited.status, 'RESOURCE_EXHAUSTED')
  const dead = await http.call(grpcRequest('/dead.Echo/Say'))
  assert.deepEqual([dead.status, dead.fields.get('grpc-status')], [200, '14'])
  const web = await http.call(grpcRequest('/nowhere.Echo/Say', 'application/grpc-web+proto'))
  assert.deepEqual(
    [web.fields.get('content-type'), web.fields.get('grpc-status')],
    ['application/grpc-web+proto', '12'],
  )
  const plain = await http.call(grpcRequest('/nowhere.Echo/Say', 'application/json'))
  assert.equal(plain.status, 404)
  assert.ok(records.every((one) => one === undefined || !one.answered))
})

test('Gateway takes grpc-timeout for the deadline, where it is earlier than the route’s', async (t) => {
  const seen: (string | undefined)[] = []
  const { http } = await gateway(t, ({ fields }) => {
    seen.push(fields.get('grpc-timeout'))
    return new Promise(() => {})
  })
  const response = await http.call(
    grpcRequest(`/${SERVICE}/Say`, 'application/grpc', { 'grpc-timeout': '300m' }),
  )
  assert.equal(response.fields.get('grpc-status'), '4')
  const [timeout = ''] = seen
  assert.ok(remaining(timeout) <= 300 && remaining(timeout) > 0, timeout)
})

test('Gateway sends what is left in grpc-timeout, the route’s time where that is shorter', async (t) => {
  const seen: (string | undefined)[] = []
  const { http } = await gateway(
    t,
    ({ fields }) => {
      seen.push(fields.get('grpc-timeout'))
      const status = seen.length === 1 ? '14' : '0'
      const answer = { 'content-type': 'application/grpc', 'grpc-status': status }
      return new HttpResponse({ fields: { ...answer } })
    },
    {
      route: { timeout: '20s' },
      cluster: {
        retry_policy: {
          retry_on: ['unavailable'],
          retry_back_off: { base_interval: '2ms', max_interval: '2ms' },
        },
      },
    },
  )
  const call = (timeout: string) =>
    http.call(grpcRequest(`/${SERVICE}/Say`, 'application/grpc', { 'grpc-timeout': timeout }))
  assert.equal((await call('10S')).fields.get('grpc-status'), '0')
  await call('1H')
  await call('1H 2')
  const [first = '', second = '', shortened = '', broken] = seen
  assert.ok(remaining(first) <= 10_000, first)
  assert.ok(remaining(second) < remaining(first), `${second} is not less than ${first}`)
  assert.ok(remaining(shortened) <= 20_000, shortened)
  assert.equal(broken, '1H 2') // the server refuses it
})

test('Gateway answers who may not call in gRPC, trailers only', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-grpc-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'keys.txt')
  await writeFile(file, '')
  const roles = { guest: { allow: [{ actions: ['GET'], resources: ['/open'] }] } }
  const route = (method: string, access: object) => ({
    match: { grpc: { service: SERVICE, method } },
    cluster: 'echo',
    ...access,
  })
  const { http } = await gateway(t, echoService(), {
    version: '2',
    document: {
      routes: [
        route('Say', { authentication: { api_keys: { file } } }),
        route('Fail', {
          authentication: { anonymous: true },
          authorization: { roles, anonymous_roles: ['guest'] },
        }),
      ],
    },
  })
  for (const [method, status] of [
    ['Say', GrpcStatus.UNAUTHENTICATED],
    ['Fail', GrpcStatus.PERMISSION_DENIED],
  ] as const) {
    const answer = await http.call(grpcRequest(`/${SERVICE}/${method}`))
    assert.deepEqual(
      [answer.status, answer.fields.get('content-type'), answer.fields.get('grpc-status')],
      [200, 'application/grpc', String(status)],
    )
    assert.equal(answer.body.isEmpty, true)
  }
})

test('Gateway counts statuses behind messages for the breaker, and does not retry them', async (t) => {
  for (const whole of [true, false]) {
    let asked = 0
    const { http, gateway: running } = await gateway(
      t,
      () => {
        asked++
        return new HttpResponse({
          fields: { 'content-type': 'application/grpc' },
          body: whole ? withStatus(Body.from(MESSAGE)) : withStatus(Body.from(slowly())),
        })
      },
      {
        version: '2',
        cluster: {
          retry_policy: { retry_on: ['unavailable'] },
          circuit_breakers: { consecutive_failures: 3, open_time: '20s' },
        },
      },
    )
    const records: (GrpcRecord | undefined)[] = []
    running.onRequest = ({ grpc }) => void records.push(grpc)
    for (let call = 0; call < 3; call++) {
      const response = await http.call(grpcRequest(`/${SERVICE}/Say`))
      assert.equal((await response.body.bytes()).length, 5)
      assert.equal(response.body.trailers?.get('grpc-status'), '14')
    }
    assert.equal(asked, 3)
    assert.equal(running.clusters()[0]?.endpoints[0]?.breaker, 'open')
    const refused = await http.call(grpcRequest(`/${SERVICE}/Say`))
    assert.deepEqual(
      [refused.status, refused.fields.get('grpc-status'), refused.fields.get('x-heddle-error')],
      [200, '14', 'ERR_NO_ENDPOINT'],
    )
    assert.equal(refused.body.isEmpty, true)
    assert.equal(asked, 3)
    while (records.length < 4) await turn()
    assert.deepEqual(
      records.map((one) => [one?.path, one?.status, one?.answered]),
      [...Array(3).fill([`/${SERVICE}/Say`, 14, true]), [`/${SERVICE}/Say`, 14, false]],
    )
  }
})

test('Gateway retries the statuses of gRPC that retry_on names, and follows pushback', async (t) => {
  const rows: readonly {
    readonly on: readonly string[]
    readonly answers: readonly (readonly [status: number, pushback?: string])[]
    readonly asked: number
    readonly end: string
  }[] = [
    { on: ['unavailable'], answers: [[14], [14], [0]], asked: 3, end: '0' },
    { on: ['unavailable'], answers: [[8], [0]], asked: 1, end: '8' },
    { on: ['unavailable', 'resource-exhausted'], answers: [[8], [14], [0]], asked: 3, end: '0' },
    { on: ['unavailable'], answers: [[14, '5'], [0]], asked: 2, end: '0' },
    { on: ['unavailable'], answers: [[14, '-1'], [0]], asked: 1, end: '14' },
    { on: ['unavailable'], answers: [[14, 'soon'], [0]], asked: 1, end: '14' },
    { on: ['gateway-error', '5xx', 'reset'], answers: [[14], [0]], asked: 1, end: '14' },
    { on: ['unavailable'], answers: [[14], [14], [14], [0]], asked: 3, end: '14' },
    {
      on: ['cancelled', 'deadline-exceeded', 'internal'],
      answers: [[1], [4], [13]],
      asked: 3,
      end: '13',
    },
  ]
  for (const { on, answers, asked, end } of rows) {
    const bodies: string[] = []
    const flaky: HttpService = async ({ body }) => {
      const [code, pushback] = answers[bodies.length] ?? [0]
      bodies.push(await body.text())
      const status = {
        'grpc-status': String(code),
        ...(pushback && { 'grpc-retry-pushback-ms': pushback }),
      }
      return new HttpResponse({ fields: { 'content-type': 'application/grpc', ...status } })
    }
    const { http } = await gateway(t, flaky, {
      cluster: {
        retry_policy: {
          retry_on: on,
          retry_back_off: { base_interval: '1ms', max_interval: '1ms' },
        },
      },
    })
    const response = await http.call(grpcRequest(`/${SERVICE}/Say`))
    assert.deepEqual(
      [bodies.length, response.fields.get('grpc-status'), new Set(bodies).size],
      [asked, end, 1],
      JSON.stringify([on, answers]),
    )
  }
})

test('Gateway takes an endpoint out that fails calls of gRPC', async (t) => {
  const good = await upstream(t, grpcServer([echoService()]))
  const { client, gateway: running } = await gateway(
    t,
    () => new HttpResponse({ fields: { 'content-type': 'application/grpc', 'grpc-status': '14' } }),
    {},
  )
  await failure(client.say({}))
  const bad = running.clusters()[0]?.endpoints[0]?.address ?? ''
  const both = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'echo' }],
    clusters: [
      {
        name: 'echo',
        endpoints: [bad, good],
        lb_policy: 'round_robin',
        outlier_detection: { consecutive_failures: 2, base_ejection_time: '60s' },
        circuit_breakers: { consecutive_failures: 100 },
      },
    ],
  })
  const http = httpClient(both.url(''))
  t.after(() => http.close())
  const { say } = grpcClient(Echo, http)
  for (let call = 0; call < 8; call++) await say({}).catch(() => {})
  const ejected = both.gateway.clusters()[0]?.endpoints.filter((one) => one.ejected)
  assert.deepEqual(
    ejected?.map(({ address }) => address),
    [bad],
  )
  for (let call = 0; call < 4; call++) await say({})
})

test('Gateway asks endpoints for their health by gRPC', async (t) => {
  const health = grpcHealth({ services: [SERVICE] })
  const { client, gateway: running } = await gateway(
    t,
    grpcServer([echoService(), health.service]),
    {
      cluster: {
        health_checks: [
          {
            type: 'grpc',
            service: SERVICE,
            interval: '10ms',
            unhealthy_threshold: 1,
            timeout: '5s',
          },
        ],
      },
    },
  )
  const state = () => running.clusters()[0]?.endpoints[0]
  while (state()?.health !== 'healthy') await turn()
  assert.equal((await client.say({ text: 'well' })).text, 'well')
  health.set(SERVICE, 'NOT_SERVING')
  while (state()?.health !== 'unhealthy') await turn()
  assert.equal(state()?.healthReason, `${SERVICE} is NOT_SERVING`)
})

test('Gateway bridges gRPC-Web, binary and text, and answers preflights', async (t) => {
  for (const protocol of ['grpc-web', grpcWeb({ text: true })] as const) {
    const { client, http } = await gateway(t, grpcServer([echoService()]), {
      route: { grpc_web: true, grpc_web_cors: { origins: ['https://app.example'] } },
      protocol,
    })
    assert.equal((await client.say({ text: 'web' })).text, 'web')
    const numbers: number[] = []
    for await (const { number } of client.expand({ count: 2 })) numbers.push(number)
    assert.deepEqual(numbers, [0, 1])
    await assert.rejects(client.fail({ code: 7, message: 'no' }), { status: 'PERMISSION_DENIED' })
    const preflight = await http.call(
      request('OPTIONS', `/${SERVICE}/Say`, {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
      }),
    )
    assert.equal(preflight.fields.get('access-control-allow-origin'), 'https://app.example')
  }
})

test('Gateway passes Connect to a server that speaks it', async (t) => {
  const { client } = await gateway(t, rpcServer([echoService()]), { protocol: connect() })
  assert.equal((await client.say({ text: 'connect' })).text, 'connect')
})

test('Gateway configuration refuses what is no name of gRPC', () => {
  for (const [grpc, message] of [
    [{ service: 'a/b' }, "'a/b': a service is named as package.Service"],
    [{ service: 'a.B', method: 'x.y' }, "'x.y' is not the name of a method"],
  ] as const) {
    const text = JSON.stringify({
      listeners: [HTTP],
      routes: [{ match: { grpc }, fixed_response: {} }],
    })
    const outcome = loadConfig(text, { file: 'g.yaml', environment: () => undefined })
    assert.ok(!outcome.ok)
    assert.equal(outcome.problems[0]?.message, message)
  }
})

const MESSAGE = new Uint8Array(5)

/** Ends in another batch than its bytes. */
function slowly(): Channel<Uint8Array> {
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      if (channel.done || !channel.flowing) return
      channel.write(MESSAGE)
      setImmediate(() => setImmediate(() => channel.end()))
    },
    () => {},
  )
  return channel
}

function withStatus(body: Body): Body {
  body.trailers = new HttpFields({ 'grpc-status': '14' })
  return body
}

/** Milliseconds of a grpc-timeout. */
function remaining(text = ''): number {
  return parseGrpcTimeout(text) ?? Number.NaN
}

function request(method: string, target: string, fields: Record<string, string>) {
  return new HttpRequest({ method, target, authority: 'gateway', fields: new HttpFields(fields) })
}

/** A call with one empty message. */
function grpcRequest(
  target: string,
  type = 'application/grpc',
  fields: Record<string, string> = {},
) {
  return new HttpRequest({
    method: 'POST',
    target,
    authority: 'gateway',
    fields: { 'content-type': type, te: 'trailers', ...fields },
    body: new Uint8Array(5),
  })
}
