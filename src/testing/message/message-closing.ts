/**
 * Message properties: ends, and the close that follows, exactly once and last; destroying at any time.
 */
import { HeddleError } from '../../core/errors.ts'
import { type MessageLog, numbered } from './message-log.ts'
import type { MessageProperty, MessageWorld } from './message-world.ts'

export const messageClosingProperties: readonly MessageProperty[] = [
  {
    name: 'half-closes: the client ends, the server goes on',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      client.say('request')
      client.connection.end()
      await world.until(() => server.ended, 'the server hears the end')
      world.equal(server.texts.join('|'), 'request', 'messages before the end')
      world.ok(!server.closed && !client.closed, 'one end closed both')
      server.say('answer')
      await world.until(() => client.count === 1, 'the answer arrives after the end')
      server.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.ok(client.ended, 'the client heard no end')
      world.equal(client.closeReason, undefined, 'reason at the client')
      world.equal(server.closeReason, undefined, 'reason at the server')
    },
  },
  {
    name: 'answers from within onEnd',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onEnd() {
          server.say('bye')
          server.connection.end()
        },
      }
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(client.texts.join('|'), 'bye', 'messages')
    },
  },
  {
    name: 'ends from within onMessage',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = { onMessage: () => server.connection.end() }
      client.hooks = { onEnd: () => client.connection.end() }
      client.say('x')
      await world.until(() => client.closed && server.closed, 'both close')
    },
  },
  {
    name: 'delivers everything that was queued before the end',
    async run(world) {
      const { client, server } = await world.pair()
      const size = Math.min(30_000, client.connection.maxMessageBytes)
      const count = Math.ceil(world.options.bulkBytes / size)
      server.expectedKey = 6
      let atEnd = -1
      server.hooks = {
        onEnd() {
          atEnd = server.count
          server.connection.end()
        },
      }
      for (let index = 0; index < count; index++) client.send(numbered(6, index, size))
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(atEnd, count, 'messages before the end')
    },
  },
  {
    name: 'delivers messages that were stuck, then the end',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      server.expectedKey = 5
      const sent = world.fill(client, 5)
      client.connection.end()
      await world.quiet()
      world.ok(!server.ended, 'the end overtook the messages')
      server.hooks = { onEnd: () => server.connection.end() }
      server.connection.resume()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.count, sent, 'messages before the end')
    },
  },
  {
    name: 'delivers the end after a pause between messages',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      server.hooks = { onMessage: () => server.connection.pause() }
      client.say('one')
      client.say('two')
      client.connection.end()
      await world.until(() => server.count === 1, 'the first arrives')
      await world.quiet()
      world.ok(!server.ended, 'the end overtook a message')
      server.connection.resume()
      await world.until(() => server.count === 2, 'the second arrives')
      await world.quiet()
      server.hooks = {}
      server.connection.resume()
      await world.until(() => server.ended, 'the end arrives')
      await world.closeBoth(pair)
    },
  },
  {
    name: 'delivers what is left to a side that has ended and paused, then closes',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = { onMessage: () => server.connection.pause() }
      server.connection.end()
      for (const text of ['one', 'two', 'three']) client.say(text)
      client.connection.end()
      for (let count = 1; count <= 3; count++) {
        await world.until(() => server.count === count, `message ${count} arrives`)
        await world.quiet()
        world.ok(!server.closed, 'it closed with messages left')
        server.connection.resume()
      }
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.texts.join('|'), 'one|two|three', 'messages')
      world.ok(server.ended, 'no end was heard')
      world.equal(server.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'closes cleanly when both end at once',
    async run(world) {
      const pair = await world.pair()
      pair.client.say('a')
      pair.server.say('b')
      await world.closeBoth(pair)
      world.equal(pair.client.texts.join() + pair.server.texts.join(), 'ba', 'before the ends')
      world.ok(pair.client.ended && pair.server.ended, 'an end was not heard')
    },
  },
  {
    name: 'takes a second end for nothing, and drops what is sent after the first',
    async run(world) {
      const pair = await world.pair()
      pair.client.say('in')
      pair.client.connection.end()
      pair.client.connection.end()
      pair.client.say('lost')
      await world.closeBoth(pair)
      pair.client.connection.end()
      await world.quiet()
      world.equal(pair.server.texts.join('|'), 'in', 'messages')
    },
  },
  {
    name: 'closes once and last: nothing comes after onClose',
    async run(world) {
      const pair = await world.pair()
      pair.client.say('a')
      await world.closeBoth(pair)
      // The log counts anything that comes now as a violation.
      pair.client.connection.resume()
      pair.client.say('late')
      pair.client.connection.destroy(new Error('late'))
      pair.server.connection.pause()
      pair.server.connection.end()
      await world.quiet()
      world.equal(pair.client.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'destroys with its reason, once',
    async run(world) {
      const { client, server } = await world.pair()
      const reason = new Error('mine')
      client.connection.destroy(reason)
      client.connection.destroy(new Error('second'))
      await world.until(() => client.closed, 'it closes')
      client.connection.destroy(new Error('third'))
      await world.quiet()
      world.equal(client.closeReason, reason, 'reason')
      await peerCloses(world, server)
    },
  },
  {
    name: 'destroys inside onMessage, which is then the last one',
    async run(world) {
      const { client, server } = await world.pair()
      let calls = 0
      server.hooks = {
        onMessage() {
          calls += 1
          server.connection.destroy(new Error('enough'))
        },
      }
      for (let index = 0; index < 50; index++) client.send(numbered(0, index, 100))
      await world.until(() => server.closed, 'it closes')
      await peerCloses(world, client)
      world.equal(calls, 1, 'calls of onMessage')
    },
  },
  {
    name: 'destroys with messages queued: they are lost, and no onDrain comes',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      world.fill(client, 1)
      const { drains } = client
      client.connection.destroy(new Error('enough'))
      world.equal(client.connection.writableLength, 0, 'writableLength')
      server.connection.resume()
      await world.until(() => client.closed, 'it closes')
      await peerCloses(world, server)
      world.equal(client.drains, drains, 'drains')
    },
  },
  {
    name: 'drops what is sent after destroy',
    async run(world) {
      const { client, server } = await world.pair()
      client.connection.destroy()
      client.say('lost')
      client.connection.end()
      await peerCloses(world, server)
      world.equal(server.count, 0, 'messages')
    },
  },
  {
    name: 'destroyed before open, tells the handler that opens it',
    async run(world) {
      const { client, server } = await world.rawPair()
      const reason = new Error('early')
      client.connection.destroy(reason)
      await world.quiet()
      client.open()
      server.open()
      await world.until(() => client.closed, 'onClose')
      world.equal(client.closeReason, reason, 'reason')
      await peerCloses(world, server)
    },
  },
  {
    name: 'never delivers a part of a message, nor calls it clean when its peer is destroyed',
    async run(world) {
      const { client, server } = await world.pair()
      const bytes = Math.min(world.pressureBytes, client.connection.maxMessageBytes)
      server.hooks = {
        onMessage: (message) => world.equal(message.length, bytes, 'length of a message'),
      }
      // More than any buffer on the way holds, so part of it must be lost.
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 1)
      client.connection.destroy()
      await world.quiet()
      server.connection.resume()
      await peerCloses(world, server)
      world.ok(server.count < sent, 'nothing was lost: the property shows nothing')
    },
  },
]

/** A destroyed peer is seen as a reset or as an end; after our own end the connection is closed. */
async function peerCloses(world: MessageWorld, log: MessageLog): Promise<void> {
  await world.until(() => log.closed || log.ended, 'the other side hears of it')
  log.connection.end()
  await world.until(() => log.closed, 'the other side closes')
  const { closeReason } = log
  const ours = closeReason === undefined || closeReason instanceof HeddleError
  world.ok(ours, `reason is not one of ours: ${String(closeReason)}`)
}
