/**
 * Options of yamux sessions. Everything a peer can make long, many or late has a limit here.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'

export interface YamuxOptions {
  /**
   * Streams the peer may have open at once; one more is refused (RST). Each may make this side hold
   * its window, up to `maxBufferedBytes` for all.
   *
   * @default 256
   */
  maxStreams?: number
  /**
   * Streams that were opened and not acknowledged: of the peer's, one more is refused; of one's own,
   * one more is not opened. The specification's number, which other implementations have fixed.
   *
   * @default 256
   */
  acceptBacklog?: number
  /**
   * Longest payload of a data frame accepted. A frame is handed on as it arrives, so this bounds no
   * memory but how long one frame can keep other streams waiting.
   *
   * @default 16_777_216
   */
  maxFrameBytes?: number
  /**
   * Longest payload of a data frame sent: what an urgent stream waits behind at most.
   *
   * @default 16_384
   */
  sendFrameBytes?: number
  /**
   * Bytes held for consumers that gave no credit, of all streams. From there nothing is read until
   * one takes some (one chunk more may be held), which holds up every stream: the last resort.
   *
   * @default 16_777_216, the windows of 64 streams
   */
  maxBufferedBytes?: number
  /**
   * From so many bytes queued, a stream takes no more data until `writable`.
   *
   * @default 262_144, the first window
   */
  maxQueuedBytes?: number
  /**
   * Frames that the peer makes this side answer (pings, streams that are refused) and whose answers
   * have not left: with so many, nothing is read until they have. Nor with 1,024 times as many frames
   * that tell of streams which it opened, reset or sent data on.
   *
   * @default 64
   */
  maxAnswers?: number
  /**
   * Pings of one's own that wait for their answer.
   *
   * @default 8
   */
  maxPings?: number
  /**
   * A ping is sent when nothing arrived for so long, in milliseconds. Infinity: never.
   *
   * @default 30_000
   */
  keepAliveMs?: number
  /**
   * How long the answer to a ping may take, in milliseconds.
   *
   * @default 10_000
   */
  pingTimeoutMs?: number
}

export const yamuxDefaults: Readonly<Required<YamuxOptions>> = Object.freeze({
  maxStreams: 256,
  acceptBacklog: 256,
  maxFrameBytes: 16_777_216,
  sendFrameBytes: 16_384,
  maxBufferedBytes: 16_777_216,
  maxQueuedBytes: 262_144,
  maxAnswers: 64,
  maxPings: 8,
  keepAliveMs: 30_000,
  pingTimeoutMs: 10_000,
})

/** Fills in the defaults and refuses what is out of range; never changes the caller's object. */
export function resolveYamuxOptions(options: YamuxOptions = {}): Required<YamuxOptions> {
  const given = { ...yamuxDefaults, ...withoutUndefined(options) }
  const { keepAliveMs, pingTimeoutMs } = given
  return {
    maxStreams: checkInteger('maxStreams', given.maxStreams, 0, 0x7fff_ffff),
    acceptBacklog: checkInteger('acceptBacklog', given.acceptBacklog, 1, 0x7fff_ffff),
    maxFrameBytes: checkInteger('maxFrameBytes', given.maxFrameBytes, 1, 0xffff_ffff),
    sendFrameBytes: checkInteger('sendFrameBytes', given.sendFrameBytes, 1, 0x4000_0000),
    maxBufferedBytes: checkInteger('maxBufferedBytes', given.maxBufferedBytes, 1, 0x4000_0000),
    maxQueuedBytes: checkInteger('maxQueuedBytes', given.maxQueuedBytes, 1, 0x4000_0000),
    maxAnswers: checkInteger('maxAnswers', given.maxAnswers, 1, 0x7fff_ffff),
    maxPings: checkInteger('maxPings', given.maxPings, 1, 0xffff),
    keepAliveMs: checkRange('keepAliveMs', keepAliveMs, 1, Number.POSITIVE_INFINITY),
    pingTimeoutMs: checkRange('pingTimeoutMs', pingTimeoutMs, 1, 3_600_000),
  }
}

/** An option that is given as undefined is not given. */
function withoutUndefined(options: YamuxOptions): YamuxOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
