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
  {
    name: 'detaches while its own bytes wait: the next handler hears the drain',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 1
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 1)
      const { drains } = client
      client.connection.detach()
      const next = world.log(client.connection).open()
      server.connection.resume()
      await world.until(() => next.drains > 0, 'the next handler hears the drain')
      await world.until(() => server.received >= sent, 'everything arrives')
      world.equal(server.received, sent, 'bytes')
      world.equal(client.drains, drains, 'drains of the handler that was detached')
      world.equal(next.drains, 1, 'drains of the next handler')
    },
  },
  {
    name: 'puts back more than any chunk holds',
    async run(world) {
      const { client, server } = await world.pair()
      const unread = pattern(6, 0, 150_000)
      server.connection.detach(unread)
      client.send(pattern(6, 150_000, 50_000))
      const next = world.log(server.connection)
      next.expectedKey = 6
      next.open()
      await world.until(() => next.received >= 200_000, 'everything arrives')
      world.equal(next.received, 200_000, 'bytes')
      await finish(world, { client, next })
    },
  },
  {
    name: 'keeps the order over ten handlers, each of which puts back what it does not use',
    async run(world) {
      const { client, server } = await world.pair()
      let log = server
      let taken = ''
      server.connection.detach(ascii('abcdefghijkl'))
      for (let count = 0; count < 10; count++) {
        const next = world.log(server.connection)
        let used = false
        next.hooks = {
          onData(chunk) {
            if (used) return
            used = true
            taken += String.fromCharCode(chunk[0] as number)
            next.connection.detach(chunk.slice(1))
          },
        }
        next.open()
        await world.until(() => used, 'a byte arrives')
        log = next
      }
      const last = world.log(server.connection).open()
      client.write('m')
      await world.until(() => last.received === 3, 'the rest arrives')
      world.equal(taken + last.text, 'abcdefghijklm', 'bytes')
      world.ok(!log.closed, 'a handler that was detached heard a close')
      await finish(world, { client, next: last })
    },
  },
  {
    name: 'delivers what was put back, what came meanwhile, the end and the close in this order',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('un'))
      server.connection.end()
      client.write('read')
      client.connection.end()
      await world.quiet()
      const order: string[] = []
      const next = world.log(server.connection, {
        onData: (chunk) => void order.push(String.fromCharCode(...chunk)),
        onEnd: () => void order.push(' end'),
        onClose: () => void order.push(' close'),
      })
      next.open()
      await world.until(() => next.closed, 'it closes')
      world.equal(order.join(''), 'unread end close', `order, with reason ${next.closeReason}`)
    },
  },
  {
    name: 'is opened again by the handler that detached',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onData(chunk) {
          if (server.received === 3) server.connection.detach(chunk.slice(0, 0))
        },
      }
      client.write('one')
      await world.until(() => server.received === 3, 'the first arrives')
      client.write('two')
      await world.quiet()
      world.equal(server.received, 3, 'bytes while detached')
      server.open()
      await world.until(() => server.received === 6, 'the second arrives')
      world.equal(server.text, 'onetwo', 'bytes')
      await finish(world, { client, next: server })
    },
  },
  {
    name: 'pauses inside the onData of what was put back: what follows waits',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('ab'))
      client.write('cd')
      const next = world.log(server.connection)
      next.hooks = { onData: () => next.connection.pause() }
      next.open()
      await world.until(() => next.received > 0, 'the first arrives')
      const { received } = next
      await world.quiet()
      world.equal(next.received, received, 'bytes while paused')
      next.hooks = {}
      next.connection.resume()
      await world.until(() => next.received === 4, 'the rest arrives')
      world.equal(next.text, 'abcd', 'bytes')
    },
  },
  {
    name: 'destroys inside the onData of what was put back: nothing follows but the close',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('ab'))
      client.write('cd')
      await world.quiet()
      const reason = new Error('enough')
      const next = world.log(server.connection)
      next.hooks = { onData: () => next.connection.destroy(reason) }
      next.open()
      await world.until(() => next.closed, 'it closes')
      world.equal(next.closeReason, reason, 'reason')
      world.equal(next.chunks, 1, 'chunks')
    },
  },
  {
    name: 'cannot be detached twice: ERR_NOT_OPEN, and nothing is lost',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.detach(ascii('a'))
      let code: string | undefined
      try {
        server.connection.detach(ascii('b'))
      } catch (error) {
        code = (error as { code?: string }).code
      }
      world.equal(code, 'ERR_NOT_OPEN', 'code')
      const next = world.log(server.connection).open()
      client.write('c')
      await world.until(() => next.received === 2, 'the rest arrives')
      world.equal(next.text, 'ac', 'bytes')
      await finish(world, { client, next })
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
