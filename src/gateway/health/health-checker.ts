/**
 * Active health checks: asks each endpoint on its own clock whether it is well.
 *
 *     unknown ──healthyThreshold successes──▸ healthy ──unhealthyThreshold failures──▸ unhealthy
 *        │                                                    ◂── healthyThreshold successes ──┘
 *        └── the first result decides at once: a start must not wait for a row of successes
 *
 * A check never outlives its timeout, checks of one endpoint never overlap, and the first ones are
 * spread over the interval, so that a fleet of gateways does not ask in step.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { Call } from '../../core/context.ts'
import { checkInteger, checkRange, TimeoutError, toError } from '../../core/errors.ts'

/** One question to one endpoint: resolves when it is well, rejects with why it is not. */
export type HealthProbe = (context: Call) => Promise<void>

export interface HealthCheckerOptions {
  clock: Clock
  random: Random
  probe: HealthProbe
  /** @default 5_000 */
  intervalMs?: number
  /** @default 1_000 */
  timeoutMs?: number
  /** @default 2 */
  healthyThreshold?: number
  /** @default 3: one lost packet is no outage */
  unhealthyThreshold?: number
  /** Told after each change, with why when it became unhealthy. */
  onChange(health: EndpointHealthState, reason: Error | undefined): void
}

export type EndpointHealthState = 'unknown' | 'healthy' | 'unhealthy'

export const healthCheckerDefaults: Readonly<{
  intervalMs: number
  timeoutMs: number
  healthyThreshold: number
  unhealthyThreshold: number
}> = Object.freeze({
  intervalMs: 5_000,
  timeoutMs: 1_000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
})

/** Checks one endpoint until it is closed. */
export class HealthChecker implements Disposable {
  readonly #options: HealthCheckerOptions
  readonly #intervalMs: number
  readonly #timeoutMs: number
  readonly #healthyThreshold: number
  readonly #unhealthyThreshold: number
  #health: EndpointHealthState = 'unknown'
  #reason: Error | undefined
  #row = 0
  #timer: Timer | undefined
  #current: Call | undefined
  #closed = false

  constructor(options: HealthCheckerOptions) {
    const defaults = healthCheckerDefaults
    const {
      intervalMs = defaults.intervalMs,
      timeoutMs = defaults.timeoutMs,
      healthyThreshold = defaults.healthyThreshold,
      unhealthyThreshold = defaults.unhealthyThreshold,
    } = options
    this.#options = options
    this.#intervalMs = checkRange('intervalMs', intervalMs, 1, 86_400_000)
    this.#timeoutMs = checkRange('timeoutMs', timeoutMs, 1, 86_400_000)
    this.#healthyThreshold = checkInteger('healthyThreshold', healthyThreshold, 1, 1_000)
    this.#unhealthyThreshold = checkInteger('unhealthyThreshold', unhealthyThreshold, 1, 1_000)
    // Soon, but not all at once: within a tenth of the interval.
    this.#schedule(options.random() * this.#intervalMs * 0.1)
  }

  get health(): EndpointHealthState {
    return this.#health
  }

  /** Why it is unhealthy; undefined otherwise. */
  get reason(): Error | undefined {
    return this.#reason
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    this.#current?.cancel()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #schedule(waitMs: number): void {
    const { clock } = this.#options
    this.#timer = clock.setTimer(clock.now() + waitMs, () => this.#check())
    this.#timer.unref()
  }

  #check(): void {
    const { clock, probe } = this.#options
    const deadline = clock.now() + this.#timeoutMs
    const call = new Call({ deadline })
    this.#current = call
    this.#timer = clock.setTimer(deadline, () => {
      const message = `health check took longer than ${this.#timeoutMs} ms`
      const error = new TimeoutError('ERR_ATTEMPT_TIMEOUT', message)
      settle(error)
      call.cancel(error)
    })
    this.#timer.unref()
    let settled = false
    const settle = (error: Error | undefined): void => {
      if (settled) return
      settled = true
      this.#timer?.cancel()
      this.#current = undefined
      call.finish()
      if (this.#closed) return
      this.#record(error)
      this.#schedule(this.#intervalMs)
    }
    probe(call).then(
      () => settle(undefined),
      (reason) => settle(toError(reason)),
    )
  }

  #record(error: Error | undefined): void {
    const outcome: EndpointHealthState = error === undefined ? 'healthy' : 'unhealthy'
    if (outcome === this.#health) {
      this.#row = 0
      if (error !== undefined) this.#reason = error
      return
    }
    this.#row++
    const needed = outcome === 'healthy' ? this.#healthyThreshold : this.#unhealthyThreshold
    if (this.#health !== 'unknown' && this.#row < needed) return
    this.#row = 0
    this.#health = outcome
    this.#reason = error
    this.#options.onChange(outcome, error)
  }
}
