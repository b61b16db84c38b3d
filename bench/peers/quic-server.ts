/**
 * Servers of `micro/quic.bench.ts`, in a process of their own: what a stream begins with says whether
 * it is sent back, or only counted and answered at its end. The stack and its certificate come by
 * message; the port goes back.
 */
import { once } from 'node:events'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { ip } from '../../src/core/address.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'

/** First byte of what is sent back, and of what is counted. */
export const ECHOED = 1
export const COUNTED = 2

export type QuicStackName = 'heddle' | '@currentspace/http3' | 'node:http2'

export interface QuicServerJob {
  readonly stack: QuicStackName
  readonly certificate: string
  readonly key: string
}

const SERVERS: Readonly<Record<QuicStackName, (job: QuicServerJob) => Promise<number>>> = {
  heddle,
  '@currentspace/http3': currentspace,
  'node:http2': http2,
}

async function heddle(job: QuicServerJob): Promise<number> {
  const server = quicStreams({ credentials: job, alpn: ['bench/1'] })
  const listener = await server.listen(ip('127.0.0.1', 0), {
    onConnection(stream) {
      let counts = false
      stream.open({
        onData(chunk) {
          counts ||= chunk[0] === COUNTED
          if (!counts) stream.write(chunk.slice())
        },
        onDrain() {},
        onEnd() {
          if (counts) stream.write(DONE)
          stream.end()
        },
        onClose() {},
      })
    },
  })
  return listener.address.kind === 'ip' ? listener.address.port : 0
}

async function currentspace({ certificate, key }: QuicServerJob): Promise<number> {
  const { createQuicServer } = await import('@currentspace/http3')
  const server = createQuicServer({ key, cert: certificate, alpn: ['bench/1'] })
  server.on('session', (session) => session.on('stream', answer))
  return ((await server.listen(0, '127.0.0.1')) as AddressInfo).port
}

async function http2({ certificate, key }: QuicServerJob): Promise<number> {
  const server = createSecureServer({ cert: certificate, key })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 })
    answer(stream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface AnyStream {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  write(chunk: Uint8Array): unknown
  end(chunk?: Uint8Array): unknown
}

function answer(stream: AnyStream): void {
  let counts = false
  stream.on('data', (chunk) => {
    counts ||= chunk[0] === COUNTED
    if (!counts) stream.write(chunk)
  })
  stream.on('end', () => (counts ? stream.end(DONE) : stream.end()))
  stream.on('error', () => {})
}

const DONE = new Uint8Array([COUNTED])

// The benchmark imports the names above; only a process that was forked serves.
if (process.argv[2] === 'serve') {
  process.once('message', async (job: QuicServerJob) => {
    process.send?.({ port: await SERVERS[job.stack](job) })
  })
  process.on('disconnect', () => process.exit(0))
}
