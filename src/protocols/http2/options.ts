/**
 * Limits, budgets and timeouts of HTTP/2 sessions. Whatever a peer can repeat or make long has one.
 */
import type { Host } from '../../core/host.ts'

export interface Http2Options {
  /** Text codec. @default portable, in plain JavaScript */
  host?: Pick<Host, 'text'>
  /**
   * Longest frame payload accepted, in bytes: SETTINGS_MAX_FRAME_SIZE.
   *
   * @default 16_384
   */
  maxFrameBytes?: number
  /**
   * Longest field section, counted as RFC 9113 6.5.2 does: name, value and 32 bytes a field. It is
   * said in SETTINGS_MAX_HEADER_LIST_SIZE. A longer request is answered 431, a longer response
   * resets its stream.
   *
   * @default 65_536
   */
  maxHeaderListBytes?: number
  /**
   * Most fields in a section. More are answered like a section that is too long.
   *
   * @default 256
   */
  maxFieldCount?: number
  /**
   * Most CONTINUATION frames behind one HEADERS. More end the connection.
   *
   * @default 16
   */
  maxContinuations?: number
  /**
   * Most memory of the peer's HPACK table that we keep: SETTINGS_HEADER_TABLE_SIZE.
   *
   * @default 4_096
   */
  headerTableBytes?: number
  /**
   * First receive window of a stream, in bytes. It grows up to `maxWindowBytes` where the
   * bandwidth-delay product that was measured asks for more.
   *
   * @default 1_048_576
   */
  windowBytes?: number
  /**
   * First receive window of the connection: what may be held for all streams that nobody reads.
   *
   * @default 2_097_152 for servers, 4_194_304 for clients
   */
  connectionWindowBytes?: number
  /**
   * Most bytes that the window of a stream grows to; the connection's grows to twice as many. Equal
   * to `windowBytes`: it never grows, and nothing is measured.
   *
   * @default 16_777_216
   */
  maxWindowBytes?: number
  /**
   * From here on `isWritable` is false: bytes of a stream that wait for its window.
   *
   * @default 65_536
   */
  maxQueuedBytes?: number
  /**
   * Longest body received in one exchange, in bytes. A longer request is answered 413.
   *
   * @default Infinity
   */
  maxBodyBytes?: number
  /**
   * How many frames without use (PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, WINDOW_UPDATE, empty
   * DATA, unknown types) a peer has in hand. Each takes one; useful work and time give them back.
   * Over it the connection ends with ENHANCE_YOUR_CALM.
   *
   * @default 1_000
   */
  maxIdleFrames?: number
  /**
   * How many of those come back in each second.
   *
   * @default 100
   */
  idleFramesPerSecond?: number
  /**
   * How many streams a peer may have ended before they were answered: resets by it (rapid reset),
   * and resets by us for what it did wrong (MadeYouReset). An answer gives one back, and time.
   *
   * @default 200
   */
  maxResets?: number
  /**
   * How many of those come back in each second.
   *
   * @default 20
   */
  resetsPerSecond?: number
  /**
   * Most bytes of acknowledgements and resets that wait because the peer does not read.
   *
   * @default 65_536
   */
  maxControlBytes?: number
  /**
   * How long the peer may take to acknowledge SETTINGS (SETTINGS_TIMEOUT).
   *
   * @default 20_000
   */
  settingsTimeoutMs?: number
  /**
   * How long the peer may take to answer a PING; then the connection is given up.
   *
   * @default 20_000
   */
  pingTimeoutMs?: number
  /**
   * After how long without a byte from the peer a PING asks whether it is there, while exchanges are
   * open. Infinity: never.
   *
   * @default Infinity
   */
  keepAlivePingMs?: number
  /**
   * Whether such PINGs are sent without open exchanges too.
   *
   * @default false
   */
  keepAliveWithoutExchanges?: boolean
  /**
   * While body bytes are wanted: how long until at least `minBodyBytes` of them must have come; then
   * the stream is reset. Streams of messages (gRPC, Connect, CONNECT) may pause.
   *
   * @default 30_000 for servers, 300_000 for clients
   */
  bodyTimeoutMs?: number
  /**
   * Least progress of a body in each `bodyTimeoutMs`.
   *
   * @default 1
   */
  minBodyBytes?: number
}

export interface Http2ServerOptions extends Http2Options {
  /** `http` or `https`: what `:scheme` may say. Undefined: both. */
  scheme?: 'http' | 'https' | undefined
  /** The `Date` of responses, as in HTTP/1.1. */
  date?: ((now: number) => string) | undefined
  /**
   * Most requests at a time: SETTINGS_MAX_CONCURRENT_STREAMS. One more is reset with REFUSED_STREAM.
   *
   * @default 256
   */
  maxConcurrentStreams?: number
  /**
   * Most requests of one connection; then it drains.
   *
   * @default Infinity
   */
  maxRequestsPerConnection?: number
  /**
   * From the opening of the connection to the client's first SETTINGS, and from a HEADERS to the last
   * of its CONTINUATIONs.
   *
   * @default 20_000
   */
  headTimeoutMs?: number
  /**
   * How long a connection may idle between requests; then it is closed with GOAWAY.
   *
   * @default 75_000
   */
  keepAliveTimeoutMs?: number
  /**
   * Whether extended CONNECT (RFC 8441) is offered.
   *
   * @default true
   */
  extendedConnect?: boolean
  /**
   * Least time between two PINGs of a client. Two that come earlier are let pass, one more ends the
   * connection: GOAWAY ENHANCE_YOUR_CALM `too_many_pings` (gRFC A8), which makes clients of gRPC ping
   * half as often. HEADERS and DATA of the server's forgive. Servers of gRPC use 300_000.
   *
   * @default 0: as often as `maxIdleFrames` lets
   */
  minPingIntervalMs?: number
  /**
   * Whether `minPingIntervalMs` holds without open requests too; else PINGs must then be two hours
   * apart. Without it this has no effect.
   *
   * @default false
   */
  permitPingsWithoutExchanges?: boolean
  /** The request of an upgrade from HTTP/1.1 (h2c): it becomes exchange 1. */
  upgraded?: Http2UpgradedRequest
}

/** What an HTTP/1.1 server knows when it has answered `Upgrade: h2c` with 101. */
export interface Http2UpgradedRequest {
  /** The request, complete: `content` is its body. */
  readonly request: import('../http/exchange.ts').RequestEvent
  /** Value of `HTTP2-Settings`. */
  readonly settings: string
}

export interface Http2ClientOptions extends Http2Options {
  /** `:scheme` of requests that name none. @default 'http' */
  scheme?: 'http' | 'https'
  /**
   * Most requests at a time, whatever more the server allows.
   *
   * @default 1_000
   */
  maxConcurrentStreams?: number
  /**
   * How many of them before the server's SETTINGS have said how many it takes.
   *
   * @default 100
   */
  initialConcurrentStreams?: number
  /**
   * From the end of a request to the head of its response; then the stream is reset. The call's own
   * deadline is usually earlier. Streams of messages may take longer.
   *
   * @default 300_000
   */
  headTimeoutMs?: number
  /**
   * Most interim (1xx) responses to one request.
   *
   * @default 16
   */
  maxInforms?: number
  /**
   * Most pushed responses at a time. 0: push is refused (SETTINGS_ENABLE_PUSH 0).
   *
   * @default 0
   */
  maxPushedStreams?: number
  /** The method of the request that an HTTP/1.1 connection was upgraded with: exchange 1. */
  upgraded?: string
}

export type Http2SharedDefaults = Readonly<Required<Omit<Http2Options, 'host'>>>

const shared = {
  // The protocol's own, as everybody's: a frame in between waits for no more than this.
  maxFrameBytes: 16_384,
  // As node:http2's maxHeaderListPairs and size; cookies of one site may take 4 KiB each.
  maxHeaderListBytes: 65_536,
  // A browser sends about 20, a chain of proxies a dozen, gRPC metadata some more; cookie crumbs
  // are fields of their own until they are joined.
  maxFieldCount: 256,
  // A section of maxHeaderListBytes fits five frames; who cuts it smaller is told by the count.
  maxContinuations: 16,
  // The protocol's own; more helps nobody but who sends hundreds of distinct fields.
  headerTableBytes: 4_096,
  // 1 Gbit/s at 130 ms.
  maxWindowBytes: 16_777_216,
  maxQueuedBytes: 65_536,
  // Bodies are streamed under backpressure; who collects one has a limit of its own.
  maxBodyBytes: Number.POSITIVE_INFINITY,
  // A busy client sends a few in each round trip. A thousand cost about a millisecond.
  maxIdleFrames: 1_000,
  idleFramesPerSecond: 100,
  // A page that is left cancels up to a hundred streams at once.
  maxResets: 200,
  resetsPerSecond: 20,
  // Nearly 4,000 acknowledgements.
  maxControlBytes: 65_536,
  // Some round trips on the worst mobile link.
  settingsTimeoutMs: 20_000,
  // As gRPC's keepalive timeout.
  pingTimeoutMs: 20_000,
  keepAlivePingMs: Number.POSITIVE_INFINITY,
  keepAliveWithoutExchanges: false,
  minBodyBytes: 1,
}

export const http2ServerDefaults: Http2SharedDefaults &
  Readonly<{
    maxConcurrentStreams: number
    maxRequestsPerConnection: number
    headTimeoutMs: number
    keepAliveTimeoutMs: number
    extendedConnect: boolean
    minPingIntervalMs: number
    permitPingsWithoutExchanges: boolean
  }> = Object.freeze({
  ...shared,
  // As Go's: 65,535, the protocol's own, took an upload at a round trip of 50 ms a fifth longer. What
  // is held for all streams is bounded by the window of the connection.
  windowBytes: 1_048_576,
  // What one client can make a server hold before it is read from: a body that nobody reads leaves
  // half of it to the other streams, as windows that have grown do.
  connectionWindowBytes: 2_097_152,
  // As HTTP/1.1 here.
  bodyTimeoutMs: 30_000,
  // Browsers use 100, gRPC clients as many as they may. RFC 9113 5.1.2 asks for at least 100.
  maxConcurrentStreams: 256,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  headTimeoutMs: 20_000,
  // As HTTP/1.1 here and nginx.
  keepAliveTimeoutMs: 75_000,
  // It costs a setting, and WebSockets over HTTP/2 need it.
  extendedConnect: true,
  // Clients of plain HTTP were told of no such rule; floods have maxIdleFrames.
  minPingIntervalMs: 0,
  // As gRPC.
  permitPingsWithoutExchanges: false,
})

export const http2ClientDefaults: Http2SharedDefaults &
  Readonly<{
    maxConcurrentStreams: number
    initialConcurrentStreams: number
    headTimeoutMs: number
    maxInforms: number
    maxPushedStreams: number
  }> = Object.freeze({
  ...shared,
  // We chose the server, and what we ask for we mostly read: it spares four round trips of growing.
  // Go's client begins with four times as much.
  windowBytes: 1_048_576,
  connectionWindowBytes: 4_194_304,
  // As undici and HTTP/1.1 here.
  bodyTimeoutMs: 300_000,
  // Above it a second connection spreads the load better.
  maxConcurrentStreams: 1_000,
  // What RFC 9113 5.1.2 says that servers should allow at least.
  initialConcurrentStreams: 100,
  headTimeoutMs: 300_000,
  maxInforms: 16,
  // Browsers have dropped it.
  maxPushedStreams: 0,
})
