/** The newest errors for the dashboard, and a line in the log for each that is new. */
import type { Clock } from '../core/clock.ts'
import { HeddleError } from '../core/errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { Ring } from '../telemetry/ring.ts'
import type { RecentError } from './status.ts'

export class RecentErrors {
  readonly #ring: Ring<RecentError>
  readonly #clock: Pick<Clock, 'now' | 'wallNow'>
  readonly #log: Logger
  /** When each kind of error was logged last: an upstream that is down must not fill the disk. */
  readonly #logged = new Map<string, number>()

  constructor(capacity: number, clock: Pick<Clock, 'now' | 'wallNow'>, log: Logger) {
    this.#ring = new Ring(capacity)
    this.#clock = clock
    this.#log = log
  }

  add(error: Omit<RecentError, 'wallTime'>): void {
    this.#ring.push({ ...error, wallTime: this.#clock.wallNow() })
    const { where, code, message, route, upstream, requestId } = error
    const kind = `${where} ${code} ${upstream ?? ''}`
    const now = this.#clock.now()
    const last = this.#logged.get(kind)
    if (last !== undefined && now - last < QUIET_MS) return
    if (this.#logged.size >= MAX_KINDS) this.#logged.clear()
    this.#logged.set(kind, now)
    this.#log.warn(message, { where, route, upstream, correlation_id: requestId, err: { code } })
  }

  /** Trouble of a cluster that belongs to no request. */
  addOfCluster(
    cluster: string,
    endpoint: string | undefined,
    error: Error | undefined,
    message: string,
  ): void {
    const code = error instanceof HeddleError ? error.code : 'ERR_CONNECT'
    const [route, requestId] = [undefined, undefined]
    this.add({ where: `cluster ${cluster}`, code, message, route, upstream: endpoint, requestId })
  }

  latest(): readonly RecentError[] {
    return this.#ring.latest()
  }
}

/** The same kind of error is logged once in this time; counters and the ring have every one. */
const QUIET_MS = 10_000
const MAX_KINDS = 1_000
