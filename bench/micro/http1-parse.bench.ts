/** Requests through a server session and its writer, no socket: parse, answer, flush. */
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import type { RespondCommand } from '../../src/protocols/http1/messages.ts'
import { Http1ServerSession } from '../../src/protocols/http1/server-session.ts'
import type { Benchmark } from '../benchmark.ts'

const SMALL = 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n'
const BROWSER =
  'GET /api/v1/users/12345?fields=name,email HTTP/1.1\r\nHost: api.example.com\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ' +
  'Chrome/126.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,' +
  'image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n' +
  'Accept-Encoding: gzip, deflate, br, zstd\r\n' +
  'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.2.1234567890\r\n' +
  'X-Request-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\nConnection: keep-alive\r\n\r\n'
const PIPELINED = 16
const DATE = 'Tue, 24 Nov 2026 12:00:00 GMT'
const FIELDS = HttpFields.fromTrusted(['content-type', 'text/plain; charset=utf-8'])

/** Counts what a flush hands over, and keeps it from being optimised away. */
class Sink {
  readonly writableLength = 0
  writes = 0
  bytes = 0

  write(chunk: Uint8Array): boolean {
    this.writes++
    this.bytes += chunk.length
    return true
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes++
    for (const chunk of chunks) this.bytes += chunk.length
    return true
  }
}

/** What a driver and a server do with one chunk of `perChunk` requests. */
function answer(head: string, perChunk: number, sink: Sink, count: number): void {
  const session = new Http1ServerSession({ host: nodeHost, date: () => DATE }, 0)
  const chunk = Buffer.from(head.repeat(perChunk), 'latin1')
  for (let done = 0; done < count; done += perChunk) {
    session.receive(chunk, done)
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type !== 'request') continue
      const command: RespondCommand = {
        type: 'respond',
        exchange: event.exchange,
        status: 200,
        reason: undefined,
        fields: FIELDS,
        body: 'hello world\n',
      }
      session.submit(command, done)
    }
    session.pollTransmit(262_144).flushTo(sink)
  }
}

const variant = (head: string, perChunk: number) => () => ({
  run: (count: number) => answer(head, perChunk, new Sink(), count),
})

export const benchmark: Benchmark = {
  about: 'reads a GET and answers hello, through session and writer',
  counters() {
    const sink = new Sink()
    answer(SMALL, PIPELINED, sink, 1_600)
    return { 'writes per request': sink.writes / 1_600, 'bytes per response': sink.bytes / 1_600 }
  },
  variants: {
    'small head, 16 pipelined': variant(SMALL, PIPELINED),
    'small head, one by one': variant(SMALL, 1),
    'browser head, 16 pipelined': variant(BROWSER, PIPELINED),
    'browser head, one by one': variant(BROWSER, 1),
  },
}
