/**
 * Message properties: backpressure, pause and resume, also in the middle of what arrived at once.
 */
import { SeededRandom } from '../seeded-random.ts'
import { numbered } from './message-log.ts'
import type { MessageProperty } from './message-world.ts'

export const messagePressureProperties: readonly MessageProperty[] = [
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
      await world.until(() => server.count >= sent, 'everything arrives')
      world.equal(server.count, sent, 'messages')
      world.equal(client.connection.writableLength, 0, 'writableLength')
    },
  },
  {
    name: 'calls onDrain once for what a send left queued',
    async run(world) {
      const { client } = await world.pair()
      for (let round = 0; round < 5; round++) {
        const { drains } = client
        client.send(numbered(0, round, 1_000))
        if (client.connection.writableLength === 0) continue
        await world.until(() => client.drains > drains, 'onDrain')
        await world.quiet()
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
        client.say('x')
        queued ||= client.connection.writableLength > 0
      }
      await world.until(() => server.count === 5, 'all arrive')
      await world.quiet()
      if (!queued) world.equal(client.drains, 0, 'drains')
    },
  },
  {
    name: 'goes on from within onDrain',
    async run(world) {
      const { client, server } = await world.pair()
      const size = Math.min(8_192, client.connection.maxMessageBytes)
      const total = Math.ceil(world.options.bulkBytes / size)
      server.expectedKey = 3
      let index = 0
      const more = (): void => {
        while (index < total) if (!client.send(numbered(3, index++, size))) return
      }
      client.hooks = { onDrain: more }
      more()
      await world.until(() => server.count >= total, 'everything arrives')
      world.equal(server.count, total, 'messages')
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
      const arrived = (): boolean => client.count >= fromServer && server.count >= fromClient
      await world.until(arrived, 'both arrive')
      server.send(numbered(1, fromServer, 4_000))
      client.send(numbered(2, fromClient, 4_000))
      await world.until(() => client.count > fromServer, 'the client gets the rest')
      await world.until(() => server.count > fromClient, 'the server gets the rest')
    },
  },
  {
    name: 'pauses between two messages that arrived at once',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = { onMessage: () => server.connection.pause() }
      for (const text of ['a', 'b', '', 'd']) client.say(text)
      for (let count = 1; count <= 4; count++) {
        await world.until(() => server.count >= count, `message ${count} arrives`)
        await world.quiet()
        world.equal(server.count, count, 'messages heard while paused')
        server.connection.resume()
      }
      await world.quiet()
      world.equal(server.texts.join('|'), 'a|b||d', 'messages')
    },
  },
  {
    name: 'pauses in the middle of a large message',
    async run(world) {
      const { client, server } = await world.pair()
      const size = Math.min(client.connection.maxMessageBytes, 400_000)
      server.expectedKey = 2
      client.send(numbered(2, 0, size))
      for (let round = 0; round < 6; round++) {
        await world.fixture.turn()
        server.connection.pause()
        await world.fixture.turn()
        server.connection.resume()
      }
      await world.until(() => server.count === 1, 'it arrives')
      world.equal(server.received, size, 'bytes')
    },
  },
  {
    name: 'delivers nothing while paused from the start',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      await world.quiet() // what was under way when it was paused
      client.say('later')
      await world.quiet()
      world.equal(server.count, 0, 'messages while paused')
      server.connection.resume()
      await world.until(() => server.count === 1, 'it arrives')
    },
  },
  {
    name: 'does not call onMessage inside resume',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onMessage() {
          server.connection.pause()
          server.connection.resume() // a nested call would be a violation
        },
      }
      for (let round = 0; round < 20; round++) client.send(numbered(1, round, 5_000))
      await world.until(() => server.count === 20, 'everything arrives')
    },
  },
  {
    name: 'sends while it is paused',
    async run(world) {
      const { client, server } = await world.pair()
      client.connection.pause()
      client.say('out')
      await world.until(() => server.count === 1, 'it arrives')
    },
  },
  {
    name: 'pauses and resumes twice as once',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      server.connection.pause()
      client.say('x')
      await world.quiet()
      server.connection.resume()
      server.connection.resume()
      await world.until(() => server.count === 1, 'it arrives')
      await world.quiet()
      world.equal(server.texts.join('|'), 'x', 'messages')
    },
  },
  {
    name: 'loses nothing under seeded pauses',
    async run(world) {
      const { client, server } = await world.pair()
      const random = new SeededRandom(11)
      const total = Math.max(20, Math.ceil(Math.min(world.options.bulkBytes, 400_000) / 5_000))
      server.expectedKey = 4
      server.hooks = {
        onMessage() {
          if (random.chance(0.3)) server.connection.pause()
        },
      }
      for (let index = 0; index < total; index++) {
        const most = Math.min(10_000, client.connection.maxMessageBytes)
        client.send(numbered(4, index, random.integer(0, most)))
        if (random.chance(0.5)) await world.fixture.turn()
        if (random.chance(0.5)) server.connection.resume()
      }
      server.hooks = {}
      server.connection.resume()
      await world.until(() => server.count >= total, 'everything arrives')
      world.equal(server.count, total, 'messages')
    },
  },
]
