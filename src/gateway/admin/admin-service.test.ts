import assert from 'node:assert/strict'
import test from 'node:test'
import {
  StubGatewayStatus,
  stubCluster,
  stubEndpoint,
  stubListener,
} from '../../../test/support/stub-gateway-status.ts'
import { parseAddress } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpRequest, type HttpRequestInit } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { parseExposition } from '../../telemetry/exposition-parser.ts'
import { renderPrometheus } from '../../telemetry/prometheus.ts'
import { Registry } from '../../telemetry/registry.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { type AdminOptions, AdminService } from './admin-service.ts'
import type { AdminSnapshot } from './snapshot.ts'

interface Answer {
  readonly status: number
  readonly text: string
  readonly field: (name: string) => string | undefined
}

function start(options: Partial<AdminOptions> = {}) {
  const status = new StubGatewayStatus()
  const clock = new ManualClock({ startMs: 10_000 })
  status.now = () => clock.now()
  const registry = new Registry()
  const admin = new AdminService({ status, registry, clock, ...options })
  const ask = async (target: string, init: HttpRequestInit = {}): Promise<Answer> => {
    const request = new HttpRequest({ authority: 'localhost:9901', target, ...init })
    const response = await admin.service(request, new Call())
    return {
      status: response.status,
      text: await response.body.text(),
      field: (name) => response.fields.get(name),
    }
  }
  const snapshot = async (): Promise<AdminSnapshot> =>
    JSON.parse((await ask('/api/status')).text) as AdminSnapshot
  return { status, clock, registry, admin, ask, snapshot }
}

test('AdminService probes follow the phase', async () => {
  const { status, ask } = start()
  const table = {
    starting: [200, 503, 503],
    ready: [200, 200, 200],
    draining: [200, 503, 200],
    stopped: [200, 503, 200],
  } as const
  for (const [phase, expected] of Object.entries(table)) {
    status.phase = phase as keyof typeof table
    const answers = await Promise.all([ask('/livez'), ask('/readyz'), ask('/startupz')])
    assert.deepEqual(
      answers.map((answer) => answer.status),
      expected,
      phase,
    )
    assert.equal(answers[1]?.text, phase === 'ready' ? 'ok\n' : `${phase}\n`)
  }
})

test('AdminService changes by POST only', async () => {
  const { status, ask } = start()
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    for (const path of ['/drain', '/reload']) {
      const answer = await ask(path, { method })
      assert.equal(answer.status, 405, `${method} ${path}`)
      assert.equal(answer.field('allow'), 'POST')
      assert.match(answer.text, /changes something: use POST/)
    }
  }
  assert.equal(status.drains, 0)
  const reading = await ask('/clusters', { method: 'POST' })
  assert.equal(reading.status, 405)
  assert.equal(reading.field('allow'), 'GET, HEAD')
})

test('AdminService drains on POST and says so', async () => {
  const { status, ask } = start()
  const answer = await ask('/drain', { method: 'POST' })
  assert.equal(answer.status, 202)
  assert.deepEqual(JSON.parse(answer.text), { status: 'draining' })
  assert.equal(status.drains, 1)
  assert.equal((await ask('/readyz')).status, 503)
})

test('AdminService tells how a reload ended', async () => {
  const { status, ask } = start()
  status.reloadOutcome = { status: 'applied', version: 2, changes: ['cluster api added'] }
  const applied = await ask('/reload', { method: 'POST' })
  assert.equal(applied.status, 200)
  assert.deepEqual(JSON.parse(applied.text), status.reloadOutcome)
  status.reloadOutcome = { status: 'rejected', version: 2, problems: ['gateway.yaml:3: no'] }
  const rejected = await ask('/reload', { method: 'POST' })
  assert.equal(rejected.status, 422)
  assert.match(rejected.text, /gateway\.yaml:3: no/)
})

test('AdminService refuses foreign hosts and origins, with the reason', async () => {
  const { status, ask } = start({ allowedHosts: ['Admin.Internal'] })
  const rebound = await ask('/config', { authority: 'evil.example' })
  assert.equal(rebound.status, 403)
  assert.match(rebound.text, /host 'evil.example' is not allowed/)
  const forged = await ask('/drain', {
    method: 'POST',
    fields: { origin: 'http://evil.example' },
  })
  assert.equal(forged.status, 403)
  assert.match(forged.text, /origin 'http:\/\/evil.example' does not match/)
  assert.equal(status.drains, 0)
  assert.equal((await ask('/config', { authority: 'admin.internal' })).status, 200)
})

test('AdminService answers are not stored and may load nothing foreign', async () => {
  const { ask } = start()
  for (const path of ['/', '/livez', '/metrics', '/api/status', '/nowhere', '/drain']) {
    const answer = await ask(path)
    assert.equal(answer.field('cache-control'), 'no-store', path)
    assert.match(answer.field('content-security-policy') ?? '', /^default-src 'self';/, path)
    assert.doesNotMatch(answer.field('content-security-policy') ?? '', /unsafe|http/, path)
    assert.equal(answer.field('x-content-type-options'), 'nosniff', path)
    assert.equal(answer.field('access-control-allow-origin'), undefined, path)
  }
})

test('AdminService serves the dashboard and nothing beside it', async () => {
  const { ask } = start()
  const page = await ask('/')
  assert.equal(page.field('content-type'), 'text/html; charset=utf-8')
  const references = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1])
  for (const reference of references) {
    assert.doesNotMatch(reference as string, /^(https?:)?\/\//, 'nothing foreign')
    if ((reference as string).startsWith('#')) continue
    const answer = await ask(`/${reference}`.replace('//', '/'))
    assert.equal(answer.status, 200, reference as string)
  }
  assert.doesNotMatch(page.text, /<script>|<style>| style="| on[a-z]+="/, 'nothing inline')
  for (const path of [
    '/../package.json',
    '/dashboard/',
    '/__proto__',
    '/constructor',
    '/index.ts',
  ]) {
    assert.equal((await ask(path)).status, 404, path)
  }
})

test('AdminService metrics come in the format asked for and parse', async () => {
  const { status, ask } = start()
  status.clusterList = [
    stubCluster({
      requests: 5,
      retryBudget: 0.5,
      endpoints: [stubEndpoint({ breaker: 'open' }), stubEndpoint({ address: 'b:1', requests: 4 })],
    }),
    stubCluster({ name: 'bare', retryBudget: undefined }),
  ]
  status.totals.statusClasses = [1, 0, 7, 0, 0, 2]
  status.finish({ status: 200 })
  status.finish({ status: 502, route: undefined, cluster: undefined })
  const plain = await ask('/metrics')
  assert.equal(plain.field('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  const samples = parseExposition(plain.text, 'prometheus')
  const expected: [string, number][] = [
    ['heddle_build_info{version="0.1.0"}', 1],
    ['heddle_gateway_phase{phase="ready"}', 1],
    ['heddle_gateway_responses_total{class="5xx"}', 2],
    ['heddle_cluster_retry_budget_ratio{heddle_cluster="api"}', 0.5],
    [endpointSample('breaker', '127.0.0.1:9001', 'open'), 1],
    [endpointSample('breaker', '127.0.0.1:9001', 'closed'), 0],
    [endpointSample('requests_total', 'b:1'), 4],
    [durationSample('api', 'api', 'status="200"'), 1],
  ]
  for (const [name, value] of expected) assert.equal(samples.get(name), value, name)
  assert.equal(samples.get('heddle_cluster_retry_budget_ratio{heddle_cluster="bare"}'), undefined)
  const open = await ask('/metrics', { fields: { accept: 'application/openmetrics-text' } })
  assert.match(open.field('content-type') ?? '', /^application\/openmetrics-text/)
  parseExposition(open.text, 'openmetrics')
})

function endpointSample(name: string, address: string, state?: string): string {
  const labels = `heddle_cluster="api",heddle_endpoint="${address}"`
  return `heddle_endpoint_${name}{${labels}${state === undefined ? '' : `,state="${state}"`}}`
}

function durationSample(route: string, cluster: string, status: string): string {
  const name = 'http_server_request_duration_seconds_count'
  const own = `heddle_cluster="${cluster}",heddle_listener="http",heddle_route="${route}"`
  return `${name}{${own},http_request_method="GET",http_response_${status.replace('status', 'status_code')},url_scheme="http"}`
}

test('AdminService hands its metrics to a successor without a gap or a double', async () => {
  const { status, clock, registry, admin } = start()
  status.clusterList = [stubCluster({ requests: 5 })]
  status.finish({})
  admin.close()
  const successor = new AdminService({ status, registry, clock })
  status.finish({})
  const samples = parseExposition(renderPrometheus(registry, 'prometheus'), 'prometheus')
  assert.equal(samples.get('heddle_cluster_requests_total{heddle_cluster="api"}'), 5)
  assert.equal(samples.get(durationSample('api', 'api', 'status="200"')), 2)
  successor.close()
})

test('AdminService forgets metrics of what a reload removed', async () => {
  const { status, clock, registry } = start()
  status.listenerList = [stubListener({}), stubListener({ name: 'old', address: 'x:1' })]
  status.clusterList = [stubCluster({})]
  status.finish({ listener: 'old' })
  status.finish({ cluster: 'gone' })
  status.finish({})
  const series = (name = 'http.server.request.duration'): number =>
    registry.collect().find((family) => family.name === name)?.series.length ?? 0
  assert.equal(series(), 3)
  // What clusters count themselves.
  const retries = 'heddle.client.retries'
  const connections = 'db.client.connection.max'
  for (const name of [status.clusterList[0]?.name ?? '', 'gone']) {
    registry.counter(retries, {}, { 'heddle.cluster': name }).add()
    registry.gauge(connections, {}, { 'db.client.connection.pool.name': name }).set(1)
  }
  status.listenerList = [stubListener({})]
  status.config.version = 2
  clock.advance(1_100)
  assert.equal(series(), 1)
  assert.deepEqual([series(retries), series(connections)], [1, 1])
  status.finish({})
  assert.equal(series(), 1)
})

test('AdminService status sums up the last seconds', async () => {
  const { status, clock, snapshot } = start()
  status.startedAt = 4_000
  status.totals.openConnections = 9
  status.clusterList = [
    stubCluster({ endpoints: [stubEndpoint({ ejected: true, ejectedUntil: 13_000 })] }),
  ]
  clock.advance(1_000)
  for (let index = 0; index < 20; index++) status.finish({ durationSeconds: 0.01 })
  status.finish({ status: 500, durationSeconds: 0.01 })
  clock.advance(1_100)
  const seen = await snapshot()
  assert.equal(seen.phase, 'ready')
  assert.equal(seen.uptimeMs, 8_100)
  assert.equal(seen.requestsPerSecond, 21)
  assert.deepEqual(seen.history.requests, [21])
  assert.deepEqual(seen.history.serverErrors, [1])
  assert.deepEqual(seen.history.connections, [9])
  assert.equal(seen.history.end, clock.wallNow() - 100)
  assert.equal(seen.latency.count, 21)
  assert.ok(Math.abs((seen.latency.p50 ?? 0) - 10) < 0.2)
  assert.equal(seen.clusters[0]?.endpoints[0]?.state, 'ejected')
  assert.equal(seen.clusters[0]?.endpoints[0]?.ejectedForMs, 900)
  assert.equal(seen.process, null)
})

test('AdminService status is complete before any traffic', async () => {
  const { snapshot } = start()
  const seen = await snapshot()
  assert.equal(seen.requestsPerSecond, 0)
  assert.equal(seen.latency.p99, null)
  assert.deepEqual(seen.history.requests, [])
  assert.deepEqual(seen.clusters, [])
})

test('AdminService shows CPU and event loop use of the last second', async () => {
  let cpu = 0
  let active = 0
  const { clock, snapshot } = start({
    process: {
      cpuSeconds: () => ({ user: cpu, system: 0 }),
      memory: () => ({ residentBytes: 7, heapUsedBytes: 5, heapTotalBytes: 6, externalBytes: 0 }),
      eventLoop: () => ({ activeMs: active, idleMs: 0 }),
    },
  })
  clock.advance(5)
  cpu = 0.25
  active = 250
  clock.advance(1_000)
  const { process } = await snapshot()
  assert.equal(process?.residentBytes, 7)
  assert.ok(Math.abs((process?.cpu ?? 0) - 0.25) < 0.01)
  assert.equal(process?.loop, 1)
})

test('AdminService streams a snapshot, then a tick each second, until the client goes', async () => {
  const { status, clock, admin } = start({ maxEventStreams: 1 })
  const request = new HttpRequest({ authority: 'localhost', target: '/api/events' })
  const response = await admin.service(request, new Call())
  assert.equal(response.fields.get('content-type'), 'text/event-stream')
  const events: [string, AdminSnapshot][] = []
  const flow = response.body.open({
    write(chunk) {
      const [, name, data] =
        /^event: (\w+)\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(chunk)) ?? []
      events.push([name as string, JSON.parse(data as string) as AdminSnapshot])
      return true
    },
    end() {},
    fail() {},
  })
  flow.resume()
  clock.advance(1_000)
  status.finish({})
  clock.advance(1_100)
  assert.deepEqual(
    events.map(([name, { history }]) => [name, history.requests]),
    [
      ['snapshot', []],
      ['tick', []],
      ['tick', [1]],
    ],
  )
  const second = await admin.service(request, new Call())
  assert.equal(second.status, 503)
  assert.equal(second.fields.get('retry-after'), '5')
  flow.cancel()
  assert.equal(admin.watchers, 0)
  const head = await admin.service(
    new HttpRequest({ authority: 'localhost', target: '/api/events', method: 'HEAD' }),
    new Call(),
  )
  assert.equal(head.status, 200)
  assert.equal(admin.watchers, 0)
})

test('AdminService stops a stream whose client vanished from a real server', async () => {
  const { admin } = start()
  const server = httpServer(admin.service)
  const transport = memory({ clock: systemClock })
  await server.listen(transport, 'mem:admin-events')
  const connection = await transport.connect(parseAddress('mem:admin-events'))
  let text = ''
  await new Promise<void>((received) => {
    connection.open({
      onData(chunk) {
        text += new TextDecoder().decode(chunk)
        if (text.includes('event: snapshot')) received()
      },
      onDrain() {},
      onEnd() {},
      onClose() {},
    })
    connection.write(
      new TextEncoder().encode('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    )
  })
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.equal(admin.watchers, 1)
  connection.destroy()
  await server.close()
  assert.equal(admin.watchers, 0)
  admin.close()
})

test('AdminService tells pages at once that it drains, and once more when it closes', async () => {
  const { status, admin, ask } = start()
  const request = new HttpRequest({ authority: 'localhost', target: '/api/events' })
  const response = await admin.service(request, new Call())
  const phases: string[] = []
  const flow = response.body.open({
    write(chunk) {
      phases.push(/"phase":"(\w+)"/.exec(new TextDecoder().decode(chunk))?.[1] ?? '')
      return true
    },
    end: () => phases.push('end'),
    fail() {},
  })
  flow.resume()
  await ask('/drain', { method: 'POST' })
  status.phase = 'stopped'
  admin.close()
  assert.deepEqual(phases, ['ready', 'draining', 'stopped', 'end'])
})

test('AdminService close leaves no timer, no observer and no stream', async () => {
  const { status, clock, admin } = start()
  const request = new HttpRequest({ authority: 'localhost', target: '/api/events' })
  const response = await admin.service(request, new Call())
  let ended = false
  response.body.open({ write: () => true, end: () => (ended = true), fail() {} }).resume()
  admin.close()
  admin.close()
  assert.equal(ended, true)
  assert.equal(clock.pendingTimers, 0)
  assert.equal(status.onRequest, undefined)
  assert.equal((await admin.service(request, new Call())).status, 503)
})
