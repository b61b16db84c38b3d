/** `connection_pool` of a cluster, and its change by a reload. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { HTTP, rawUpstream, start, upstream } from './running-gateway.ts'

const config = (address: string, cluster: object): object => ({
  listeners: [HTTP],
  routes: [{ cluster: 'a' }],
  clusters: [{ name: 'a', endpoints: [address], ...cluster }],
})

test('Gateway changes the limits of pools by a reload, and no request is cut', async (t) => {
  const held: (() => void)[] = []
  let arrived = (): void => {}
  const address = await upstream(t, async ({ target }) => {
    if (target === '/hold') {
      await new Promise<void>((resolve) => {
        held.push(resolve)
        arrived()
      })
    }
    return HttpResponse.text('ok')
  })
  const arrives = async (count: number): Promise<void> => {
    while (held.length < count) await new Promise<void>((resolve) => (arrived = resolve))
  }
  const small = config(address, {
    circuit_breakers: { thresholds: { max_connections: 1, max_pending_requests: 10 } },
  })
  const running = await start(t, small)
  const requests = [1, 2, 3].map(() => fetch(running.url('/hold')))
  await arrives(1)
  assert.match(running.gateway.explain(), /max 1,/)
  running.change(
    config(address, {
      idle_timeout: '60s',
      circuit_breakers: { thresholds: { max_connections: 3, max_pending_requests: 10 } },
      connection_pool: { min_connections: 2, max_pending_time: '1s', shrink_delay: '10s' },
    }),
  )
  const outcome = await running.gateway.reload()
  assert.deepEqual(outcome.status === 'applied' && outcome.changes, ['cluster a changed'])
  await arrives(3) // those that waited have connections now, beside the one that was cut by nothing
  const explained = running.gateway.explain()
  assert.match(explained, /max 3, min 2/)
  assert.match(explained, /shrinkDelayMs 10000/)
  for (const answer of held) answer()
  for (const request of requests) assert.equal((await request).status, 200)
  const again = await running.gateway.reload()
  assert.equal(again.status, 'unchanged')
  running.change(small)
  assert.equal((await running.gateway.reload()).status, 'applied')
  assert.match(running.gateway.explain(), /max 1, min 0/)
  assert.equal((await fetch(running.url('/'))).status, 200)
})

test('Gateway pings a connection that was unused for long before a request gets it', async (t) => {
  const requests: string[] = []
  const address = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      requests.push(String(chunk).split(' ', 2).join(' '))
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    })
  })
  const running = await start(
    t,
    config(address, {
      idle_timeout: '60s',
      connection_pool: {
        ping: { after: '0ms', path: '/alive', method: 'HEAD', host: 'a.example' },
      },
    }),
  )
  await (await fetch(running.url('/1'))).text()
  await new Promise((resolve) => setTimeout(resolve, 2)) // unused for longer than 0 ms
  await (await fetch(running.url('/2'))).text()
  assert.deepEqual(requests.slice(0, 2), ['GET /1', 'HEAD /alive'])
})

test('connection_pool: what contradicts itself is refused with its place', () => {
  const load = (cluster: object) =>
    loadConfig(JSON.stringify(config('127.0.0.1:1', cluster)), {
      file: 'g.yaml',
      environment: () => undefined,
    })
  const wrong: [cluster: object, message: RegExp][] = [
    [{ connection_pool: { suspects: 'ping' } }, /suspects: ping needs ping/],
    [{ connection_pool: { min_connections: 300 } }, /300 is over max_connections, 256/],
    [{ connection_pool: { min: 1 } }, /unknown key/],
    [{ proxy_protocol: 'v2', connection_pool: { ping: {} } }, /no connection is kept/],
  ]
  for (const [cluster, message] of wrong) {
    const outcome = load(cluster)
    assert.ok(!outcome.ok)
    assert.match(outcome.problems.map((problem) => problem.message).join('\n'), message)
  }
})
