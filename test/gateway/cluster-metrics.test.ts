/** What clusters count beside their status: durations, pools, retries, hedges, breakers. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import type { Registry } from '../../src/telemetry/registry.ts'
import { HTTP, rawUpstream, start, upstream } from './running-gateway.ts'

test('attempts upstream have a duration by cluster, method and status, whatever the endpoint', async (t) => {
  const ok = () => HttpResponse.text('ok')
  const endpoints = [await upstream(t, ok), await upstream(t, ok)]
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'shop' }],
    clusters: [{ name: 'shop', endpoints, lb_policy: 'round_robin' }],
  })
  for (let call = 0; call < 4; call++) await (await fetch(url('/'))).text()
  await (await fetch(url('/'), { method: 'PUT', body: 'x' })).text()
  const own = '{"heddle.cluster":"shop","http.request.method":'
  assert.deepEqual(valuesOf(gateway.registry, 'http.client.request.duration'), {
    [`${own}"GET","http.response.status_code":200}`]: 4,
    [`${own}"PUT","http.response.status_code":200}`]: 1,
  })
  assert.deepEqual(valuesOf(gateway.registry, 'heddle.client.endpoints'), {
    '{"heddle.cluster":"shop"}': 2,
  })
  assert.deepEqual(valuesOf(gateway.registry, 'heddle.client.call.duration'), {})
  const pool = '"db.client.connection.pool.name":"shop"'
  // One connection to each endpoint, and one series for both.
  assert.deepEqual(valuesOf(gateway.registry, 'db.client.connection.create_time'), {
    [`{${pool}}`]: 2,
  })
  assert.deepEqual(valuesOf(gateway.registry, 'db.client.connection.count'), {
    [`{${pool},"db.client.connection.state":"idle"}`]: 2,
    [`{${pool},"db.client.connection.state":"used"}`]: 0,
  })
})

test('retries by what they were for, and breakers that opened, are counted by cluster', async (t) => {
  const bad = await upstream(t, () => HttpResponse.text('', { status: 503 }))
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'bad' }],
    clusters: [
      {
        name: 'bad',
        endpoints: [bad],
        retry_policy: { num_retries: 1, retry_back_off: { base_interval: '1ms' } },
        circuit_breakers: { consecutive_failures: 2 },
      },
    ],
  })
  assert.equal((await fetch(url('/'))).status, 503)
  assert.deepEqual(valuesOf(gateway.registry, 'heddle.client.retries'), {
    '{"error.type":"response","heddle.cluster":"bad"}': 1,
  })
  assert.deepEqual(valuesOf(gateway.registry, 'heddle.client.breaker.transitions'), {
    '{"heddle.cluster":"bad","state":"open"}': 1,
  })
  assert.deepEqual(valuesOf(gateway.registry, 'heddle.client.breaker'), {})
  assert.deepEqual(valuesOf(gateway.registry, 'http.client.request.duration'), {
    '{"error.type":"503","heddle.cluster":"bad","http.request.method":"GET","http.response.status_code":503}': 2,
  })
})

test('hedges, waits for a connection and waits in vain are counted by cluster', async (t) => {
  const { endpoint, asked, answerAll } = await heldUpstream(t)
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'slow' }],
    clusters: [
      {
        name: 'slow',
        endpoints: [endpoint],
        retry_policy: { num_retries: 0 },
        circuit_breakers: { thresholds: { max_connections: 2 } },
        connection_pool: { max_pending_time: '500ms' },
        hedge_policy: { delay: '5ms' },
      },
    ],
  })
  const first = fetch(url('/'))
  // The request, and its hedge on the other connection.
  while (asked() < 2) await new Promise((resolve) => setImmediate(resolve))
  const pool = '{"db.client.connection.pool.name":"slow"}'
  const refused = await fetch(url('/'))
  assert.equal(refused.status, 503)
  const { registry } = gateway
  const timeouts = Object.values(valuesOf(registry, 'db.client.connection.timeouts'))
  assert.ok((timeouts[0] ?? 0) >= 1)
  assert.ok((valuesOf(registry, 'heddle.client.hedges')['{"heddle.cluster":"slow"}'] ?? 0) >= 1)
  const waiting = fetch(url('/'))
  while (valuesOf(registry, 'db.client.connection.pending_requests')[pool] === 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  answerAll()
  await (await first).text()
  await (await waiting).text()
  assert.ok((valuesOf(registry, 'db.client.connection.wait_time')[pool] ?? 0) >= 1)
})

test('a cluster that a reload replaces counts on, without what its old pools had', async (t) => {
  const endpoint = await upstream(t, () => HttpResponse.text('ok'))
  const shop = { name: 'shop', endpoints: [endpoint] }
  const config = { listeners: [HTTP], routes: [{ cluster: 'shop' }], clusters: [shop] }
  const { gateway, url, change } = await start(t, config)
  await (await fetch(url('/'))).text()
  change({ ...config, clusters: [{ ...shop, lb_policy: 'round_robin' }] })
  assert.equal((await gateway.reload()).status, 'applied')
  await (await fetch(url('/'))).text()
  const ok = '{"heddle.cluster":"shop","http.request.method":"GET","http.response.status_code":200}'
  assert.deepEqual(valuesOf(gateway.registry, 'http.client.request.duration'), { [ok]: 2 })
  const idle = '{"db.client.connection.pool.name":"shop","db.client.connection.state":"idle"}'
  while (valuesOf(gateway.registry, 'db.client.connection.count')[idle] !== 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  const most = Object.values(valuesOf(gateway.registry, 'db.client.connection.max'))
  assert.deepEqual(most, [256])
})

/** An upstream that answers when it is told to. */
async function heldUpstream(t: TestContext) {
  const waiting: (() => void)[] = []
  let asked = 0
  let free = false
  const endpoint = await rawUpstream(t, (socket) => {
    socket.on('data', () => {
      asked++
      const answer = (): void => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      }
      if (free) answer()
      else waiting.push(answer)
    })
  })
  return {
    endpoint,
    asked: () => asked,
    answerAll() {
      free = true
      for (const answer of waiting.splice(0)) answer()
    },
  }
}

/** Value, or count of a histogram, by attributes in the order of their names. */
function valuesOf(registry: Registry, name: string): Record<string, number> {
  const family = registry.collect().find((one) => one.name === name)
  return Object.fromEntries(
    (family?.series ?? []).map((series) => {
      const sorted = Object.entries(series.attributes).sort(([a], [b]) => (a < b ? -1 : 1))
      const value = 'value' in series ? series.value : series.count
      return [JSON.stringify(Object.fromEntries(sorted)), value]
    }),
  )
}
