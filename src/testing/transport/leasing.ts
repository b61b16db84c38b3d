/**
 * Transport properties: a leased chunk stays what it was until it is released.
 */
import type { ChunkLease } from '../../core/connection.ts'
import { pattern } from './connection-log.ts'
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
]
