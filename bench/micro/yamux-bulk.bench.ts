/**
 * A mebibyte in one direction over streams of one yamux connection over TCP, in pieces of 16 KiB and
 * of 64 bytes, in this process: ours against `@chainsafe/libp2p-yamux`. An operation is a mebibyte.
 */
import { yamux as libp2pYamux } from '@chainsafe/libp2p-yamux'
import type { MultiaddrConnection, Stream, Upgrader } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { tcp as libp2pTcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { ip } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import { yamux } from '../../src/links/yamux/yamux.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const MEBIBYTE = 1_048_576

/** Counts what has arrived, over all streams. */
class Arrivals {
  #left = 0
  #done: (() => void) | undefined

  expect(bytes: number): Promise<void> {
    this.#left = bytes
    return new Promise((resolve) => {
      this.#done = resolve
    })
  }

  add(bytes: number): void {
    this.#left -= bytes
    if (this.#left <= 0) this.#done?.()
  }
}

async function ours(streams: number, bytes: number): Promise<Variant> {
  const piece = new Uint8Array(bytes).fill(7)
  const arrivals = new Arrivals()
  const ignored = { onDrain() {}, onEnd() {}, onClose() {} }
  const transport = yamux(tcp())
  const listener = await transport.listen(ip('127.0.0.1', 0), {
    onConnection: (connection) =>
      connection.open({
        onStream: (one) => one.open({ ...ignored, onData: (chunk) => arrivals.add(chunk.length) }),
        onStreamsAvailable() {},
        onClose() {},
      }),
  })
  const near = await transport.connect(listener.address)
  near.open({ onStream() {}, onStreamsAvailable() {}, onClose() {} })
  const writers = Array.from({ length: streams }, () => {
    const stream = near.openStream() as Connection
    let left = 0
    const pump = (): void => {
      while (left > 0) {
        left -= 1
        if (!stream.write(piece)) return
      }
    }
    stream.open({ ...ignored, onData() {}, onDrain: pump })
    return (count: number): void => {
      left += count
      pump()
    }
  })
  return {
    async run(count) {
      const pieces = Math.ceil((count * MEBIBYTE) / bytes / streams)
      const all = arrivals.expect(pieces * streams * bytes)
      for (const write of writers) write(pieces)
      await all
    },
    async close() {
      near.destroy()
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

async function theirs(streams: number, bytes: number): Promise<Variant> {
  const piece = new Uint8Array(bytes).fill(7)
  const arrivals = new Arrivals()
  const muxers = libp2pYamux({ enableKeepAlive: false })()
  const upgrader = {
    upgradeOutbound: async (connection: MultiaddrConnection) => connection,
    upgradeInbound: async (connection: MultiaddrConnection) => {
      const muxer = muxers.createStreamMuxer(connection)
      muxer.addEventListener('stream', ({ detail }) => {
        detail.addEventListener('message', ({ data }) => arrivals.add(data.byteLength))
      })
    },
    createInboundAbortSignal: (signal: AbortSignal) => signal,
  } as unknown as Upgrader
  const transport = libp2pTcp()({ logger: defaultLogger() })
  const server = transport.createListener({ upgrader })
  await server.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const port = server.getAddrs()[0]?.toString().split('/').at(-1)
  const options = { upgrader, signal: new AbortController().signal }
  const carrier = await transport.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`), options)
  const muxer = muxers.createStreamMuxer(carrier as unknown as MultiaddrConnection)
  const opened: Stream[] = []
  for (let count = 0; count < streams; count++) opened.push(await muxer.createStream())
  return {
    async run(count) {
      const pieces = Math.ceil((count * MEBIBYTE) / bytes / streams)
      const all = arrivals.expect(pieces * streams * bytes)
      const writing = opened.map(async (stream) => {
        for (let sent = 0; sent < pieces; sent++) if (!stream.send(piece)) await stream.onDrain()
      })
      await Promise.all([all, ...writing])
    },
    async close() {
      muxer.abort(new Error('done'))
      await server.close()
    },
  }
}

export const benchmark: Benchmark = {
  about: 'a mebibyte one way over streams of a yamux connection over TCP',
  variants: {
    'heddle, 1 stream': () => ours(1, 16_384),
    'libp2p-yamux, 1 stream': () => theirs(1, 16_384),
    'heddle, 64 streams': () => ours(64, 16_384),
    'libp2p-yamux, 64 streams': () => theirs(64, 16_384),
    'heddle, messages of 64 B': () => ours(1, 64),
    'libp2p-yamux, messages of 64 B': () => theirs(1, 64),
  },
}
