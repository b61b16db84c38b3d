/**
 * Transport properties: a leased chunk stays what it was until it is released.
 */
import type { ChunkLease } from '../../core/connection.ts'
import { ascii, pattern } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const leasingProperties: readonly TransportProperty[] = [
  {
    name: 'keeps a leased chunk while others arrive',
    async run(world) {
      const kept: { chunk: Uint8Array; copy: Uint8Array; lease: ChunkLease }[] = []
      const { client, server } = await world.pair()
      server.hooks = {
        onData(chunk) {
          const lease = server.connection.leaseChunk()
          kept.push({ chunk, copy: chunk.slice(), lease })
        },
      }
      server.expectedKey = 2
      let total = 0
      for (let round = 0; round < 10; round++) {
        client.send(pattern(2, total, 999))
        total += 999
        await world.until(() => server.received >= total, 'it arrives')
      }
      for (const { chunk, copy } of kept) {
        world.ok(
          chunk.every((byte, at) => byte === copy[at]),
          'a leased chunk changed',
        )
      }
      // Newest first: leases need not come back in order.
      for (const { lease } of kept.reverse()) lease.release()
    },
  },
  {
    name: 'goes on reading while leases are held, and after all came back',
    async run(world) {
      const leases: ChunkLease[] = []
      const { client, server } = await world.pair()
      server.expectedKey = 1
      server.hooks = {
        onData() {
          if (leases.length < 16) leases.push(server.connection.leaseChunk())
        },
      }
      await world.sendAll(client, 1, 100_000, 10_000)
      await world.until(() => server.received >= 100_000, 'all arrive with leases held')
      server.hooks = {}
      for (const lease of leases) lease.release()
      client.send(pattern(1, 100_000, 5_000))
      await world.until(() => server.received >= 105_000, 'the rest arrives')
    },
  },
  {
    name: 'releases a lease once: again does nothing',
    async run(world) {
      const { client, server } = await world.pair()
      let lease: ChunkLease | undefined
      server.hooks = {
        onData() {
          lease ??= server.connection.leaseChunk()
        },
      }
      client.write('x')
      await world.until(() => lease !== undefined, 'it arrives')
      lease?.release()
      lease?.release()
      client.write('y')
      await world.until(() => server.received === 2, 'the next arrives')
      world.equal(server.text, 'xy', 'bytes')
    },
  },
  {
    name: 'leases only inside onData',
    async run(world) {
      const { server } = await world.pair()
      try {
        server.connection.leaseChunk()
      } catch (error) {
        world.equal((error as { code?: string }).code, 'ERR_STATE', 'code')
        return
      }
      world.ok(false, 'a lease outside onData was granted')
    },
  },
  {
    name: 'keeps a leased chunk after the connection is gone',
    async run(world) {
      const { client, server } = await world.pair()
      let kept: { chunk: Uint8Array; lease: ChunkLease } | undefined
      server.hooks = {
        onData(chunk) {
          kept ??= { chunk, lease: server.connection.leaseChunk() }
        },
      }
      client.write('z')
      await world.until(() => kept !== undefined, 'it arrives')
      server.connection.destroy()
      await world.until(() => server.closed, 'it closes')
      world.equal(kept?.chunk[0], 0x7a, 'leased byte')
      kept?.lease.release()
    },
  },
  {
    name: 'leases one chunk twice: it stays until both came back',
    async run(world) {
      const { client, server } = await world.pair()
      const kept: { chunk: Uint8Array; leases: ChunkLease[] }[] = []
      server.hooks = {
        onData(chunk) {
          if (kept.length > 0) return
          const leases = [server.connection.leaseChunk(), server.connection.leaseChunk()]
          kept.push({ chunk, leases })
        },
      }
      client.write('first')
      await world.until(() => server.received === 5, 'it arrives')
      const [first] = kept
      const whole = first?.chunk[0]
      first?.leases[0]?.release()
      client.write('other')
      await world.until(() => server.received === 10, 'the next arrives')
      world.equal(first?.chunk[0], whole, 'a byte that is leased still')
      first?.leases[1]?.release()
    },
  },
  {
    name: 'keeps a leased chunk over detach, and lends to the next handler',
    async run(world) {
      const { client, server } = await world.pair()
      const kept: { chunk: Uint8Array; copy: Uint8Array; lease: ChunkLease }[] = []
      const keep = (chunk: Uint8Array): void => {
        kept.push({ chunk, copy: chunk.slice(), lease: server.connection.leaseChunk() })
      }
      server.hooks = { onData: keep }
      client.write('one')
      await world.until(() => server.received === 3, 'the first arrives')
      server.connection.detach(ascii('put back'))
      const next = world.log(server.connection, { onData: keep }).open()
      client.write('two')
      await world.until(() => next.received === 11, 'the rest arrives')
      world.equal(next.text, 'put backtwo', 'bytes of the next handler')
      for (const { chunk, copy, lease } of kept) {
        world.ok(
          chunk.every((byte, at) => byte === copy[at]),
          'a leased chunk changed',
        )
        lease.release()
      }
    },
  },
  {
    name: 'releases a lease inside a later onData',
    async run(world) {
      const { client, server } = await world.pair()
      let held: ChunkLease | undefined
      server.expectedKey = 6
      server.hooks = {
        onData() {
          const before = held
          held = server.connection.leaseChunk()
          before?.release()
        },
      }
      await world.sendAll(client, 6, 50_000, 2_000)
      await world.until(() => server.received >= 50_000, 'everything arrives')
      held?.release()
    },
  },
  {
    name: 'releases leases long after the close, and twice',
    async run(world) {
      const pair = await world.pair()
      const leases: ChunkLease[] = []
      pair.server.hooks = { onData: () => void leases.push(pair.server.connection.leaseChunk()) }
      pair.client.send(pattern(1, 0, 3_000))
      await world.until(() => pair.server.received === 3_000, 'it arrives')
      await world.closeBoth(pair)
      for (const lease of leases) lease.release()
      for (const lease of leases) lease.release()
      await world.quiet()
    },
  },
  {
    name: 'refuses a lease between chunks, inside onEnd, inside onClose and after it',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      const codes: (string | undefined)[] = []
      const tryLease = (): void => {
        try {
          server.connection.leaseChunk()
          codes.push('granted')
        } catch (error) {
          codes.push((error as { code?: string }).code)
        }
      }
      client.write('x')
      await world.until(() => server.received === 1, 'it arrives')
      server.hooks = { onEnd: tryLease, onClose: tryLease }
      tryLease()
      await world.closeBoth(pair)
      tryLease()
      world.equal(codes.join(' '), 'ERR_STATE ERR_STATE ERR_STATE ERR_STATE', 'codes')
    },
  },
]
