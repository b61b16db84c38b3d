/**
 * Transport properties: handing a connection over, with the bytes nobody has used.
 */
import { ascii, type ConnectionLog, pattern } from './connection-log.ts'
import type { ConnectionPair, TransportProperty, TransportWorld } from './transport-world.ts'

export const detachingProperties: readonly TransportProperty[] = [
  {
    name: 'gives unread bytes to the next handler first',
    async run(world) {
      const { client, server } = await world.pair()
      const next = world.log(server.connection)
      server.hooks = {
        onData(chunk) {
          if (server.received < 5) return
          const all = server.bytes
          server.hooks = {}
          void chunk
          server.connection.detach(all.subarray(3))
          next.open()
        },
      }
      client.write('headtail')
      await world.until(() => next.received >= 5, 'the rest arrives at the next handler')
      world.equal(next.text, 'dtail', 'bytes of the next handler')
      await finish(world, { client, next })
    },
  },
  {
    name: 'detaches without unread bytes',
    async run(world) {
      const { client, server } = await world.pair()
      client.write('one')
      await world.until(() => server.received === 3, 'the first arrives')
      server.connection.detach()
      const next = world.log(server.connection)
      client.write('two')
      await world.quiet()
      world.equal(server.text, 'one', 'bytes of the first handler')
      next.open()
      await world.until(() => next.received === 3, 'the second arrives')
      world.equal(next.text, 'two', 'bytes of the next handler')
      await finish(world, { client, next })
    },
  },
  {
    name: 'copies unread bytes: their memory is the transport’s again',
    async run(world) {
      const { client, server } = await world.pair()
      const unread = ascii('keep')
      server.connection.detach(unread)
      unread.fill(0)
      const next = world.log(server.connection).open()
      await world.until(() => next.received === 4, 'unread bytes arrive')
      world.equal(next.text, 'keep', 'bytes')
      await finish(world, { client, next })
    },
  },
  {
    name: 'keeps unread bytes in front over two detaches',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('abcdef'))
      let middle: ConnectionLog | undefined
      const next = world.log(server.connection)
      const log = world.log(server.connection, {
        onData(chunk) {
          if (middle !== undefined) return
          middle = log
          // One byte was for this handler; the rest of the chunk goes on.
          server.connection.detach(chunk.slice(1))
        },
      })
      log.open()
      await world.until(() => middle !== undefined, 'unread bytes arrive')
      client.write('gh')
      next.open()
      await world.until(() => next.received === 7, 'everything else arrives')
      world.equal(next.text, 'bcdefgh', 'bytes of the last handler')
      await finish(world, { client, next })
    },
  },
  {
    name: 'loses nothing when handlers change in the middle of bulk',
    async run(world) {
      const { client, server } = await world.pair()
      const total = Math.min(world.options.bulkBytes, 500_000)
      const received: number[] = []
      let bytes = 0
      const take = (log: ConnectionLog): void => {
        log.hooks = {
          onData(chunk) {
            // Takes half of the chunk, then hands over to a new handler.
            const used = Math.ceil(chunk.length / 2)
            for (let at = 0; at < used; at++) received.push(chunk[at] as number)
            bytes += used
            if (bytes >= total) return
            log.connection.detach(chunk.subarray(used))
            const next = world.log(log.connection)
            take(next)
            next.open()
          },
        }
      }
      take(server)
      await world.sendAll(client, 9, total, 50_000)
      await world.until(() => bytes >= total, 'everything arrives')
      const expected = pattern(9, 0, total)
      const wrong = received.findIndex((byte, at) => byte !== expected[at])
      world.equal(wrong, -1, 'offset of the first wrong byte')
    },
  },
  {
    name: 'writes while nobody is attached',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach()
      server.write('meanwhile')
      await world.until(() => client.received === 9, 'it arrives')
      const next = world.log(server.connection).open()
      await finish(world, { client, next })
    },
  },
  {
    name: 'ends while nobody is attached',
    async run(world) {
      const { client, server } = await world.pair()
      client.hooks = { onEnd: () => client.connection.end() }
      server.connection.detach()
      server.connection.end()
      await world.until(() => client.ended, 'the end is heard')
      const next = world.log(server.connection).open()
      await world.until(() => next.closed, 'the next handler hears the close')
      world.equal(next.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'keeps an end that came meanwhile for the next handler',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('un'))
      client.write('read')
      client.connection.end()
      await world.quiet()
      const next = world.log(server.connection).open()
      await world.until(() => next.ended, 'the end arrives')
      world.equal(next.text, 'unread', 'bytes before the end')
      next.connection.end()
      await world.until(() => next.closed, 'it closes')
    },
  },
  {
    name: 'keeps a close that came meanwhile for the next handler',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach()
      client.connection.destroy()
      await world.quiet()
      const next = world.log(server.connection).open()
      await world.until(() => next.ended || next.closed, 'the next handler hears of it')
      next.connection.end()
      await world.until(() => next.closed, 'it closes')
      world.ok(!server.ended && !server.closed, 'the first handler heard something after detach')
    },
  },
  {
    name: 'destroys while nobody is attached',
    async run(world) {
      const { server } = await world.pair()
      server.connection.detach(ascii('lost'))
      const reason = new Error('mine')
      server.connection.destroy(reason)
      const next = world.log(server.connection).open()
      await world.until(() => next.closed, 'it closes')
      world.equal(next.closeReason, reason, 'reason')
      world.equal(next.received, 0, 'bytes after destroy')
    },
  },
  {
    name: 'reads again after a handler that had paused was detached',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      server.connection.detach()
      client.write('x')
      const next = world.log(server.connection).open()
      await world.until(() => next.received === 1, 'it arrives')
      await finish(world, { client, next })
    },
  },
  {
    name: 'does not detach what is not attached',
    async run(world) {
      const { server } = await world.rawPair()
      try {
        server.connection.detach()
      } catch (error) {
        world.equal((error as { code?: string }).code, 'ERR_NOT_OPEN', 'code')
        return
      }
      world.ok(false, 'detach without a handler was accepted')
    },
  },
]

async function finish(
  world: TransportWorld,
  { client, next }: { client: ConnectionLog; next: ConnectionLog },
): Promise<void> {
  const pair: Pick<ConnectionPair, 'client' | 'server'> = { client, server: next }
  await world.closeBoth(pair as ConnectionPair)
}
