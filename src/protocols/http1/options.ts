/**
 * Limits and timeouts of HTTP/1.1 sessions. Every part of a message that a peer can make long has
 * one, and every state in which a peer can make us wait has a clock of its own: none of the
 * timeouts shares its timer with another.
 */
import type { Host } from '../../core/host.ts'

export interface Http1Limits {
  /**
   * Longest request line or status line in bytes, without its CRLF. A longer request line is
   * answered 414.
   *
   * @default 8_192
   */
  maxStartLineBytes?: number
  /**
   * Longest head in bytes: start line, fields and the empty line. A longer one is answered 431.
   *
   * @default 16_384
   */
  maxHeadBytes?: number
  /**
   * Most fields in a head. More are answered 431.
   *
   * @default 100
   */
  maxFieldCount?: number
  /**
   * Longest extension of one chunk in bytes, from the `;` to the CRLF.
   *
   * @default 256
   */
  maxChunkExtensionBytes?: number
  /**
   * Longest trailer section in bytes, with the empty line that ends it.
   *
   * @default 8_192
   */
  maxTrailerBytes?: number
  /**
   * Most trailer fields.
   *
   * @default 50
   */
  maxTrailerCount?: number
  /**
   * Longest body received, in bytes, as it stands on the wire without chunk framing. A longer
   * request body is answered 413: before it is read where its length was announced.
   *
   * @default Infinity
   */
  maxBodyBytes?: number
  /**
   * Most bytes of an unwanted body that are read and dropped to keep the connection.
   *
   * @default 65_536
   */
  maxDiscardBytes?: number
}

export interface Http1ServerOptions extends Http1Limits {
  /** Text codec. @default portable, in plain JavaScript */
  host?: Pick<Host, 'text'>
  /** `http` or `https`: what an absolute-form target may say. @default 'http' */
  scheme?: 'http' | 'https'
  /**
   * The `Date` of responses (RFC 9110 6.6.1), an IMF-fixdate; cached by whoever gives it, since it
   * is called for each response. `now` is the session's, so that no clock has to be read for it.
   * Undefined: no `Date` is sent.
   */
  date?: ((now: number) => string) | undefined
  /**
   * Most requests of one connection whose responses have not left. Further ones wait unread.
   *
   * @default 32
   */
  maxPipelined?: number
  /**
   * Most requests of one connection: the response to the last one says that it closes.
   *
   * @default Infinity
   */
  maxRequestsPerConnection?: number
  /**
   * What it means when the client ends its side while a response is under way. False: it is gone,
   * the exchange is aborted; most that end have been closed. True: it still reads.
   *
   * @default false
   */
  allowHalfClose?: boolean
  /**
   * From the first byte of a request, or from the opening of the connection, to the end of the
   * head. A half head is answered 408; a silent connection is closed.
   *
   * @default 20_000
   */
  headTimeoutMs?: number
  /**
   * While body bytes are wanted: how long until at least `minBodyBytes` of them must have come.
   *
   * @default 30_000
   */
  bodyTimeoutMs?: number
  /**
   * Least progress of a body in each `bodyTimeoutMs`.
   *
   * @default 1
   */
  minBodyBytes?: number
  /**
   * How long a connection may idle between requests; then it is closed silently.
   *
   * @default 75_000
   */
  keepAliveTimeoutMs?: number
}

export interface Http1ClientOptions extends Http1Limits {
  /** Text codec. @default portable, in plain JavaScript */
  host?: Pick<Host, 'text'>
  /**
   * Most requests in flight. Above 1 requests are pipelined (RFC 9112 9.3.2): never behind one
   * that is not idempotent.
   *
   * @default 1
   */
  maxPipelined?: number
  /**
   * From the end of a request to the end of the response's head. The call's own deadline is
   * usually earlier.
   *
   * @default 300_000
   */
  headTimeoutMs?: number
  /**
   * While body bytes are wanted: how long until at least `minBodyBytes` of them must have come.
   *
   * @default 300_000
   */
  bodyTimeoutMs?: number
  /**
   * How long the rest of a response that was given up may take; then the connection is closed. It
   * keeps others waiting for the connection, and a new one costs less than that.
   *
   * @default 1_000
   */
  discardTimeoutMs?: number
  /**
   * Least progress of a body in each `bodyTimeoutMs`.
   *
   * @default 1
   */
  minBodyBytes?: number
  /**
   * Most interim (1xx) responses to one request.
   *
   * @default 16
   */
  maxInforms?: number
}

export const http1LimitDefaults: Readonly<Required<Http1Limits>> = Object.freeze({
  // RFC 9112 section 3 recommends at least 8,000; nginx, Apache and node:http take about as much.
  maxStartLineBytes: 8_192,
  // As node:http. Cookies of one site may take 4 KiB each.
  maxHeadBytes: 16_384,
  // As Apache's LimitRequestFields. Browsers send about 20, a chain of proxies adds a dozen.
  maxFieldCount: 100,
  // Nobody uses them; RFC 9112 7.1.1 asks to limit them. 256 holds a signature.
  maxChunkExtensionBytes: 256,
  maxTrailerBytes: 8_192,
  maxTrailerCount: 50,
  // Bodies are streamed under backpressure and take no memory here; who collects one has a limit
  // (Body.bytes), and servers set one for all.
  maxBodyBytes: Number.POSITIVE_INFINITY,
  // What fits one or two reads: cheaper than a new connection, too little to be an attack.
  maxDiscardBytes: 65_536,
})

export const http1ServerDefaults: Readonly<{
  maxPipelined: number
  maxRequestsPerConnection: number
  allowHalfClose: boolean
  headTimeoutMs: number
  bodyTimeoutMs: number
  minBodyBytes: number
  keepAliveTimeoutMs: number
}> = Object.freeze({
  // Twice the 16 that load generators use, so that reading never waits for the last answer.
  maxPipelined: 32,
  // As node:http. A connection that works is worth keeping; a number here spreads clients over
  // servers that came later.
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  // As node:http and nginx: a client that was stopped is noticed, and its work is cancelled.
  allowHalfClose: false,
  // A head fits a few packets: 20 s leaves room for retransmission on the worst mobile link.
  headTimeoutMs: 20_000,
  bodyTimeoutMs: 30_000,
  // Any byte is progress: long-lived streams upwards may be slow on purpose.
  minBodyBytes: 1,
  // Longer than the 60 s after which common load balancers close, so that they close first and the
  // race of a request with our close is rare. As nginx.
  keepAliveTimeoutMs: 75_000,
})

export const http1ClientDefaults: Readonly<{
  maxPipelined: number
  headTimeoutMs: number
  bodyTimeoutMs: number
  discardTimeoutMs: number
  minBodyBytes: number
  maxInforms: number
}> = Object.freeze({
  // Pipelining delays later answers behind slow ones and few servers like it: it is opt-in.
  maxPipelined: 1,
  // As undici: the last resort behind the deadline of the call.
  headTimeoutMs: 300_000,
  bodyTimeoutMs: 300_000,
  // A few round trips.
  discardTimeoutMs: 1_000,
  minBodyBytes: 1,
  // 100, a few 103 and progress reports (102); an endless row of them is an attack.
  maxInforms: 16,
})
