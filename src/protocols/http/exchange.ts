/**
 * What goes in and out of an HTTP session besides bytes, the same for every version: so one glue for
 * servers and one for clients serve HTTP/1.1 (RFC 9112), HTTP/2 (RFC 9113) and what comes.
 *
 * An *exchange* is one request with its response. HTTP/1.1 numbers them from 1 in each session and
 * sends responses in the order of the requests; in HTTP/2 the number is that of the stream, and they
 * leave as they come.
 *
 * A message whose body came whole together with its head is one event with `content`: what costs most
 * of a short call is everything that a stream would need.
 */
import type { HeddleError } from '../../core/errors.ts'
import type { Session } from '../../core/session.ts'
import type { HttpFields } from './fields.ts'
import type { HttpVersion } from './messages.ts'

/** One side of a connection of a server, whatever its version. */
export interface HttpServerSession extends Session<ServerCommand, ServerEvent> {
  /** Whether `data` of this exchange may be given; after false, `writable` tells unless it ends. */
  isWritable(exchange: number): boolean
  /** HTTP/2: the exchange that a `push` would open; 0: the client takes none now. */
  readonly nextPush?: number
}

/** One side of a connection of a client, whatever its version. */
export interface HttpClientSession extends Session<ClientCommand, ClientEvent> {
  readonly version: HttpVersion
  /** The number that the next `request` must have. */
  readonly nextExchange: number
  /** How many requests may be submitted now. */
  readonly capacity: number
  /** Exchanges that are not over, given up ones whose rest is still arriving included. */
  readonly pending: number
  /** How long the peer said that it keeps an idle connection, in milliseconds. */
  readonly keepAliveHintMs: number | undefined
  /** False: what the peer offers has yet to come. Undefined: it offers nothing. */
  readonly peerKnown?: boolean
  isWritable(exchange: number): boolean
}

/** Server session: what arrived. */
export type ServerEvent =
  | RequestEvent
  | DataEvent
  | EndEvent
  | TurnEvent
  | WritableEvent
  | SentEvent
  | DetachedEvent
  | AbortedEvent
  | PongEvent
  | GoAwayEvent

/** Client session: what arrived. */
export type ClientEvent =
  | InformEvent
  | ResponseEvent
  | DataEvent
  | EndEvent
  | WritableEvent
  | DetachedEvent
  | AbortedEvent
  | CapacityEvent
  | PongEvent
  | GoAwayEvent
  | PushedEvent

export interface RequestEvent {
  readonly type: 'request'
  readonly exchange: number
  readonly method: string
  readonly target: string
  /**
   * From `Host`, or from an absolute-form target, which wins (RFC 9112 3.2.2); from `:authority`, or
   * `Host` where there is none (RFC 9113 8.3.1).
   */
  readonly authority: string
  readonly fields: HttpFields
  readonly version: HttpVersion
  /** False: the request is complete, neither `data` nor `end` follows. */
  readonly hasBody: boolean
  /** From `Content-Length`; undefined for chunked. */
  readonly bodyLength: number | undefined
  /** The client waits for `inform` 100 before it sends the body (or for the final response). */
  readonly expectsContinue: boolean
  /**
   * Value of `Upgrade` when the client asks for it; `connect` for CONNECT; `:protocol` of an extended
   * CONNECT (RFC 8441), whose target is a path.
   */
  readonly upgrade: string | undefined
  /** The whole body, when it came along: neither `data` nor `end` follows. The owner's to keep. */
  readonly content: Uint8Array | undefined
  /** Only with `content`. */
  readonly trailers: HttpFields | undefined
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
  /** The whole body, when it came along: neither `data` nor `end` follows. The owner's to keep. */
  readonly content: Uint8Array | undefined
  /** Only with `content`, or where there is no body (`hasBody` false). */
  readonly trailers: HttpFields | undefined
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

/** The exchange takes data again: `isWritable` was false. HTTP/1.1 has the connection's own. */
export interface WritableEvent {
  readonly type: 'writable'
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

/**
 * The exchange ended early. The last event of that exchange. Client: also behind a whole response
 * (its `end`, or its `response` that came whole), where the server wants no more of a request that
 * has not ended (HTTP/2: RST_STREAM with NO_ERROR, RFC 9113 8.1). It is about the request alone then:
 * the owner stops its body, and whoever called has the response, whole.
 */
export interface AbortedEvent {
  readonly type: 'aborted'
  readonly exchange: number
  readonly error: HeddleError
}

/** Client: another request may be submitted (`capacity` was 0). */
export interface CapacityEvent {
  readonly type: 'capacity'
}

/** The answer to a `ping` of HTTP/2. Exchange 0 is the connection. */
export interface PongEvent {
  readonly type: 'pong'
  readonly exchange: 0
  /** The how-manieth PING of the session it answers. */
  readonly ping: number
  readonly rttMs: number
}

/** The peer takes no more (HTTP/2): no exchange above `lastExchange` was or will be looked at. */
export interface GoAwayEvent {
  readonly type: 'goaway'
  readonly exchange: 0
  readonly code: number
  /** Of `code`, as RFC 9113 section 7 has it. */
  readonly name: string
  readonly lastExchange: number
  /** What the peer said to people; printable ASCII. */
  readonly text: string
}

/**
 * Client: the server is about to answer a request that was not made (HTTP/2 push). `response` of
 * this exchange follows; `reset` refuses it.
 */
export interface PushedEvent {
  readonly type: 'pushed'
  readonly exchange: number
  /** The request that it belongs to. */
  readonly parent: number
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly fields: HttpFields
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
  | PingCommand

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
  /** After a whole body. */
  readonly trailers?: HttpFields | undefined
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
  /** `:scheme`; undefined: that of the session. HTTP/1.1 sends none. */
  readonly scheme?: 'http' | 'https' | undefined
  /** `:protocol` of an extended CONNECT (RFC 8441). HTTP/1.1 has none. */
  readonly protocol?: string | undefined
  /** Given to the session. */
  readonly body: Uint8Array | string | undefined
  /** Of a whole body; those of a streamed one come with `end`. */
  readonly trailers?: HttpFields | undefined
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
 * Gives the exchange up. HTTP/2 resets its stream. Where HTTP/1.1 cannot end the message properly
 * (half a body), the connection is closed after what was encoded, so that the peer sees it cut,
 * never a shorter whole.
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

/** Asks whether the peer is there (HTTP/2): `pong` answers, or the connection is given up. */
export interface PingCommand {
  readonly type: 'ping'
}

/** In which order bodies leave (RFC 9218); a client tells the server too. HTTP/2. */
export interface PriorityCommand {
  readonly type: 'priority'
  readonly exchange: number
  /** 0 (first) to 7 (last). */
  readonly urgency: number
  /** Of the same urgency, in turn rather than one after the other. */
  readonly incremental: boolean
}

/**
 * Server: promises the answer to a request that was not made (HTTP/2 push). The exchange that it
 * opens is `nextPush`, and is answered like every other.
 */
export interface PushCommand {
  readonly type: 'push'
  /** The request that it belongs to. */
  readonly exchange: number
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly fields: HttpFields
}

/** Finish what is in flight, take nothing new; a server says `Connection: close`. */
export interface DrainCommand {
  readonly type: 'drain'
}
