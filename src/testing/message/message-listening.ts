/**
 * Message properties: listeners that count, pause, drain and give their address back.
 */
import { TransportError } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { MessageLog } from './message-log.ts'
import type { MessageProperty } from './message-world.ts'

export const messageListeningProperties: readonly MessageProperty[] = [
  {
    name: 'counts accepted connections in and out',
    async run(world) {
      const pair = await world.pair()
      const { listener } = pair
      world.equal(listener.connectionCount, 1, 'connections')
      const more = world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => listener.connectionCount === 2, 'the second counts')
      more.connection.destroy()
      await world.until(() => listener.connectionCount === 1, 'the second is gone')
      await world.closeBoth(pair)
    },
  },
  {
    name: 'accepts nothing while paused, and those who waited afterwards',
    async run(world) {
      const accepted: MessageLog[] = []
      const listener = await world.listen({
        onConnection: (connection) => void accepted.push(world.log(connection).open()),
      })
      listener.pause()
      const connecting = world.connect(listener.address)
      await world.quiet()
      world.equal(accepted.length, 0, 'accepted while paused')
      listener.resume()
      world.log(await world.resolved(connecting)).open()
      await world.until(() => accepted.length === 1, 'accepted after resume')
    },
  },
  {
    name: 'closes a newcomer that admitAddress refuses, and nobody hears of it',
    async run(world) {
      let refusing = true
      const accepted: MessageLog[] = []
      const listener = await world.listen({
        admitAddress: () => (refusing ? new Error('not you') : undefined),
        onConnection: (connection) => void accepted.push(world.log(connection).open()),
        onError: (error) => world.ok(false, `onError heard ${String(error)}`),
      })
      // Where a handshake follows, it fails; elsewhere the end comes right after connecting.
      const outcome = await world.settled(world.connect(listener.address))
      if (!outcome.rejected) {
        const refused = world.log(outcome.value as MessageConnection).open()
        await world.until(() => refused.ended || refused.closed, 'the refused one hears it')
        refused.connection.destroy()
      }
      await world.quiet()
      world.equal(accepted.length, 0, 'accepted')
      world.equal(listener.connectionCount, 0, 'connections')
      refusing = false
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted.length === 1, 'the next one is let in')
    },
  },
  {
    name: 'accepts nothing after close',
    async run(world) {
      const listener = await world.listen({ onConnection: () => world.ok(false, 'accepted') })
      await world.resolved(listener.close())
      await world.resolved(listener.close())
      const error = await world.rejected(world.connect(listener.address), 'connect')
      world.ok(error instanceof TransportError, `rejected with ${String(error)}`)
    },
  },
  {
    name: 'waits for accepted connections before it is closed',
    async run(world) {
      const pair = await world.pair()
      let closed = false
      const closing = pair.listener.close().then(() => {
        closed = true
      })
      await world.quiet()
      world.ok(!closed, 'closed over an open connection')
      pair.client.say('x')
      await world.until(() => pair.server.count === 1, 'the connection goes on')
      await world.closeBoth(pair)
      await world.resolved(closing)
    },
  },
  {
    name: 'destroys what is left when the signal of close aborts',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const controller = new AbortController()
      const closing = listener.close({ signal: controller.signal })
      await world.quiet()
      world.ok(!server.closed, 'closed before the abort')
      controller.abort()
      await world.resolved(closing)
      await world.until(() => server.closed, 'the accepted connection is destroyed')
      await world.until(() => client.closed || client.ended, 'the other side hears of it')
      world.equal(listener.connectionCount, 0, 'connections')
    },
  },
  {
    name: 'gives its address back',
    async run(world) {
      const listener = await world.listen()
      await world.resolved(listener[Symbol.asyncDispose]() as Promise<void>)
      const again = await world.listen({}, listener.address)
      const client = world.log(await world.resolved(world.connect(again.address))).open()
      await world.until(() => again.connectionCount === 1, 'accepted')
      client.connection.destroy()
    },
  },
  {
    name: 'serves 20 connections at once, each with its own messages',
    async run(world) {
      const listener = await world.listen({
        onConnection(connection) {
          const echo = world.log(connection, { onMessage: (one) => void echo.send(one.slice()) })
          echo.open()
        },
      })
      const connecting = Array.from({ length: 20 }, () => world.connect(listener.address))
      const logs = (await world.resolved(Promise.all(connecting))).map((connection, index) => {
        const log = world.log(connection).open()
        log.say(`number ${index}`)
        return log
      })
      const answered = (): boolean => logs.every((log, at) => log.texts[0] === `number ${at}`)
      await world.until(answered, 'each gets its own echo')
    },
  },
]
