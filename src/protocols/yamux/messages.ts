/**
 * Frames of yamux as they stand on the wire, and what a session takes and gives.
 *
 *     | version 0 | type | flags u16 | stream u32 | length u32 | payload (data frames only) |
 *
 * `length` is the payload's length (data), how much the window grows (window update), the number of
 * the ping, or the code of a go away. Stream 0 is the session: pings and go away. Streams opened by
 * the client are odd, by the server even. Each direction of each starts with a window of 256 KiB.
 *
 * Specification: https://github.com/hashicorp/yamux/blob/master/spec.md
 */
import type { HeddleError } from '../../core/errors.ts'
import type { CreditCommand, PriorityCommand } from '../../core/session.ts'

export const YamuxType = Object.freeze({ DATA: 0, WINDOW_UPDATE: 1, PING: 2, GO_AWAY: 3 })

export const YamuxFlag = Object.freeze({ SYN: 1, ACK: 2, FIN: 4, RST: 8 })

export const YamuxCode = Object.freeze({ NORMAL: 0, PROTOCOL_ERROR: 1, INTERNAL_ERROR: 2 })

/** What a peer may send on a stream before any window update. */
export const YAMUX_INITIAL_WINDOW = 262_144

export interface YamuxHeader {
  readonly type: number
  /** Bits of {@link YamuxFlag}. */
  readonly flags: number
  readonly stream: number
  readonly length: number
}

/** A header, with the payload of a data frame. */
export interface YamuxFrame extends YamuxHeader {
  readonly payload?: Uint8Array
}

/** Opens a stream. `stream` is the session's `nextStream`, while `openableStreams` is above 0. */
export interface YamuxOpen {
  readonly type: 'open'
  readonly stream: number
}

export type YamuxCommand =
  | YamuxOpen
  /** Takes a stream that the peer opened; until then it takes no other command but `reset`. */
  | { readonly type: 'accept'; readonly stream: number }
  /** The bytes are given: nobody changes them any more. Not while the stream is stuck. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  /** Half-close: no more data from this side, once what is queued has left. */
  | { readonly type: 'end'; readonly stream: number }
  /** Both directions end at once; what is queued or held is dropped. Refuses an unaccepted stream. */
  | { readonly type: 'reset'; readonly stream: number }
  /** Without credit nothing is delivered; credit is also what lets the peer send more. */
  | CreditCommand
  /** Nothing is delivered while a stream is held, whatever its credit: what arrives is kept, counted. */
  | { readonly type: 'hold'; readonly stream: number; readonly held: boolean }
  | PriorityCommand
  | { readonly type: 'ping' }
  /** Nothing new is taken; the session closes when all streams have ended. */
  | { readonly type: 'close' }

/** The last event of a stream. */
export interface YamuxStreamClosed {
  readonly type: 'stream-closed'
  readonly stream: number
  /** Undefined: both sides ended it. */
  readonly error: HeddleError | undefined
}

export type YamuxEvent =
  /** The peer opened a stream: answer with `accept` or `reset`. */
  | { readonly type: 'stream'; readonly stream: number }
  /** The peer took a stream that was opened here. Data may have been sent before. */
  | { readonly type: 'accepted'; readonly stream: number }
  /** Borrowed. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  /** The peer sends no more on this stream. */
  | { readonly type: 'end'; readonly stream: number }
  /** What was queued on a stuck stream has left. */
  | { readonly type: 'writable'; readonly stream: number }
  | YamuxStreamClosed
  /** `openableStreams` is positive again. */
  | { readonly type: 'openable' }
  | { readonly type: 'pong'; readonly roundTripMs: number }
  /** The peer takes no new streams. */
  | { readonly type: 'go-away' }
  /** The last event. */
  | { readonly type: 'closed'; readonly error: HeddleError | undefined }
