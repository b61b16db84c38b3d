/**
 * Transport properties: every call of a connection from within every callback, its own and those of
 * others.
 */
import type { Connection } from '../../core/connection.ts'
import { ascii, type ConnectionLog } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const reenteringProperties: readonly TransportProperty[] = [
  {
    name: 'sends bulk back from within onData, held up by its own backpressure',
    async run(world) {
      const { client, server } = await world.pair()
      const total = Math.min(world.options.bulkBytes, 300_000)
      client.expectedKey = 5
      server.hooks = {
        onData(chunk) {
          if (!server.send(chunk.slice())) server.connection.pause()
        },
        onDrain: () => server.connection.resume(),
      }
      await world.sendAll(client, 5, total, 30_000)
      await world.until(() => client.received >= total, 'everything comes back')
      world.equal(client.received, total, 'bytes')
    },
  },
  {
    name: 'writes several regions inside onData, in order with those of before',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = { onData: () => void server.connection.writeAll(['b', 'c'].map(ascii)) }
      server.write('a')
      client.write('x')
      await world.until(() => client.received === 3, 'all arrive')
      world.equal(client.text, 'abc', 'bytes')
    },
  },
  {
    name: 'ends inside onDrain, behind everything that waited',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 4
      server.connection.pause()
      const sent = world.fill(client, 4)
      client.hooks = { onDrain: () => client.connection.end() }
      server.hooks = { onEnd: () => server.connection.end() }
      server.connection.resume()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.received, sent, 'bytes before the end')
      world.equal(client.drains, 1, 'drains')
    },
  },
  {
    name: 'pauses inside onDrain: nothing is heard until resume',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      world.fill(client, 1)
      client.hooks = { onDrain: () => client.connection.pause() }
      server.connection.resume()
      await world.until(() => client.drains === 1, 'onDrain')
      server.write('later')
      await world.quiet()
      world.equal(client.received, 0, 'bytes while paused')
      client.connection.resume()
      await world.until(() => client.received === 5, 'it arrives')
    },
  },
  {
    name: 'detaches inside onDrain: the next handler hears what follows',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      world.fill(client, 1)
      const next = world.log(client.connection)
      client.hooks = {
        onDrain() {
          client.connection.detach()
          next.open()
        },
      }
      server.connection.resume()
      await world.until(() => client.drains === 1, 'onDrain')
      server.write('to the next')
      await world.until(() => next.received === 11, 'it arrives')
      world.equal(client.received, 0, 'bytes at the handler that was detached')
      world.equal(next.drains, 0, 'drains of the next handler')
    },
  },
  {
    name: 'detaches inside onEnd: the next handler hears the close, not the end again',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      const next = world.log(server.connection)
      server.hooks = {
        onEnd() {
          server.connection.detach()
          next.open()
        },
      }
      client.connection.end()
      await world.until(() => server.ended, 'the end arrives')
      next.write('by the next')
      server.connection.end()
      await world.until(() => next.closed && client.closed, 'both close')
      world.equal(client.text, 'by the next', 'bytes')
      world.ok(!server.closed, 'the handler that was detached heard the close')
      world.ok(!next.ended, 'the end came twice')
    },
  },
  {
    name: 'pauses and resumes inside onEnd, and closes as ever',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onEnd() {
          server.connection.pause()
          server.connection.resume()
          server.connection.end()
        },
      }
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'closes while paused inside onEnd, once both have ended',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onEnd() {
          server.connection.pause()
          server.connection.end()
        },
      }
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
    },
  },
  {
    name: 'takes every call inside onClose for nothing',
    async run(world) {
      const pair = await world.pair()
      const { client } = pair
      client.hooks = {
        onClose() {
          client.write('late')
          client.connection.writeAll([ascii('late')])
          client.connection.pause()
          client.connection.resume()
          client.connection.end()
          client.connection.unref()
          client.connection.ref()
          client.connection.destroy()
        },
      }
      await world.closeBoth(pair)
      await world.quiet()
      world.equal(pair.server.received, 0, 'bytes')
      world.equal(client.connection.writableLength, 0, 'writableLength')
    },
  },
  {
    name: 'takes every call inside onClose after destroy for nothing',
    async run(world) {
      const { client, server } = await world.pair()
      const reason = new Error('mine')
      client.hooks = {
        onClose() {
          client.connection.resume()
          client.write('late')
          client.connection.end()
          client.connection.destroy(new Error('another'))
        },
      }
      client.connection.destroy(reason)
      await world.until(() => client.closed, 'it closes')
      await world.quiet()
      world.equal(client.closeReason, reason, 'reason')
      world.equal(server.received, 0, 'bytes')
    },
  },
  {
    name: 'connects anew from within onClose',
    async run(world) {
      const pair = await world.pair()
      let connecting: Promise<Connection> | undefined
      pair.client.hooks = {
        onClose() {
          connecting = world.connect(pair.listener.address)
        },
      }
      await world.closeBoth(pair)
      const again = world.log(await world.resolved(connecting as Promise<Connection>)).open()
      await world.until(() => pair.listener.connectionCount === 1, 'the new one is accepted')
      world.ok(!again.closed, 'the new connection is closed')
    },
  },
  {
    name: 'destroys a newcomer inside onConnection, unopened',
    async run(world) {
      const reason = new Error('not today')
      const listener = await world.listen({ onConnection: (one) => one.destroy(reason) })
      const outcome = await world.settled(world.connect(listener.address))
      if (!outcome.rejected) {
        const client = world.log(outcome.value as Connection).open()
        await world.until(() => client.closed || client.ended, 'the other side hears of it')
        client.connection.destroy()
      }
      await world.until(() => listener.connectionCount === 0, 'the listener counts it out')
    },
  },
  {
    name: 'closes its listener inside onConnection: this one stays, no other comes',
    async run(world) {
      const servers: ConnectionLog[] = []
      let closing: Promise<void> | undefined
      const listener = await world.listen({
        onConnection(connection) {
          servers.push(world.log(connection).open())
          closing ??= listener.close()
        },
      })
      const client = world.log(await world.resolved(world.connect(listener.address))).open()
      client.write('x')
      await world.until(() => servers[0]?.received === 1, 'the one accepted goes on')
      const late = await world.settled(world.connect(listener.address))
      // A stream of a connection that is there is refused when it arrives.
      if (!late.rejected) {
        const refused = world.log(late.value as Connection).open()
        await world.until(() => refused.closed || refused.ended, 'the late one is refused')
        refused.connection.destroy()
      }
      client.connection.end()
      servers[0]?.connection.end()
      await world.resolved(closing as Promise<void>)
      world.equal(servers.length, 1, 'connections accepted')
    },
  },
  {
    name: 'destroys another connection inside onData, which hears its close and no more',
    async run(world) {
      const one = await world.pair()
      const client = world.log(await world.resolved(world.connect(one.listener.address))).open()
      const reason = new Error('by another')
      one.server.hooks = { onData: () => client.connection.destroy(reason) }
      one.client.write('x')
      await world.until(() => client.closed, 'the other closes')
      world.equal(client.closeReason, reason, 'reason')
      one.server.hooks = {}
      one.client.write('y')
      await world.until(() => one.server.received === 2, 'the first goes on')
    },
  },
  {
    name: 'ends both directions inside one onData',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onData() {
          client.connection.end()
          server.write('last')
          server.connection.end()
        },
      }
      client.write('x')
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(client.text, 'last', 'bytes')
    },
  },
]
