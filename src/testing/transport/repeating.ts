/**
 * Transport properties: calls made twice, too early, too late or out of order, and the order of what
 * is heard of them.
 */
import { type ConnectionLog, pattern } from './connection-log.ts'
import type { TransportProperty, TransportWorld } from './transport-world.ts'

export const repeatingProperties: readonly TransportProperty[] = [
  {
    name: 'resumes without a pause as if nothing was',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.resume()
      server.connection.resume()
      client.write('x')
      await world.until(() => server.received === 1, 'it arrives')
      server.connection.resume()
      await world.quiet()
      world.equal(server.text, 'x', 'bytes')
    },
  },
  {
    name: 'pauses, resumes and pauses within one turn: it is paused',
    async run(world) {
      const { client, server } = await world.pair()
      await world.quiet()
      server.connection.pause()
      server.connection.resume()
      server.connection.pause()
      await world.quiet()
      client.write('x')
      await world.quiet()
      world.equal(server.received, 0, 'bytes while paused')
      server.connection.resume()
      await world.until(() => server.received === 1, 'it arrives')
    },
  },
  {
    name: 'ends twice while bytes wait: one end, behind them',
    async run(world) {
      const { client, server } = await world.pair()
      server.expectedKey = 3
      server.connection.pause()
      const sent = world.fill(client, 3)
      client.connection.end()
      client.connection.end()
      client.send(pattern(0, 0, 10))
      server.hooks = { onEnd: () => server.connection.end() }
      server.connection.resume()
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(server.received, sent, 'bytes before the end')
    },
  },
  {
    name: 'destroys after end with bytes waiting: it closes now, with its reason',
    async run(world) {
      const { client, server } = await world.pair()
      server.connection.pause()
      const sent = await world.fillUntilStuck(client, 1)
      client.connection.end()
      const reason = new Error('no longer')
      client.connection.destroy(reason)
      await world.until(() => client.closed, 'it closes')
      world.equal(client.closeReason, reason, 'reason')
      server.connection.resume()
      await world.until(() => server.closed || server.ended, 'the other side hears of it')
      world.ok(server.received < sent, 'nothing was lost: the property shows nothing')
    },
  },
  {
    name: 'ends after destroy without losing the reason',
    async run(world) {
      const { client } = await world.pair()
      const reason = new Error('mine')
      client.connection.destroy(reason)
      client.connection.end()
      client.connection.destroy()
      await world.until(() => client.closed, 'it closes')
      world.equal(client.closeReason, reason, 'reason')
    },
  },
  {
    name: 'has nothing waiting after the close, however it came',
    async run(world) {
      const clean = await world.pair()
      clean.client.write('x')
      await world.closeBoth(clean)
      await world.resolved(clean.listener.close())
      const broken = await world.pair()
      broken.server.connection.pause()
      world.fill(broken.client, 1)
      broken.client.connection.destroy()
      await world.until(() => broken.client.closed, 'it closes')
      for (const { connection } of [clean.client, clean.server, broken.client]) {
        connection.write(pattern(0, 0, 100))
        world.equal(connection.writableLength, 0, 'writableLength')
        world.equal(connection.unsentLength ?? 0, 0, 'unsentLength')
      }
    },
  },
  {
    name: 'says false to what is written after end, and queues nothing of it',
    async run(world) {
      const pair = await world.pair()
      const { client } = pair
      client.connection.end()
      const waiting = client.connection.writableLength // a close frame, where an end is one
      world.equal(client.send(pattern(0, 0, 1_000)), false, 'write after end')
      world.equal(client.connection.writeAll([pattern(0, 0, 1_000)]), false, 'writeAll after end')
      world.equal(client.connection.writableLength, waiting, 'writableLength')
      await world.closeBoth(pair)
      world.equal(pair.server.received, 0, 'bytes')
    },
  },
  {
    name: 'can be told at any time whether to keep the process alive',
    async run(world) {
      const pair = await world.rawPair()
      const { client, server, listener } = pair
      const turnOver = (): void => {
        for (const { connection } of [client, server]) {
          connection.unref()
          connection.unref()
          connection.ref()
        }
      }
      turnOver() // before open
      client.open()
      server.open()
      server.connection.pause()
      turnOver() // paused
      server.connection.resume()
      client.write('x')
      await world.until(() => server.received === 1, 'it arrives')
      client.connection.end()
      turnOver() // half-closed, or closing
      await world.closeBoth(pair)
      turnOver() // closed
      await world.resolved(listener.close())
      listener.unref()
      listener.ref()
    },
  },
  {
    name: 'cannot be opened by another handler while it has one, and goes on with that one',
    async run(world) {
      const { client, server } = await world.pair()
      const other = world.log(server.connection)
      let code: string | undefined
      try {
        other.open()
      } catch (error) {
        code = (error as { code?: string }).code
      }
      world.equal(code, 'ERR_ALREADY_OPEN', 'code')
      client.write('x')
      await world.until(() => server.received === 1, 'it arrives at the first handler')
      world.equal(other.received, 0, 'bytes at the other')
    },
  },
  {
    name: 'cannot be opened again when its close was heard: ERR_STATE',
    async run(world) {
      const pair = await world.pair()
      await world.closeBoth(pair)
      for (const log of [pair.client, pair.server]) {
        let code: string | undefined
        try {
          log.connection.open(world.log(log.connection))
        } catch (error) {
          code = (error as { code?: string }).code
        }
        const stated = code === 'ERR_STATE' || code === 'ERR_ALREADY_OPEN'
        world.ok(stated, `open after the close: ${code ?? 'accepted'}`)
      }
    },
  },
  {
    name: 'tells both ends data, then the end, then the close',
    async run(world) {
      const pair = await world.pair()
      const heard = [pair.client, pair.server].map(noteOrder)
      pair.client.write('to the server')
      pair.server.write('to the client')
      await world.closeBoth(pair)
      for (const [index, order] of heard.entries()) {
        const what = index === 0 ? 'order at the client' : 'order at the server'
        world.equal(order.join(' '), 'data end close', what)
      }
    },
  },
  {
    name: 'closes the side that ended first no sooner than its peer has ended',
    needs: 'halfClose',
    async run(world) {
      for (const first of ['client', 'server'] as const) {
        const pair = await world.pair()
        const second = first === 'client' ? 'server' : 'client'
        pair[first].connection.end()
        await world.until(() => pair[second].ended, 'the end arrives')
        await world.quiet()
        world.ok(!pair[first].closed, `the ${first}, which ended first, closed before its peer`)
        pair[second].write('after your end')
        pair[second].connection.end()
        await bothClosed(world, [pair.client, pair.server])
        world.equal(pair[first].text, 'after your end', `bytes at the ${first}`)
        await world.resolved(pair.listener.close())
      }
    },
  },
]

async function bothClosed(world: TransportWorld, logs: readonly ConnectionLog[]): Promise<void> {
  await world.until(() => logs.every((log) => log.closed), 'both close')
  for (const log of logs) world.equal(log.closeReason, undefined, 'reason of a clean close')
}

/** What a handler hears, each kind once. */
function noteOrder(log: ConnectionLog): string[] {
  const order: string[] = []
  log.hooks = {
    onData: () => {
      if (!order.includes('data')) order.push('data')
    },
    onEnd: () => void order.push('end'),
    onClose: () => void order.push('close'),
  }
  return order
}
