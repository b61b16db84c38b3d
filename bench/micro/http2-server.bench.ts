/**
 * The whole HTTP/2 server without a socket: connection, driver, session, exchange, service, writer.
 * What is left between this and `npm run bench -- http2-server` is the transport and the kernel.
 */
import { memory } from '../../src/core/address.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { HTTP2_PREFACE } from '../../src/protocols/http2/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import type { Benchmark, Variant } from '../benchmark.ts'
import { NullConnection, nullTransport } from './null-transport.ts'

/** Requests that follow the first: each field is in a table. */
const BLOCK = Buffer.from([0x82, 0x86, 0x84, 0xbf, 0xbe])
const FIRST_BLOCK = Buffer.concat([
  BLOCK.subarray(0, 3),
  literal(0x41, '127.0.0.1:8080'),
  literal(0x7a, 'h2load nghttp2/1.52.0'),
])

/** A client that asks, and looks at nothing but how much comes back. */
class Client {
  readonly connection = new NullConnection()
  readonly #chunk: Buffer
  #stream = 1

  constructor(perChunk: number) {
    this.#chunk = Buffer.concat(new Array(perChunk).fill(frame(1, 5, BLOCK)))
  }

  start(): void {
    const settings = [frame(4, 0, EMPTY), frame(4, 1, EMPTY)]
    const hello = [Buffer.from(HTTP2_PREFACE), ...settings, frame(8, 0, WINDOW)]
    const first = frame(1, 5, FIRST_BLOCK)
    first.writeUInt32BE(this.#stream, 5)
    this.#stream += 2
    this.connection.handler?.onData(Buffer.concat([...hello, first]))
  }

  /** One chunk of requests. */
  ask(): void {
    const chunk = this.#chunk
    for (let at = 5; at < chunk.length; at += FRAME_BYTES) {
      chunk.writeUInt32BE(this.#stream, at)
      this.#stream += 2
    }
    this.connection.handler?.onData(chunk)
  }
}

async function connect(count: number, perChunk: number): Promise<Client[]> {
  const transport = nullTransport(() => new NullConnection())
  const server = httpServer(() => HttpResponse.text('Hello, world!'))
  await server.listen(transport, memory('server'))
  return Array.from({ length: count }, () => {
    const client = new Client(perChunk)
    transport.accept?.(client.connection)
    client.start()
    return client
  })
}

async function variant(connections: number, perChunk: number): Promise<Variant> {
  const clients = await connect(connections, perChunk)
  let next = 0
  return {
    run(count) {
      for (let done = 0; done < count; done += perChunk) {
        const client = clients[next] as Client
        next = (next + 1) % clients.length
        client.ask()
      }
    },
  }
}

function frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header[4] = flags
  return Buffer.concat([header, payload])
}

function literal(first: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([first, value.length]), Buffer.from(value)])
}

const EMPTY = new Uint8Array(0)
/** Nobody gives credit back, so there is enough of it from the start: 2 GiB. */
const WINDOW = Buffer.from([0x7f, 0xff, 0, 0])
const FRAME_BYTES = 9 + BLOCK.length

export const benchmark: Benchmark = {
  about: 'answers an HTTP/2 request through the whole server, without a socket',
  async counters() {
    const [client] = await connect(1, 10)
    if (client === undefined) return {}
    const { connection } = client
    const { writes, bytes } = connection
    for (let done = 0; done < 100; done++) client.ask()
    return {
      'writes per request': (connection.writes - writes) / 1_000,
      'bytes per response': (connection.bytes - bytes) / 1_000,
    }
  },
  variants: {
    '1 connection, 100 streams': () => variant(1, 100),
    '10 connections, 10 streams': () => variant(10, 10),
    '64 connections, 1 stream': () => variant(64, 1),
  },
}
