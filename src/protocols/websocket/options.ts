/**
 * Options of WebSocket sessions (RFC 6455) and of permessage-deflate (RFC 7692). Everything a peer
 * can make long, many or late has a limit here.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'

export interface WebSocketOptions {
  /**
   * Longest payload of one frame accepted, in bytes; over it: ERR_FRAME_TOO_LARGE, close code 1009.
   *
   * @default 16_777_216, seed 004
   */
  maxFrameBytes?: number
  /**
   * Longest message accepted and sent, in bytes, over all its fragments and after decompression;
   * over it: ERR_FRAME_TOO_LARGE, close code 1009. What one connection can make this side hold.
   *
   * @default 67_108_864, seed 004
   */
  maxMessageBytes?: number
  /**
   * Longest payload of a frame sent: a longer message goes out in fragments (RFC 6455 5.4).
   *
   * @default 16_777_216, what a peer with our defaults accepts
   */
  sendFrameBytes?: number
  /**
   * A ping is sent when nothing arrived for so long, in milliseconds. Infinity: never.
   *
   * @default 30_000, seed 004
   */
  pingIntervalMs?: number
  /**
   * So many pings in a row without a byte of answer until the next is due: the connection is closed
   * with 1001 and ERR_IDLE.
   *
   * @default 2, seed 004
   */
  maxMissedPings?: number
  /**
   * How long the peer's close frame, and on a client the server's end of the connection behind it
   * (RFC 6455 7.1.1), may take, in milliseconds.
   *
   * @default 5_000, a few round trips on the worst path
   */
  closeTimeoutMs?: number
  /**
   * Pongs that wait behind output that is stuck; of further pings only the last is answered, as RFC
   * 6455 5.5.3 allows.
   *
   * @default 64
   */
  maxAnswers?: number
  /**
   * permessage-deflate. Off: a message of 1 KB costs about ten times the processor time with it, and
   * compressed secrets beside text of an attacker can be guessed by their length (CRIME). `true`
   * offers and accepts it with the defaults.
   *
   * @default false
   */
  compression?: boolean | DeflateOptions
}

/** Contexts are never taken over: each message is compressed alone, so connections hold none. */
export interface DeflateOptions {
  /**
   * Shorter messages are sent as they are: they would hardly shrink.
   *
   * @default 1_024
   */
  minBytes?: number
  /**
   * Longer messages are sent as they are: compressing is synchronous, and a quarter of a megabyte
   * takes some five milliseconds.
   *
   * @default 262_144
   */
  maxBytes?: number
  /**
   * Level of deflate, 1 to 9.
   *
   * @default 1, which costs half of 6 for a tenth more bytes on messages of this size
   */
  level?: number
  /**
   * Largest window that this side uses to compress, as a power of two; less if the peer asks.
   *
   * @default 15
   */
  maxWindowBits?: number
  /**
   * Most bytes that come out for each that went in; over it: ERR_EXPANSION, close code 1009. What is
   * up to `expansionFreeBytes` is not counted, `maxMessageBytes` holds in any case.
   *
   * @default 100
   */
  maxExpansion?: number
  /**
   * @default 1_048_576, which inflates in about two milliseconds
   */
  expansionFreeBytes?: number
}

export interface ResolvedWebSocketOptions {
  readonly maxFrameBytes: number
  readonly maxMessageBytes: number
  readonly sendFrameBytes: number
  readonly pingIntervalMs: number
  readonly maxMissedPings: number
  readonly closeTimeoutMs: number
  readonly maxAnswers: number
  /** Undefined: neither offered nor accepted. */
  readonly compression: Readonly<Required<DeflateOptions>> | undefined
}

export const webSocketDefaults: Readonly<
  Required<Omit<WebSocketOptions, 'compression'>> & { compression: false }
> = Object.freeze({
  maxFrameBytes: 16_777_216,
  maxMessageBytes: 67_108_864,
  sendFrameBytes: 16_777_216,
  pingIntervalMs: 30_000,
  maxMissedPings: 2,
  closeTimeoutMs: 5_000,
  maxAnswers: 64,
  compression: false,
})

export const deflateDefaults: Readonly<Required<DeflateOptions>> = Object.freeze({
  minBytes: 1_024,
  maxBytes: 262_144,
  level: 1,
  maxWindowBits: 15,
  maxExpansion: 100,
  expansionFreeBytes: 1_048_576,
})

/**
 * Fills in the defaults and refuses what is out of range; never changes the caller's object. What
 * was resolved before is returned as it is: connections of one transport share it.
 */
export function resolveWebSocketOptions(
  options: WebSocketOptions | ResolvedWebSocketOptions = {},
): ResolvedWebSocketOptions {
  if (isResolved(options)) return options
  const {
    maxFrameBytes = webSocketDefaults.maxFrameBytes,
    maxMessageBytes = webSocketDefaults.maxMessageBytes,
    sendFrameBytes = webSocketDefaults.sendFrameBytes,
    pingIntervalMs = webSocketDefaults.pingIntervalMs,
    maxMissedPings = webSocketDefaults.maxMissedPings,
    closeTimeoutMs = webSocketDefaults.closeTimeoutMs,
    maxAnswers = webSocketDefaults.maxAnswers,
    compression = webSocketDefaults.compression,
  } = options
  const deflate = compression === true ? {} : compression
  const checked: ResolvedWebSocketOptions = Object.freeze({
    maxFrameBytes: checkInteger('maxFrameBytes', maxFrameBytes, 1, MAX_BYTES),
    maxMessageBytes: checkInteger('maxMessageBytes', maxMessageBytes, 1, MAX_BYTES),
    sendFrameBytes: checkInteger('sendFrameBytes', sendFrameBytes, 1, MAX_BYTES),
    pingIntervalMs: checkRange('pingIntervalMs', pingIntervalMs, 1, Number.POSITIVE_INFINITY),
    maxMissedPings: checkInteger('maxMissedPings', maxMissedPings, 1, 1_000),
    closeTimeoutMs: checkRange('closeTimeoutMs', closeTimeoutMs, 1, 3_600_000),
    maxAnswers: checkInteger('maxAnswers', maxAnswers, 1, 65_536),
    compression: deflate === false ? undefined : resolveDeflateOptions(deflate),
  })
  resolved.add(checked)
  return checked
}

function isResolved(
  options: WebSocketOptions | ResolvedWebSocketOptions,
): options is ResolvedWebSocketOptions {
  return resolved.has(options)
}

const resolved = new WeakSet<object>()

function resolveDeflateOptions(options: DeflateOptions): Readonly<Required<DeflateOptions>> {
  const {
    minBytes = deflateDefaults.minBytes,
    maxBytes = deflateDefaults.maxBytes,
    level = deflateDefaults.level,
    maxWindowBits = deflateDefaults.maxWindowBits,
    maxExpansion = deflateDefaults.maxExpansion,
    expansionFreeBytes = deflateDefaults.expansionFreeBytes,
  } = options
  return Object.freeze({
    minBytes: checkInteger('minBytes', minBytes, 0, MAX_BYTES),
    maxBytes: checkInteger('maxBytes', maxBytes, 0, MAX_BYTES),
    level: checkInteger('level', level, 1, 9),
    // Raw deflate with a window of 256 bytes is what zlib cannot do.
    maxWindowBits: checkInteger('maxWindowBits', maxWindowBits, 9, 15),
    maxExpansion: checkRange('maxExpansion', maxExpansion, 1, 1_100),
    expansionFreeBytes: checkInteger('expansionFreeBytes', expansionFreeBytes, 0, MAX_BYTES),
  })
}

/** 1 GiB: more than one array should ever hold. */
const MAX_BYTES = 0x4000_0000
