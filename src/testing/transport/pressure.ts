/**
 * Transport properties: backpressure, pause and resume.
 */
import { SeededRandom } from '../seeded-random.ts'
import { pattern } from './connection-log.ts'
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
]
