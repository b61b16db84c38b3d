/**
 * What attackers have sent to HTTP/2 servers, as endless series of frames, and within how many of
 * them a server with the default options has cut the connection.
 */
import { http2ServerDefaults } from '../../src/protocols/http2/options.ts'
import {
  ACK,
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  frame,
  GET_FIELDS,
  GOAWAY,
  get,
  HEADERS,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  post,
  RST_STREAM,
  SETTINGS,
  settings,
  uint32,
  WHOLE,
  WINDOW_UPDATE,
} from './http2-raw-peer.ts'

export interface Flood {
  readonly name: string
  /** Before the series. */
  readonly before: Uint8Array
  /** The frames of one round; rounds count from 0. */
  round(index: number): readonly Uint8Array[]
  /** Rounds after which the connection is over; from this one on nothing is read. */
  readonly rounds: number
}

const { maxIdleFrames, maxResets, maxContinuations, maxConcurrentStreams } = http2ServerDefaults
const NOTHING = new Uint8Array(0)
/** A request whose fields are all in the table after the first: 65,536 bytes and more of fields. */
const BOMB = Uint8Array.from([
  // A field of 4,000 bytes, put into the table, then named again and again.
  ...[0x40, 1, 0x78, 0x7f, 0xa1, 0x1e, ...new Array<number>(4_000).fill(0x79)],
  ...new Array<number>(8_000).fill(0xbe),
])
const LONG = Uint8Array.from(
  block(...GET_FIELDS, ...Array.from({ length: 17 }, () => ['x', 'y'.repeat(900)]).flat()),
)
const id = (index: number): number => 1 + 2 * index

export const floods: readonly Flood[] = [
  idle('PING', () => frame(PING, 0, 0, new Uint8Array(8))),
  idle('answers to no PING', () => frame(PING, ACK, 0, new Uint8Array(8))),
  // The first SETTINGS of the client took one.
  idle('SETTINGS', () => settings(4, 65_535)),
  idle('acknowledgements of nothing', () => frame(SETTINGS, ACK, 0)),
  idle('PRIORITY', (index) => frame(PRIORITY, 0, id(index), [...uint32(0), 1])),
  idle('PRIORITY_UPDATE', (index) => frame(PRIORITY_UPDATE, 0, 0, [...uint32(id(index)), 0x75])),
  idle('WINDOW_UPDATE', () => frame(WINDOW_UPDATE, 0, 0, uint32(1))),
  idle('frames of no known type', () => frame(0xbb, 0, 0, uint32(1))),
  onRequest('GOAWAY', () => frame(GOAWAY, 0, 0, new Uint8Array(8))),
  onRequest('empty DATA', () => frame(DATA, 0, 1)),
  onRequest('WINDOW_UPDATE of a stream', () => frame(WINDOW_UPDATE, 0, 1, uint32(1))),
  resets('rapid reset (CVE-2023-44487)', (index) => [
    get(id(index)),
    frame(RST_STREAM, 0, id(index), uint32(8)),
  ]),
  resets('MadeYouReset (CVE-2025-8671): WINDOW_UPDATE of 0', (index) => [
    get(id(index)),
    frame(WINDOW_UPDATE, 0, id(index), uint32(0)),
  ]),
  resets('MadeYouReset: a window over 2³¹ - 1', (index) => [
    get(id(index)),
    frame(WINDOW_UPDATE, 0, id(index), uint32(0x7fff_ffff)),
  ]),
  resets('MadeYouReset: DATA after the end', (index) => [
    get(id(index)),
    frame(DATA, 0, id(index), [1]),
  ]),
  resets('MadeYouReset: HEADERS after the end', (index) => [get(id(index)), get(id(index))]),
  resets('requests without fields', (index) => [frame(HEADERS, WHOLE, id(index))]),
  resets('requests that are malformed', (index) => [
    frame(HEADERS, WHOLE, id(index), block(...GET_FIELDS, 'X', 'y')),
  ]),
  {
    ...resets('requests over maxConcurrentStreams', (index) => [get(id(index))]),
    rounds: maxConcurrentStreams + maxResets + 1,
  },
  resets('HPACK bombs', (index) => [frame(HEADERS, WHOLE, id(index), BOMB)]),
  resets('field sections over maxHeaderListBytes', (index) => {
    const parts = Array.from({ length: 4 }, (_, part) =>
      frame(CONTINUATION, part === 3 ? END_HEADERS : 0, id(index), LONG),
    )
    return [frame(HEADERS, 1, id(index), LONG), ...parts]
  }),
  {
    name: 'CONTINUATION (CVE-2024-27983)',
    before: frame(HEADERS, 1, 1, block(...GET_FIELDS)),
    round: () => [frame(CONTINUATION, 0, 1, block('x', 'y'))],
    rounds: maxContinuations + 1,
  },
  {
    name: 'empty CONTINUATION',
    before: frame(HEADERS, 1, 1, block(...GET_FIELDS)),
    round: () => [frame(CONTINUATION, 0, 1)],
    rounds: maxContinuations + 1,
  },
]

/** Frames that are of no use. */
function idle(
  name: string,
  make: (index: number) => Uint8Array,
  rounds: number = maxIdleFrames,
): Flood {
  return { name, before: NOTHING, round: (index) => [make(index)], rounds }
}

/** As `idle`; the request before, which is work, has given back what SETTINGS took. */
function onRequest(name: string, make: (index: number) => Uint8Array): Flood {
  return { ...idle(name, make, maxIdleFrames + 1), before: post(1) }
}

/** Streams that end before they were answered. */
function resets(name: string, round: (index: number) => readonly Uint8Array[]): Flood {
  return { name, before: NOTHING, round, rounds: maxResets + 1 }
}
