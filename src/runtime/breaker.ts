/**
 * A circuit breaker, pure over `now` and chance.
 *
 *              consecutive failures, failure rate, slow-call rate
 *     closed ────────────────────────────────────────▸ open ──openMs──▸ half-open
 *        ▴                                               ▴                  │
 *        │                                               └─ failed or slow ─┤
 *        └── ramp: few calls at a time ──────── successes of probes ────────┘
 *
 * Each time a probe fails the open time doubles. A permit of an earlier state tells nothing about
 * the present one and is ignored: calls that began before the breaker opened do not keep it open.
 *
 * The state is in a cell, which threads may share: what one of them opens refuses in all, and they
 * have their probes together. Counts and ramp are each thread's own.
 */
import type { Random } from '../core/clock.ts'
import { checkInteger, checkRange, OverloadError } from '../core/errors.ts'
import type { Breaker, BreakerState, Permit } from '../core/policy.ts'
import { type Backoff, exponentialBackoff } from './backoff.ts'
import {
  type BreakerCell,
  CLOSED,
  HALF_OPEN,
  LocalBreakerCell,
  OPEN,
  type StateCode,
  stateOf,
} from './breaker-cell.ts'
import { CallWindow, SLOTS } from './call-window.ts'

export interface BreakerOptions {
  /** Opens after so many failures in a row. @default 5, as Finagle and envoy */
  consecutiveFailures?: number
  /** Opens when this share of the calls in the window failed. @default 0.5 */
  failureRate?: number
  /**
   * A call that takes so long, in milliseconds, is slow, whether it succeeds, fails or is given up.
   *
   * @default Infinity: nothing is slow; only its owner knows what a destination may take
   */
  slowCallMs?: number
  /** Opens when this share of the calls in the window was slow. @default 0.5 */
  slowCallRate?: number
  /** The rates count only from so many calls in the window. @default 20 */
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
  /**
   * How long after it closed calls at a time are limited: to 2 at first, one more with each success,
   * half as many with each failure. A server that just returned would fall again under everything at
   * once; one that answers is trusted twice as much with every round trip. 0: no limit.
   *
   * @default 10_000
   */
  rampMs?: number
}

export const breakerDefaults: Readonly<Required<BreakerOptions>> = Object.freeze({
  consecutiveFailures: 5,
  failureRate: 0.5,
  slowCallMs: Number.POSITIVE_INFINITY,
  slowCallRate: 0.5,
  minCalls: 20,
  windowMs: 10_000,
  openMs: 1_000,
  maxOpenMs: 30_000,
  maxProbes: 1,
  successesToClose: 2,
  probeTimeoutMs: 10_000,
  rampMs: 10_000,
})

export type BreakerObserver = (next: BreakerState, previous: BreakerState, error: unknown) => void

export class CircuitBreaker implements Breaker {
  readonly options: Readonly<Required<BreakerOptions>>
  readonly #random: Random
  readonly #observer: BreakerObserver | undefined
  readonly #cell: BreakerCell
  readonly #openTime: Backoff
  readonly #window: CallWindow
  /** The last version that was seen here: another one was made by another thread. */
  #version: number
  #consecutive = 0
  /** Calls under way that began in this version. */
  #inFlight = 0
  #rampUntil = Number.NEGATIVE_INFINITY
  #rampLimit = 0

  /** @param cell where the state is; by default this breaker's own */
  constructor(
    random: Random,
    options: BreakerOptions = {},
    observer?: BreakerObserver,
    cell: BreakerCell = new LocalBreakerCell(),
  ) {
    this.options = checkOptions(options)
    this.#random = random
    this.#observer = observer
    this.#cell = cell
    this.#version = cell.version
    // Another thread may have seen it recover just now.
    if (this.#version !== CLOSED && (this.#version & 3) === CLOSED) this.#startRamp()
    this.#window = new CallWindow(this.options.windowMs)
    const { openMs, maxOpenMs } = this.options
    // Half of it is certain: a breaker that may close at once would be none.
    this.#openTime = exponentialBackoff({ baseMs: openMs, maxMs: maxOpenMs, jitter: 'equal' })
  }

  get state(): BreakerState {
    return stateOf(this.#cell.version)
  }

  get retryAt(): number | undefined {
    return this.state === 'open' ? this.#cell.at : undefined
  }

  /** Whether other threads see its state. */
  get shared(): boolean {
    return this.#cell.shared
  }

  /** Calls at a time after recovery, while they are limited; undefined: they are not. */
  rampLimit(now: number): number | undefined {
    return now < this.#rampUntil && this.state === 'closed' ? this.#rampLimit : undefined
  }

  /** Its state, and what limits it now: for messages. */
  describe(now: number): string {
    const { state, retryAt } = this
    if (retryAt !== undefined) return `open for ${Math.max(0, Math.ceil(retryAt - now))} ms`
    const limit = this.rampLimit(now)
    return limit === undefined ? state : `closed again, ${limit} calls at a time`
  }

  /** Whether `tryAcquire` would be granted; changes nothing. For balancers. */
  allows(now: number): boolean {
    const version = this.#notice()
    switch (version & 3) {
      case CLOSED:
        return now >= this.#rampUntil || this.#inFlight < this.#rampLimit
      case OPEN:
        return now >= this.#cell.at
      default:
        return this.#cell.mayProbe(version, now, this.options)
    }
  }

  tryAcquire(now: number): Permit | undefined {
    let version = this.#notice()
    if ((version & 3) === CLOSED) {
      if (now < this.#rampUntil && this.#inFlight >= this.#rampLimit) return undefined
    } else {
      if ((version & 3) === OPEN) {
        if (now < this.#cell.at) return undefined
        // Another thread may be faster: its change is as good.
        this.#change(version, HALF_OPEN, 0, this.#cell.openings, undefined)
        version = this.#notice()
        if ((version & 3) !== HALF_OPEN) return undefined
      }
      if (!this.#cell.tryProbe(version, now, this.options)) return undefined
    }
    this.#inFlight++
    return new BreakerPermit(this, version, now)
  }

  /** The endpoint is gone. */
  release(): void {
    this.#cell.release()
  }

  /** Internal: the call of a permit is answered, and no probe. */
  answer(version: number): boolean {
    if (version !== this.#notice()) return false
    if ((version & 3) !== CLOSED) return false
    this.#inFlight--
    return true
  }

  /** Internal: a permit is settled. */
  settle(
    version: number,
    { startedAt, answeredAt }: PermitTimes,
    verdict: PermitVerdict,
    now: number,
    error: unknown,
  ): void {
    if (version !== this.#notice()) return
    if (answeredAt === undefined) this.#inFlight--
    const failed = verdict === 'failure'
    const tookMs = (answeredAt ?? now) - startedAt
    const slow = tookMs >= this.options.slowCallMs
    if ((version & 3) === CLOSED) {
      // A call that was given up tells nothing, unless it had been slow already.
      if (verdict === 'none' && !slow) return
      if (now < this.#rampUntil) this.#ramp(failed || slow)
      this.#count(verdict, slow, now, error)
      return
    }
    this.#cell.endProbe(version)
    if (failed || slow) this.#open(version, now, failed ? error : this.#slowProbe(tookMs))
    else if (verdict === 'success') {
      if (this.#cell.probeSucceeded(version) >= this.options.successesToClose) {
        this.#change(version, CLOSED, now, 0, undefined)
      }
    }
  }

  #count(verdict: PermitVerdict, slow: boolean, now: number, error: unknown): void {
    const failed = verdict === 'failure'
    this.#window.add(failed, slow, now)
    if (failed) this.#consecutive++
    else if (verdict === 'success') this.#consecutive = 0
    if (!failed && !slow) return
    const { consecutiveFailures, failureRate, slowCallMs, slowCallRate, minCalls } = this.options
    const { calls, failures, slow: slowCalls } = this.#window
    if (this.#consecutive >= consecutiveFailures) return this.#open(this.#version, now, error)
    if (calls < minCalls) return
    if (failed && failures >= calls * failureRate) this.#open(this.#version, now, error)
    else if (slow && slowCalls >= calls * slowCallRate) {
      const reason = `${slowCalls} of ${calls} calls took ${slowCallMs} ms or longer`
      this.#open(this.#version, now, error ?? new OverloadError('ERR_BREAKER_OPEN', reason))
    }
  }

  #slowProbe(tookMs: number): Error {
    const { slowCallMs } = this.options
    const reason = `a probe took ${Math.round(tookMs)} ms, slowCallMs ${slowCallMs}`
    return new OverloadError('ERR_BREAKER_OPEN', reason)
  }

  #startRamp(): void {
    this.#rampUntil = this.#cell.at + this.options.rampMs
    this.#rampLimit = RAMP_START
  }

  #ramp(bad: boolean): void {
    this.#rampLimit = bad ? Math.max(RAMP_START, this.#rampLimit >> 1) : this.#rampLimit + 1
  }

  #open(version: number, now: number, error: unknown): void {
    const openings = this.#cell.openings + 1
    this.#change(version, OPEN, now + this.#openTime(openings, this.#random), openings, error)
  }

  #change(version: number, state: StateCode, at: number, openings: number, error: unknown): void {
    const changed = this.#cell.change(version, state, at, openings)
    if (changed !== undefined) this.#enter(changed, error)
  }

  /** The version now; what another thread changed is seen here. */
  #notice(): number {
    const { version } = this.#cell
    if (version !== this.#version) this.#enter(version, undefined)
    return version
  }

  #enter(version: number, error: unknown): void {
    const previous = stateOf(this.#version)
    this.#version = version
    this.#consecutive = 0
    this.#inFlight = 0
    this.#window.clear()
    if ((version & 3) === CLOSED) this.#startRamp()
    this.#observer?.(stateOf(version), previous, error)
  }
}

type PermitVerdict = 'success' | 'failure' | 'none'

interface PermitTimes {
  readonly startedAt: number
  readonly answeredAt: number | undefined
}

class BreakerPermit implements Permit, PermitTimes {
  readonly startedAt: number
  answeredAt: number | undefined
  #breaker: CircuitBreaker | undefined
  readonly #version: number

  constructor(breaker: CircuitBreaker, version: number, startedAt: number) {
    this.startedAt = startedAt
    this.answeredAt = undefined
    this.#breaker = breaker
    this.#version = version
  }

  answered(now: number): void {
    if (this.answeredAt !== undefined || this.#breaker === undefined) return
    if (this.#breaker.answer(this.#version)) this.answeredAt = now
    else this.#settle('success', now, undefined)
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
    breaker?.settle(this.#version, this, verdict, now, error)
  }
}

function checkOptions(options: BreakerOptions): Readonly<Required<BreakerOptions>> {
  const {
    consecutiveFailures = breakerDefaults.consecutiveFailures,
    failureRate = breakerDefaults.failureRate,
    slowCallMs = breakerDefaults.slowCallMs,
    slowCallRate = breakerDefaults.slowCallRate,
    minCalls = breakerDefaults.minCalls,
    windowMs = breakerDefaults.windowMs,
    openMs = breakerDefaults.openMs,
    maxOpenMs = breakerDefaults.maxOpenMs,
    maxProbes = breakerDefaults.maxProbes,
    successesToClose = breakerDefaults.successesToClose,
    probeTimeoutMs = breakerDefaults.probeTimeoutMs,
    rampMs = breakerDefaults.rampMs,
  } = options
  const most = 0x7fff_ffff
  return Object.freeze({
    consecutiveFailures: checkRange('consecutiveFailures', consecutiveFailures, 1, Infinity),
    // 0 would open at the first success as well.
    failureRate: checkRange('failureRate', failureRate, Number.MIN_VALUE, 1),
    slowCallMs: checkRange('slowCallMs', slowCallMs, 1, Infinity),
    slowCallRate: checkRange('slowCallRate', slowCallRate, Number.MIN_VALUE, 1),
    minCalls: checkInteger('minCalls', minCalls, 1, most),
    windowMs: checkRange('windowMs', windowMs, SLOTS, 3_600_000),
    openMs: checkRange('openMs', openMs, 1, most),
    maxOpenMs: checkRange('maxOpenMs', maxOpenMs, openMs, most),
    maxProbes: checkInteger('maxProbes', maxProbes, 1, most),
    successesToClose: checkInteger('successesToClose', successesToClose, 1, most),
    probeTimeoutMs: checkRange('probeTimeoutMs', probeTimeoutMs, 1, most),
    rampMs: checkRange('rampMs', rampMs, 0, most),
  })
}

/** Calls at a time right after recovery. */
const RAMP_START = 2
