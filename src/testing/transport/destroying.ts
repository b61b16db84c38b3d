/**
 * Transport properties: `destroy` at any moment, and what the other side sees of it.
 */
import { HeddleError } from '../../core/errors.ts'
import type { ConnectionLog } from './connection-log.ts'
import { pattern } from './connection-log.ts'
import type { TransportProperty, TransportWorld } from './transport-world.ts'

export const destroyingProperties: readonly TransportProperty[] = [
  {
    name: 'destroys with its reason',
    async run(world) {
      const { client, server } = await world.pair()
      const reason = new Error('mine')
      client.connection.destroy(reason)
      await world.until(() => client.closed, 'it closes')
      world.equal(client.closeReason, reason, 'reason')
      await peerCloses(world, server)
    },
  },
  {
    name: 'destroys without a reason',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.destroy()
      await world.until(() => server.closed, 'it closes')
      await peerCloses(world, client)
    },
  },
  {
    name: 'takes a second destroy for nothing',
    async run(world) {
      const { client } = await world.pair()
      const reason = new Error('first')
      client.connection.destroy(reason)
      client.connection.destroy(new Error('second'))
      await world.until(() => client.closed, 'it closes')
      client.connection.destroy(new Error('third'))
      await world.quiet()
      world.equal(client.closeReason, reason, 'reason')
    },
  },
  {
    name: 'destroys inside onData, which is then the last one',
    async run(world) {
      const { client, server } = await world.pair()
      let calls = 0
      server.hooks = {
        onData() {
          calls += 1
          server.connection.destroy(new Error('enough'))
        },
      }
      client.send(pattern(0, 0, 200_000))
      await world.until(() => server.closed, 'it closes')
      await peerCloses(world, client)
      world.equal(calls, 1, 'calls of onData')
    },
  },
  {
    name: 'destroys inside onDrain',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      world.fill(client, 1)
      client.hooks = { onDrain: () => client.connection.destroy(new Error('enough')) }
      server.connection.resume()
      await world.until(() => client.closed, 'it closes')
      world.equal(client.drains, 1, 'drains')
      await peerCloses(world, server)
    },
  },
  {
    name: 'destroys inside onEnd',
    async run(world) {
      const { client, server } = await world.pair()
      const reason = new Error('enough')
      server.hooks = { onEnd: () => server.connection.destroy(reason) }
      client.connection.end()
      await world.until(() => server.closed, 'it closes')
      world.equal(server.closeReason, reason, 'reason')
      await peerCloses(world, client)
    },
  },
  {
    name: 'destroys inside onClose, which changes nothing',
    async run(world) {
      const pair = await world.pair()
      const { client } = pair
      client.hooks = {
        onClose() {
          client.connection.destroy(new Error('late'))
          client.connection.end()
          client.write('late')
        },
      }
      await world.closeBoth(pair)
      await world.quiet()
    },
  },
  {
    name: 'destroys with bytes queued: they are lost, and no onDrain comes',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      world.fill(client, 1)
      const { drains } = client
      client.connection.destroy(new Error('enough'))
      world.equal(client.connection.writableLength, 0, 'writableLength')
      server.connection.resume()
      await world.until(() => client.closed, 'it closes')
      await peerCloses(world, server)
      world.equal(client.drains, drains, 'drains')
    },
  },
  {
    name: 'drops what is written after destroy',
    async run(world) {
      const { client, server } = await world.pair()
      client.connection.destroy()
      client.write('lost')
      client.connection.writeAll([pattern(0, 0, 10)])
      client.connection.end()
      await peerCloses(world, server)
      world.equal(server.received, 0, 'bytes')
    },
  },
  {
    name: 'hears nothing of its peer after destroy but the close',
    async run(world) {
      const { client, server } = await world.pair()
      server.send(pattern(1, 0, 100_000))
      const { received } = client
      client.connection.destroy()
      await world.until(() => client.closed, 'it closes')
      world.equal(client.received, received, 'bytes after destroy')
      world.ok(!client.ended, 'an end came after destroy')
      await peerCloses(world, server)
    },
  },
  {
    name: 'destroyed before open, tells the handler that opens it',
    async run(world) {
      const { client, server } = await world.rawPair()
      const reason = new Error('early')
      client.connection.destroy(reason)
      await world.quiet()
      client.open()
      server.open()
      await world.until(() => client.closed, 'onClose')
      world.equal(client.closeReason, reason, 'reason')
      await peerCloses(world, server)
    },
  },
  {
    name: 'shows a destroyed peer to a side that was paused, once it reads',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      client.write('x')
      await world.quiet()
      client.connection.destroy()
      await world.quiet()
      server.connection.resume()
      await peerCloses(world, server)
    },
  },
  {
    name: 'never takes a destroyed peer in the middle of its writes for a clean close',
    async run(world) {
      const { client, server } = await world.pair()
      // More than any buffer on the way holds, so part of it must be lost.
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 1)
      client.connection.destroy()
      await world.quiet()
      server.connection.resume()
      await peerCloses(world, server)
      world.ok(server.received < sent, 'nothing was lost: the property shows nothing')
    },
  },
]

/** A destroyed peer is seen as a reset or as an end; after our own end the connection is closed. */
async function peerCloses(world: TransportWorld, log: ConnectionLog): Promise<void> {
  await world.until(() => log.closed || log.ended, 'the other side hears of it')
  log.connection.end()
  await world.until(() => log.closed, 'the other side closes')
  const { closeReason } = log
  const ours = closeReason === undefined || closeReason instanceof HeddleError
  world.ok(ours, `reason is not one of ours: ${String(closeReason)}`)
}
