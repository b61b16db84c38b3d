/**
 * Active health checks of one endpoint: asked again and again, whatever the traffic.
 *
 * - Each check keeps one connection of its own, so that a full pool or an open breaker does not make
 *   a healthy server look ill, and a check does not cost a handshake each time.
 * - Only one probe is under way; the next begins an interval after the last began, with a tenth of
 *   chance so that many endpoints are not asked at once.
 * - An endpoint is healthy when all its checks are.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { Call } from '../../core/context.ts'
import { TimeoutError, toError } from '../../core/errors.ts'
import { durationMs } from '../config/quantity.ts'
import type { HealthCheckConfig } from '../config/schema/cluster.ts'

/** One question. Resolves when the endpoint is well, rejects with what is wrong. */
export type Probe = (context: Call) => Promise<void>

export interface HealthCheckerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly checks: readonly { readonly config: HealthCheckConfig; readonly probe: Probe }[]
  readonly onResult: (healthy: boolean, reason: string | undefined) => void
}

export class HealthChecker implements Disposable {
  readonly #options: HealthCheckerOptions
  readonly #loops: readonly CheckLoop[]

  constructor(options: HealthCheckerOptions) {
    this.#options = options
    this.#loops = options.checks.map(({ config, probe }) => {
      return new CheckLoop(config, probe, options, () => this.#report())
    })
    for (const loop of this.#loops) loop.start()
  }

  [Symbol.dispose](): void {
    for (const loop of this.#loops) loop[Symbol.dispose]()
  }

  #report(): void {
    const ill = this.#loops.find((loop) => loop.healthy === false)
    if (ill !== undefined) return this.#options.onResult(false, ill.reason)
    if (this.#loops.every((loop) => loop.healthy === true)) this.#options.onResult(true, undefined)
  }
}

/** One check, repeated. */
class CheckLoop implements Disposable {
  /** Undefined: not decided yet. */
  healthy: boolean | undefined
  reason: string | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #probe: Probe
  readonly #intervalMs: number
  readonly #timeoutMs: number
  readonly #healthyThreshold: number
  readonly #unhealthyThreshold: number
  readonly #onDecided: () => void
  /** Results in a row that disagree with `healthy`. */
  #against = 0
  #timer: Timer | undefined
  #call: Call | undefined
  #disposed = false

  constructor(
    config: HealthCheckConfig,
    probe: Probe,
    { clock, random }: HealthCheckerOptions,
    onDecided: () => void,
  ) {
    this.healthy = undefined
    this.#clock = clock
    this.#random = random
    this.#probe = probe
    this.#intervalMs = durationMs(config.interval)
    this.#timeoutMs = durationMs(config.timeout)
    this.#healthyThreshold = config.healthy_threshold
    this.#unhealthyThreshold = config.unhealthy_threshold
    this.#onDecided = onDecided
  }

  start(): void {
    void this.#run()
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.cancel()
    this.#call?.cancel()
  }

  async #run(): Promise<void> {
    const startedAt = this.#clock.now()
    const deadline = startedAt + this.#timeoutMs
    const call = new Call({ deadline })
    this.#call = call
    const timer = this.#clock.setTimer(deadline, () => {
      const message = `no answer within ${this.#timeoutMs} ms`
      call.cancel(new TimeoutError('ERR_DEADLINE', message))
    })
    timer.unref()
    let problem: string | undefined
    try {
      await raceCancel(this.#probe(call), call)
    } catch (error) {
      problem = toError(error).message
    }
    timer.cancel()
    call.finish()
    this.#call = undefined
    if (this.#disposed) return
    this.#count(problem)
    const jitter = this.#intervalMs * 0.1 * this.#random()
    const next = Math.max(this.#clock.now(), startedAt + this.#intervalMs + jitter)
    this.#timer = this.#clock.setTimer(next, () => void this.#run())
    this.#timer.unref()
  }

  #count(problem: string | undefined): void {
    const well = problem === undefined
    if (problem !== undefined) this.reason = problem
    if (this.healthy === well) {
      this.#against = 0
      return
    }
    this.#against++
    // The first word is believed at once when it is good: traffic waits for nothing.
    const needed = well
      ? this.healthy === undefined
        ? 1
        : this.#healthyThreshold
      : this.#unhealthyThreshold
    if (this.#against < needed) return
    this.healthy = well
    this.#against = 0
    if (well) this.reason = undefined
    this.#onDecided()
  }
}

/** A probe that does not listen to its cancellation must not stop the loop. */
function raceCancel(probe: Promise<void>, call: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const remove = call.onCancel(reject)
    probe.then(resolve, reject).finally(remove)
  })
}
