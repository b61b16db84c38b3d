/**
 * How many retries a destination may cost, as a share of its calls (Finagle's and tower's budget):
 * when everything fails, the load grows by that share, not by the number of attempts.
 *
 *     balance = max(reserve, ratio × deposits in the window) − withdrawals in the window
 *
 * So in any window there are at most `ratio` retries for each call, or the reserve, whichever is more:
 * the reserve is a floor for clients with little traffic and nothing on top for others (added to the
 * share, as Finagle's is, it made 1.2 attempts for a call into 1.2 and one a second).
 *
 * A retry is withdrawn *before* its backoff begins, so that those that still wait count as well
 * (what envoy's budget missed), and given back when it is not sent after all.
 */
import { checkRange } from '../core/errors.ts'
import type { RetryBudget } from '../core/policy.ts'

export interface RetryBudgetOptions {
  /**
   * Retries per call. A fifth: enough for a failing endpoint among five, and at most 1.2 times the
   * load when all fail.
   *
   * @default 0.2
   */
  ratio?: number
  /**
   * Retries a second that there are at least: a client with little traffic may retry as well. Small,
   * because many idle clients may wake up together. Of no account from `minPerSecond / ratio` calls a
   * second on.
   *
   * @default 1
   */
  minPerSecond?: number
  /** @default 10_000, as Finagle */
  windowMs?: number
}

export const retryBudgetDefaults: Readonly<Required<RetryBudgetOptions>> = Object.freeze({
  ratio: 0.2,
  minPerSecond: 1,
  windowMs: 10_000,
})

export class SlidingRetryBudget implements RetryBudget {
  readonly ratio: number
  readonly minPerSecond: number
  readonly windowMs: number
  readonly #reserve: number
  readonly #slotMs: number
  /** What calls have earned in each tenth of the window, in retries; and what was withdrawn. */
  readonly #earned = new Float64Array(SLOTS)
  readonly #spent = new Float64Array(SLOTS)
  #earnedSum = 0
  #spentSum = 0
  #slot = 0
  #slotEnd = Number.NEGATIVE_INFINITY

  constructor(options: RetryBudgetOptions = {}) {
    const {
      ratio = retryBudgetDefaults.ratio,
      minPerSecond = retryBudgetDefaults.minPerSecond,
      windowMs = retryBudgetDefaults.windowMs,
    } = options
    this.ratio = checkRange('ratio', ratio, 0, 100)
    this.minPerSecond = checkRange('minPerSecond', minPerSecond, 0, 1_000_000)
    this.windowMs = checkRange('windowMs', windowMs, SLOTS, 3_600_000)
    this.#reserve = (minPerSecond * windowMs) / 1_000
    this.#slotMs = windowMs / SLOTS
  }

  /** Retries that are left, as of the last operation. */
  get balance(): number {
    return Math.max(0, this.#reserve + this.#sum)
  }

  deposit(now: number): void {
    if (now >= this.#slotEnd) this.#advance(now)
    this.#earned[this.#slot]! += this.ratio
    this.#earnedSum += this.ratio
  }

  tryWithdraw(now: number): boolean {
    this.#advance(now)
    // Sums of fifths are not exact: five deposits must make one retry.
    if (this.#reserve + this.#sum < 1 - ROUNDING) return false
    this.#spend(1)
    return true
  }

  giveBack(now: number): void {
    this.#advance(now)
    this.#spend(-1)
  }

  /** What there is beyond the reserve; below zero: so much of the reserve is gone. */
  get #sum(): number {
    return Math.max(0, this.#earnedSum - this.#reserve) - this.#spentSum
  }

  #spend(retries: number): void {
    this.#spent[this.#slot]! += retries
    this.#spentSum += retries
  }

  #advance(now: number): void {
    if (now < this.#slotEnd) return
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1
    if (passed >= SLOTS) {
      this.#earned.fill(0)
      this.#spent.fill(0)
      this.#earnedSum = 0
      this.#spentSum = 0
      this.#slotEnd = now + this.#slotMs
      return
    }
    for (let count = 0; count < passed; count++) {
      this.#slot = (this.#slot + 1) % SLOTS
      this.#earned[this.#slot] = 0
      this.#spent[this.#slot] = 0
    }
    this.#slotEnd += passed * this.#slotMs
    // Summed anew, so that rounding never grows.
    this.#earnedSum = sumOf(this.#earned)
    this.#spentSum = sumOf(this.#spent)
  }
}

function sumOf(amounts: Float64Array): number {
  let sum = 0
  for (const amount of amounts) sum += amount
  return sum
}

const SLOTS = 10
const ROUNDING = 1e-9
