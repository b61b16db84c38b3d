/**
 * Any bytes at sessions of both roles: the same exchanges and the same errors however they are cut,
 * nothing thrown, nothing held when the connection is gone.
 */
import {
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  framesOf,
  GET_FIELDS,
  GOAWAY,
  get,
  HEADERS,
  ok,
  PADDED,
  PING,
  PREFACE,
  PRIORITY,
  PRIORITY_UPDATE,
  post,
  RST_STREAM,
  settings,
  uint32,
  WHOLE,
  WINDOW_UPDATE,
} from '../../../test/support/http2-raw-peer.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import type { ClientEvent, ServerEvent } from './messages.ts'
import { Http2ServerSession } from './server-session.ts'

const LIMITS = { maxHeaderListBytes: 512, maxFieldCount: 16, maxIdleFrames: 64, maxResets: 8 }
const TRAILERS = block('grpc-status', '0')

/** Valid inputs to start from: the first byte says whose they are. */
export const samples: readonly Uint8Array[] = [
  sample(0, settings(), get(1), get(3), frame(RST_STREAM, 0, 1, uint32(8)), get(5)),
  sample(
    0,
    settings(1, 100, 4, 10),
    post(1),
    frame(DATA, 0, 1, [1, 2, 3]),
    frame(DATA, PADDED, 1, [2, 4, 5, 0, 0]),
    frame(HEADERS, WHOLE, 1, TRAILERS),
  ),
  sample(
    0,
    settings(),
    frame(HEADERS, END_STREAM | 0x20, 1, [...uint32(0), 7, 0x82]),
    frame(CONTINUATION, 0, 1, [0x84]),
    frame(CONTINUATION, END_HEADERS, 1, [0x86, ...block(':authority', 'a', 'cookie', 'b=c')]),
  ),
  sample(
    0,
    settings(),
    frame(PRIORITY_UPDATE, 0, 0, [...uint32(1), 0x75, 0x3d, 0x31]),
    frame(PRIORITY, 0, 1, [...uint32(0), 1]),
    frame(HEADERS, WHOLE, 1, block(...GET_FIELDS, 'priority', 'u=2, i')),
    frame(WINDOW_UPDATE, 0, 1, uint32(5)),
    frame(WINDOW_UPDATE, 0, 0, uint32(5)),
    frame(PING, 0, 0, uint32(1).concat(uint32(2))),
  ),
  sample(1, settings(3, 5), ok(1), frame(DATA, 0, 1, [1]), frame(DATA, END_STREAM, 1, [2])),
  sample(
    1,
    settings(),
    frame(HEADERS, END_HEADERS, 1, block(':status', '103')),
    ok(1),
    frame(HEADERS, WHOLE, 1, TRAILERS),
    frame(GOAWAY, 0, 0, [...uint32(1), ...uint32(0), 0x62]),
  ),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const run = ((bytes[0] ?? 0) & 1) === 0 ? server : client
  const input = bytes.subarray(1)
  const cut = input.length === 0 ? 0 : seed % input.length
  const whole = run([input])
  const halves = run([input.slice(0, cut), input.slice(cut)])
  if (whole !== halves) throw new Error(`cut at ${cut}: ${halves} instead of ${whole}`)
  const each = run(Array.from(input, (byte) => Uint8Array.of(byte)))
  if (whole !== each) throw new Error(`byte by byte: ${each} instead of ${whole}`)
}

function server(chunks: readonly Uint8Array[]): string {
  const session = new Http2ServerSession({ ...LIMITS, maxConcurrentStreams: 4 }, 0)
  session.pollTransmit(0).take()
  return converse(session, [PREFACE, ...chunks])
}

function client(chunks: readonly Uint8Array[]): string {
  const session = new Http2ClientSession({ ...LIMITS, maxPushedStreams: 2 }, 0)
  for (const exchange of [1, 3]) {
    const head = { method: 'GET', target: '/', authority: 'a', fields: new HttpFields() }
    const rest = { body: undefined, streams: false, bodyLength: undefined }
    session.submit({ type: 'request', exchange, ...head, ...rest }, 0)
  }
  session.pollTransmit(0x1_0000).take()
  return converse(session, chunks)
}

/** What came of it, without what depends on how the bytes were cut. */
function converse(
  session: Http2ServerSession | Http2ClientSession,
  chunks: readonly Uint8Array[],
): string {
  const exchanges = new Map<number, string>()
  const said: string[] = []
  const poll = (): void => {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      const { exchange = 0 } = event as { exchange?: number }
      const { type } = event
      if ((type === 'request' || type === 'response') && event.hasBody && !event.content) {
        session.submit({ type: 'demand', exchange, wanted: true }, 0)
      }
      exchanges.set(exchange, (exchanges.get(exchange) ?? '') + describe(event))
    }
    for (const { type, stream, payload } of framesOf(session.pollTransmit(0x1_0000).take())) {
      if (type === RST_STREAM) said.push(`reset ${stream} ${payload.join(' ')}`)
      if (type === GOAWAY) said.push(`goaway ${payload.join(' ')}`)
    }
  }
  for (const chunk of chunks) {
    session.receive(chunk, 0)
    poll()
  }
  const failure = session.failure?.code
  session.receiveEnd(0)
  poll()
  if (session.state !== 'closed') throw new Error(`the state is ${session.state} after the end`)
  if (session.pending > 0) throw new Error(`${session.pending} exchanges after the end`)
  // A request that ends early in the batch it came in is never told of; later, its end is.
  const whole = [...exchanges].filter(([, text]) => !text.endsWith(' aborted'))
  const summary = whole.map(([id, text]) => `${id}: ${text}`).sort()
  return [...summary, ...said.sort(), failure].join('\n')
}

function describe(event: ServerEvent | ClientEvent): string {
  switch (event.type) {
    case 'request':
      return `${event.method} ${event.target} ${event.authority} ${fieldsOf(event)}`
    case 'response':
      return `${event.status} ${fieldsOf(event)}`
    case 'data':
      return `${event.chunk.join(' ')} `
    case 'end':
      return ` end ${event.trailers?.list?.join() ?? ''}`
    case 'aborted':
      return ' aborted'
    case 'inform':
      return `${event.status} ${event.fields.list?.join() ?? ''} `
    default:
      return ''
  }
}

/** A body that came along reads as one that came behind. */
function fieldsOf(event: Extract<ServerEvent | ClientEvent, { type: 'request' | 'response' }>) {
  const { fields, content, trailers, hasBody } = event
  const head = `${fields.list?.join() ?? ''}: `
  const body = content === undefined || content.length === 0 ? '' : `${content.join(' ')} `
  const ends = content !== undefined || !hasBody
  return ends ? `${head}${body} end ${trailers?.list?.join() ?? ''}` : head
}

function sample(role: number, ...frames: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([role, ...frames.flatMap((bytes) => [...bytes])])
}
