/** A client and a server session, no socket: unary calls of 64 B with trailers, and bulk. */
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { Http2ClientSession } from '../../src/protocols/http2/client-session.ts'
import { Http2ServerSession } from '../../src/protocols/http2/server-session.ts'
import type { Benchmark } from '../benchmark.ts'

/** What one side writes is what the other receives. */
class Wire {
  readonly writableLength = 0
  writes = 0
  bytes = 0
  receive: (chunk: Uint8Array) => void = () => {}

  write(chunk: Uint8Array): boolean {
    this.writes++
    this.bytes += chunk.length
    this.receive(chunk)
    return true
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes++
    for (const chunk of chunks) {
      this.bytes += chunk.length
      this.receive(chunk)
    }
    return true
  }
}

const PAYLOAD = new Uint8Array(69).fill(1)

class Calls {
  readonly up = new Wire()
  readonly down = new Wire()
  readonly client = new Http2ClientSession({ host: nodeHost }, 0)
  readonly server = new Http2ServerSession({ host: nodeHost }, 0)
  readonly #inFlight: number
  #left = 0
  done = 0

  constructor(inFlight: number) {
    this.#inFlight = inFlight
    this.up.receive = (chunk) => {
      this.server.receive(chunk, 0)
      this.#serve()
    }
    this.down.receive = (chunk) => {
      this.client.receive(chunk, 0)
      this.#hear()
    }
  }

  run(count: number): void {
    this.#left = count
    this.done = 0
    for (let call = 0; call < this.#inFlight; call++) this.#ask()
    while (this.done < count) {
      this.client.pollTransmit(262_144).flushTo(this.up)
      this.server.pollTransmit(262_144).flushTo(this.down)
    }
  }

  #ask(): void {
    if (this.#left === 0) return
    this.#left--
    this.client.submit(
      {
        type: 'request',
        exchange: this.client.nextExchange,
        method: 'POST',
        target: '/demo.Echo/Unary',
        authority: '127.0.0.1:50051',
        fields: HttpFields.fromTrusted([
          'te',
          'trailers',
          'content-type',
          'application/grpc+proto',
          'user-agent',
          'heddle/0.1',
          'grpc-timeout',
          '4999m',
        ]),
        body: PAYLOAD,
        streams: false,
        bodyLength: undefined,
      },
      0,
    )
  }

  #serve(): void {
    const { server } = this
    for (let event = server.pollEvent(); event !== undefined; event = server.pollEvent()) {
      if (event.type !== 'request') continue
      server.submit(
        {
          type: 'respond',
          exchange: event.exchange,
          status: 200,
          reason: undefined,
          fields: HttpFields.fromTrusted(['content-type', 'application/grpc+proto']),
          body: event.content,
          trailers: HttpFields.fromTrusted(['grpc-status', '0']),
        },
        0,
      )
    }
  }

  #hear(): void {
    const { client } = this
    for (let event = client.pollEvent(); event !== undefined; event = client.pollEvent()) {
      if (event.type !== 'response') continue
      this.done++
      this.#ask()
    }
  }
}

export const benchmark: Benchmark = {
  about: 'unary calls of 64 B with trailers, client session to server session',
  counters() {
    const calls = new Calls(64)
    calls.run(6_400)
    return {
      'writes per call': (calls.up.writes + calls.down.writes) / 6_400,
      'bytes per call': (calls.up.bytes + calls.down.bytes) / 6_400,
    }
  },
  variants: {
    '64 in flight': () => {
      const calls = new Calls(64)
      return { run: (count: number) => calls.run(count) }
    },
    'one by one': () => {
      const calls = new Calls(1)
      return { run: (count: number) => calls.run(count) }
    },
  },
}
