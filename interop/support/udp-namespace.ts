/**
 * Runs inside a network namespace of its own, where udp.interop.ts starts it: two interfaces that are
 * each other's end, with broadcast and multicast on them. Prints one line of JSON.
 */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { ip } from '../../src/core/address.ts'
import { udp } from '../../src/transports/udp/udp.ts'
import type { UdpSocket } from '../../src/transports/udp/udp-socket.ts'

const run = (...words: string[]): void => void execFileSync('ip', words)
run('link', 'set', 'lo', 'up')
run('link', 'add', 'left', 'type', 'veth', 'peer', 'name', 'right')
run('link', 'set', 'right', 'up')
run('addr', 'add', '10.77.0.1/24', 'broadcast', '10.77.0.255', 'dev', 'left')
run('link', 'set', 'left', 'multicast', 'on', 'up')
run('-6', 'addr', 'add', 'fd77::1/64', 'dev', 'left', 'nodad')

async function hears(receiver: UdpSocket, send: () => void, waitMs = 300): Promise<string | null> {
  let heard: string | null = null
  receiver.open({
    onDatagram: (payload) => {
      heard = Buffer.from(payload).toString()
    },
    onError() {},
    onClose() {},
  })
  send()
  for (let waited = 0; waited < waitMs && heard === null; waited += 10) await sleep(10)
  await receiver.close()
  return heard
}

const text = (value: string): Uint8Array => Buffer.from(value)
const any = ip('0.0.0.0', 0)
const results: Record<string, unknown> = {}

const silent = await udp().bind(any)
const errors: string[] = []
silent.open({ onDatagram() {}, onError: (error) => errors.push(error.message), onClose() {} })
results['broadcast without the option'] = silent.send(text('x'), ip('10.77.0.255', 9))
await sleep(20)
results['and why'] = errors
await silent.close()

const all = await udp({ broadcast: true }).bind(any)
const listening = await udp().bind(any)
results['broadcast'] = await hears(listening, () =>
  all.send(text('to everybody'), ip('10.77.0.255', listening.address.port)),
)
await all.close()

const group = '239.255.77.9'
const memberships = [{ group, interface: 'left' }]
for (const multicastLoopback of [true, false]) {
  const member = await udp({ memberships }).bind(any)
  const sender = await udp({ multicastInterface: 'left', multicastLoopback }).bind(any)
  results[`multicast, loopback ${multicastLoopback}`] = await hears(member, () =>
    sender.send(text('to the group'), ip(group, member.address.port)),
  )
  await sender.close()
}
const stranger = await udp({
  memberships: [{ group, source: '10.77.0.2', interface: 'left' }],
}).bind(any)
const sender = await udp({ multicastInterface: 'left' }).bind(any)
results['multicast of another source'] = await hears(stranger, () =>
  sender.send(text('to the group'), ip(group, stranger.address.port)),
)
await sender.close()

const six = await udp({ memberships: [{ group: 'ff05::77', interface: 'left' }] }).bind(ip('::', 0))
const sixSender = await udp({ multicastInterface: 'left' }).bind(ip('::', 0))
results['IPv6 multicast'] = await hears(six, () =>
  sixSender.send(text('to the group'), ip('ff05::77', six.address.port)),
)
await sixSender.close()

const nowhere = await udp().bind(any)
const unreachable: string[] = []
nowhere.open({ onDatagram() {}, onError: (error) => unreachable.push(error.message), onClose() {} })
results['no route'] = nowhere.send(text('x'), ip('192.0.2.1', 9))
await sleep(20)
results['no route, why'] = unreachable
await nowhere.close()

console.log(JSON.stringify(results))
