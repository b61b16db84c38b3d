/**
 * Every MUST of RFC 9113, 9218 and 8441 that a peer can break on a connection, and what is answered:
 * a connection error (GOAWAY) or a stream error (RST_STREAM) with its code, however the bytes are cut.
 * Those of messages are in malformed-messages.test.ts, floods in floods.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ACK,
  type AnySession,
  block,
  CONTINUATION,
  converse,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GET_FIELDS,
  GOAWAY,
  get,
  HEADERS,
  ok,
  PADDED,
  PING,
  PREFACE,
  PRIORITY,
  PRIORITY_FLAG,
  PRIORITY_UPDATE,
  PUSH_PROMISE,
  post,
  RST_STREAM,
  SETTINGS,
  settings,
  uint32,
  WHOLE,
  WINDOW_UPDATE,
} from '../../../test/support/http2-raw-peer.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import { Http2Code, http2CodeName } from './messages.ts'
import { Http2ServerSession } from './server-session.ts'

const {
  PROTOCOL_ERROR,
  FLOW_CONTROL_ERROR,
  STREAM_CLOSED,
  FRAME_SIZE_ERROR,
  REFUSED_STREAM,
  COMPRESSION_ERROR,
} = Http2Code

/** A connection error, or the error of one stream. */
type Verdict = readonly ['connection', number] | readonly ['stream', number, number] | readonly []

interface Violation {
  /** Section, and what is done. */
  readonly rule: string
  readonly frames: readonly Uint8Array[]
  readonly verdict: Verdict
  /** The frames stand for themselves: neither preface nor SETTINGS go before them. */
  readonly bare?: boolean
}

const SPLITS = 8
const byte = (count: number): number[] => Array.from({ length: count }, () => 0x61)
const REQUEST = block(...GET_FIELDS)
const MAX = 0x7fff_ffff

/** Those that both roles refuse alike; stream 1 is open. */
const common: Violation[] = [
  wrong('6.5: SETTINGS must come first', [frame(PING, 0, 0, byte(8))], PROTOCOL_ERROR, true),
  wrong('3.4: an acknowledgement is not SETTINGS', [frame(SETTINGS, ACK, 0)], PROTOCOL_ERROR, true),
  wrong('4.2: a frame over MAX_FRAME_SIZE', [frame(DATA, 0, 1, byte(16_385))], FRAME_SIZE_ERROR),
  wrong('4.2: so of an unknown type', [frame(77, 0, 0, byte(16_385))], FRAME_SIZE_ERROR),
  wrong(
    '4.3: a block that HPACK cannot read',
    [frame(HEADERS, WHOLE, 1, [0x80])],
    COMPRESSION_ERROR,
  ),
  wrong(
    '4.3: a block cut inside a field',
    [frame(HEADERS, WHOLE, 1, [0x00, 5])],
    COMPRESSION_ERROR,
  ),
  wrong(
    '4.3: a frame inside a block',
    [frame(HEADERS, END_STREAM, 1, [0x82]), frame(PING, 0, 0, byte(8))],
    PROTOCOL_ERROR,
  ),
  wrong(
    '4.3: DATA inside a block',
    [frame(HEADERS, 0, 1, [0x82]), frame(DATA, 0, 1, byte(3))],
    PROTOCOL_ERROR,
  ),
  wrong(
    '6.10: CONTINUATION of another stream',
    [frame(HEADERS, END_STREAM, 1, [0x82]), frame(CONTINUATION, END_HEADERS, 3, [0x84])],
    PROTOCOL_ERROR,
  ),
  wrong('6.10: CONTINUATION without HEADERS', [frame(CONTINUATION, 4, 1, [0x82])], PROTOCOL_ERROR),
  wrong('6.1: DATA on stream 0', [frame(DATA, 0, 0, byte(3))], PROTOCOL_ERROR),
  wrong('6.1: padding as long as its frame', [frame(DATA, PADDED, 1, [3, 1, 2])], PROTOCOL_ERROR),
  wrong('5.1: DATA on an idle stream', [frame(DATA, 0, 9, byte(3))], PROTOCOL_ERROR),
  wrong('5.1: RST_STREAM of an idle stream', [frame(RST_STREAM, 0, 9, uint32(8))], PROTOCOL_ERROR),
  wrong(
    '5.1: WINDOW_UPDATE of an idle stream',
    [frame(WINDOW_UPDATE, 0, 9, uint32(1))],
    PROTOCOL_ERROR,
  ),
  wrong('6.2: HEADERS on stream 0', [frame(HEADERS, WHOLE, 0, REQUEST)], PROTOCOL_ERROR),
  wrong(
    '6.2: padding longer than HEADERS',
    [frame(HEADERS, WHOLE | PADDED, 1, [9, 0x82])],
    PROTOCOL_ERROR,
  ),
  wrong(
    '6.2: HEADERS too short for padding',
    [frame(HEADERS, WHOLE | PADDED, 1)],
    FRAME_SIZE_ERROR,
  ),
  wrong(
    '6.2: HEADERS too short for its priority',
    [frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, [0, 0, 0])],
    FRAME_SIZE_ERROR,
  ),
  wrong('6.3: PRIORITY on stream 0', [frame(PRIORITY, 0, 0, byte(5))], PROTOCOL_ERROR),
  wrong('6.3: PRIORITY of four bytes', [frame(PRIORITY, 0, 1, byte(4))], FRAME_SIZE_ERROR),
  wrong('6.4: RST_STREAM on stream 0', [frame(RST_STREAM, 0, 0, uint32(8))], PROTOCOL_ERROR),
  wrong('6.4: RST_STREAM of three bytes', [frame(RST_STREAM, 0, 1, byte(3))], FRAME_SIZE_ERROR),
  wrong('6.5: SETTINGS on a stream', [frame(SETTINGS, 0, 1)], PROTOCOL_ERROR),
  wrong('6.5: SETTINGS of seven bytes', [frame(SETTINGS, 0, 0, byte(7))], FRAME_SIZE_ERROR),
  wrong(
    '6.5: an acknowledgement with payload',
    [frame(SETTINGS, ACK, 0, byte(6))],
    FRAME_SIZE_ERROR,
  ),
  wrong('6.5.2: ENABLE_PUSH 2', [settings(2, 2)], PROTOCOL_ERROR),
  wrong('6.5.2: INITIAL_WINDOW_SIZE 2³¹', [settings(4, 0x8000_0000)], FLOW_CONTROL_ERROR),
  wrong('6.5.2: MAX_FRAME_SIZE 16,383', [settings(5, 16_383)], PROTOCOL_ERROR),
  wrong('6.5.2: MAX_FRAME_SIZE 2²⁴', [settings(5, 0x100_0000)], PROTOCOL_ERROR),
  wrong('RFC 8441 3: ENABLE_CONNECT_PROTOCOL 2', [settings(8, 2)], PROTOCOL_ERROR),
  wrong('RFC 8441 3: taken back', [settings(8, 1), settings(8, 0)], PROTOCOL_ERROR),
  wrong('RFC 9218 2.1: NO_RFC7540_PRIORITIES 2', [settings(9, 2)], PROTOCOL_ERROR),
  wrong('6.7: PING on a stream', [frame(PING, 0, 1, byte(8))], PROTOCOL_ERROR),
  wrong('6.7: PING of seven bytes', [frame(PING, 0, 0, byte(7))], FRAME_SIZE_ERROR),
  wrong('6.8: GOAWAY on a stream', [frame(GOAWAY, 0, 1, byte(8))], PROTOCOL_ERROR),
  wrong('6.8: GOAWAY of seven bytes', [frame(GOAWAY, 0, 0, byte(7))], FRAME_SIZE_ERROR),
  wrong(
    '6.8: GOAWAY that takes more streams than before',
    [
      frame(GOAWAY, 0, 0, [...uint32(1), ...uint32(0)]),
      frame(GOAWAY, 0, 0, [...uint32(3), ...uint32(0)]),
    ],
    PROTOCOL_ERROR,
  ),
  wrong(
    '6.9: WINDOW_UPDATE of three bytes',
    [frame(WINDOW_UPDATE, 0, 0, byte(3))],
    FRAME_SIZE_ERROR,
  ),
  wrong('6.9: WINDOW_UPDATE of 0', [frame(WINDOW_UPDATE, 0, 0, uint32(0))], PROTOCOL_ERROR),
  onStream('6.9: WINDOW_UPDATE of 0', [frame(WINDOW_UPDATE, 0, 1, uint32(0))], 1, PROTOCOL_ERROR),
  wrong(
    '6.9.1: a window over 2³¹ - 1',
    [frame(WINDOW_UPDATE, 0, 0, uint32(MAX))],
    FLOW_CONTROL_ERROR,
  ),
  onStream(
    '6.9.1: a window of a stream over 2³¹ - 1',
    [frame(WINDOW_UPDATE, 0, 1, uint32(MAX))],
    1,
    FLOW_CONTROL_ERROR,
  ),
  wrong(
    '6.9.2: SETTINGS that make such a window',
    [frame(WINDOW_UPDATE, 0, 1, uint32(MAX - 65_535)), settings(4, 65_536)],
    FLOW_CONTROL_ERROR,
  ),
  wrong(
    'RFC 9218 7.1: PRIORITY_UPDATE on a stream',
    [frame(PRIORITY_UPDATE, 0, 1, [...uint32(1), 0x75])],
    PROTOCOL_ERROR,
  ),
  fine('4.1: frames and flags that no RFC has', [
    frame(99, 0xff, 7, byte(9)),
    frame(PING, 0xfe, 0, byte(8)),
  ]),
  fine('6.5.2: settings that no RFC has', [settings(77, 1, 0, 9)]),
  fine('6.5: the same setting twice: the last one holds', [settings(4, 5, 4, 70_000)]),
  fine('5.1: PRIORITY of any stream', [frame(PRIORITY, 0, 99, [...uint32(1), 1])]),
  fine('4.1: the reserved bit of a stream number', [frame(PING, 0, 0x8000_0000, byte(8))]),
  fine('6.9: the reserved bit of a window', [frame(WINDOW_UPDATE, 0, 1, uint32(0x8000_0005))]),
]

/** What a client does; stream 1 is a POST whose body has not come. */
const byClients: Violation[] = [
  ...common,
  {
    rule: '3.4: HTTP/1.1 instead of the preface',
    frames: [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    verdict: [],
    bare: true,
  },
  wrong('5.1.1: a request on an even stream', [get(2)], PROTOCOL_ERROR),
  wrong('5.1.1: a stream below the last one', [get(7), get(5)], PROTOCOL_ERROR),
  wrong(
    '6.6: PUSH_PROMISE from a client',
    [frame(PUSH_PROMISE, END_HEADERS, 1, [...uint32(2), 0x82])],
    PROTOCOL_ERROR,
  ),
  onStream('5.1.2: more streams than MAX_CONCURRENT_STREAMS', [get(3), get(5)], 5, REFUSED_STREAM),
  onStream('5.1: DATA after the end', [get(3), frame(DATA, 0, 3, byte(1))], 3, STREAM_CLOSED),
  onStream('5.1: HEADERS after the end', [get(3), get(3)], 3, STREAM_CLOSED),
  wrong(
    '5.1: DATA after RST_STREAM',
    [frame(RST_STREAM, 0, 1, uint32(8)), frame(DATA, 0, 1, byte(1))],
    STREAM_CLOSED,
  ),
  wrong(
    '5.1: HEADERS after RST_STREAM',
    [frame(RST_STREAM, 0, 1, uint32(8)), get(1)],
    STREAM_CLOSED,
  ),
  onStream(
    '6.9: DATA over the window of its stream',
    Array.from({ length: 5 }, () => frame(DATA, 0, 1, byte(16_000))),
    1,
    FLOW_CONTROL_ERROR,
  ),
  wrong(
    'RFC 9218 7.1: PRIORITY_UPDATE of stream 0',
    [frame(PRIORITY_UPDATE, 0, 0, [...uint32(0), 0x75])],
    PROTOCOL_ERROR,
  ),
  wrong(
    'RFC 9218 7.1: PRIORITY_UPDATE of three bytes',
    [frame(PRIORITY_UPDATE, 0, 0, byte(3))],
    FRAME_SIZE_ERROR,
  ),
  wrong(
    'RFC 9218 7.1: of a push that was not promised',
    [frame(PRIORITY_UPDATE, 0, 0, [...uint32(2), 0x75])],
    PROTOCOL_ERROR,
  ),
  fine('RFC 9218 7.1: of a request to come', [frame(PRIORITY_UPDATE, 0, 0, [...uint32(9), 0x75])]),
  fine('5.1: WINDOW_UPDATE after RST_STREAM', [
    frame(RST_STREAM, 0, 1, uint32(8)),
    frame(WINDOW_UPDATE, 0, 1, uint32(1)),
  ]),
]

/** What a server does; stream 1 is a GET that has no answer yet. */
const byServers: Violation[] = [
  ...common,
  wrong('6.5.2: ENABLE_PUSH from a server', [settings(2, 1)], PROTOCOL_ERROR),
  wrong('5.1.1: HEADERS on a stream that nobody opened', [ok(3)], PROTOCOL_ERROR),
  wrong('5.1.1: HEADERS on a stream of its own', [ok(2)], PROTOCOL_ERROR),
  wrong(
    '8.4: PUSH_PROMISE when push is disabled',
    [frame(PUSH_PROMISE, END_HEADERS, 1, [...uint32(2), ...REQUEST])],
    PROTOCOL_ERROR,
  ),
  wrong(
    '6.6: PUSH_PROMISE on stream 0',
    [frame(PUSH_PROMISE, END_HEADERS, 0, [...uint32(2), ...REQUEST])],
    PROTOCOL_ERROR,
  ),
  wrong(
    '6.6: PUSH_PROMISE without its stream',
    [frame(PUSH_PROMISE, END_HEADERS, 1, [0, 0])],
    FRAME_SIZE_ERROR,
  ),
  wrong(
    'RFC 9218 7.1: PRIORITY_UPDATE from a server',
    [frame(PRIORITY_UPDATE, 0, 0, [...uint32(1), 0x75])],
    PROTOCOL_ERROR,
  ),
  wrong('5.1: DATA after the end', [ok(1, WHOLE), frame(DATA, 0, 1, byte(1))], STREAM_CLOSED),
  wrong('5.1: HEADERS after the end', [ok(1, WHOLE), ok(1, WHOLE)], STREAM_CLOSED),
  onStream('8.1: DATA before HEADERS', [frame(DATA, 0, 1, byte(1))], 1, PROTOCOL_ERROR),
  fine('5.1: RST_STREAM after the end', [ok(1, WHOLE), frame(RST_STREAM, 0, 1, uint32(0))]),
]

const serverSession = (): AnySession => new Http2ServerSession({ maxConcurrentStreams: 2 }, 0)
const serverGreeting = [PREFACE, settings(), post(1)]
const clientGreeting = [settings()]

function clientSession(): AnySession {
  const session = new Http2ClientSession({}, 0)
  const request = { method: 'GET', target: '/', authority: 'a.example', fields: new HttpFields() }
  const rest = { body: undefined, streams: false, bodyLength: undefined }
  session.submit({ type: 'request', exchange: 1, ...request, ...rest }, 0)
  return session
}

check('client breaks', byClients, serverSession, serverGreeting, [PREFACE])
check('server breaks', byServers, clientSession, clientGreeting, [])

function check(
  who: string,
  violations: readonly Violation[],
  create: () => AnySession,
  greeting: readonly Uint8Array[],
  bareGreeting: readonly Uint8Array[],
): void {
  for (const { rule, frames, verdict, bare = false } of violations) {
    test(`Http2: ${who} ${rule}: ${describe(verdict)}`, () => {
      const isPreface = bare && rule.startsWith('3.4: HTTP/1.1')
      const before = isPreface ? [] : bare ? bareGreeting : greeting
      const whole = Buffer.concat([...before, ...frames])
      const expected = verdictOf(create(), [whole])
      if (isPreface) assert.deepEqual(expected, ['closed ERR_WRONG_PROTOCOL'])
      else assert.deepEqual(expected, [...(verdict.length === 0 ? [] : [describe(verdict)])])
      assert.deepEqual(
        verdictOf(
          create(),
          Array.from(whole, (_, at) => whole.subarray(at, at + 1)),
        ),
        expected,
        'byte by byte',
      )
      const random = seededRandom(9113)
      for (let split = 0; split < SPLITS; split++) {
        const cuts = Array.from({ length: 4 }, () => Math.floor(random() * whole.length))
        const ends = [...cuts.sort((a, b) => a - b), whole.length]
        const chunks = ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
        assert.deepEqual(verdictOf(create(), chunks), expected, `cut at ${cuts}`)
      }
    })
  }
}

/** GOAWAY and RST_STREAM that were sent. */
function verdictOf(session: AnySession, chunks: readonly Uint8Array[]): string[] {
  const { sent } = converse(session, chunks)
  const verdicts: string[] = []
  for (const { type, stream, payload } of sent) {
    const view = new DataView(payload.buffer, payload.byteOffset)
    if (type === RST_STREAM) verdicts.push(describe(['stream', stream, view.getUint32(0)]))
    if (type === GOAWAY) verdicts.push(describe(['connection', view.getUint32(4)]))
  }
  const isClosed = session.state === 'closed'
  const isFatal = verdicts.at(-1)?.startsWith('connection') === true
  if (isClosed && !isFatal) verdicts.push(`closed ${session.failure?.code}`)
  if (isFatal) assert.ok(isClosed, 'GOAWAY with an error, and the session goes on')
  return verdicts
}

function describe(verdict: Verdict): string {
  if (verdict.length === 0) return 'ignored'
  if (verdict[0] === 'connection') return `connection ${http2CodeName(verdict[1])}`
  return `stream ${verdict[1]} ${http2CodeName(verdict[2])}`
}

function wrong(rule: string, frames: readonly Uint8Array[], code: number, bare = false): Violation {
  return { rule, frames, verdict: ['connection', code], bare }
}

function onStream(
  rule: string,
  frames: readonly Uint8Array[],
  stream: number,
  code: number,
): Violation {
  return { rule, frames, verdict: ['stream', stream, code] }
}

/** Looks wrong, and is not. */
function fine(rule: string, frames: readonly Uint8Array[]): Violation {
  return { rule, frames, verdict: [] }
}
