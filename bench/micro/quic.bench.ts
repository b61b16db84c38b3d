/**
 * Requests of 1 KB with an answer of 1 KB, each on a stream of its own, one and sixteen under way;
 * and a mebibyte in one direction. QUIC of heddle, of `@currentspace/http3` (quiche on a thread of
 * its own), and `node:http2` over TLS. Client and server share this process.
 */
import { once } from 'node:events'
import { connect as connectHttp2, createSecureServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connectQuicAsync, createQuicServer } from '@currentspace/http3'
import { ip } from '../../src/core/address.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate, type DevCertificate } from '../../src/security/dev-certificate.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const REQUEST = Buffer.alloc(1_024, 1)
const PIECE = Buffer.alloc(65_536, 2)
const MEBIBYTE = 1_048_576

/** A stack: one request and its answer, and bytes in one direction. */
interface Stack {
  ask(): Promise<void>
  /** Resolves when the other side has all of it. */
  upload(bytes: number): Promise<void>
  close(): Promise<void>
}

const STACKS: Readonly<Record<string, () => Promise<Stack>>> = {
  heddle: heddleQuic,
  '@currentspace/http3': currentspace,
  'node:http2': http2,
}

export const benchmark: Benchmark = {
  about: '1 KB on a new stream and 1 KB back, 1 and 16 under way; a MiB in one direction',
  variants: Object.fromEntries(
    Object.entries(STACKS).flatMap(([name, open]) => [
      [`${name}, 1 under way`, () => requests(open, 1)],
      [`${name}, 16 under way`, () => requests(open, 16)],
      [`${name}, a MiB`, () => bulk(open)],
    ]),
  ),
}

async function requests(open: () => Promise<Stack>, underWay: number): Promise<Variant> {
  const stack = await open()
  return {
    async run(count) {
      let left = count
      const worker = async () => {
        while (left > 0) {
          left -= 1
          await stack.ask()
        }
      }
      await Promise.all(Array.from({ length: underWay }, worker))
    },
    close: () => stack.close(),
  }
}

async function bulk(open: () => Promise<Stack>): Promise<Variant> {
  const stack = await open()
  return { run: (count) => stack.upload(count * MEBIBYTE), close: () => stack.close() }
}

const certificate: Promise<DevCertificate> = createDevCertificate(systemClock)

async function heddleQuic(): Promise<Stack> {
  const credentials = await certificate
  const { ca } = credentials
  let heard = 0
  let awaited = Number.POSITIVE_INFINITY
  let done = (): void => {}
  const server = quicStreams({ credentials, alpn: ['bench/1'] })
  const listener = await server.listen(ip('127.0.0.1', 0), {
    onConnection(stream) {
      stream.open({
        onData(chunk) {
          heard += chunk.length
          if (awaited === Number.POSITIVE_INFINITY) stream.write(chunk.slice())
          else if (heard >= awaited) done()
        },
        onDrain() {},
        onEnd: () => stream.end(),
        onClose() {},
      })
    },
  })
  const client = quicStreams({ ca, alpn: ['bench/1'], serverName: 'localhost' })
  return {
    async ask() {
      const stream = await client.connect(listener.address)
      await new Promise<void>((resolve) => {
        stream.open({ onData() {}, onDrain() {}, onEnd() {}, onClose: () => resolve() })
        stream.write(REQUEST)
        stream.end()
      })
    },
    async upload(bytes) {
      const stream = await client.connect(listener.address)
      heard = 0
      awaited = bytes
      await new Promise<void>((resolve) => {
        done = resolve
        let sent = 0
        const pump = (): void => {
          while (sent < bytes) {
            sent += PIECE.length
            if (!stream.write(PIECE)) return
          }
        }
        const ignore = { onData() {}, onEnd() {}, onClose() {} }
        stream.open({ ...ignore, onDrain: pump })
        pump()
      })
      stream.destroy()
    },
    async close() {
      await client.close({ signal: AbortSignal.abort() })
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

async function currentspace(): Promise<Stack> {
  const { certificate: cert, key, ca } = await certificate
  let heard = 0
  let awaited = Number.POSITIVE_INFINITY
  let done = (): void => {}
  const server = createQuicServer({ key, cert, alpn: ['bench/1'] })
  server.on('session', (session) => {
    session.on('stream', (stream) => {
      stream.on('data', (chunk: Buffer) => {
        heard += chunk.length
        if (awaited === Number.POSITIVE_INFINITY) stream.write(chunk)
        else if (heard >= awaited) done()
      })
      stream.on('end', () => stream.end())
      stream.on('error', () => {})
    })
  })
  const address = await server.listen(0, '127.0.0.1')
  const session = await connectQuicAsync(`127.0.0.1:${(address as AddressInfo).port}`, {
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
      heard = 0
      awaited = bytes
      const stream = session.openStream()
      stream.on('error', () => {})
      const heardAll = new Promise<void>((resolve) => {
        done = resolve
      })
      for (let sent = 0; sent < bytes; sent += PIECE.length) {
        if (!stream.write(PIECE)) await once(stream, 'drain')
      }
      await heardAll
      stream.destroy()
    },
    async close() {
      await session.close()
      await server.close()
    },
  }
}

async function http2(): Promise<Stack> {
  const { certificate: cert, key, ca } = await certificate
  let heard = 0
  let awaited = Number.POSITIVE_INFINITY
  let done = (): void => {}
  const server = createSecureServer({ cert, key })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 })
    stream.on('data', (chunk: Buffer) => {
      heard += chunk.length
      if (awaited === Number.POSITIVE_INFINITY) stream.write(chunk)
      else if (heard >= awaited) done()
    })
    stream.on('end', () => stream.end())
    stream.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
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
      heard = 0
      awaited = bytes
      const stream = session.request(post)
      stream.on('error', () => {})
      const heardAll = new Promise<void>((resolve) => {
        done = resolve
      })
      for (let sent = 0; sent < bytes; sent += PIECE.length) {
        if (!stream.write(PIECE)) await once(stream, 'drain')
      }
      await heardAll
      stream.close()
    },
    async close() {
      session.destroy()
      server.close()
    },
  }
}
