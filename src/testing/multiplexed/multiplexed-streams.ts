/**
 * Multiplexed properties: streams that are opened, carry bytes, and keep out of each other's way.
 */
import { pattern } from '../transport/connection-log.ts'
import type { MultiplexedProperty } from './multiplexed-world.ts'

export const multiplexedStreamProperties: readonly MultiplexedProperty[] = [
  {
    name: 'opens a stream at once, which arrives with its first byte',
    async run(world) {
      const { client, server } = await world.pair()
      const { near, far } = await world.streamPair(client, server)
      world.equal(near.connection.facts.role, 'initiating', 'role of the side that opened it')
      world.equal(far.connection.facts.role, 'accepting', 'role of the other side')
      world.equal(far.text, '!', 'bytes')
    },
  },
  {
    name: 'opens streams from both sides, each a connection of its own',
    async run(world) {
      const { client, server } = await world.pair()
      const first = await world.streamPair(client, server)
      const second = await world.streamPair(server, client)
      const third = await world.streamPair(client, server)
      const ids = [first, second, third].flatMap(({ near, far }) => [near, far])
      const distinct = new Set(ids.map(({ connection }) => connection.id))
      world.equal(distinct.size, 6, 'distinct ids')
      first.far.write('from the server')
      second.far.write('from the client')
      await world.until(() => first.near.received > 0 && second.near.received > 0, 'both arrive')
      world.equal(first.near.text, 'from the server', 'bytes')
      world.equal(second.near.text, 'from the client', 'bytes')
    },
  },
  {
    name: 'carries bulk both ways over one stream',
    async run(world) {
      const { client, server } = await world.pair()
      const { near, far } = await world.streamPair(client, server)
      const { bulkBytes } = world.options
      near.expectedKey = 1
      far.expectedKey = 2
      far.send(pattern(1, 0, bulkBytes))
      near.send(pattern(2, 0, bulkBytes))
      const arrived = (): boolean => near.received >= bulkBytes && far.received > bulkBytes
      await world.until(arrived, 'both arrive')
      world.equal(near.received, bulkBytes, 'bytes')
    },
  },
  {
    name: 'keeps the bytes of 20 streams apart',
    async run(world) {
      const { client, server } = await world.pair()
      server.onStreamHook = (log) => {
        log.hooks = { onData: (chunk) => void log.send(chunk.slice()) }
      }
      const logs = Array.from({ length: 20 }, (_, key) => {
        const log = client.stream()
        log.expectedKey = key
        return log
      })
      for (let from = 0; from < 20_000; from += 4_000) {
        for (const [key, log] of logs.entries()) log.send(pattern(key, from, 4_000))
      }
      await world.until(() => logs.every((log) => log.received >= 20_000), 'every echo arrives')
    },
  },
  {
    name: 'goes on with other streams while one is not read',
    async run(world) {
      const { client, server } = await world.pair()
      const stuck = await world.streamPair(client, server)
      stuck.far.connection.pause()
      // False may only mean that it leaves in a later turn: until nothing drains any more.
      let sent = 0
      for (let drains = -1; drains !== stuck.near.drains; await world.quiet()) {
        drains = stuck.near.drains
        while (stuck.near.send(pattern(0, 0, 16_384))) {
          sent += 16_384
          world.ok(sent < MAX_PRESSURE_BYTES, 'write never said false')
        }
      }
      const other = await world.streamPair(client, server)
      other.far.expectedKey = 3
      other.near.send(pattern(3, 0, 50_000))
      await world.until(() => other.far.received >= 50_001, 'the other stream goes on')
      const { drains } = stuck.near
      stuck.far.connection.resume()
      await world.until(() => stuck.near.drains > drains, 'the stuck stream drains')
    },
  },
  {
    name: 'pauses one stream and delivers nothing of it until it resumes',
    async run(world) {
      const { client, server } = await world.pair()
      const { near, far } = await world.streamPair(client, server)
      far.connection.pause()
      near.write('later')
      await world.quiet()
      world.equal(far.text, '!', 'bytes while paused')
      far.connection.resume()
      await world.until(() => far.received === 6, 'the rest arrives')
    },
  },
  {
    name: 'half-closes a stream, and the other direction goes on',
    async run(world) {
      const { client, server } = await world.pair()
      const pair = await world.streamPair(client, server)
      const { near, far } = pair
      near.connection.end()
      await world.until(() => far.ended, 'the end arrives')
      world.ok(!near.closed && !far.closed, 'one end closed both')
      far.write('answer')
      await world.until(() => near.received === 6, 'the answer arrives after the end')
      await world.closeStream(pair)
      world.ok(!client.closed && !server.closed, 'the connection closed with its stream')
    },
  },
  {
    name: 'destroys one stream: its other end hears it, the connection goes on',
    async run(world) {
      const { client, server } = await world.pair()
      const { near, far } = await world.streamPair(client, server)
      const reason = new Error('mine')
      near.connection.destroy(reason)
      await world.until(() => near.closed, 'it closes')
      world.equal(near.closeReason, reason, 'reason')
      await world.until(() => far.closed || far.ended, 'the other end hears it')
      far.connection.end()
      await world.until(() => far.closed, 'the other end closes')
      const next = await world.streamPair(client, server)
      await world.closeStream(next)
    },
  },
  {
    name: 'counts streams in and out',
    async run(world) {
      const { client, server } = await world.pair()
      world.equal(client.connection.streamCount, 0, 'streams before')
      const first = await world.streamPair(client, server)
      const second = await world.streamPair(server, client)
      world.equal(client.connection.streamCount, 2, 'streams of the client')
      world.equal(server.connection.streamCount, 2, 'streams of the server')
      await world.closeStream(first)
      await world.closeStream(second)
      const none = (): boolean =>
        client.connection.streamCount === 0 && server.connection.streamCount === 0
      await world.until(none, 'both count none')
    },
  },
  {
    name: 'opens and closes 100 streams one after the other',
    async run(world) {
      const { client, server } = await world.pair()
      server.onStreamHook = (log) => {
        log.hooks = { onEnd: () => log.connection.end() }
      }
      for (let count = 0; count < 100; count++) {
        const log = client.stream()
        log.write('x')
        log.connection.end()
        await world.until(() => log.closed, `stream ${count} closes`)
        world.equal(log.closeReason, undefined, 'reason')
      }
      await world.until(() => server.connection.streamCount === 0, 'the server counts none')
      world.equal(server.streams.length, 100, 'streams at the server')
    },
  },
  {
    name: 'opens streams until there are no more, and says when there are again',
    async run(world) {
      const { client, server } = await world.pair()
      server.onStreamHook = (log) => {
        log.hooks = { onEnd: () => log.connection.end() }
      }
      let last = client.tryStream()
      const opened = []
      while (last !== undefined && opened.length < world.options.maxStreams) {
        last.write('x')
        opened.push(last)
        last = client.tryStream()
      }
      world.ok(opened.length > 0, 'no stream at all')
      if (last !== undefined) return // more than a test can try
      world.equal(client.connection.openableStreams, 0, 'openableStreams')
      for (const log of opened) log.connection.end()
      await world.until(() => client.availables > 0, 'onStreamsAvailable')
      world.ok(client.connection.openableStreams > 0, 'openableStreams is 0')
      world.ok(client.tryStream() !== undefined, 'no stream after onStreamsAvailable')
    },
  },
  {
    name: 'takes an urgency of 0 to 7, and no other',
    async run(world) {
      const { client, server } = await world.pair()
      for (const urgency of [0, 7]) client.stream({ urgency }).write('x')
      await world.until(() => server.streams.length === 2, 'both arrive')
      for (const urgency of [-1, 8, 1.5]) {
        let code: string | undefined
        try {
          client.tryStream({ urgency })
        } catch (error) {
          code = (error as { code?: string }).code
        }
        world.equal(code, 'ERR_OPTION_RANGE', `code for urgency ${urgency}`)
      }
    },
  },
  {
    name: 'carries bytes one way over a unidirectional stream',
    needs: 'unidirectional',
    async run(world) {
      const { client, server } = await world.pair()
      const near = client.stream({ direction: 'unidirectional' })
      near.write('one way')
      await world.until(() => server.streams[0]?.received === 7, 'it arrives')
      const far = server.streams[0]
      far?.write('lost')
      near.connection.end()
      await world.until(() => far?.ended === true, 'the end arrives')
      await world.until(() => near.closed, 'the stream closes here')
      world.equal(near.received, 0, 'bytes the wrong way')
      far?.connection.end()
      await world.until(() => far?.closed === true, 'the stream closes there')
    },
  },
  {
    name: 'refuses a unidirectional stream: ERR_OPTION_UNSUPPORTED',
    needs: 'bidirectional only',
    async run(world) {
      const { client } = await world.pair()
      let code: string | undefined
      try {
        client.tryStream({ direction: 'unidirectional' })
      } catch (error) {
        code = (error as { code?: string }).code
      }
      world.equal(code, 'ERR_OPTION_UNSUPPORTED', 'code')
    },
  },
]

const MAX_PRESSURE_BYTES = 64 * 1024 * 1024
