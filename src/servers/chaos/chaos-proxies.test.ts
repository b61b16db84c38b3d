import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../../platform/system-clock.ts'
import { ChaosProxies } from './chaos-proxies.ts'

test('ChaosProxies keeps a proxy whose new address cannot be had', async () => {
  const upstream = createServer((socket) => void socket.end('reached')).listen(0, '127.0.0.1')
  const taken = createServer().listen(0, '127.0.0.1')
  await Promise.all([once(upstream, 'listening'), once(taken, 'listening')])
  try {
    await using proxies = new ChaosProxies({ clock: systemClock, seed: 1 })
    const proxy = await proxies.add({
      name: 'db',
      listen: '127.0.0.1:0',
      upstream: `127.0.0.1:${portOf(upstream)}`,
    })
    const { listen } = proxy
    const busy = proxies.update(proxy, { listen: `127.0.0.1:${portOf(taken)}` })
    await assert.rejects(busy, { code: 'ERR_ADDRESS_IN_USE' })
    assert.equal(proxies.get('db'), proxy)
    assert.equal(proxy.listen, listen)
    const socket = connect(Number(listen.split(':').at(-1)), '127.0.0.1')
    assert.equal(String((await once(socket, 'data'))[0]), 'reached')
    socket.destroy()
  } finally {
    upstream.close()
    taken.close()
  }
})

test('ChaosProxies refuses names that would write to a terminal', async () => {
  await using proxies = new ChaosProxies({ clock: systemClock, seed: 1 })
  const spec = { listen: '127.0.0.1:0', upstream: '127.0.0.1:1', enabled: false }
  for (const name of ['', '\u001b[2J', 'a\nb', 'x'.repeat(256)]) {
    await assert.rejects(proxies.add({ ...spec, name }), { code: 'ERR_ARGUMENT' })
  }
  assert.equal((await proxies.add({ ...spec, name: 'x'.repeat(255) })).enabled, false)
})

test('ChaosProxies has maxProxies proxies, and refuses one more', async () => {
  await using proxies = new ChaosProxies({ clock: systemClock, seed: 1, maxProxies: 2 })
  const spec = { listen: '127.0.0.1:0', upstream: '127.0.0.1:1', enabled: false }
  const first = await proxies.add({ ...spec, name: 'a' })
  await proxies.add({ ...spec, name: 'b' })
  await assert.rejects(proxies.add({ ...spec, name: 'c' }), {
    code: 'ERR_OPTION_RANGE',
    message: /3 proxies, maxProxies is 2/,
  })
  await proxies.remove(first)
  assert.equal((await proxies.add({ ...spec, name: 'c' })).name, 'c')
})

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port
}
