/**
 * Transport properties: ends, half-closes, and the close that follows, exactly once and last.
 */
import { type ConnectionLog, pattern } from './connection-log.ts'
import type { TransportProperty } from './transport-world.ts'

export const closingProperties: readonly TransportProperty[] = [
  {
    name: 'half-closes: the client ends, the server goes on',
    needs: 'halfClose',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      client.write('request')
      client.connection.end()
      await world.until(() => server.ended, 'the server hears the end')
      world.equal(server.text, 'request', 'bytes before the end')
      world.ok(!server.closed && !client.closed, 'one end closed both')
      server.write('answer')
      await world.until(() => client.received === 6, 'the answer arrives after the end')
      server.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.ok(client.ended, 'the client heard no end')
      world.equal(client.closeReason, undefined, 'reason at the client')
      world.equal(server.closeReason, undefined, 'reason at the server')
    },
  },
  {
    name: 'half-closes: the server ends, the client goes on',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.end()
      await world.until(() => client.ended, 'the client hears the end')
      world.ok(!server.closed && !client.closed, 'one end closed both')
      server.expectedKey = 2
      client.send(pattern(2, 0, 50_000))
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.received, 50_000, 'bytes after the end of the other side')
    },
  },
  {
    name: 'half-closes with nothing ever written',
    needs: 'halfClose',
    async run(world) {
      const pair = await world.pair()
      pair.client.connection.end()
      await world.until(() => pair.server.ended, 'the server hears the end')
      await world.closeBoth(pair)
      world.equal(pair.server.chunks, 0, 'chunks')
    },
  },
  {
    name: 'answers from within onEnd',
    needs: 'halfClose',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = {
        onEnd() {
          server.write('bye')
          server.connection.end()
        },
      }
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(client.text, 'bye', 'bytes')
    },
  },
  {
    name: 'ends from within onData',
    async run(world) {
      const { client, server } = await world.pair()
      server.hooks = { onData: () => server.connection.end() }
      client.hooks = { onEnd: () => client.connection.end() }
      client.write('x')
      await world.until(() => client.closed && server.closed, 'both close')
    },
  },
  {
    name: 'delivers everything that was queued before the end',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      const { bulkBytes } = world.options
      server.expectedKey = 6
      let atEnd = -1
      server.hooks = {
        onEnd() {
          atEnd = server.received
          server.connection.end()
        },
      }
      client.send(pattern(6, 0, bulkBytes))
      client.connection.end()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(atEnd, bulkBytes, 'bytes before the end')
    },
  },
  {
    name: 'delivers a queue that was stuck, then the end',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      server.expectedKey = 5
      const sent = world.fill(client, 5)
      client.connection.end()
      await world.quiet()
      world.ok(!server.ended, 'the end overtook the bytes')
      server.hooks = { onEnd: () => server.connection.end() }
      server.connection.resume()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.received, sent, 'bytes before the end')
    },
  },
  {
    name: 'closes cleanly when both end at once',
    async run(world) {
      const pair = await world.pair()
      pair.client.write('a')
      pair.server.write('b')
      await world.closeBoth(pair)
      world.equal(pair.client.text + pair.server.text, 'ba', 'bytes before the ends')
      world.ok(pair.client.ended && pair.server.ended, 'an end was not heard')
    },
  },
  {
    name: 'takes a second end for nothing',
    async run(world) {
      const pair = await world.pair()
      pair.client.connection.end()
      pair.client.connection.end()
      await world.closeBoth(pair)
      pair.client.connection.end()
      await world.quiet()
    },
  },
  {
    name: 'drops what is written after end',
    async run(world) {
      const pair = await world.pair()
      pair.client.write('in')
      pair.client.connection.end()
      pair.client.write('lost')
      pair.client.connection.writeAll([pattern(0, 0, 10)])
      await world.closeBoth(pair)
      world.equal(pair.server.text, 'in', 'bytes')
    },
  },
  {
    name: 'delivers the end after a pause',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      server.connection.pause()
      client.write('tail')
      client.connection.end()
      await world.quiet()
      server.connection.resume()
      await world.until(() => server.ended, 'the end arrives')
      world.equal(server.text, 'tail', 'bytes')
      await world.closeBoth(pair)
    },
  },
  {
    name: 'closes once and last: nothing comes after onClose',
    async run(world) {
      const pair = await world.pair()
      pair.client.write('a')
      await world.closeBoth(pair)
      // The log counts anything that comes now as a violation.
      pair.client.connection.resume()
      pair.client.write('late')
      pair.client.connection.destroy(new Error('late'))
      pair.server.connection.pause()
      pair.server.connection.end()
      await world.quiet()
      world.equal(pair.client.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'closes 200 connections, each exactly once',
    async run(world) {
      let accepted = 0
      const listener = await world.listen({
        onConnection(connection) {
          accepted += 1
          const echo = world.log(connection, {
            onData: (chunk) => void echo.send(chunk.slice()),
            onEnd: () => connection.end(),
          })
          echo.open()
        },
      })
      const logs: ConnectionLog[] = []
      for (let count = 0; count < 200; count++) {
        const log = world.log(await world.resolved(world.connect(listener.address))).open()
        log.write('x')
        log.hooks = { onData: () => log.connection.end() }
        logs.push(log)
      }
      await world.until(() => logs.every((log) => log.closed), 'all close')
      world.ok(
        logs.every((log) => log.text === 'x'),
        'an echo was lost',
      )
      world.equal(accepted, 200, 'accepted')
      await world.until(() => listener.connectionCount === 0, 'the listener counts them out')
    },
  },
]
