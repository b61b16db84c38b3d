/** Requests and responses through a client session and its writer, no socket. */
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { Http1ClientSession } from '../../src/protocols/http1/client-session.ts'
import type { RequestCommand } from '../../src/protocols/http1/messages.ts'
import type { Benchmark } from '../benchmark.ts'

const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n' +
    'Date: Tue, 24 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n' +
    'Content-Length: 12\r\n\r\nhello world\n',
)
const FIELDS = HttpFields.fromTrusted(['accept', '*/*', 'user-agent', 'bench'])

/** A connection that takes everything at once. */
const sink = {
  writableLength: 0,
  write: (_chunk: Uint8Array) => true,
  writeAll: (_chunks: readonly Uint8Array[]) => true,
}

function exchanges(pipelined: number, count: number): void {
  const session = new Http1ClientSession({ host: nodeHost, maxPipelined: pipelined })
  const input = Buffer.concat(Array.from({ length: pipelined }, () => RESPONSE))
  for (let done = 0; done < count; done += pipelined) {
    for (let at = 0; at < pipelined; at++) {
      const request: RequestCommand = {
        type: 'request',
        exchange: session.nextExchange,
        method: 'GET',
        target: '/hello',
        authority: '127.0.0.1:8080',
        fields: FIELDS,
        body: undefined,
        streams: false,
        bodyLength: undefined,
      }
      session.submit(request, done)
    }
    session.pollTransmit(262_144).flushTo(sink)
    session.receive(input, done)
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type !== 'response') continue
      session.submit({ type: 'demand', exchange: event.exchange, wanted: true }, done)
    }
  }
}

export const benchmark: Benchmark = {
  about: 'writes a GET and reads its answer of 12 bytes, through session and writer',
  variants: {
    'one by one': () => ({ run: (count) => exchanges(1, count) }),
    '10 pipelined': () => ({ run: (count) => exchanges(10, count) }),
  },
}
