/**
 * Options of the reliable exchange over datagrams.
 */
import { checkInteger } from '../../core/errors.ts'

export interface ReliableDatagramOptions {
  /**
   * Longest datagram of the path, the 10 bytes of header included. What is sent in one piece and
   * arrives in fragments is lost when one of them is.
   *
   * @default 1_400
   */
  maxDatagramBytes?: number
  /** Time before a message is sent again, in milliseconds; twice as long each time. @default 250 */
  retransmitMs?: number
  /** How often a message is sent before it counts as failed. @default 5, after 7.75 s in all */
  maxAttempts?: number
  /** Messages that wait for their acknowledgement at a time, over all peers. @default 256 */
  maxInFlight?: number
  /** Numbers of messages remembered of each peer, to know a second copy. @default 4_096 */
  rememberedMessages?: number
  /** Peers whose messages are remembered; the one longest silent is forgotten. @default 256 */
  maxPeers?: number
}

export const reliableDatagramDefaults: Readonly<Required<ReliableDatagramOptions>> = Object.freeze({
  maxDatagramBytes: 1_400, // fits Ethernet with a tunnel around it
  retransmitMs: 250,
  maxAttempts: 5, // the last wait is 4 s: longer outages are for who called to bridge
  maxInFlight: 256, // at 1,400 bytes some 350 KiB, below what a socket of Linux buffers twice
  rememberedMessages: 4_096,
  maxPeers: 256, // at most some 80 MiB, if made-up senders fill every table
})

/** @throws UsageError ERR_OPTION_RANGE */
export function resolveReliableDatagramOptions(
  options: ReliableDatagramOptions,
): Readonly<Required<ReliableDatagramOptions>> {
  const {
    maxDatagramBytes = reliableDatagramDefaults.maxDatagramBytes,
    retransmitMs = reliableDatagramDefaults.retransmitMs,
    maxAttempts = reliableDatagramDefaults.maxAttempts,
    maxInFlight = reliableDatagramDefaults.maxInFlight,
    rememberedMessages = reliableDatagramDefaults.rememberedMessages,
    maxPeers = reliableDatagramDefaults.maxPeers,
  } = options
  return Object.freeze({
    maxDatagramBytes: checkInteger('maxDatagramBytes', maxDatagramBytes, 64, 65_527),
    retransmitMs: checkInteger('retransmitMs', retransmitMs, 1, 60_000),
    maxAttempts: checkInteger('maxAttempts', maxAttempts, 1, 16),
    // No more than are remembered: a message must not be so old that its second copy looks new.
    maxInFlight: checkInteger('maxInFlight', maxInFlight, 1, rememberedMessages),
    rememberedMessages: checkInteger('rememberedMessages', rememberedMessages, 1, 65_536),
    maxPeers: checkInteger('maxPeers', maxPeers, 1, 65_536),
  })
}
