/**
 * What idle connections of one kind cost, in a process of its own: `micro/idle-memory.bench.ts`
 * starts it with a kind and how many to open, and gets the figures as a message.
 *
 * Both ends of a connection are in this process and each has carried a message; garbage is collected
 * before both readings. Of gRPC it is the client's channel alone: the server is another process.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceClientConstructor } from '@grpc/grpc-js'
import { type Address, memory as inMemory, ip, unix as unixAddress } from '../src/core/address.ts'
import type { Connection } from '../src/core/connection.ts'
import type { Transport } from '../src/core/transport.ts'
import { systemClock } from '../src/platform/system-clock.ts'

/** Bytes for each connection. */
export interface IdleFigures {
  /** What the engine's heap grew by, and buffers outside of it. */
  readonly heap: number
  /** What the process grew by: libraries, TLS and pages too. */
  readonly rss: number
}

/** Makes one more, which has carried a message when it is there. */
type Open = () => Promise<unknown>

const LOOPBACK = ip('127.0.0.1', 0)

const KINDS: Readonly<Record<string, (serverPort: number) => Promise<Open>>> = {
  async tcp() {
    const { tcp } = await import('../src/transports/tcp/tcp.ts')
    return echoed(tcp(), tcp(), LOOPBACK)
  },
  async unix() {
    const { unix } = await import('../src/transports/unix/unix.ts')
    const folder = mkdtempSync(join(tmpdir(), 'heddle-idle-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    return echoed(unix(), unix(), unixAddress(join(folder, 's')))
  },
  async memory() {
    const { memory } = await import('../src/transports/memory/memory-transport.ts')
    const transport = memory({ clock: systemClock })
    return echoed(transport, transport, inMemory('idle'))
  },
  async tls() {
    const { tls } = await import('../src/transports/tls/tls.ts')
    const { credentials, ca } = await certificates()
    return echoed(tls({ credentials }), tls({ ca, serverName: 'localhost' }), LOOPBACK)
  },
  async websocket() {
    const { webSocket } = await import('../src/links/websocket/websocket.ts')
    const { byteStream } = await import('../src/links/byte-stream/byte-stream.ts')
    return echoed(byteStream(webSocket()), byteStream(webSocket()), LOOPBACK)
  },
  async 'yamux stream'() {
    const { yamuxStreams } = await import('../src/links/yamux/yamux-streams.ts')
    const { tcp } = await import('../src/transports/tcp/tcp.ts')
    return echoed(yamuxStreams(tcp()), yamuxStreams(tcp()), LOOPBACK)
  },
  async 'sealed tcp'() {
    const { sealed } = await import('../src/links/sealed/sealed.ts')
    const { tcp } = await import('../src/transports/tcp/tcp.ts')
    const keys = [{ id: 'idle', key: new Uint8Array(32).fill(7) }]
    return echoed(sealed(tcp(), { keys }), sealed(tcp(), { keys }), LOOPBACK)
  },
  async 'compressed tcp'() {
    const { compressed } = await import('../src/links/compressed/compressed.ts')
    const { tcp } = await import('../src/transports/tcp/tcp.ts')
    return echoed(compressed(tcp()), compressed(tcp()), LOOPBACK)
  },
  async 'quic connection'() {
    const { quic } = await import('../src/transports/quic/quic.ts')
    const { credentials, ca } = await certificates()
    const handler = { onStreamsAvailable() {}, onClose: fail }
    const accepted: unknown[] = []
    const listener = await quic({ credentials, alpn: ['idle'] }).listen(LOOPBACK, {
      onConnection(connection) {
        accepted.push(connection)
        connection.open({ ...handler, onStream: echo })
      },
    })
    const client = quic({ ca, alpn: ['idle'], serverName: 'localhost' })
    return async () => {
      const connection = await client.connect(listener.address)
      connection.open({ ...handler, onStream: fail })
      const stream = connection.openStream()
      if (stream === undefined) throw new Error('no stream')
      await asked(stream)
      stream.end()
      return [connection, accepted]
    }
  },
  async 'quic stream'() {
    const { quicStreams } = await import('../src/transports/quic/quic-streams.ts')
    const { credentials, ca } = await certificates()
    const client = quicStreams({ ca, alpn: ['idle'], serverName: 'localhost' })
    return echoed(quicStreams({ credentials, alpn: ['idle'] }), client, LOOPBACK)
  },
  async webrtc() {
    const { byteStream } = await import('../src/links/byte-stream/byte-stream.ts')
    const { webRtc } = await import('../src/transports/webrtc/webrtc.ts')
    const { webRtcAddress } = await import('../src/transports/webrtc/webrtc-address.ts')
    const { memorySignalling } = await import('../src/links/webrtc-signalling/memory-signalling.ts')
    const options = { signalling: memorySignalling(), bindAddress: '127.0.0.1' }
    const transport = byteStream(webRtc(options))
    return echoed(transport, transport, webRtcAddress('0'))
  },
  async 'udp socket'() {
    const { udp } = await import('../src/transports/udp/udp.ts')
    const server = await udp().bind(LOOPBACK)
    const ignored = { onError() {}, onClose() {} }
    server.open({ ...ignored, onDatagram: (payload, from) => void server.send(payload, from) })
    return async () => {
      const socket = await udp().connect(server.address)
      await new Promise<void>((resolve) => {
        socket.open({ ...ignored, onDatagram: () => resolve() })
        socket.send(ONE_BYTE)
      })
      return socket
    }
  },
  async 'grpc channel'(port) {
    const { grpcClient } = await import('../src/doors/grpc.ts')
    const { Echo } = await import('../test/fixtures/echo/echo_pb.ts')
    return async () => {
      const client = grpcClient(Echo, `http://127.0.0.1:${port}`)
      await client.say({ text: 'x' })
      return client
    }
  },
  async 'grpc-js channel'(port) {
    const { default: grpc } = await import('@grpc/grpc-js')
    const { loadSync } = await import('@grpc/proto-loader')
    const proto = join(import.meta.dirname, '../test/fixtures/echo/echo.proto')
    const { heddle } = grpc.loadPackageDefinition(loadSync(proto)) as unknown as {
      heddle: { echo: { v1: { Echo: ServiceClientConstructor } } }
    }
    // Otherwise all clients of an address share one connection, and with it its cost.
    const options = { 'grpc.use_local_subchannel_pool': 1 }
    return () => {
      const { Echo } = heddle.echo.v1
      const client = new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options)
      return new Promise((resolve, reject) => {
        client['Say']?.({ text: 'x' }, (error: Error | null) => {
          if (error) reject(error)
          else resolve(client)
        })
      })
    }
  },
}

async function certificates() {
  const { createDevCertificate } = await import('../src/security/dev-certificate.ts')
  const { certificate, key, ca } = await createDevCertificate(systemClock)
  return { credentials: { certificate, key }, ca }
}

/** Both ends in this process. */
async function echoed(server: Transport, client: Transport, address: Address): Promise<Open> {
  const accepted: Connection[] = []
  const listener = await server.listen(address, {
    onConnection(connection) {
      accepted.push(connection)
      echo(connection)
    },
  })
  return async () => {
    const connection = await client.connect(listener.address)
    await asked(connection)
    return [connection, accepted]
  }
}

function echo(connection: Connection): void {
  connection.open({
    onData: (chunk) => void connection.write(chunk.slice()),
    onDrain() {},
    onEnd: () => connection.end(),
    onClose: fail,
  })
}

/** Resolves when a byte has come back. */
function asked(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    const onData = (): void => resolve()
    connection.open({ onData, onDrain() {}, onEnd() {}, onClose: fail })
    connection.write(ONE_BYTE)
  })
}

/** Nothing may end before it was measured. */
function fail(reason?: unknown): void {
  if (reason !== undefined) throw reason
}

async function measure(kind: string, count: number, serverPort: number): Promise<IdleFigures> {
  const make = KINDS[kind]
  if (make === undefined) throw new Error(`no such kind: ${kind}`)
  const open = await make(serverPort)
  const kept: unknown[] = []
  // The first ones load code and compile it.
  for (let left = WARM_UP; left > 0; left--) kept.push(await open())
  const before = await settled()
  for (let left = count; left > 0; left--) kept.push(await open())
  const after = await settled()
  if (kept.length !== count + WARM_UP) throw new Error('not all are there')
  return { heap: (after.heap - before.heap) / count, rss: (after.rss - before.rss) / count }
}

async function settled(): Promise<IdleFigures> {
  for (let round = 0; round < 3; round++) {
    // Finalisers, and what is freed a turn later.
    await new Promise((resolve) => setTimeout(resolve, 20))
    globalThis.gc?.()
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

const ONE_BYTE = new Uint8Array(1)
const WARM_UP = 10

const [kind = '', count, port] = process.argv.slice(2)
process.send?.(await measure(kind, Number(count), Number(port)), () => process.exit())
