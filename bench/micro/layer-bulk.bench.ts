/**
 * A mebibyte of text one way over TCP, in pieces of 16 KiB, through the layers that change bytes, in
 * this process: the sealed channel against `node:tls` (both AES-256-GCM), the compressed link against
 * zstd of `node:zlib` in a pipeline, flushed after each piece as a link has to. Beside them plain
 * TCP, which is what either costs on top. An operation is a mebibyte.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { ip } from '../../src/core/address.ts'
import type { Transport } from '../../src/core/transport.ts'
import { compressed } from '../../src/links/compressed/compressed.ts'
import { sealed } from '../../src/links/sealed/sealed.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate } from '../../src/security/dev-certificate.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const PIECES_PER_OPERATION = 64
const PIECE = textOf(16_384)
const KEYS = [{ id: 'bench', key: new Uint8Array(32).fill(7) }]

export const benchmark: Benchmark = {
  about: 'a mebibyte of text one way over TCP, through layers',
  variants: {
    'node:tls': theirsSealed,
    'sealed(tcp())': () => ours(sealed(tcp(), { keys: KEYS })),
    'node:zlib over node:net': theirsCompressed,
    'compressed(tcp())': () =>
      ours(compressed(tcp(), { algorithms: ['zstd'], level: COMPRESSION_LEVEL })),
    'tcp()': () => ours(tcp()),
  },
}

/** Counts what has arrived. */
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
    if (this.#left === 0) this.#done?.()
  }
}

async function ours(transport: Transport): Promise<Variant> {
  const arrivals = new Arrivals()
  const ignored = { onDrain() {}, onEnd() {}, onClose() {} }
  const listener = await transport.listen(ip('127.0.0.1', 0), {
    onConnection: (one) => one.open({ ...ignored, onData: (chunk) => arrivals.add(chunk.length) }),
  })
  const connection = await transport.connect(listener.address)
  let left = 0
  const pump = (): void => {
    while (left > 0) {
      left -= 1
      if (!connection.write(PIECE)) return
    }
  }
  connection.open({ ...ignored, onData() {}, onDrain: pump })
  return {
    async run(count) {
      const all = arrivals.expect(count * PIECES_PER_OPERATION * PIECE.length)
      left = count * PIECES_PER_OPERATION
      pump()
      await all
    },
    async close() {
      connection.destroy()
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

async function theirsSealed(): Promise<Variant> {
  const { certificate, key, ca } = await createDevCertificate(systemClock)
  const arrivals = new Arrivals()
  const server = createTlsServer({ cert: certificate, key, noDelay: true }, (socket) => {
    socket.on('data', (chunk) => arrivals.add(chunk.length)).on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ciphers = 'TLS_AES_256_GCM_SHA384'
  const socket = connectTls({ port, host: '127.0.0.1', ca, ciphers, servername: 'localhost' })
  await once(socket, 'secureConnect')
  return throughStream(socket, arrivals, () => {
    socket.destroy()
    server.close()
  })
}

async function theirsCompressed(): Promise<Variant> {
  const arrivals = new Arrivals()
  const server = createServer({ noDelay: true }, (socket) => {
    const plain = socket.on('error', () => {}).pipe(createZstdDecompress())
    plain.on('data', (chunk: Buffer) => arrivals.add(chunk.length)).on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect({ port: (server.address() as AddressInfo).port, noDelay: true })
  await once(socket, 'connect')
  const compressor = createZstdCompress({
    flush: constants.ZSTD_e_flush,
    params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL },
  })
  compressor.pipe(socket)
  return throughStream(compressor, arrivals, () => {
    socket.destroy()
    server.close()
  })
}

function throughStream(stream: Duplex, arrivals: Arrivals, close: () => void): Variant {
  let left = 0
  const pump = (): void => {
    while (left > 0) {
      left -= 1
      if (!stream.write(PIECE)) return
    }
  }
  stream.on('drain', pump)
  return {
    async run(count) {
      const all = arrivals.expect(count * PIECES_PER_OPERATION * PIECE.length)
      left = count * PIECES_PER_OPERATION
      pump()
      await all
    },
    close,
  }
}

/** Compresses as text does, to about a third. */
function textOf(bytes: number): Uint8Array {
  let text = ''
  for (let line = 0; text.length < bytes; line++) {
    text += `{"id":${line * 7919},"name":"item ${(line * 31) % 977}","state":"ready"}\n`
  }
  return Buffer.from(text.slice(0, bytes))
}

/** The default of both. */
const COMPRESSION_LEVEL = 3
