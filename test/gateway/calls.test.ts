/**
 * What a cluster does about calls that are slow or fail, and deadlines on their way through.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

const HEADER = 'x-envoy-expected-rq-timeout-ms'

test('Gateway hedges a slow request and cancels the loser', async (t) => {
  let requests = 0
  const cancelled = Promise.withResolvers<void>()
  const address = await upstream(t, (_request, context) => {
    if (++requests > 1) return HttpResponse.text('fast')
    return new Promise<HttpResponse>((_resolve, reject) => {
      context.onCancel((reason) => {
        cancelled.resolve()
        reject(reason)
      })
    })
  })
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'a' }],
    clusters: [
      {
        name: 'a',
        endpoints: [address],
        hedge_policy: { delay: '20ms' },
        retry_policy: { num_retries: 0 },
      },
    ],
  })
  assert.equal(await (await fetch(url('/'))).text(), 'fast')
  await cancelled.promise
  assert.equal(requests, 2)
  assert.match(gateway.explain(), /hedge: sent 1, won 1/)
  const post = fetch(url('/'), { method: 'POST', body: 'x' })
  assert.equal(await (await post).text(), 'fast')
  assert.equal(requests, 3)
})

test('Gateway opens a breaker for slow calls and says so', async (t) => {
  const address = await upstream(t, async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    return HttpResponse.text('slow')
  })
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'a' }],
    clusters: [
      {
        name: 'a',
        endpoints: [address],
        retry_policy: { num_retries: 0 },
        circuit_breakers: {
          slow_call_duration: '1ms',
          min_calls: 2,
          open_time: '60s',
          max_open_time: '60s',
          ramp_up: '0s',
        },
      },
    ],
  })
  const statuses: number[] = []
  for (let count = 0; count < 3; count++) {
    const response = await fetch(url('/'))
    await response.text()
    statuses.push(response.status)
  }
  assert.deepEqual(statuses, [200, 200, 503])
  assert.match(gateway.explain(), /slowCallMs 1,/)
})

test('Gateway tells an endpoint what remains, of the route or a trusted client', async (t) => {
  const seen: (string | undefined)[] = []
  const address = await upstream(t, (request) => {
    seen.push(request.fields.get(HEADER))
    return HttpResponse.text('done')
  })
  const cluster = { name: 'a', endpoints: [address], deadline_header: HEADER }
  const routes = [{ cluster: 'a', timeout: '10s' }]
  for (const trust_deadline of [false, true]) {
    const { url } = await start(t, {
      listeners: [{ ...HTTP, forwarding: { trust_deadline } }],
      routes,
      clusters: [cluster],
    })
    for (const headers of [{}, { [HEADER]: '3000' }, { [HEADER]: '60000' }]) {
      await (await fetch(url('/'), { headers })).text()
    }
  }
  const remaining = seen.map(Number)
  // What remains is less than what was configured, and never more.
  const most = [10_000, 10_000, 10_000, 10_000, 3_000, 10_000]
  assert.equal(remaining.length, most.length)
  remaining.forEach((ms, index) => {
    assert.ok(ms <= (most[index] as number) && ms > (most[index] as number) - 2_500, `${seen}`)
  })
})

test('Gateway gives up when the client’s own deadline has passed', async (t) => {
  const address = await upstream(t, (_request, context) => {
    return new Promise<HttpResponse>((_resolve, reject) => void context.onCancel(reject))
  })
  const { url } = await start(t, {
    listeners: [{ ...HTTP, forwarding: { trust_deadline: true } }],
    routes: [{ cluster: 'a', timeout: '60s' }],
    clusters: [{ name: 'a', endpoints: [address] }],
  })
  const response = await fetch(url('/'), { headers: { 'grpc-timeout': '30m' } })
  assert.equal(response.status, 504)
  assert.equal(response.headers.get('x-heddle-error'), 'ERR_DEADLINE')
})
