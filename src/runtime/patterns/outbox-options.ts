/** What an outbox is told, and what it tells. */
import type { AppendLog } from '../../core/append-log.ts'
import type { Clock, Random } from '../../core/clock.ts'
import { checkInteger, checkRange } from '../../core/errors.ts'
import type { Service } from '../../core/service.ts'
import type { BackoffOptions } from '../backoff.ts'

export interface OutboxOptions {
  log: AppendLog
  /** Delivers one message. It is done when the reply is there; an error means: again. */
  deliver: Service<OutboxMessage, unknown>
  clock: Clock
  random: Random
  /** @default 10_000 entries, waiting and dead: minutes of an outage, not days */
  maxEntries?: number
  /** Of all bodies together; they are held in memory as well. @default 67_108_864 */
  maxBytes?: number
  /** Of one body. @default 1_048_576 */
  maxEntryBytes?: number
  /** Failed attempts before an entry is dead. @default 10: with the backoff below a minute or two */
  maxAttempts?: number
  /** Limit of one attempt, in milliseconds. @default 30_000 */
  attemptTimeoutMs?: number
  /** Between attempts. @default exponential from 100 ms to 30 s, full jitter */
  backoff?: BackoffOptions
  /**
   * `always`: an entry is safe from a power failure when `enqueue` resolves; entries that come
   * together share one sync. `never`: safe from the end of this process only.
   *
   * @default always: less would not be reliable
   */
  sync?: 'always' | 'never'
  /** The log is written anew when it is longer, and more than half of it is of no use. @default 1_048_576 */
  compactAfterBytes?: number
  observer?: OutboxObserver
}

export interface OutboxObserver {
  /** After each attempt that failed. */
  failed?(message: OutboxMessage, error: Error, retryInMs: number | undefined): void
  delivered?(message: OutboxMessage): void
  /** It is not tried any more; see `deadLetters` and `revive`. */
  dead?(message: OutboxMessage, error: Error): void
  /** The log cannot be written: nothing is taken or delivered any more. */
  broken?(error: Error): void
  compacted?(beforeBytes: number, afterBytes: number): void
}

export interface OutboxMessage {
  /** The same in every attempt: the receiver's idempotency key. */
  readonly id: string
  readonly body: Uint8Array
  /** From 1. */
  readonly attempt: number
  /** Milliseconds since the Unix epoch, for people. */
  readonly enqueuedAt: number
}

export interface OutboxStats {
  readonly waiting: number
  readonly dead: number
  readonly bytes: number
  readonly logBytes: number
  readonly delivered: number
  readonly failures: number
  readonly refused: number
  /** Bytes of a torn record that the last crash left, dropped at the start. */
  readonly tornBytes: number
}

export type OutboxLimits = Readonly<
  Required<Omit<OutboxOptions, 'log' | 'deliver' | 'clock' | 'random' | 'backoff' | 'observer'>>
>

export const outboxDefaults: OutboxLimits = Object.freeze({
  maxEntries: 10_000,
  maxBytes: 67_108_864,
  maxEntryBytes: 1_048_576,
  maxAttempts: 10,
  attemptTimeoutMs: 30_000,
  sync: 'always',
  compactAfterBytes: 1_048_576,
})

/** Every limit with its default, each checked. */
export function checkOutboxLimits(options: OutboxOptions): OutboxLimits {
  const {
    maxEntries = outboxDefaults.maxEntries,
    maxBytes = outboxDefaults.maxBytes,
    maxEntryBytes = Math.min(outboxDefaults.maxEntryBytes, maxBytes),
    maxAttempts = outboxDefaults.maxAttempts,
    attemptTimeoutMs = outboxDefaults.attemptTimeoutMs,
    sync = outboxDefaults.sync,
    compactAfterBytes = outboxDefaults.compactAfterBytes,
  } = options
  return Object.freeze({
    maxEntries: checkInteger('maxEntries', maxEntries, 1, 1_000_000),
    maxBytes: checkInteger('maxBytes', maxBytes, 1, 0x7fff_ffff),
    maxEntryBytes: checkInteger('maxEntryBytes', maxEntryBytes, 1, Math.min(maxBytes, MAX_ENTRY)),
    maxAttempts: checkInteger('maxAttempts', maxAttempts, 1, 1_000_000),
    attemptTimeoutMs: checkRange('attemptTimeoutMs', attemptTimeoutMs, 1, 0x7fff_ffff),
    sync,
    compactAfterBytes: checkInteger('compactAfterBytes', compactAfterBytes, 0, 0x7fff_ffff),
  })
}

const MAX_ENTRY = 0x100_0000
