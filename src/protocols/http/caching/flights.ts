/**
 * Requests to the origin that others wait for: of many who ask for the same at the same time, one
 * goes and the others take what it brought (RFC 9211 calls them collapsed).
 *
 * Waiting is bounded three ways: in number, in time, and by each caller's own cancellation. Who may
 * not wait any longer goes itself.
 */
import type { Clock } from '../../../core/clock.ts'
import type { CallContext } from '../../../core/context.ts'

/**
 * How a flight ended, or the waiting for it.
 *
 * | outcome     | those who waited |
 * |-------------|------------------|
 * | `stored`    | look again |
 * | `stale`     | use what they have, if they may |
 * | `unshared`  | go themselves: the answer was for one only |
 * | `left`      | one of them goes, the others wait for that one: its caller has gone away |
 * | `failed`    | have the same error |
 * | `late`      | one of them goes: it took too long |
 * | `full`      | go themselves: too many wait already |
 */
export type FlightOutcome =
  | { readonly type: 'stored' | 'stale' | 'unshared' | 'left' | 'late' | 'full' }
  | { readonly type: 'failed'; readonly error: unknown }

export interface FlightLimits {
  /** Of all flights together. */
  readonly maxWaiters: number
  readonly maxWaitMs: number
}

export class Flights {
  readonly #clock: Clock
  readonly #limits: FlightLimits
  readonly #flights = new Map<string, Flight>()
  #waiting = 0

  constructor(clock: Clock, limits: FlightLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get waiting(): number {
    return this.#waiting
  }

  find(key: string): Flight | undefined {
    return this.#flights.get(key)
  }

  /** The caller goes to the origin, and calls `land` however that ends. */
  begin(key: string): Flight {
    const flight = new Flight(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    })
    this.#flights.set(key, flight)
    return flight
  }

  /** Rejects with the reason when the caller's context is cancelled. */
  wait(flight: Flight, context: CallContext): Promise<FlightOutcome> {
    if (this.#waiting >= this.#limits.maxWaiters) return Promise.resolve(FULL)
    this.#waiting++
    return new Promise<FlightOutcome>((resolve, reject) => {
      const done = (outcome: FlightOutcome): void => {
        stop()
        resolve(outcome)
      }
      const stop = (): void => {
        this.#waiting--
        timer.cancel()
        forget()
        flight.waiters.delete(done)
      }
      const timer = this.#clock.setTimer(this.#clock.now() + this.#limits.maxWaitMs, () => {
        // Whoever comes next need not wait for it as well.
        flight.leave()
        done(LATE)
      })
      flight.waiters.add(done)
      let forget = (): void => {}
      forget = context.onCancel((reason) => {
        stop()
        reject(reason)
      })
    })
  }
}

export class Flight {
  readonly waiters = new Set<(outcome: FlightOutcome) => void>()
  readonly #onLand: () => void
  #landed = false

  constructor(onLand: () => void) {
    this.#onLand = onLand
  }

  /** Those who wait go on waiting, and nobody else does. */
  leave(): void {
    this.#onLand()
  }

  /** The first counts. */
  land(outcome: FlightOutcome): void {
    if (this.#landed) return
    this.#landed = true
    this.#onLand()
    for (const tell of [...this.waiters]) tell(outcome)
  }
}

const LATE: FlightOutcome = Object.freeze({ type: 'late' })
const FULL: FlightOutcome = Object.freeze({ type: 'full' })
