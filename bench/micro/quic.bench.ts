/**
 * Requests of 1 KB with an answer of 1 KB, each on a stream of its own, one and sixteen under way;
 * and a mebibyte in one direction. QUIC of heddle, of `@currentspace/http3` (quiche on a thread of
 * its own), and `node:http2` over TLS. Each server has a process of its own, whose CPU counts too.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { fileURLToPath } from 'node:url'
import { connectQuicAsync } from '@currentspace/http3'
import { ip } from '../../src/core/address.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate, type DevCertificate } from '../../src/security/dev-certificate.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import type { Benchmark, Variant } from '../benchmark.ts'
import { COUNTED, ECHOED, type QuicServerJob, type QuicStackName } from '../peers/quic-server.ts'

const REQUEST = Buffer.alloc(1_024, ECHOED)
const PIECE = Buffer.alloc(65_536, COUNTED)
const MEBIBYTE = 1_048_576

/** A client: one request and its answer, and bytes in one direction. */
interface Client {
  ask(): Promise<void>
  /** Resolves when the other side has said that it has all of it. */
  upload(bytes: number): Promise<void>
  close(): void | Promise<void>
}

const CLIENTS: Readonly<Record<QuicStackName, (port: number, ca: string) => Promise<Client>>> = {
  heddle,
  '@currentspace/http3': currentspace,
  'node:http2': http2,
}

export const benchmark: Benchmark = {
  about: '1 KB on a new stream and 1 KB back, 1 and 16 under way; a MiB in one direction',
  variants: Object.fromEntries(
    (Object.keys(CLIENTS) as QuicStackName[]).flatMap((name) => [
      [`${name}, 1 under way`, () => requests(name, 1)],
      [`${name}, 16 under way`, () => requests(name, 16)],
      [`${name}, a MiB`, () => bulk(name)],
    ]),
  ),
}

async function requests(name: QuicStackName, underWay: number): Promise<Variant> {
  const { client, ...rest } = await open(name)
  return {
    async run(count) {
      let left = count
      const worker = async () => {
        while (left > 0) {
          left -= 1
          await client.ask()
        }
      }
      await Promise.all(Array.from({ length: underWay }, worker))
    },
    ...rest,
  }
}

async function bulk(name: QuicStackName): Promise<Variant> {
  const { client, ...rest } = await open(name)
  return { run: (count) => client.upload(count * MEBIBYTE), ...rest }
}

interface Opened extends Pick<Variant, 'close' | 'pids'> {
  readonly client: Client
}

const certificate: Promise<DevCertificate> = createDevCertificate(systemClock)

async function open(stack: QuicStackName): Promise<Opened> {
  const { ca, certificate: own, key } = await certificate
  const path = fileURLToPath(new URL('../peers/quic-server.ts', import.meta.url))
  const server = fork(path, ['serve'], { execArgv: ['--disable-warning=ExperimentalWarning'] })
  server.send({ stack, certificate: own, key } satisfies QuicServerJob)
  const client = await CLIENTS[stack](await portOf(server), ca)
  return {
    client,
    pids: [server.pid ?? 0],
    async close() {
      await client.close()
      server.kill('SIGKILL')
      await once(server, 'exit')
    },
  }
}

async function portOf(server: ChildProcess): Promise<number> {
  const exited = once(server, 'exit').then(() => Promise.reject(new Error('the server ended')))
  exited.catch(() => {})
  const [{ port }] = (await Promise.race([once(server, 'message'), exited])) as [{ port: number }]
  return port
}

async function heddle(port: number, ca: string): Promise<Client> {
  const client = quicStreams({ ca, alpn: ['bench/1'], serverName: 'localhost' })
  const address = ip('127.0.0.1', port)
  return {
    async ask() {
      const stream = await client.connect(address)
      await new Promise<void>((resolve) => {
        stream.open({ onData() {}, onDrain() {}, onEnd() {}, onClose: () => resolve() })
        stream.write(REQUEST)
        stream.end()
      })
    },
    async upload(bytes) {
      const stream = await client.connect(address)
      await new Promise<void>((resolve) => {
        let sent = 0
        const pump = (): void => {
          while (sent < bytes) {
            sent += PIECE.length
            if (!stream.write(PIECE) && sent < bytes) return
          }
          stream.end()
        }
        stream.open({ onData() {}, onEnd() {}, onClose: () => resolve(), onDrain: pump })
        pump()
      })
    },
    close: () => client.close({ signal: AbortSignal.abort() }),
  }
}

async function currentspace(port: number, ca: string): Promise<Client> {
  const session = await connectQuicAsync(`127.0.0.1:${port}`, {
    ca,
    alpn: ['bench/1'],
    servername: 'localhost',
  })
  session.on('error', () => {})
  return {
    async ask() {
      const stream = session.openStream()
      stream.resume()
      stream.end(REQUEST)
      await once(stream, 'end')
    },
    async upload(bytes) {
      const stream = session.openStream()
      stream.on('error', () => {})
      stream.resume()
      for (let sent = 0; sent < bytes; sent += PIECE.length) {
        if (!stream.write(PIECE)) await once(stream, 'drain')
      }
      stream.end()
      await once(stream, 'end')
    },
    close: () => session.close(),
  }
}

async function http2(port: number, ca: string): Promise<Client> {
  const session = connectHttp2(`https://localhost:${port}`, { ca })
  await once(session, 'connect')
  const post = { ':method': 'POST', ':path': '/' }
  return {
    async ask() {
      const stream = session.request(post)
      stream.resume()
      stream.end(REQUEST)
      await once(stream, 'end')
    },
    async upload(bytes) {
      const stream = session.request(post)
      stream.on('error', () => {})
      stream.resume()
      for (let sent = 0; sent < bytes; sent += PIECE.length) {
        if (!stream.write(PIECE)) await once(stream, 'drain')
      }
      stream.end()
      await once(stream, 'end')
    },
    close: () => session.destroy(),
  }
}
