/**
 * The last minutes of traffic, second by second, in constant memory: what the charts show.
 *
 * Requests are counted where they end; a second is closed once it is over, together with the levels
 * (connections, requests in progress) at that moment. A page that is opened later sees the same past
 * as one that was open all the time.
 */
import { checkInteger } from '../../core/errors.ts'
import type { LatencySummary } from '../../telemetry/latency-histogram.ts'
import { LatencyWindow } from '../../telemetry/latency-window.ts'
import { SlidingRate } from '../../telemetry/rate.ts'
import { Ring } from '../../telemetry/ring.ts'

export interface TrafficHistoryOptions {
  /**
   * Seconds kept.
   *
   * @default 300: five minutes, about 50 KB
   */
  historySeconds?: number
}

export const trafficHistoryDefaults: Readonly<Required<TrafficHistoryOptions>> = Object.freeze({
  historySeconds: 300,
})

/** One second. */
export interface TrafficPoint {
  readonly requests: number
  /** Of these, answered with 4xx. */
  readonly clientErrors: number
  /** Of these, answered with 5xx or not at all. */
  readonly serverErrors: number
  readonly p50Ms: number | undefined
  readonly p90Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly connections: number
  readonly active: number
  readonly retries: number
}

/** What is not counted per request but read once a second. */
export interface TrafficLevels {
  readonly connections: number
  readonly active: number
  /** Sum since the start. */
  readonly retries: number
}

export class TrafficHistory {
  readonly #points: Ring<TrafficPoint>
  readonly #latency = new LatencyWindow({ slotMs: 1_000, slots: LOOK_BACK_SECONDS })
  readonly #clientErrors = new SlidingRate({ seconds: LOOK_BACK_SECONDS })
  readonly #serverErrors = new SlidingRate({ seconds: LOOK_BACK_SECONDS })
  /** The newest second that is a point; the one in which we began is never whole. */
  #closedSecond: number
  #retries: number | undefined

  constructor(now: number, options: TrafficHistoryOptions = {}) {
    const { historySeconds = trafficHistoryDefaults.historySeconds } = options
    this.#points = new Ring(checkInteger('historySeconds', historySeconds, 1, 86_400))
    this.#closedSecond = Math.floor(now / 1_000)
  }

  /** @param status 0: no answer was sent */
  record(status: number, durationSeconds: number, now: number): void {
    this.#latency.record(durationSeconds * 1_000, now)
    if (status >= 500 || status < 100) this.#serverErrors.add(now)
    else if (status >= 400) this.#clientErrors.add(now)
  }

  /**
   * Closes the seconds that are over. A process that was held up for long closes several at once,
   * with the levels of now.
   * @returns how many points were added
   */
  close(now: number, levels: TrafficLevels): number {
    const newest = Math.floor(now / 1_000) - 1
    const first = Math.max(this.#closedSecond + 1, newest - LOOK_BACK_SECONDS + 1)
    const retries = Math.max(0, levels.retries - (this.#retries ?? levels.retries))
    for (let second = first; second <= newest; second++) {
      this.#points.push(this.#pointOf(second, levels, second === newest ? retries : 0))
    }
    if (newest < first) return 0
    this.#retries = levels.retries
    this.#closedSecond = newest
    return newest - first + 1
  }

  /** The newest `count` points, oldest first. */
  points(count: number = this.#points.capacity): TrafficPoint[] {
    return this.#points.latest(count).reverse()
  }

  /** Start of the second after the newest point, in monotonic milliseconds. */
  get endedAt(): number {
    return (this.#closedSecond + 1) * 1_000
  }

  latency(now: number, lastMs: number): LatencySummary {
    return this.#latency.summary(now, lastMs)
  }

  #pointOf(second: number, levels: TrafficLevels, retries: number): TrafficPoint {
    const at = second * 1_000
    const { count, p50Ms, p90Ms, p99Ms } = this.#latency.lastSlot(at + 1_000)
    return {
      requests: count,
      clientErrors: this.#clientErrors.countIn(at),
      serverErrors: this.#serverErrors.countIn(at),
      p50Ms,
      p90Ms,
      p99Ms,
      connections: levels.connections,
      active: levels.active,
      retries,
    }
  }
}

/** How late a second may be closed and still be right. */
const LOOK_BACK_SECONDS = 60
