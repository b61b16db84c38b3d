/**
 * Transport properties: listeners that count, pause, drain and give their address back.
 */
import type { Connection } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import type { Listener } from '../../core/transport.ts'
import type { ConnectionLog } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const listeningProperties: readonly TransportProperty[] = [
  {
    name: 'counts accepted connections in and out',
    async run(world) {
      const pair = await world.pair()
      const { listener } = pair
      world.equal(listener.connectionCount, 1, 'connections')
      const more = world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => listener.connectionCount === 2, 'the second counts')
      more.connection.destroy()
      await world.until(() => listener.connectionCount === 1 || more.closed, 'the second is gone')
      await world.closeBoth(pair)
    },
  },
  {
    name: 'refuses an address in use: TransportError ERR_ADDRESS_IN_USE',
    async run(world) {
      const listener = await world.listen()
      const error = await world.rejected(world.listen({}, listener.address), 'listening twice')
      world.ok(error instanceof TransportError, `rejected with ${String(error)}`)
      world.equal((error as TransportError).code, 'ERR_ADDRESS_IN_USE', 'code')
    },
  },
  {
    name: 'accepts nothing while paused, and those who waited afterwards',
    async run(world) {
      const accepted: ConnectionLog[] = []
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
      const asked: string[] = []
      let refusing = true
      const accepted: ConnectionLog[] = []
      const listener = await world.listen({
        admitAddress(remote) {
          asked.push(remote.kind)
          return refusing ? new Error('not you') : undefined
        },
        onConnection: (connection) => void accepted.push(world.log(connection).open()),
        onError: (error) => world.ok(false, `onError heard ${String(error)}`),
      })
      // Where a handshake follows, it fails; elsewhere the end comes right after connecting.
      const outcome = await world.settled(world.connect(listener.address))
      if (!outcome.rejected) {
        const refused = world.log(outcome.value as Connection).open()
        await world.until(() => refused.ended || refused.closed, 'the refused one hears it')
        refused.connection.destroy()
      }
      await world.quiet()
      world.equal(accepted.length, 0, 'accepted')
      world.equal(listener.connectionCount, 0, 'connections')
      world.equal(asked.length, 1, 'times asked')
      refusing = false
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted.length === 1, 'the next one is let in')
    },
  },
  {
    name: 'goes on with accepted connections while paused',
    async run(world) {
      const { client, server, listener } = await world.pair()
      listener.pause()
      client.write('x')
      await world.until(() => server.received === 1, 'it arrives')
      listener.resume()
    },
  },
  {
    name: 'closes at once without connections',
    async run(world) {
      const listener = await world.listen()
      await world.resolved(listener.close())
      await world.resolved(listener.close())
    },
  },
  {
    name: 'accepts nothing after close',
    async run(world) {
      const listener = await world.listen({ onConnection: () => world.ok(false, 'accepted') })
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
      pair.client.write('x')
      await world.until(() => pair.server.received === 1, 'the connection goes on')
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
    name: 'destroys everything when closed with an aborted signal, also after a plain close',
    async run(world) {
      const { server, listener } = await world.pair()
      const graceful = listener.close()
      const forced = listener.close({ signal: AbortSignal.abort() })
      await world.resolved(Promise.all([graceful, forced]))
      await world.until(() => server.closed, 'the accepted connection is destroyed')
    },
  },
  {
    name: 'gives its address back',
    async run(world) {
      const listener = await world.listen()
      await world.resolved(listener.close())
      const again = await world.listen({}, listener.address)
      const client = world.log(await world.resolved(world.connect(again.address))).open()
      await world.until(() => again.connectionCount === 1, 'accepted')
      client.connection.destroy()
    },
  },
  {
    name: 'closes when disposed of',
    async run(world) {
      const listener = await world.listen()
      await world.resolved(listener[Symbol.asyncDispose]() as Promise<void>)
      await world.rejected(world.connect(listener.address), 'connect')
    },
  },
  {
    name: 'serves 50 connections at once',
    async run(world) {
      const listener = await world.listen({
        onConnection(connection) {
          const echo = world.log(connection, { onData: (chunk) => void echo.send(chunk.slice()) })
          echo.open()
        },
      })
      const connecting = Array.from({ length: 50 }, () => world.connect(listener.address))
      const logs = (await world.resolved(Promise.all(connecting))).map((connection, index) => {
        const log = world.log(connection).open()
        log.write(`number ${index}`)
        return log
      })
      const answered = (): boolean => logs.every((log, at) => log.text === `number ${at}`)
      await world.until(answered, 'each gets its own echo')
    },
  },
  {
    name: 'pauses and resumes twice as once, and resumes without a pause',
    async run(world) {
      let accepted = 0
      const listener = await world.listen({
        onConnection(connection) {
          accepted += 1
          world.log(connection).open()
        },
      })
      listener.resume()
      listener.pause()
      listener.pause()
      listener.resume()
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted === 1, 'accepted after one resume')
      listener.resume()
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted === 2, 'accepted after another')
    },
  },
  {
    name: 'accepts everybody who waited while it was paused',
    async run(world) {
      let accepted = 0
      const listener = await world.listen({
        onConnection(connection) {
          accepted += 1
          world.log(connection).open()
        },
      })
      listener.pause()
      const connecting = Array.from({ length: 5 }, () => world.connect(listener.address))
      await world.quiet()
      world.equal(accepted, 0, 'accepted while paused')
      listener.resume()
      for (const one of await world.resolved(Promise.all(connecting))) world.log(one).open()
      await world.until(() => accepted === 5, 'all are accepted')
      world.equal(listener.connectionCount, 5, 'connections')
    },
  },
  {
    name: 'closes twice at once: both wait for the last connection',
    async run(world) {
      const pair = await world.pair()
      let closed = 0
      const closing = [1, 2].map(async () => {
        await pair.listener.close()
        closed += 1
      })
      await world.quiet()
      world.equal(closed, 0, 'closed over an open connection')
      await world.closeBoth(pair)
      await world.resolved(Promise.all(closing))
    },
  },
  {
    name: 'closes while it is paused',
    async run(world) {
      const { client, server, listener } = await world.pair()
      listener.pause()
      const closing = listener.close()
      client.write('x')
      await world.until(() => server.received === 1, 'what was accepted goes on')
      client.connection.destroy()
      server.connection.destroy()
      await world.resolved(closing)
      world.equal(listener.connectionCount, 0, 'connections')
    },
  },
  {
    name: 'takes calls after close for nothing, and keeps its address to read',
    async run(world) {
      const listener = await world.listen()
      const before = JSON.stringify(listener.address)
      await world.resolved(listener.close())
      listener.pause()
      listener.resume()
      listener.unref()
      listener.ref()
      world.equal(JSON.stringify(listener.address), before, 'address')
      world.equal(listener.connectionCount, 0, 'connections')
      await world.rejected(world.connect(listener.address), 'connect after close and resume')
    },
  },
  {
    name: 'closes while somebody connects: that one connects or fails, and nothing is left',
    async run(world) {
      const listener = await world.listen()
      const connecting = world.settled(world.connect(listener.address))
      const closing = listener.close({ signal: AbortSignal.abort() })
      const outcome = await connecting
      if (outcome.rejected) {
        const { error } = outcome
        world.ok(error instanceof TransportError, `rejected with ${String(error)}`)
      } else {
        const client = world.log(outcome.value as Connection).open()
        await world.until(() => client.closed || client.ended, 'it hears of the close')
        client.connection.destroy()
      }
      await world.resolved(closing)
      world.equal(listener.connectionCount, 0, 'connections')
    },
  },
  {
    name: 'counts a connection out that nobody ever opened',
    async run(world) {
      const accepted: Connection[] = []
      const listener = await world.listen({ onConnection: (one) => void accepted.push(one) })
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted.length === 1, 'it is accepted')
      world.equal(listener.connectionCount, 1, 'connections')
      accepted[0]?.destroy()
      await world.until(() => listener.connectionCount === 0, 'it counts out')
    },
  },
  {
    name: 'counts 20 connections in, and out as each of them closes',
    async run(world) {
      const listener = await world.listen({
        onConnection(connection) {
          const server = world.log(connection, { onEnd: () => connection.end() })
          server.open()
        },
      })
      const connecting = Array.from({ length: 20 }, () => world.connect(listener.address))
      const clients = (await world.resolved(Promise.all(connecting))).map((one) => {
        return world.log(one).open()
      })
      await world.until(() => listener.connectionCount === 20, 'all are counted')
      for (const [index, client] of clients.entries()) {
        client.connection.end()
        if (index === 9) await world.until(() => listener.connectionCount === 10, 'half are left')
      }
      await world.until(() => listener.connectionCount === 0, 'none is left')
    },
  },
  {
    name: 'asks admitAddress about the address that the connection has',
    async run(world) {
      const asked: string[] = []
      const accepted: Connection[] = []
      const listener = await world.listen({
        admitAddress(remote) {
          asked.push(JSON.stringify(remote))
          return undefined
        },
        onConnection(connection) {
          accepted.push(connection)
          world.log(connection).open()
        },
      })
      for (let count = 1; count <= 2; count++) {
        world.log(await world.resolved(world.connect(listener.address))).open()
        await world.until(() => accepted.length === count, 'it is accepted')
      }
      const known = accepted.map((connection) => JSON.stringify(connection.facts.remote))
      for (const remote of known) world.ok(asked.includes(remote), `not asked about ${remote}`)
    },
  },
  {
    name: 'listens twice where the address leaves the choice: each hears its own',
    async run(world) {
      const counts = [0, 0]
      const listenAs = (index: number): Promise<Listener> =>
        world.listen({
          onConnection(connection) {
            counts[index] = (counts[index] ?? 0) + 1
            world.log(connection).open()
          },
        })
      const first = await listenAs(0)
      // A path has no choice; the property on an address in use is about it.
      const chosen = JSON.stringify(first.address) !== JSON.stringify(world.fixture.address)
      if (!chosen) return
      const second = await listenAs(1)
      const apart = JSON.stringify(first.address) !== JSON.stringify(second.address)
      world.ok(apart, 'both have the same address')
      world.log(await world.resolved(world.connect(second.address))).open()
      await world.until(() => counts[1] === 1, 'the second accepts its own')
      await world.resolved(second.close({ signal: AbortSignal.abort() }))
      world.log(await world.resolved(world.connect(first.address))).open()
      await world.until(() => counts[0] === 1, 'the first goes on')
      world.equal(counts.join(' '), '1 1', 'connections accepted')
    },
  },
]
