/**
 * What goes in and out of an HTTP/1.1 session (RFC 9112), besides bytes.
 *
 * An *exchange* is one request with its response, numbered from 1 in each session. On a server,
 * requests may be pipelined: responses leave in the order of the requests, whatever order they are
 * submitted in.
 */
import type { HeddleError } from '../../core/errors.ts'
import type { HttpFields } from '../http/fields.ts'
import type { HttpVersion } from '../http/messages.ts'

/** Server session: what arrived. */
export type ServerEvent =
  | RequestEvent
  | DataEvent
  | EndEvent
  | TurnEvent
  | SentEvent
  | DetachedEvent
  | AbortedEvent

/** Client session: what arrived. */
export type ClientEvent =
  | InformEvent
  | ResponseEvent
  | DataEvent
  | EndEvent
  | DetachedEvent
  | AbortedEvent
  | CapacityEvent

export interface RequestEvent {
  readonly type: 'request'
  readonly exchange: number
  readonly method: string
  readonly target: string
  /** From `Host`, or from an absolute-form target, which wins (RFC 9112 3.2.2). */
  readonly authority: string
  readonly fields: HttpFields
  readonly version: HttpVersion
  /** False: the request is complete, neither `data` nor `end` follows. */
  readonly hasBody: boolean
  /** From `Content-Length`; undefined for chunked. */
  readonly bodyLength: number | undefined
  /** The client waits for `inform` 100 before it sends the body (or for the final response). */
  readonly expectsContinue: boolean
  /** Value of `Upgrade` when the client asks for it; `connect` for CONNECT. */
  readonly upgrade: string | undefined
}

export interface ResponseEvent {
  readonly type: 'response'
  readonly exchange: number
  readonly status: number
  readonly reason: string
  readonly fields: HttpFields
  readonly version: HttpVersion
  /** False: the response is complete, neither `data` nor `end` follows. */
  readonly hasBody: boolean
  readonly bodyLength: number | undefined
}

/** An interim response (1xx other than 101). */
export interface InformEvent {
  readonly type: 'inform'
  readonly exchange: number
  readonly status: number
  readonly fields: HttpFields
}

/** A part of a body; `chunk` is borrowed until the next `pollEvent` or `receive`. */
export interface DataEvent {
  readonly type: 'data'
  readonly exchange: number
  readonly chunk: Uint8Array
}

export interface EndEvent {
  readonly type: 'end'
  readonly exchange: number
  readonly trailers: HttpFields | undefined
}

/** Server: `data` and `end` commands of this exchange are legal now; all before it have left. */
export interface TurnEvent {
  readonly type: 'turn'
  readonly exchange: number
}

/**
 * Server: the response was encoded completely. The last event of the exchange: what has not come of
 * the request's body is dropped.
 */
export interface SentEvent {
  readonly type: 'sent'
  readonly exchange: number
}

/** After 101 or a 2xx to CONNECT: the connection is no longer HTTP. */
export interface DetachedEvent {
  readonly type: 'detached'
  readonly exchange: number
}

/** The exchange ended early. The last event of that exchange. */
export interface AbortedEvent {
  readonly type: 'aborted'
  readonly exchange: number
  readonly error: HeddleError
}

/** Client: another request may be submitted (`canSubmit` became true). */
export interface CapacityEvent {
  readonly type: 'capacity'
}

export type ServerCommand =
  | InformCommand
  | RespondCommand
  | ResponseHeadCommand
  | DataCommand
  | EndCommand
  | ResetCommand
  | DemandCommand
  | DrainCommand

export type ClientCommand =
  | RequestCommand
  | DataCommand
  | EndCommand
  | ResetCommand
  | DemandCommand
  | DrainCommand

export interface InformCommand {
  readonly type: 'inform'
  readonly exchange: number
  readonly status: number
  readonly fields: HttpFields | undefined
}

/** A complete response. `body` bytes are given to the session. */
export interface RespondCommand {
  readonly type: 'respond'
  readonly exchange: number
  readonly status: number
  readonly reason: string | undefined
  readonly fields: HttpFields
  readonly body: Uint8Array | string | undefined
  /** The connection is handed over after this head (101, or 2xx to CONNECT). */
  readonly detach?: boolean
}

/** The head of a response whose body follows as `data`, after the exchange's `turn`. */
export interface ResponseHeadCommand {
  readonly type: 'head'
  readonly exchange: number
  readonly status: number
  readonly reason: string | undefined
  readonly fields: HttpFields
  /** Undefined: chunked to HTTP/1.1 peers, until close to HTTP/1.0 peers. */
  readonly bodyLength: number | undefined
}

export interface RequestCommand {
  readonly type: 'request'
  /** As `nextExchange` says; strictly ascending. */
  readonly exchange: number
  readonly method: string
  readonly target: string
  /** Sent as `Host` unless `fields` has one. */
  readonly authority: string
  readonly fields: HttpFields
  /** Given to the session. */
  readonly body: Uint8Array | string | undefined
  /** True: the body follows as `data` and `end`. */
  readonly streams: boolean
  /** With `streams`: undefined means chunked. */
  readonly bodyLength: number | undefined
}

export interface DataCommand {
  readonly type: 'data'
  readonly exchange: number
  readonly chunk: Uint8Array
  /** True: the chunk is given to the session; false: it is borrowed, and copied. */
  readonly owned: boolean
}

export interface EndCommand {
  readonly type: 'end'
  readonly exchange: number
  readonly trailers: HttpFields | undefined
}

/**
 * Gives the exchange up. Where the message cannot be ended properly (half a body), the connection
 * is closed after what was encoded, so that the peer sees it cut, never a shorter whole.
 */
export interface ResetCommand {
  readonly type: 'reset'
  readonly exchange: number
  readonly error: HeddleError
}

/** Whether body chunks of this exchange are wanted; initially not. */
export interface DemandCommand {
  readonly type: 'demand'
  readonly exchange: number
  readonly wanted: boolean
}

/** Finish what is in flight, take nothing new; a server says `Connection: close`. */
export interface DrainCommand {
  readonly type: 'drain'
}
