import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as name } from '../../core/address.ts'
import { ToxicSet } from '../../core/chaos/toxic-set.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from '../../transports/memory/memory-datagrams.ts'
import { UdpFlows } from './udp-flows.ts'

test('UdpFlows keeps maxFlows clients, drops one more, and forgets who is silent', async () => {
  const clock = new ManualClock()
  const transport = memoryDatagrams({ clock, network: new MemoryDatagramNetwork() })
  const heard: string[] = []
  const ignored = { onError() {}, onClose() {} }
  const upstream = await transport.bind(name('upstream'))
  upstream.open({
    ...ignored,
    onDatagram(payload, from) {
      heard.push(String(payload[0]))
      upstream.send(payload, from)
    },
  })
  const flows = new UdpFlows(await transport.bind(name('proxy')), {
    clock,
    transport,
    toxics: new ToxicSet({ clock, carrier: 'datagram', seed: 1 }),
    upstream: upstream.address,
    maxFlows: 2,
    idleTimeoutMs: 1_000,
    onError: (error) => assert.fail(String(error)),
  })
  const answers: [string, number][] = []
  const clients = await Promise.all(
    ['a', 'b', 'c'].map(async (who) => {
      const socket = await transport.bind(name(who))
      socket.open({
        ...ignored,
        onDatagram: (payload) => void answers.push([who, payload[0] ?? -1]),
      })
      return async (n: number, to: Address = flows.address): Promise<void> => {
        socket.send(Uint8Array.of(n), to)
        await clock.settle()
      }
    }),
  )
  for (const [index, send] of clients.entries()) await send(index)
  assert.deepEqual([flows.count, flows.dropped], [2, 1])
  assert.deepEqual(heard, ['0', '1'])
  assert.deepEqual(answers, [
    ['a', 0],
    ['b', 1],
  ])
  await clients[2]?.(3)
  assert.deepEqual([flows.count, flows.dropped], [2, 2])

  await clock.advanceAsync(500)
  await clients[0]?.(4) // a speaks again: it is kept when b is forgotten
  await clock.advanceAsync(500)
  assert.equal(flows.count, 1)
  await clients[2]?.(5)
  assert.deepEqual([flows.count, flows.dropped], [2, 2])
  assert.deepEqual(answers.slice(2), [
    ['a', 4],
    ['c', 5],
  ])
  const closing = flows.close()
  await clock.settle()
  await closing
  assert.equal(clock.pendingTimers, 0)
})
