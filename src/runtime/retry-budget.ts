/**
 * How many retries a destination may cost, as a share of its calls (Finagle's and tower's budget):
 * when everything fails, the load grows by that share, not by the number of attempts.
 *
 *     balance = reserve + ratio × deposits in the window − withdrawals in the window
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
   * Retries a second that need no calls: a client with little traffic may retry as well. Small,
   * because many idle clients may wake up together.
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
  /** Deposits minus withdrawals, in retries, of each tenth of the window. */
  readonly #slots = new Float64Array(SLOTS)
  #sum = 0
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
    this.#add(now, this.ratio)
  }

  tryWithdraw(now: number): boolean {
    this.#advance(now)
    // Sums of fifths are not exact: five deposits must make one retry.
    if (this.#reserve + this.#sum < 1 - ROUNDING) return false
    this.#add(now, -1)
    return true
  }

  giveBack(now: number): void {
    this.#add(now, 1)
  }

  #add(now: number, amount: number): void {
    if (now >= this.#slotEnd) this.#advance(now)
    this.#slots[this.#slot]! += amount
    this.#sum += amount
  }

  #advance(now: number): void {
    if (now < this.#slotEnd) return
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1
    if (passed >= SLOTS) {
      this.#slots.fill(0)
      this.#sum = 0
      this.#slotEnd = now + this.#slotMs
      return
    }
    for (let count = 0; count < passed; count++) {
      this.#slot = (this.#slot + 1) % SLOTS
      this.#slots[this.#slot] = 0
    }
    this.#slotEnd += passed * this.#slotMs
    // Summed anew, so that rounding never grows.
    this.#sum = 0
    for (const amount of this.#slots) this.#sum += amount
  }
}

const SLOTS = 10
const ROUNDING = 1e-9
