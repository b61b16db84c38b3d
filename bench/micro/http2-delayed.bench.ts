/**
 * Twenty megabytes at a round trip of 50 ms: whether the windows of HTTP/2 keep up with TCP's. The
 * delay is made by toxics around the client's transport, the same for all; the connection is made
 * anew for each transfer, so that its windows have to grow each time. An operation is a transfer.
 */
import { httpClient } from '../../src/clients/http/http-client.ts'
import { type Address, formatAddress, parseAddress } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { Source } from '../../src/core/flow.ts'
import type { Transport } from '../../src/core/transport.ts'
import { chaos } from '../../src/links/chaos/chaos.ts'
import { Body } from '../../src/protocols/http/body.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const BYTES = 20_000_000
const DELAY_MS = 25
const PIECE = new Uint8Array(65_536).fill(1)

export const benchmark: Benchmark = {
  about: '20 MB over a new connection with a round trip of 50 ms',
  variants: {
    'TCP, down': () => raw('down'),
    'HTTP/2, down': () => http2('down'),
    'TCP, up': () => raw('up'),
    'HTTP/2, up': () => http2('up'),
  },
}

type Direction = 'up' | 'down'

/** As the proxy of `heddle chaos` is by default: a mebibyte may wait in each direction. */
function delayed(): Transport {
  const latency = { latency: DELAY_MS, jitter: 0 }
  return chaos(tcp(), {
    seed: 1,
    toxics: [
      { type: 'latency', stream: 'upstream', attributes: latency },
      { type: 'latency', stream: 'downstream', attributes: latency },
    ],
  })
}

/** A byte asks for all of it, or all of it is answered by a byte. */
async function raw(direction: Direction): Promise<Variant> {
  const listener = await tcp().listen(parseAddress('tcp://127.0.0.1:0'), {
    onConnection(connection) {
      if (direction === 'down') receive(connection, 1, () => sendAll(connection))
      else receive(connection, BYTES, () => void connection.write(PIECE.slice(0, 1)))
    },
  })
  return {
    async run(count) {
      for (let index = 0; index < count; index++) await transfer(listener.address, direction)
    },
    close: () => listener.close({ signal: AbortSignal.abort() }),
  }
}

async function transfer(address: Address, direction: Direction): Promise<void> {
  const connection = await delayed().connect(address)
  const { promise, resolve } = Promise.withResolvers<void>()
  receive(connection, direction === 'down' ? BYTES : 1, resolve)
  if (direction === 'down') connection.write(PIECE.slice(0, 1))
  else sendAll(connection)
  await promise
  connection.destroy()
}

const drains = new WeakMap<Connection, () => void>()

function receive(connection: Connection, bytes: number, then: () => void): void {
  let left = bytes
  connection.open({
    onData(chunk) {
      left -= chunk.length
      if (left <= 0) then()
    },
    onDrain: () => drains.get(connection)?.(),
    onEnd() {},
    onClose() {},
  })
}

function sendAll(connection: Connection): void {
  let left = BYTES
  const pump = (): void => {
    while (left > 0) {
      const piece = PIECE.subarray(0, Math.min(left, PIECE.length))
      left -= piece.length
      if (!connection.write(piece)) return
    }
  }
  drains.set(connection, pump)
  pump()
}

/** The whole transfer, as fast as it is taken. */
function content(): Source<Uint8Array> {
  return {
    open(sink) {
      let left = BYTES
      let ended = false
      return {
        resume() {
          while (left > 0) {
            const piece = PIECE.subarray(0, Math.min(left, PIECE.length))
            left -= piece.length
            if (!sink.write(piece)) return
          }
          if (!ended) sink.end()
          ended = true
        },
        cancel() {},
      }
    },
    [Symbol.asyncIterator]() {
      throw new Error('opened, never iterated')
    },
  }
}

/** Bytes of a body that is read and dropped. */
function lengthOf(body: Body): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    const flow = body.open({
      write(chunk) {
        bytes += chunk.length
        return true
      },
      end: () => resolve(bytes),
      fail: reject,
    })
    flow.resume()
  })
}

async function http2(direction: Direction): Promise<Variant> {
  const server = httpServer(async (request) => {
    if (direction === 'down') return new HttpResponse({ body: Body.from(content()) })
    return HttpResponse.text(String(await lengthOf(request.body)))
  })
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  const origin = `http://${formatAddress(address)}`
  return {
    async run(count) {
      for (let index = 0; index < count; index++) {
        await using client = httpClient(origin, { transport: delayed(), version: '2' })
        const body = direction === 'up' ? Body.from(content()) : undefined
        const method = direction === 'up' ? 'POST' : 'GET'
        const response = await client.request({ method, target: '/', body })
        const bytes =
          direction === 'up' ? Number(await response.body.text()) : await lengthOf(response.body)
        if (bytes !== BYTES) throw new Error(`${bytes} bytes instead of ${BYTES}`)
      }
    },
    close: () => server.close({ signal: AbortSignal.abort() }),
  }
}
