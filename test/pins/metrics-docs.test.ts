/** docs/telemetry.md lists exactly what a gateway exposes: name, kind, unit and labels. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { AdminService } from '../../src/gateway/admin/admin-service.ts'
import { nodeProcess } from '../../src/platform/node-process.ts'
import { HttpCache } from '../../src/protocols/http/caching/http-cache.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { roundRobin } from '../../src/runtime/balancer/round-robin.ts'
import { type MetricFamily, Registry } from '../../src/telemetry/registry.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { HTTP, start, upstream } from '../gateway/running-gateway.ts'
import { certificates } from '../gateway/test-certificates.ts'
import { StubGatewayStatus, stubCluster, stubEndpoint } from '../support/stub-gateway-status.ts'
import { httpWorld } from '../telemetry/http-pair.ts'

test('docs/telemetry.md lists every metric of the gateway with kind, unit and labels', async (t) => {
  const families = [...everyMetric(), ...(await everyClusterMetric(t))]
  assert.deepEqual(await documented('<!-- metrics:'), exposed(families))
})

test('docs/telemetry.md lists every metric of clients and servers', async (t) => {
  const registry = new Registry()
  await useEverything(t, registry)
  const ours = registry.collect().filter(({ name }) => !name.startsWith('heddle.telemetry.'))
  assert.deepEqual(await documented('<!-- library metrics:'), exposed(ours))
})

/** The table behind a marker: name → kind, unit, labels. */
async function documented(marker: string): Promise<Record<string, string>> {
  const text = await readFile(new URL('../../docs/telemetry.md', import.meta.url), 'utf8')
  const from = text.indexOf(marker)
  assert.ok(from >= 0, marker)
  const section = text.slice(from, text.indexOf('\n#', from))
  const found = new Map<string, string>()
  const row = /^\| `([a-z_.]+)` \| (counter|gauge|histogram) \| (?:`([^`]+)`)? ?\| ([^|]*)\|/gm
  for (const [, name = '', kind, unit = '', labels = ''] of section.matchAll(row)) {
    const names = [...labels.matchAll(/`([^`]+)`/g)].map(([, one]) => one)
    found.set(name, [kind, unit, ...names.sort()].join(' '))
  }
  return Object.fromEntries([...found].sort())
}

function exposed(families: readonly MetricFamily[]): Record<string, string> {
  const found = new Map<string, string>()
  for (const { name, kind, unit, series } of families) {
    const labels = new Set(series.flatMap((one) => Object.keys(one.attributes)))
    found.set(name, [kind, unit, ...[...labels].sort()].join(' '))
  }
  return Object.fromEntries([...found].sort())
}

/** Makes clients and servers count each kind of thing at least once. */
async function useEverything(t: TestContext, meter: Registry): Promise<void> {
  const world = httpWorld(t)
  const limit = { limit: 100, windowMs: 1_000 }
  await world.serve(
    'api',
    (request) => {
      request.route = '/'
      return HttpResponse.text('', { status: request.path === '/bad' ? 500 : 200 })
    },
    { meter, rateLimit: limit },
  )
  const client = world.client(['api', 'nobody'], {
    meter,
    retry: { baseMs: 1, maxMs: 1 },
    breaker: { consecutiveFailures: 1 },
    balancer: roundRobin(),
  })
  for (let call = 0; call < 8; call++) await (await client.get('/')).body.text()
  const failing = world.client('api', { meter, retry: false })
  await (await failing.get('/bad')).body.text()
  await assert.rejects(world.client('nobody', { meter, retry: false }).get('/'))
  const strict = world.client('api', {
    meter,
    retry: false,
    rateLimit: { limit: 1, windowMs: 60_000 },
  })
  await (await strict.get('/')).body.text()
  await assert.rejects(strict.get('/'))
}

function everyMetric() {
  const status = new StubGatewayStatus()
  status.clusterList = [stubCluster({ endpoints: [stubEndpoint({})] })]
  status.limitList = [
    {
      name: 'route api',
      policy: 'concurrency',
      refused: 1,
      allowed: 1,
      limit: 1,
      inFlight: 1,
      queued: 1,
    },
  ]
  status.cacheList = [{ name: 'route api', ...new HttpCache({ clock: new ManualClock() }).stats }]
  const registry = new Registry()
  const clock = new ManualClock()
  const admin = new AdminService({ status, registry, clock, process: nodeProcess })
  status.finish({})
  status.finish({ status: 500 })
  status.finish({ grpc: { path: '/a.B/C', status: 0, answered: true } })
  const metrics = registry.collect()
  admin.close()
  return metrics
}

/** Of a running gateway: one cluster answers, the other's endpoint fails until its breaker opens. */
async function everyClusterMetric(t: TestContext): Promise<MetricFamily[]> {
  const bad = await upstream(t, () => HttpResponse.text('', { status: 503 }))
  const { cert_file, key_file } = await (await certificates(t)).issue('a.example')
  const { gateway, url } = await start(t, {
    listeners: [
      { ...HTTP, tls: { certificates: [{ cert_file, key_file }] } },
      { ...HTTP, name: 'plain' },
    ],
    routes: [{ cluster: 'bad' }],
    clusters: [
      {
        name: 'bad',
        endpoints: [bad],
        retry_policy: { retry_back_off: { base_interval: '1ms' } },
        circuit_breakers: { consecutive_failures: 1 },
      },
    ],
  })
  await (await fetch(url('/', 'plain'))).text()
  // The others are read from the status, and their labels are known from the stub's.
  return gateway.registry
    .collect()
    .filter(({ name }) => /^(http\.client|heddle\.(client|pool|tls)|db)\./.test(name))
}
