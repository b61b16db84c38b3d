/**
 * Transport properties: backpressure, pause and resume.
 */
import { SeededRandom } from '../seeded-random.ts'
import { type ConnectionLog, pattern } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const pressureProperties: readonly TransportProperty[] = [
  {
    name: 'says false when a peer does not read, and drains when it does',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 7
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 7)
      world.ok(client.connection.writableLength > 0, 'false with writableLength 0')
      const { drains } = client
      server.connection.resume()
      await world.until(() => client.drains > drains, 'onDrain')
      await world.until(() => server.received >= sent, 'everything arrives')
      world.equal(server.received, sent, 'bytes')
      world.equal(client.connection.writableLength, 0, 'writableLength')
    },
  },
  {
    name: 'calls onDrain for every write that left something queued',
    async run(world) {
      const { client } = await world.pair()
      for (let round = 0; round < 5; round++) {
        const { drains } = client
        client.send(pattern(0, 0, 1_000))
        if (client.connection.writableLength === 0) continue
        await world.until(() => client.drains > drains, 'onDrain')
        world.equal(client.drains, drains + 1, 'drains')
      }
    },
  },
  {
    name: 'does not call onDrain when nothing was queued',
    async run(world) {
      const { client, server } = await world.pair()
      let queued = false
      for (let round = 0; round < 5; round++) {
        client.write('x')
        queued ||= client.connection.writableLength > 0
      }
      await world.until(() => server.received === 5, 'all arrive')
      await world.quiet()
      if (!queued) world.equal(client.drains, 0, 'drains')
    },
  },
  {
    name: 'goes on from within onDrain',
    async run(world) {
      const { client, server } = await world.pair()
      const total = world.options.bulkBytes
      server.expectedKey = 3
      let sent = 0
      const more = (): void => {
        while (sent < total) {
          const length = Math.min(8_192, total - sent)
          sent += length
          if (!client.send(pattern(3, sent - length, length))) return
        }
      }
      client.hooks = { onDrain: more }
      more()
      await world.until(() => server.received >= total, 'everything arrives')
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'frees both sides that are over the mark at once, when both read',
    async run(world) {
      const { client, server } = await world.pair()
      client.expectedKey = 1
      server.expectedKey = 2
      const fromServer = world.fill(server, 1)
      const fromClient = world.fill(client, 2)
      const arrived = (): boolean => client.received >= fromServer && server.received >= fromClient
      await world.until(arrived, 'both arrive')
      const more = 3 * 65_536
      server.send(pattern(1, fromServer, more))
      client.send(pattern(2, fromClient, more))
      await world.until(() => client.received >= fromServer + more, 'the client gets the rest')
      await world.until(() => server.received >= fromClient + more, 'the server gets the rest')
    },
  },
  {
    name: 'frees both sides that are over the mark and paused, when both resume',
    async run(world) {
      const { client, server } = await world.pair()
      client.expectedKey = 1
      server.expectedKey = 2
      client.connection.pause()
      server.connection.pause()
      const fromServer = world.fill(server, 1)
      const fromClient = world.fill(client, 2)
      await world.quiet()
      client.connection.resume()
      server.connection.resume()
      await world.until(() => client.received >= fromServer, 'the client gets everything')
      await world.until(() => server.received >= fromClient, 'the server gets everything')
    },
  },
  {
    name: 'pauses inside onData after that call',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 5
      let paused = false
      server.hooks = {
        onData() {
          world.ok(!paused, 'onData came while paused')
          paused = true
          server.connection.pause()
        },
      }
      const total = 300_000
      client.send(pattern(5, 0, total))
      let rounds = 0
      while (server.received < total && rounds < total) {
        await world.until(() => paused || server.received >= total, 'a chunk arrives')
        if (rounds < 3) await world.quiet()
        paused = false
        // From here on without pausing: the rest arrives.
        if (rounds++ === 3) server.hooks = {}
        server.connection.resume()
        if (rounds > 3) await world.until(() => server.received >= total, 'the rest arrives')
      }
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'delivers nothing while paused from the start',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      await world.quiet() // what was under way when it was paused
      client.write('later')
      await world.quiet()
      world.equal(server.received, 0, 'bytes while paused')
      server.connection.resume()
      await world.until(() => server.received === 5, 'it arrives')
    },
  },
  {
    name: 'does not call onData inside resume',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onData() {
          server.connection.pause()
          server.connection.resume() // a nested call would be a violation
        },
      }
      for (let round = 0; round < 20; round++) client.send(pattern(1, 0, 5_000))
      await world.until(() => server.received === 100_000, 'everything arrives')
    },
  },
  {
    name: 'writes while it is paused',
    async run(world) {
      const { client, server } = await world.pair()
      client.connection.pause()
      client.write('out')
      await world.until(() => server.received === 3, 'it arrives')
    },
  },
  {
    name: 'pauses and resumes twice as once',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      server.connection.pause()
      client.write('x')
      await world.quiet()
      server.connection.resume()
      server.connection.resume()
      await world.until(() => server.received === 1, 'it arrives')
      world.equal(server.text, 'x', 'bytes')
    },
  },
  {
    name: 'loses nothing under seeded pauses',
    async run(world) {
      const { client, server } = await world.pair()
      const random = new SeededRandom(11)
      const total = Math.min(world.options.bulkBytes, 400_000)
      server.expectedKey = 4
      server.hooks = {
        onData() {
          if (random.chance(0.3)) server.connection.pause()
        },
      }
      let sent = 0
      while (sent < total) {
        const length = Math.min(random.integer(1, 30_000), total - sent)
        client.send(pattern(4, sent, length))
        sent += length
        await world.fixture.turn()
        if (random.chance(0.5)) server.connection.resume()
      }
      server.hooks = {}
      server.connection.resume()
      await world.until(() => server.received >= total, 'everything arrives')
      world.equal(server.received, total, 'bytes')
    },
  },
  {
    name: 'counts what waits: less and less without a write, never more unsent than waiting, then 0',
    async run(world) {
      const { client, server } = await world.pair()
      const { connection } = client
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 1)
      let before = connection.writableLength
      world.ok(before > 0, 'nothing waits')
      let unsentBefore = connection.unsentLength ?? before
      server.connection.resume()
      const check = (): boolean => {
        const now = connection.writableLength
        const unsent = connection.unsentLength ?? now
        world.ok(Number.isInteger(now) && now <= before, `writableLength: ${before}, then ${now}`)
        world.ok(unsent >= 0 && unsent <= now, `unsentLength ${unsent} of ${now}`)
        world.ok(unsent <= unsentBefore, `unsentLength: ${unsentBefore}, then ${unsent}`)
        before = now
        unsentBefore = unsent
        return server.received >= sent && now === 0
      }
      await world.until(check, 'everything arrives')
      world.equal(connection.unsentLength ?? 0, 0, 'unsentLength')
    },
  },
  {
    name: 'counts what is written while nothing moves, and headers at most beside it',
    async run(world) {
      const { client, server } = await world.pair()
      const { connection } = client
      server.connection.pause()
      await world.fillUntilStuck(client, 1)
      const before = connection.writableLength
      client.send(pattern(1, 0, 1_000))
      connection.writeAll([pattern(1, 0, 100), pattern(1, 0, 10)])
      const grown = connection.writableLength - before
      world.ok(grown >= 1_110 && grown < 2_220, `writableLength grew by ${grown}, not 1110`)
    },
  },
  {
    name: 'goes on saying false above the mark, and drains once for all of it',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      await world.fillUntilStuck(client, 1)
      const { drains } = client
      for (let count = 0; count < 5; count++) {
        world.equal(client.send(pattern(1, 0, 1)), false, 'write above the mark')
        world.equal(client.connection.writeAll([pattern(1, 0, 1)]), false, 'writeAll above it')
      }
      await world.quiet()
      world.equal(client.drains, drains, 'drains while nothing moved')
      server.connection.resume()
      await world.until(() => client.drains > drains, 'onDrain')
      await world.quiet()
      world.equal(client.drains, drains + 1, 'drains')
      world.equal(client.send(pattern(1, 0, 1)), true, 'a byte after the drain')
    },
  },
  {
    name: 'fills and drains again',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 3
      let sent = 0
      for (let round = 0; round < 2; round++) {
        server.connection.pause()
        sent = world.fill(client, 3, sent)
        const { drains } = client
        server.connection.resume()
        await world.until(() => client.drains > drains, 'onDrain')
        await world.until(() => server.received >= sent, 'everything arrives')
      }
      world.equal(server.received, sent, 'bytes')
    },
  },
  {
    name: 'holds up nobody but the connection whose peer does not read',
    async run(world) {
      const servers: ConnectionLog[] = []
      const listener = await world.listen({
        onConnection: (connection) => void servers.push(world.log(connection).open()),
      })
      const stuck = world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => servers.length === 1, 'one is accepted')
      servers[0]?.connection.pause()
      await world.fillUntilStuck(stuck, 1)
      const free = world.log(await world.resolved(world.connect(listener.address))).open()
      free.send(pattern(2, 0, 50_000))
      await world.until(() => servers[1]?.received === 50_000, 'another goes on')
      world.ok(stuck.connection.writableLength > 0, 'the first was not stuck')
    },
  },
  {
    name: 'writes to a peer that does not read, while it reads what that one writes',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      await world.fillUntilStuck(client, 1)
      client.expectedKey = 2
      server.send(pattern(2, 0, 50_000))
      await world.until(() => client.received >= 50_000, 'the other direction goes on')
    },
  },
  {
    name: 'hears that its peer was destroyed while its own bytes wait',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      await world.fillUntilStuck(client, 1)
      server.connection.destroy()
      await world.until(() => client.closed || client.ended, 'it hears of it')
      client.connection.destroy()
      await world.until(() => client.closed, 'it closes')
      world.equal(client.connection.writableLength, 0, 'writableLength')
    },
  },
]
