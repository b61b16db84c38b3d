/**
 * Transport properties: bytes arrive whole, in order, once.
 */
import { SeededRandom } from '../seeded-random.ts'
import { ascii, pattern } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const dataProperties: readonly TransportProperty[] = [
  {
    name: 'carries a byte each way',
    async run(world) {
      const { client, server } = await world.pair()
      client.write('a')
      server.write('b')
      await world.until(() => client.received === 1 && server.received === 1, 'both arrive')
      world.equal(client.text + server.text, 'ba', 'bytes')
    },
  },
  {
    name: 'carries a bulk write whole and in order',
    async run(world) {
      const { client, server } = await world.pair()
      const { bulkBytes } = world.options
      server.expectedKey = 3
      client.send(pattern(3, 0, bulkBytes))
      await world.until(() => server.received >= bulkBytes, 'the write arrives')
      world.equal(server.received, bulkBytes, 'bytes')
    },
  },
  {
    name: 'carries bulk both ways at once',
    async run(world) {
      const { client, server } = await world.pair()
      const { bulkBytes } = world.options
      client.expectedKey = 1
      server.expectedKey = 2
      server.send(pattern(1, 0, bulkBytes))
      client.send(pattern(2, 0, bulkBytes))
      const arrived = (): boolean => client.received >= bulkBytes && server.received >= bulkBytes
      await world.until(arrived, 'both arrive')
      world.equal(client.received + server.received, 2 * bulkBytes, 'bytes')
    },
  },
  {
    name: 'carries 2,000 small writes in order',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 5
      for (let count = 0; count < 2_000; count++) client.send(pattern(5, count * 9, 9))
      await world.until(() => server.received >= 18_000, 'all arrive')
      world.equal(server.received, 18_000, 'bytes')
    },
  },
  {
    name: 'carries writes of every size around its buffers',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 9
      const random = new SeededRandom(77)
      const sizes = [1, 4_095, 4_096, 4_097, 16_383, 16_385, 65_535, 65_536, 65_537]
      for (let count = 0; count < 30; count++) sizes.push(random.integer(1, 9_000))
      let total = 0
      for (const size of sizes) {
        client.send(pattern(9, total, size))
        total += size
        if (random.chance(0.3)) await world.fixture.turn()
      }
      await world.until(() => server.received >= total, 'all arrive')
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'writes several regions as one stream',
    async run(world) {
      const { client, server } = await world.pair()
      const regions = ['ab', '', 'c', 'defg'].map(ascii)
      client.connection.writeAll(regions)
      client.connection.writeAll([])
      client.write('h')
      await world.until(() => server.received === 8, 'all arrive')
      world.equal(server.text, 'abcdefgh', 'bytes')
    },
  },
  {
    name: 'carries 300 regions in one call',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 4
      const regions = Array.from({ length: 300 }, (_, index) => pattern(4, index * 101, 101))
      client.connection.writeAll(regions)
      await world.until(() => server.received >= 30_300, 'all arrive')
      world.equal(server.received, 30_300, 'bytes')
    },
  },
  {
    name: 'mixes large and small writes in order',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 6
      let total = 0
      for (let round = 0; round < 12; round++) {
        for (const size of [3, 40_000, 7, 5_000]) {
          client.send(pattern(6, total, size))
          total += size
        }
      }
      await world.until(() => server.received >= total, 'all arrive')
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'takes an empty write for nothing',
    async run(world) {
      const { client, server } = await world.pair()
      client.send(new Uint8Array(0))
      await world.quiet()
      world.equal(server.chunks, 0, 'chunks')
      world.equal(client.connection.writableLength, 0, 'writableLength')
      client.write('x')
      await world.until(() => server.received === 1, 'the next write arrives')
    },
  },
  {
    name: 'has taken a region when writableLength is 0: it may be overwritten',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 8
      const region = new Uint8Array(1_000)
      let total = 0
      for (let round = 0; round < 20; round++) {
        region.set(pattern(8, total, region.length))
        total += region.length
        client.send(region)
        // At once where it is taken at once: an await would give a late copy time to be made.
        if (client.connection.writableLength > 0) {
          await world.until(() => client.connection.writableLength === 0, 'the region is taken')
        }
        region.fill(0xee)
      }
      await world.until(() => server.received >= total, 'all arrive')
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'keeps ping-pong going for 500 rounds',
    async run(world) {
      const { client, server } = await world.pair()
      let rounds = 0
      server.hooks = { onData: (chunk) => void server.send(chunk.slice()) }
      client.hooks = {
        onData(chunk) {
          rounds += 1
          if (rounds < 500) client.send(chunk.slice())
        },
      }
      client.write('*')
      await world.until(() => rounds === 500, '500 rounds')
    },
  },
]
