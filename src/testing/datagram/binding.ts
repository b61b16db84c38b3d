/**
 * Properties of `bind` and `connect` themselves: addresses, aborting, deadlines.
 */
import { formatAddress } from '../../core/address.ts'
import type { DatagramProperty } from './datagram-world.ts'

export const bindingProperties: readonly DatagramProperty[] = [
  {
    name: 'chooses an address of its own for each socket',
    async run(world) {
      const one = await world.bind()
      const other = await world.bind()
      const asked = formatAddress(world.fixture.address)
      const [first, second] = [
        formatAddress(one.socket.address),
        formatAddress(other.socket.address),
      ]
      world.ok(first !== second, `two sockets at ${first}`)
      world.ok(first !== asked, `${first} is what was asked for`)
      world.equal(one.socket.remote, undefined, 'remote of a bound socket')
    },
  },
  {
    name: 'refuses an address that is taken',
    async run(world) {
      const one = await world.bind()
      const again = world.fixture.transport.bind(one.socket.address)
      const error = (await world.rejected(again, 'binding twice')) as { code?: unknown }
      world.equal(error.code, 'ERR_ADDRESS_IN_USE', 'code')
    },
  },
  {
    name: 'binds an address again once it was closed',
    async run(world) {
      const one = await world.bound()
      await world.closed(one)
      const again = await world.bound({}, one.socket.address)
      const peer = await world.bound()
      peer.sendText('again', again.socket.address)
      await world.heard(again, 1)
    },
  },
  {
    name: 'refuses an address of another kind',
    async run(world) {
      const address = { kind: 'url', url: 'nowhere://at.all' } as const
      for (const verb of ['bind', 'connect'] as const) {
        const failing = world.fixture.transport[verb](address)
        const error = (await world.rejected(failing, verb)) as { code?: unknown }
        world.equal(error.code, 'ERR_ADDRESS_INVALID', `code of ${verb}`)
      }
    },
  },
  {
    name: 'rejects with the reason of a signal that was aborted before',
    async run(world) {
      const peer = await world.bind()
      const controller = new AbortController()
      const reason = new Error('before')
      controller.abort(reason)
      const { signal } = controller
      const { transport, address } = world.fixture
      world.equal(await world.rejected(transport.bind(address, { signal }), 'bind'), reason, 'bind')
      const connecting = transport.connect(peer.socket.address, { signal })
      world.equal(await world.rejected(connecting, 'connect'), reason, 'connect')
    },
  },
  {
    name: 'is not affected by an abort after it was bound',
    async run(world) {
      const controller = new AbortController()
      const one = (await world.bind({ signal: controller.signal })).open()
      controller.abort()
      const peer = await world.bound()
      peer.sendText('still', one.socket.address)
      await world.heard(one, 1)
    },
  },
  {
    name: 'rejects past its deadline',
    async run(world) {
      const { transport, address, clock } = world.fixture
      const binding = transport.bind(address, { deadline: clock.now() - 1 })
      const error = (await world.rejected(binding, 'bind')) as { code?: unknown; sent?: unknown }
      world.equal(error.code, 'ERR_CONNECT_TIMEOUT', 'code')
      world.equal(error.sent, 'nothing', 'sent')
    },
  },
]
