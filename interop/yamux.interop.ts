/**
 * yamux against `@chainsafe/libp2p-yamux` over TCP, each as client and as server: many streams at once,
 * more than their windows, half-closes, resets, pings and go away.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { yamux as libp2pYamux } from '@chainsafe/libp2p-yamux'
import type { MultiaddrConnection, Stream, Upgrader } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { tcp as libp2pTcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { ip } from '../src/core/address.ts'
import type { Connection } from '../src/core/connection.ts'
import type { MultiplexedConnection } from '../src/core/multiplexed-connection.ts'
import { yamux } from '../src/links/yamux/yamux.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'

const STREAMS = 6
const BYTES = 600_000 // more than two windows

/** Sends back what comes, and ends when the other side does. */
function echoHere(stream: Connection): void {
  let blocked = false
  stream.open({
    onData(chunk) {
      if (stream.write(chunk.slice())) return
      blocked = true
      stream.pause()
    },
    onDrain() {
      if (blocked) stream.resume()
      blocked = false
    },
    onEnd: () => stream.end(),
    onClose() {},
  })
}

/**
 * Its end is known by the number of bytes: `remoteCloseWrite`, and iteration with it, may come before
 * the last message.
 */
async function echoThere(stream: Stream): Promise<void> {
  const bytes = await readThere(stream)
  await writeThere(stream, bytes)
}

function readThere(stream: Stream): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const heard: Uint8Array[] = []
    let length = 0
    stream.addEventListener('message', ({ data }) => {
      heard.push(data.subarray().slice())
      length += data.byteLength
      if (length === BYTES) resolve(Buffer.concat(heard))
    })
    stream.addEventListener('close', ({ error }) => error !== undefined && reject(error))
  })
}

async function writeThere(stream: Stream, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += 32_768) {
    if (!stream.send(bytes.subarray(at, at + 32_768))) await stream.onDrain()
  }
  await stream.close()
}

function pattern(key: number): Uint8Array {
  return Uint8Array.from({ length: BYTES }, (_, at) => (key * 31 + at * 7 + (at >> 8)) & 0xff)
}

/** What came back, when it has ended. */
function askHere(stream: Connection, bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const heard: Uint8Array[] = []
    stream.open({
      onData: (chunk) => void heard.push(chunk.slice()),
      onDrain() {},
      onEnd() {},
      onClose: (reason) => (reason === undefined ? resolve(Buffer.concat(heard)) : reject(reason)),
    })
    stream.write(bytes)
    stream.end()
  })
}

async function askThere(stream: Stream, bytes: Uint8Array): Promise<Uint8Array> {
  const reading = readThere(stream)
  await writeThere(stream, bytes)
  return await reading
}

/** The transport of js-libp2p without its handshakes: connections come as they are. */
function libp2p(onInbound: (connection: MultiaddrConnection) => void = () => {}) {
  const upgrader = {
    upgradeOutbound: async (connection: MultiaddrConnection) => connection,
    upgradeInbound: async (connection: MultiaddrConnection) => onInbound(connection),
    createInboundAbortSignal: (signal: AbortSignal) => signal,
  } as unknown as Upgrader
  return { transport: libp2pTcp()({ logger: defaultLogger() }), upgrader }
}

const muxers = libp2pYamux({ enableKeepAlive: false })()
type YamuxMuxer = ReturnType<(typeof muxers)['createStreamMuxer']> & { ping(): Promise<number> }

test('libp2p opens streams, heddle answers', async () => {
  const accepted: MultiplexedConnection[] = []
  const listener = await yamux(tcp()).listen(ip('127.0.0.1', 0), {
    onConnection(connection) {
      accepted.push(connection)
      connection.open({ onStream: echoHere, onStreamsAvailable() {}, onClose() {} })
    },
  })
  if (listener.address.kind !== 'ip') return assert.fail('TCP listens on an IP address')
  const { transport, upgrader } = libp2p()
  const to = multiaddr(`/ip4/127.0.0.1/tcp/${listener.address.port}`)
  const options = { upgrader, signal: AbortSignal.timeout(30_000) }
  const carrier = (await transport.dial(to, options)) as unknown as MultiaddrConnection
  const muxer = muxers.createStreamMuxer(carrier) as YamuxMuxer
  const answers = Array.from({ length: STREAMS }, async (_, key) => {
    const stream = await muxer.createStream()
    assert.deepEqual(await askThere(stream, pattern(key)), Buffer.from(pattern(key)))
  })
  await Promise.all(answers)
  assert.ok((await muxer.ping()) >= 0)
  const reset = await muxer.createStream()
  reset.send(Uint8Array.of(1))
  reset.abort(new Error('enough'))
  assert.ok((await muxer.ping()) >= 0, 'a reset of one stream ended the connection')
  assert.equal(accepted[0]?.streamCount, 0)
  const closing = accepted[0]?.close()
  await muxer.close()
  await closing
  await listener.close()
})

test('heddle opens streams, libp2p answers', async () => {
  const inbound = Promise.withResolvers<YamuxMuxer>()
  const { transport, upgrader } = libp2p((carrier) => {
    const muxer = muxers.createStreamMuxer(carrier) as YamuxMuxer
    muxer.addEventListener('stream', ({ detail }: CustomEvent<Stream>) => {
      echoThere(detail).catch((error: Error) => detail.abort(error))
    })
    inbound.resolve(muxer)
  })
  const server = transport.createListener({ upgrader })
  await server.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const port = Number(server.getAddrs()[0]?.toString().split('/').at(-1))
  const connection = await yamux(tcp()).connect(ip('127.0.0.1', port))
  const closed = Promise.withResolvers<Error | undefined>()
  connection.open({ onStream() {}, onStreamsAvailable() {}, onClose: closed.resolve })
  const answers = Array.from({ length: STREAMS }, async (_, key) => {
    const stream = connection.openStream() as Connection
    assert.deepEqual(await askHere(stream, pattern(key)), Buffer.from(pattern(key)))
  })
  await Promise.all(answers)
  const muxer = await inbound.promise
  assert.ok((await muxer.ping()) >= 0)
  assert.equal(connection.streamCount, 0)
  await Promise.all([connection.close(), muxer.close()])
  assert.equal(await closed.promise, undefined)
  await server.close()
})
