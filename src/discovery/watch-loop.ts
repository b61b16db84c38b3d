/**
 * Asks a registry again and again: a round is one answer of a long poll, or one stream to its end.
 *
 * After an error it waits longer each time, by chance somewhere in the interval, so that a fleet does
 * not return together to a registry that comes back. Rounds that end well are spaced as well: a
 * server that answers at once, whatever it was asked, must not make a loop without a pause.
 */
import type { Clock, Random, Timer } from '../core/clock.ts'
import { ClosedError, checkRange, toError } from '../core/errors.ts'
import { type Backoff, exponentialBackoff } from '../runtime/backoff.ts'

export interface WatchLoopOptions {
  /** Between the beginnings of two rounds that end well, at least. @default 1_000 */
  minIntervalMs?: number
  /** Longest wait after the first error; it doubles with each further one. @default 1_000 */
  minBackoffMs?: number
  /** Longest wait after errors. @default 30_000 */
  maxBackoffMs?: number
}

export const watchLoopDefaults: Readonly<Required<WatchLoopOptions>> = Object.freeze({
  minIntervalMs: 1_000, // changes that come faster are told together
  minBackoffMs: 1_000,
  maxBackoffMs: 30_000, // as DNS: how long after an outage the last client is back
})

/** What a round is given. */
export interface Round {
  /** Aborts when the watch ends. */
  readonly signal: AbortSignal
  /**
   * What a stream is for has come: waits after errors begin anew. A round that ends well, or that
   * lasted, says so by itself; that a stream was opened proves nothing.
   */
  succeeded(): void
}

export interface WatchLoopSettings extends WatchLoopOptions {
  readonly clock: Clock
  readonly random: Random
  /** @returns how long to wait before the next one, beyond `minIntervalMs` */
  readonly round: (round: Round) => Promise<number>
  readonly onError: (error: Error) => void
}

export class WatchLoop implements Disposable {
  readonly #settings: WatchLoopSettings
  readonly #backoff: Backoff
  readonly #minIntervalMs: number
  readonly #maxBackoffMs: number
  readonly #controller = new AbortController()
  #failures = 0
  #poked = false
  #timer: Timer | undefined
  #wake: (() => void) | undefined

  constructor(settings: WatchLoopSettings) {
    const {
      minIntervalMs = watchLoopDefaults.minIntervalMs,
      minBackoffMs = watchLoopDefaults.minBackoffMs,
      maxBackoffMs = watchLoopDefaults.maxBackoffMs,
    } = settings
    this.#settings = settings
    this.#minIntervalMs = checkRange('minIntervalMs', minIntervalMs, 1, MAX_MS)
    this.#maxBackoffMs = checkRange('maxBackoffMs', maxBackoffMs, minBackoffMs, MAX_MS)
    this.#backoff = exponentialBackoff({
      baseMs: checkRange('minBackoffMs', minBackoffMs, 1, MAX_MS),
      maxMs: this.#maxBackoffMs,
      // Never at once: `full` may draw 0.
      jitter: 'equal',
    })
  }

  start(): this {
    void this.#run()
    return this
  }

  /**
   * Somebody knows of a change: the next round begins at once, or right after the one under way.
   * Waits after errors stay, unless what failed is what has changed (`always`).
   */
  poke(always = false): void {
    this.#poked = true
    if (always || this.#failures === 0) this.#wake?.()
  }

  [Symbol.dispose](): void {
    this.#controller.abort(new ClosedError('ERR_CLOSED', 'nobody watches any more'))
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { clock, random, round, onError } = this.#settings
    const { signal } = this.#controller
    const given: Round = {
      signal,
      succeeded: () => {
        this.#failures = 0
      },
    }
    while (!signal.aborted) {
      const startedAt = clock.now()
      let until: number
      try {
        this.#poked = false
        const waitMs = await round(given)
        this.#failures = 0
        const next = this.#poked ? 0 : clock.now() + waitMs
        until = Math.max(startedAt + this.#minIntervalMs, next)
      } catch (error) {
        if (signal.aborted) return
        // It worked for as long as anybody would have waited for it.
        if (clock.now() - startedAt >= this.#maxBackoffMs) this.#failures = 0
        until = clock.now() + this.#backoff(++this.#failures, random)
        onError(toError(error))
      }
      if (!signal.aborted) await this.#sleep(until)
    }
  }

  #sleep(until: number): Promise<void> {
    const { clock } = this.#settings
    if (until <= clock.now()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#timer?.cancel()
        this.#timer = undefined
        this.#wake = undefined
        resolve()
      }
      this.#timer = clock.setTimer(until, () => this.#wake?.())
      this.#timer.unref()
    })
  }
}

const MAX_MS = 0x7fff_ffff
