/**
 * Transport properties: every shape of write is the same stream of bytes.
 */
import { ascii, type ConnectionLog, pattern } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const shapingProperties: readonly TransportProperty[] = [
  {
    name: 'carries every value of a byte, both ways',
    async run(world) {
      const { client, server } = await world.pair()
      const values = Uint8Array.from({ length: 256 }, (_, value) => value)
      client.send(values)
      server.send(values.toReversed())
      await world.until(() => client.received >= 256 && server.received >= 256, 'all arrive')
      const { bytes } = server
      const back = client.bytes
      world.ok(
        values.every((value) => bytes[value] === value && back[255 - value] === value),
        'a byte changed on the way',
      )
    },
  },
  {
    name: 'carries 100 single bytes, a turn apart',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 7
      for (let at = 0; at < 100; at++) {
        client.send(pattern(7, at, 1))
        await world.fixture.turn()
      }
      await world.until(() => server.received >= 100, 'all arrive')
      world.equal(server.received, 100, 'bytes')
    },
  },
  {
    name: 'takes a call without regions, or with empty ones only, for nothing',
    async run(world) {
      const { client, server } = await world.pair()
      client.connection.writeAll([])
      client.connection.writeAll([new Uint8Array(0), new Uint8Array(0)])
      await world.quiet()
      world.equal(client.connection.writableLength, 0, 'writableLength')
      world.equal(client.drains, 0, 'drains')
      world.equal(server.chunks, 0, 'chunks')
      client.connection.writeAll([new Uint8Array(0), ascii('x'), new Uint8Array(0)])
      await world.until(() => server.received === 1, 'the byte between empty regions arrives')
    },
  },
  {
    name: 'carries 2,500 regions in one call: more than a system call takes',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 3
      const regions = Array.from({ length: 2_500 }, (_, index) => pattern(3, index * 3, 3))
      client.connection.writeAll(regions)
      await world.until(() => server.received >= 7_500, 'all arrive')
      world.equal(server.received, 7_500, 'bytes')
    },
  },
  {
    name: 'carries bulk in one call of several large regions',
    async run(world) {
      const { client, server } = await world.pair()
      const part = Math.min(world.options.bulkBytes >> 2, 120_000)
      server.expectedKey = 8
      const regions = [0, 1, 2, 3].map((index) => pattern(8, index * part, part))
      client.connection.writeAll(regions)
      await world.until(() => server.received >= 4 * part, 'all arrive')
      world.equal(server.received, 4 * part, 'bytes')
    },
  },
  {
    name: 'writes one region several times in one call',
    async run(world) {
      const { client, server } = await world.pair()
      const region = ascii('ab')
      client.connection.writeAll([region, region, region])
      await world.until(() => server.received === 6, 'all arrive')
      world.equal(server.text, 'ababab', 'bytes')
    },
  },
  {
    name: 'writes of a view what it shows, and no byte around it',
    async run(world) {
      const { client, server } = await world.pair()
      const memory = ascii('--first--second--')
      client.send(memory.subarray(2, 7))
      client.connection.writeAll([memory.subarray(9, 15), memory.subarray(0, 0)])
      await world.until(() => server.received >= 11, 'both arrive')
      await world.quiet()
      world.equal(server.text, 'firstsecond', 'bytes')
    },
  },
  {
    name: 'changes no byte of a region that it is given',
    async run(world) {
      const { client, server } = await world.pair()
      const regions = [10, 1_000, 40_000].map((length) => pattern(4, 0, length))
      for (const region of regions) client.send(region)
      server.connection.writeAll(regions)
      await world.until(() => client.received + server.received >= 82_020, 'all arrive')
      for (const region of regions) {
        const expected = pattern(4, 0, region.length)
        const wrong = region.findIndex((byte, at) => byte !== expected[at])
        world.equal(wrong, -1, `first byte of ${region.length} that changed`)
      }
    },
  },
  {
    name: 'keeps the order of write and writeAll while bytes wait',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 2
      server.connection.pause()
      let sent = world.fill(client, 2)
      for (let round = 0; round < 20; round++) {
        client.send(pattern(2, sent, 100))
        client.connection.writeAll([pattern(2, sent + 100, 50), pattern(2, sent + 150, 1)])
        sent += 151
      }
      server.connection.resume()
      await world.until(() => server.received >= sent, 'all arrive')
      world.equal(server.received, sent, 'bytes')
    },
  },
  {
    name: 'carries single bytes one way and bulk the other',
    async run(world) {
      const { client, server } = await world.pair()
      const total = Math.min(world.options.bulkBytes, 200_000)
      client.expectedKey = 1
      server.expectedKey = 2
      server.send(pattern(1, 0, total))
      for (let at = 0; at < 100; at++) {
        client.send(pattern(2, at, 1))
        if (at % 10 === 0) await world.fixture.turn()
      }
      const arrived = (): boolean => client.received >= total && server.received >= 100
      await world.until(arrived, 'both arrive')
      world.equal(client.received + server.received, total + 100, 'bytes')
    },
  },
  {
    name: 'keeps the bytes of 12 connections apart, both ways',
    async run(world) {
      const servers: ConnectionLog[] = []
      const listener = await world.listen({
        onConnection(connection) {
          // The first byte says which connection it is; it goes back with what follows.
          const echo = world.log(connection, { onData: (chunk) => void echo.send(chunk.slice()) })
          servers.push(echo.open())
        },
      })
      const clients: ConnectionLog[] = []
      for (let key = 0; key < 12; key++) {
        const client = world.log(await world.resolved(world.connect(listener.address)))
        client.expectedKey = key
        clients.push(client.open())
      }
      const total = 3_000
      for (let sent = 0; sent < total; sent += 1_000) {
        for (const [key, client] of clients.entries()) client.send(pattern(key, sent, 1_000))
      }
      await world.until(() => clients.every((one) => one.received >= total), 'all come back')
      world.ok(
        [...clients, ...servers].every((log) => log.received === total),
        'a connection got more than its own bytes',
      )
    },
  },
  {
    name: 'serves a request that comes with the end of its stream',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.rawPair()
      client.open()
      client.write('request')
      client.connection.end()
      server.hooks = {
        onEnd() {
          server.write(`${server.text}: answer`)
          server.connection.end()
        },
      }
      await world.quiet()
      server.open()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(client.text, 'request: answer', 'answer')
    },
  },
  {
    name: 'opens, writes and ends within onConnection',
    async run(world) {
      const listener = await world.listen({
        onConnection(connection) {
          const server = world.log(connection).open()
          server.write('welcome, and good bye')
          connection.end()
        },
      })
      const client = world.log(await world.resolved(world.connect(listener.address)))
      client.hooks = { onEnd: () => client.connection.end() }
      client.open()
      await world.until(() => client.closed, 'it closes')
      world.equal(client.text, 'welcome, and good bye', 'bytes')
      world.equal(client.closeReason, undefined, 'reason')
    },
  },
]
