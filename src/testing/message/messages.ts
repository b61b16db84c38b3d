/**
 * Message properties: each message arrives whole, alone, in order, once.
 */
import { HeddleError } from '../../core/errors.ts'
import { SeededRandom } from '../seeded-random.ts'
import { numbered } from './message-log.ts'
import type { MessageProperty } from './message-world.ts'

export const messageDataProperties: readonly MessageProperty[] = [
  {
    name: 'carries a message each way',
    async run(world) {
      const { client, server } = await world.pair()
      client.say('to the server')
      server.say('to the client')
      await world.until(() => client.count === 1 && server.count === 1, 'both arrive')
      world.equal(client.texts[0], 'to the client', 'message at the client')
      world.equal(server.texts[0], 'to the server', 'message at the server')
    },
  },
  {
    name: 'keeps the boundaries of messages sent in one turn',
    async run(world) {
      const { client, server } = await world.pair()
      for (const text of ['a', 'bc', 'bc', 'def']) client.say(text)
      await world.until(() => server.count >= 4, 'all arrive')
      world.equal(server.texts.join('|'), 'a|bc|bc|def', 'messages')
    },
  },
  {
    name: 'carries an empty message as a message',
    async run(world) {
      const { client, server } = await world.pair()
      client.send(new Uint8Array(0))
      await world.until(() => server.count === 1, 'it arrives alone')
      client.say('x')
      client.send(new Uint8Array(0))
      client.send(new Uint8Array(0))
      client.say('y')
      await world.until(() => server.count >= 5, 'all arrive')
      world.equal(server.texts.join('|'), '|x|||y', 'messages')
    },
  },
  {
    name: 'carries 2,000 small messages in order',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 5
      for (let index = 0; index < 2_000; index++) client.send(numbered(5, index, 9))
      await world.until(() => server.count >= 2_000, 'all arrive')
      world.equal(server.received, 18_000, 'bytes')
    },
  },
  {
    name: 'carries messages of every size around its buffers',
    async run(world) {
      const { client, server } = await world.pair()
      const { maxMessageBytes } = client.connection
      const random = new SeededRandom(77)
      const sizes = [0, 1, 125, 126, 127, 255, 256, 4_095, 4_096, 4_097, 16_383, 16_385]
      sizes.push(32_767, 32_768, 65_535, 65_536, 65_537)
      for (let count = 0; count < 30; count++) sizes.push(random.integer(0, 9_000))
      server.expectedKey = 9
      const heard: number[] = []
      server.hooks = { onMessage: (message) => void heard.push(message.length) }
      const sent = sizes.filter((size) => size <= maxMessageBytes)
      for (const [index, size] of sent.entries()) {
        client.send(numbered(9, index, size))
        if (random.chance(0.3)) await world.fixture.turn()
      }
      await world.until(() => heard.length >= sent.length, 'all arrive')
      world.equal(heard.join(), sent.join(), 'sizes')
    },
  },
  {
    name: 'carries bulk both ways at once',
    async run(world) {
      const { client, server } = await world.pair()
      const size = Math.min(30_000, client.connection.maxMessageBytes)
      const count = Math.ceil(world.options.bulkBytes / size)
      client.expectedKey = 1
      server.expectedKey = 2
      for (let index = 0; index < count; index++) {
        server.send(numbered(1, index, size))
        client.send(numbered(2, index, size))
      }
      const arrived = (): boolean => client.count >= count && server.count >= count
      await world.until(arrived, 'both arrive')
      world.equal(client.received + server.received, 2 * count * size, 'bytes')
    },
  },
  {
    name: 'carries a message of exactly maxMessageBytes',
    async run(world) {
      const { client, server } = await world.pair()
      const { maxMessageBytes } = client.connection
      const tryable = maxMessageBytes > 0 && maxMessageBytes <= MOST_TRIED_BYTES
      world.ok(
        tryable,
        `maxMessageBytes is ${maxMessageBytes}: make the subject with a smaller one`,
      )
      server.expectedKey = 3
      client.expectedKey = 3
      client.send(numbered(3, 0, maxMessageBytes))
      await world.until(() => server.count === 1, 'it arrives at the server')
      world.equal(server.received, maxMessageBytes, 'bytes')
      const { maxMessageBytes: back } = server.connection
      server.send(numbered(3, 0, back))
      await world.until(() => client.count === 1, 'it arrives at the client')
      world.equal(client.received, back, 'bytes')
    },
  },
  {
    name: 'refuses to send one byte more: ERR_FRAME_TOO_LARGE, and goes on',
    async run(world) {
      const { client, server } = await world.pair()
      const { maxMessageBytes } = client.connection
      let thrown: unknown
      try {
        client.send(new Uint8Array(maxMessageBytes + 1))
      } catch (error) {
        thrown = error
      }
      const refused = thrown instanceof HeddleError && thrown.code === 'ERR_FRAME_TOO_LARGE'
      world.ok(refused, `send of one byte too many: ${String(thrown)}`)
      client.say('small')
      await world.until(() => server.count >= 1, 'the next message arrives')
      await world.quiet()
      world.equal(server.texts.join('|'), 'small', 'messages')
      world.ok(!client.closed && !server.closed, 'it closed')
    },
  },
  {
    name: 'has taken a message when writableLength is 0: it may be overwritten',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 8
      const message = new Uint8Array(1_000)
      for (let round = 0; round < 20; round++) {
        message.set(numbered(8, round, message.length))
        client.send(message)
        // At once where it is taken at once: an await would give a late copy time to be made.
        if (client.connection.writableLength > 0) {
          await world.until(() => client.connection.writableLength === 0, 'the message is taken')
        }
        message.fill(0xee)
      }
      await world.until(() => server.count >= 20, 'all arrive')
      world.equal(server.received, 20_000, 'bytes')
    },
  },
  {
    name: 'leaves owned messages as they were, for as long as they are kept',
    async run(world) {
      const { client, server } = await world.pair()
      for (let index = 0; index < 200; index++) {
        client.send(numbered(4, index, (index * 37) % 3_000))
        if (index % 20 === 0) await world.fixture.turn()
      }
      await world.until(() => server.count === 200, 'all arrive')
      for (const [index, message] of server.messages.entries()) {
        const owned = server.owned[index]
        if (owned === undefined) continue
        const same =
          owned.length === message.length && owned.every((byte, at) => byte === message[at])
        world.ok(same, `owned message ${index} has changed since it was heard`)
      }
    },
  },
  {
    name: 'keeps ping-pong going for 300 rounds',
    async run(world) {
      const { client, server } = await world.pair()
      let rounds = 0
      server.hooks = { onMessage: (message) => void server.send(message.slice()) }
      client.hooks = {
        onMessage(message) {
          rounds += 1
          if (rounds < 300) client.send(message.slice())
        },
      }
      client.say('*')
      await world.until(() => rounds === 300, '300 rounds')
    },
  },
  {
    name: 'delivers what arrived before open, once it is opened',
    async run(world) {
      const { client, server } = await world.rawPair()
      client.open()
      for (const text of ['one', '', 'three']) client.say(text)
      await world.quiet()
      server.open()
      await world.until(() => server.count === 3, 'all arrive')
      world.equal(server.texts.join('|'), 'one||three', 'messages')
    },
  },
  {
    name: 'sends before it is opened',
    async run(world) {
      const { client, server } = await world.rawPair()
      server.open()
      client.say('early')
      client.open()
      await world.until(() => server.count === 1, 'it arrives')
      world.equal(server.texts[0], 'early', 'message')
    },
  },
]

/** The largest message that the kit makes. */
const MOST_TRIED_BYTES = 16_777_216
