/**
 * A circuit breaker, pure over `now` and chance.
 *
 *              consecutive failures, or failure rate
 *     closed ────────────────────────────────────────▸ open ──openMs──▸ half-open
 *        ▴                                               ▴                  │
 *        │                                               └──── a failure ───┤
 *        └──────────────────────── successes of probes ─────────────────────┘
 *
 * Each time a probe fails the open time doubles. A permit of an earlier state tells nothing about
 * the present one and is ignored: calls that began before the breaker opened do not keep it open.
 */
import type { Random } from '../core/clock.ts'
import { checkInteger, checkRange } from '../core/errors.ts'
import type { Breaker, BreakerState, Permit } from '../core/policy.ts'
import { type Backoff, exponentialBackoff } from './backoff.ts'

export interface BreakerOptions {
  /** Opens after so many failures in a row. @default 5, as Finagle and envoy */
  consecutiveFailures?: number
  /** Opens when this share of the calls in the window failed. @default 0.5 */
  failureRate?: number
  /** The failure rate counts only from so many calls in the window. @default 20 */
  minCalls?: number
  /** @default 10_000 */
  windowMs?: number
  /** First open time. Short: most failures are a restart or a full accept queue. @default 1_000 */
  openMs?: number
  /** Longest open time. A server that returns is found within it. @default 30_000 */
  maxOpenMs?: number
  /** Probes at a time while half-open. @default 1 */
  maxProbes?: number
  /** Probes in a row that must succeed to close. @default 2: one may be luck */
  successesToClose?: number
  /**
   * A probe without an answer for so long does not keep others from trying.
   *
   * @default 10_000
   */
  probeTimeoutMs?: number
}

export const breakerDefaults: Readonly<Required<BreakerOptions>> = Object.freeze({
  consecutiveFailures: 5,
  failureRate: 0.5,
  minCalls: 20,
  windowMs: 10_000,
  openMs: 1_000,
  maxOpenMs: 30_000,
  maxProbes: 1,
  successesToClose: 2,
  probeTimeoutMs: 10_000,
})

export type BreakerObserver = (next: BreakerState, previous: BreakerState, error: unknown) => void

export class CircuitBreaker implements Breaker {
  readonly options: Readonly<Required<BreakerOptions>>
  readonly #random: Random
  readonly #observer: BreakerObserver | undefined
  readonly #openTime: Backoff
  readonly #window: FailureWindow
  #state: BreakerState = 'closed'
  /** Raised with every change of state: permits of older ones are ignored. */
  #era = 0
  #consecutive = 0
  #openings = 0
  #retryAt = 0
  #probes = 0
  #lastProbeAt = 0
  #probeSuccesses = 0

  constructor(random: Random, options: BreakerOptions = {}, observer?: BreakerObserver) {
    this.options = checkOptions(options)
    this.#random = random
    this.#observer = observer
    this.#window = new FailureWindow(this.options.windowMs)
    const { openMs, maxOpenMs } = this.options
    // Half of it is certain: a breaker that may close at once would be none.
    this.#openTime = exponentialBackoff({ baseMs: openMs, maxMs: maxOpenMs, jitter: 'equal' })
  }

  get state(): BreakerState {
    return this.#state
  }

  get retryAt(): number | undefined {
    return this.#state === 'open' ? this.#retryAt : undefined
  }

  /** Whether `tryAcquire` would be granted; changes nothing. For balancers. */
  allows(now: number): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open') return now >= this.#retryAt
    return this.#mayProbe(now)
  }

  tryAcquire(now: number): Permit | undefined {
    if (this.#state !== 'closed') {
      if (!this.allows(now)) return undefined
      if (this.#state === 'open') this.#become('half-open', undefined)
      this.#probes++
      this.#lastProbeAt = now
    }
    return new BreakerPermit(this, this.#era)
  }

  /** Internal: a permit is settled. `error` is undefined for a success. */
  settle(era: number, verdict: PermitVerdict, now: number, error: unknown): void {
    if (era !== this.#era) return
    if (this.#state === 'closed') {
      if (verdict !== 'none') this.#count(verdict === 'failure', now, error)
      return
    }
    this.#probes = Math.max(0, this.#probes - 1)
    if (verdict === 'failure') this.#open(now, error)
    else if (verdict === 'success' && ++this.#probeSuccesses >= this.options.successesToClose) {
      this.#close()
    }
  }

  #count(failed: boolean, now: number, error: unknown): void {
    this.#window.add(failed, now)
    if (!failed) {
      this.#consecutive = 0
      return
    }
    this.#consecutive++
    const { consecutiveFailures, failureRate, minCalls } = this.options
    const { calls, failures } = this.#window
    const rateReached = calls >= minCalls && failures >= calls * failureRate
    if (this.#consecutive >= consecutiveFailures || rateReached) this.#open(now, error)
  }

  #mayProbe(now: number): boolean {
    const { maxProbes, probeTimeoutMs } = this.options
    return this.#probes < maxProbes || now - this.#lastProbeAt >= probeTimeoutMs
  }

  #open(now: number, error: unknown): void {
    this.#openings++
    this.#retryAt = now + this.#openTime(this.#openings, this.#random)
    this.#become('open', error)
  }

  #close(): void {
    this.#openings = 0
    this.#consecutive = 0
    this.#window.clear()
    this.#become('closed', undefined)
  }

  #become(next: BreakerState, error: unknown): void {
    const previous = this.#state
    this.#state = next
    this.#era++
    this.#probes = 0
    this.#probeSuccesses = 0
    this.#observer?.(next, previous, error)
  }
}

type PermitVerdict = 'success' | 'failure' | 'none'

class BreakerPermit implements Permit {
  #breaker: CircuitBreaker | undefined
  readonly #era: number

  constructor(breaker: CircuitBreaker, era: number) {
    this.#breaker = breaker
    this.#era = era
  }

  success(now: number): void {
    this.#settle('success', now, undefined)
  }

  failure(now: number, error: unknown): void {
    this.#settle('failure', now, error)
  }

  cancel(now: number): void {
    this.#settle('none', now, undefined)
  }

  /** The first settlement counts. */
  #settle(verdict: PermitVerdict, now: number, error: unknown): void {
    const breaker = this.#breaker
    this.#breaker = undefined
    breaker?.settle(this.#era, verdict, now, error)
  }
}

/** Calls and failures of the last `windowMs`, in tenths of it. */
class FailureWindow {
  calls = 0
  failures = 0
  readonly #slotMs: number
  readonly #calls = new Uint32Array(SLOTS)
  readonly #failures = new Uint32Array(SLOTS)
  #slot = 0
  #slotEnd = Number.NEGATIVE_INFINITY

  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS
  }

  add(failed: boolean, now: number): void {
    if (now >= this.#slotEnd) this.#advance(now)
    this.#calls[this.#slot]!++
    this.calls++
    if (!failed) return
    this.#failures[this.#slot]!++
    this.failures++
  }

  clear(): void {
    this.calls = 0
    this.failures = 0
    this.#calls.fill(0)
    this.#failures.fill(0)
  }

  #advance(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1
    if (passed >= SLOTS) {
      this.clear()
      this.#slotEnd = now + this.#slotMs
      return
    }
    for (let count = 0; count < passed; count++) {
      this.#slot = (this.#slot + 1) % SLOTS
      this.calls -= this.#calls[this.#slot] as number
      this.failures -= this.#failures[this.#slot] as number
      this.#calls[this.#slot] = 0
      this.#failures[this.#slot] = 0
    }
    this.#slotEnd += passed * this.#slotMs
  }
}

function checkOptions(options: BreakerOptions): Readonly<Required<BreakerOptions>> {
  const {
    consecutiveFailures = breakerDefaults.consecutiveFailures,
    failureRate = breakerDefaults.failureRate,
    minCalls = breakerDefaults.minCalls,
    windowMs = breakerDefaults.windowMs,
    openMs = breakerDefaults.openMs,
    maxOpenMs = breakerDefaults.maxOpenMs,
    maxProbes = breakerDefaults.maxProbes,
    successesToClose = breakerDefaults.successesToClose,
    probeTimeoutMs = breakerDefaults.probeTimeoutMs,
  } = options
  const most = 0x7fff_ffff
  return Object.freeze({
    consecutiveFailures: checkRange('consecutiveFailures', consecutiveFailures, 1, Infinity),
    // 0 would open at the first success as well.
    failureRate: checkRange('failureRate', failureRate, Number.MIN_VALUE, 1),
    minCalls: checkInteger('minCalls', minCalls, 1, most),
    windowMs: checkRange('windowMs', windowMs, SLOTS, 3_600_000),
    openMs: checkRange('openMs', openMs, 1, most),
    maxOpenMs: checkRange('maxOpenMs', maxOpenMs, openMs, most),
    maxProbes: checkInteger('maxProbes', maxProbes, 1, most),
    successesToClose: checkInteger('successesToClose', successesToClose, 1, most),
    probeTimeoutMs: checkRange('probeTimeoutMs', probeTimeoutMs, 1, most),
  })
}

const SLOTS = 10
