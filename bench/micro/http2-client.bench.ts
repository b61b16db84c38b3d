/**
 * The client in HTTP/2 without a socket: what a call costs on this side, from the session alone to
 * the whole client. The peer finds HEADERS in what is written and answers each, as one chunk.
 */

import { httpClient } from '../../src/clients/http/http-client.ts'
import { HttpClientConnection } from '../../src/clients/http/http-client-connection.ts'
import { memory } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { HttpRequest } from '../../src/protocols/http/messages.ts'
import { Http2ClientSession } from '../../src/protocols/http2/client-session.ts'
import { FrameFlag, FrameType } from '../../src/protocols/http2/messages.ts'
import type { Benchmark, Variant } from '../benchmark.ts'
import { NullConnection, nullTransport } from './null-transport.ts'

const IN_FLIGHT = 64
const BODY = Buffer.alloc(64, 'x')
const FIELDS = HttpFields.fromTrusted(['accept', '*/*', 'user-agent', 'bench'])

/** `:status: 200` and a content-type by the static table, 64 bytes, the end of the stream. */
const ANSWER = Buffer.concat([
  frame(FrameType.HEADERS, FrameFlag.END_HEADERS, Buffer.from([0x88, 0x0f, 0x10, 0x01, 0x61])),
  frame(FrameType.DATA, FrameFlag.END_STREAM, BODY),
])
const SECOND = ANSWER.length - BODY.length - 9

function frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const { length } = payload
  return Buffer.concat([Buffer.from([0, length >> 8, length, type, flags, 0, 0, 0, 0]), payload])
}

/** Answers every HEADERS, all that came in one turn together. */
class AnsweringConnection extends NullConnection {
  #waiting: number[] = []
  #left = 24
  #due = false
  #got = 0

  override write(chunk: Uint8Array): boolean {
    this.#read(chunk)
    return super.write(chunk)
  }

  override writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.#read(chunk)
    return super.writeAll(chunks)
  }

  #read(chunk: Uint8Array): void {
    let at = this.#left
    while (at + 9 <= chunk.length) {
      const length = ((chunk[at + 1] as number) << 8) | (chunk[at + 2] as number)
      const type = chunk[at + 3]
      if (type === FrameType.HEADERS) this.#waiting.push(uint32(chunk, at + 5))
      else if (type === FrameType.DATA) this.#got += length
      at += 9 + length
    }
    this.#left = at - chunk.length
    if (this.#got > 60_000) this.#credit()
    if (this.#due || this.#waiting.length === 0) return
    this.#due = true
    process.nextTick(() => this.#answer())
  }

  #credit(): void {
    const update = frame(FrameType.WINDOW_UPDATE, 0, Buffer.from([0, 0, 0, 0]))
    update.writeUInt32BE(this.#got, 9)
    this.#got = 0
    process.nextTick(() => this.handler?.onData(update))
  }

  #answer(): void {
    this.#due = false
    const streams = this.#waiting
    this.#waiting = []
    const chunk = Buffer.allocUnsafe(streams.length * ANSWER.length)
    for (const [index, stream] of streams.entries()) {
      const at = index * ANSWER.length
      ANSWER.copy(chunk, at)
      chunk.writeUInt32BE(stream, at + 5)
      chunk.writeUInt32BE(stream, at + SECOND + 5)
    }
    this.handler?.onData(chunk)
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number) | ((bytes[at + 1] as number) << 16)

function made(): AnsweringConnection {
  const connection = new AnsweringConnection()
  const settings = frame(FrameType.SETTINGS, 0, new Uint8Array(0))
  process.nextTick(() => connection.handler?.onData(settings))
  return connection
}

/** `IN_FLIGHT` chains of calls. */
async function chains(count: number, call: () => Promise<unknown>): Promise<void> {
  let left = count
  const chain = async (): Promise<void> => {
    while (left-- > 0) await call()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, chain))
}

function onConnection(body: Uint8Array | undefined): Variant {
  const clock = systemClock
  const session = new Http2ClientSession({ host: nodeHost }, clock.now())
  const exchanger = new HttpClientConnection(made(), session, { clock })
  exchanger.start()
  const request = (): HttpRequest =>
    new HttpRequest({ method: 'POST', target: '/', authority: 'a.example', fields: FIELDS, body })
  return {
    run: (count) => chains(count, async () => exchanger.call(request(), new Call())),
    close: () => exchanger.destroy(new Error('done')),
  }
}

function wholeClient(body: Uint8Array | undefined): Variant {
  const client = httpClient('http://a.example', {
    version: '2',
    transport: nullTransport(made),
    endpoints: [{ address: memory('peer') }],
    pool: { max: 1 },
  })
  return {
    run: (count) =>
      chains(count, async () => client.request({ method: 'POST', fields: FIELDS, body })),
    close: () => client.core.destroy(new Error('done')),
  }
}

export const benchmark: Benchmark = {
  about: 'one POST of 64 bytes and its answer of 64, 64 in flight on one connection',
  variants: {
    connection: () => onConnection(BODY),
    'connection, no body': () => onConnection(undefined),
    httpClient: () => wholeClient(BODY),
  },
}
