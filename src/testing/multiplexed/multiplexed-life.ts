/**
 * Multiplexed properties: how connections come and go, and what their streams hear of it.
 */
import { HeddleError, TimeoutError } from '../../core/errors.ts'
import { pattern } from '../transport/connection-log.ts'
import type { MultiplexedProperty } from './multiplexed-world.ts'

export const multiplexedLifeProperties: readonly MultiplexedProperty[] = [
  {
    name: 'connects and accepts, each side in its role, with what is known of it',
    async run(world) {
      const { client, server } = await world.pair()
      world.equal(client.connection.facts.role, 'initiating', 'role of the connecting side')
      world.equal(server.connection.facts.role, 'accepting', 'role of the listening side')
      const { name } = world.fixture.transport
      world.equal(client.connection.facts.transport, name, 'facts.transport')
      const stream = client.stream()
      world.equal(stream.connection.facts.transport, name, 'facts.transport of a stream')
      world.ok(client.connection.openableStreams >= 0, 'openableStreams is no number')
    },
  },
  {
    name: 'opens once',
    async run(world) {
      const { client } = await world.pair()
      let code: string | undefined
      try {
        client.connection.open(client)
      } catch (error) {
        code = (error as { code?: string }).code
      }
      world.equal(code, 'ERR_ALREADY_OPEN', 'code')
    },
  },
  {
    name: 'does not connect with a signal that is aborted already, nor after its deadline',
    async run(world) {
      const listener = await world.listen()
      const reason = new Error('before')
      const signal = AbortSignal.abort(reason)
      const aborted = await world.rejected(world.connect(listener.address, { signal }), 'connect')
      world.equal(aborted, reason, 'rejection')
      const deadline = world.fixture.clock.now() - 1
      const late = await world.rejected(world.connect(listener.address, { deadline }), 'connect')
      world.ok(late instanceof TimeoutError, `rejected with ${String(late)}`)
    },
  },
  {
    name: 'keeps streams of the peer until it is opened',
    async run(world) {
      const { client, server } = await world.rawPair()
      client.open()
      client.stream().write('early')
      await world.quiet()
      world.equal(server.streams.length, 0, 'streams before open')
      server.open()
      await world.until(() => server.streams[0]?.received === 5, 'it arrives')
    },
  },
  {
    name: 'closes at once without streams, on both sides',
    async run(world) {
      const { client, server } = await world.pair()
      await world.resolved(client.connection.close())
      await world.until(() => client.closed && server.closed, 'both close')
      world.equal(client.closeReason, undefined, 'reason')
      world.equal(client.connection.openableStreams, 0, 'openableStreams')
      world.equal(client.tryStream(), undefined, 'a stream after the close')
      await world.resolved(client.connection.close())
    },
  },
  {
    name: 'closes when the last stream has ended, and takes no new one meanwhile',
    async run(world) {
      const { client, server } = await world.pair()
      const pair = await world.streamPair(client, server)
      let closed = false
      const closing = client.connection.close().then(() => {
        closed = true
      })
      await world.quiet()
      world.ok(!closed && !client.closed, 'closed over an open stream')
      world.equal(client.tryStream(), undefined, 'a stream of one’s own while closing')
      world.equal(client.connection.openableStreams, 0, 'openableStreams')
      pair.near.write('goes on')
      await world.until(() => pair.far.received === 8, 'the stream goes on')
      await world.closeStream(pair)
      await world.resolved(closing)
      await world.until(() => server.closed, 'the other side closes')
      world.equal(client.closeReason, undefined, 'reason')
    },
  },
  {
    name: 'destroys what is left when the signal of close aborts',
    async run(world) {
      const { client, server } = await world.pair()
      const { near } = await world.streamPair(client, server)
      const controller = new AbortController()
      const closing = client.connection.close({ signal: controller.signal })
      await world.quiet()
      world.ok(!near.closed, 'closed before the abort')
      controller.abort()
      await world.resolved(closing)
      await world.until(() => near.closed && client.closed && server.closed, 'all close')
    },
  },
  {
    name: 'destroys with its reason, once; every stream hears a close before',
    async run(world) {
      const { client, server } = await world.pair()
      const streams = [
        await world.streamPair(client, server),
        await world.streamPair(server, client),
      ]
      client.stream().write('x')
      const reason = new Error('mine')
      client.connection.destroy(reason)
      client.connection.destroy(new Error('second'))
      await world.until(() => client.closed, 'it closes')
      world.equal(client.closeReason, reason, 'reason')
      world.ok(
        client.all.every((log) => log.closed && log.closeReason !== undefined),
        'a stream was not told, or told that it closed cleanly',
      )
      await world.until(() => server.closed, 'the other side closes')
      const { closeReason } = streams[0]?.far ?? {}
      world.ok(closeReason instanceof HeddleError, `reason there: ${String(closeReason)}`)
    },
  },
  {
    name: 'closes streams with bytes that nobody read, when the peer is destroyed',
    async run(world) {
      const { client, server } = await world.pair()
      const { near, far } = await world.streamPair(client, server)
      far.connection.pause()
      near.send(pattern(0, 0, 100_000))
      await world.quiet()
      client.connection.destroy()
      await world.until(() => server.closed && far.closed, 'the other side closes')
      world.ok(far.closeReason !== undefined, 'a cut stream closed cleanly')
    },
  },
  {
    name: 'opens no stream from within onClose',
    async run(world) {
      const { client } = await world.pair()
      let opened: unknown = 'nothing'
      client.onCloseHook = () => {
        opened = client.connection.openStream()
      }
      client.connection.destroy()
      await world.until(() => client.closed, 'it closes')
      world.equal(opened, undefined, 'a stream')
    },
  },
  {
    name: 'opens a stream from within onStream, and destroys one there',
    async run(world) {
      const { client, server } = await world.pair()
      server.onStreamHook = (log) => {
        log.connection.destroy()
        if (server.streams.length === 1) server.stream().write('back')
      }
      client.stream().write('x')
      await world.until(() => client.streams[0]?.received === 4, 'the stream back arrives')
      await world.until(() => client.all[0]?.closed === true, 'the destroyed one closes')
    },
  },
  {
    name: 'leaves the connection when it is destroyed inside onData of a stream',
    async run(world) {
      const { client, server } = await world.pair()
      server.onStreamHook = (log) => {
        log.hooks = { onData: () => server.connection.destroy(new Error('enough')) }
      }
      for (let count = 0; count < 5; count++) client.stream().write('x')
      await world.until(() => client.closed && server.closed, 'both close')
    },
  },
  {
    name: 'counts connections at the listener, which waits for them',
    async run(world) {
      const { client, server, listener } = await world.pair()
      world.equal(listener.connectionCount, 1, 'connections')
      let closed = false
      const closing = listener.close().then(() => {
        closed = true
      })
      await world.quiet()
      world.ok(!closed, 'closed over an open connection')
      await world.closeStream(await world.streamPair(client, server))
      await world.resolved(client.connection.close())
      await world.resolved(closing)
      world.equal(listener.connectionCount, 0, 'connections')
    },
  },
  {
    name: 'destroys connections when the signal of the listener’s close aborts',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const { near } = await world.streamPair(client, server)
      await world.resolved(listener.close({ signal: AbortSignal.abort() }))
      await world.until(() => server.closed && client.closed && near.closed, 'all close')
    },
  },
]
