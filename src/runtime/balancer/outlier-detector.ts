/**
 * Outlier ejection: takes an endpoint out of the balancer for a while because its calls go worse
 * than those of the others. Pure over `now`; nothing here waits.
 *
 *                 failures in a row, or a success rate far below the mean
 *     in service ────────────────────────────────────────────────────────▸ ejected
 *         ▴                                                                  │
 *         └──────────── base time × ejections so far, at most max ───────────┘
 *
 * A breaker looks at one endpoint and probes it with a call; an ejection compares endpoints, has no
 * probe, and is limited to a share of them: when all are as bad as each other, the fault is not
 * theirs, and an empty set helps nobody.
 *
 * The count of ejections falls by one for each interval in service, so that a failure in the
 * morning does not make one in the evening last longer (as in envoy).
 */
import { checkInteger, checkRange } from '../../core/errors.ts'

export interface OutlierOptions {
  /** Failures in a row before ejection. @default 5, as envoy */
  consecutiveFailures?: number
  /** Compares success rates at the end of each interval. `false`: only failures in a row count. */
  successRate?: SuccessRateOptions | false
  /** How often success rates are compared, and an ejection forgotten. @default 10_000 */
  intervalMs?: number
  /** First time out, in milliseconds; the second is twice as long, and so on. @default 30_000 */
  baseEjectionMs?: number
  /** @default 300_000 */
  maxEjectionMs?: number
  /**
   * Share of the endpoints that may be out at the same time. One may always go, if another remains:
   * of two or three endpoints a small share is none.
   *
   * @default 0.5: with less than half left, the rest would drown. Envoy has 0.1, for large sets
   */
  maxEjectedShare?: number
}

export interface SuccessRateOptions {
  /**
   * An endpoint is out when its rate is below the mean minus so many standard deviations.
   *
   * @default 1.9, as envoy
   */
  deviations?: number
  /** Calls in the interval that an endpoint needs to be compared. @default 100 */
  minCalls?: number
  /** Endpoints with so many calls that a comparison needs. @default 5 */
  minEndpoints?: number
}

export const outlierDefaults: Readonly<Required<Omit<OutlierOptions, 'successRate'>>> =
  Object.freeze({
    consecutiveFailures: 5,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectedShare: 0.5,
  })

export const successRateDefaults: Readonly<Required<SuccessRateOptions>> = Object.freeze({
  deviations: 1.9,
  minCalls: 100,
  minEndpoints: 5,
})

/** What is remembered of one endpoint. Its owner keeps it as long as the endpoint is there. */
export class OutlierRecord {
  /** In this interval. */
  calls = 0
  failures = 0
  consecutiveFailures = 0
  /** Ejections that still count. */
  ejections = 0
  /** Undefined: in service. */
  ejectedUntil: number | undefined
}

export interface Ejection {
  readonly record: OutlierRecord
  readonly reason: string
  readonly until: number
}

export class OutlierDetector {
  readonly options: Readonly<Required<Omit<OutlierOptions, 'successRate'>>>
  readonly successRate: Readonly<Required<SuccessRateOptions>> | undefined
  /** When {@link sweep} is due. */
  sweepAt = Number.NEGATIVE_INFINITY

  constructor(options: OutlierOptions = {}) {
    this.options = checkOptions(options)
    const { successRate = {} } = options
    this.successRate = successRate === false ? undefined : checkSuccessRate(successRate)
  }

  /** A call has ended. @returns the ejection that follows from it, if it may be */
  record(
    record: OutlierRecord,
    all: readonly OutlierRecord[],
    failed: boolean,
    now: number,
  ): Ejection | undefined {
    record.calls++
    if (!failed) {
      record.consecutiveFailures = 0
      return undefined
    }
    record.failures++
    record.consecutiveFailures++
    const { consecutiveFailures } = this.options
    // Calls that were on their way when it was ejected tell nothing new.
    if (record.consecutiveFailures < consecutiveFailures || record.ejectedUntil !== undefined) {
      return undefined
    }
    return this.#eject(record, all, `${record.consecutiveFailures} failures in a row`, now)
  }

  /** The end of an interval: compares success rates, and forgets. @returns who is ejected now */
  sweep(all: readonly OutlierRecord[], now: number): Ejection[] {
    const { intervalMs } = this.options
    const first = this.sweepAt === Number.NEGATIVE_INFINITY
    this.sweepAt = now + intervalMs
    if (first) return []
    const ejections = this.#compare(all, now)
    for (const record of all) {
      record.calls = 0
      record.failures = 0
      if (record.ejectedUntil === undefined && record.ejections > 0) record.ejections--
    }
    return ejections
  }

  /** The ejection is over. @returns false: it is not yet, or there was none */
  returns(record: OutlierRecord, now: number): boolean {
    if (record.ejectedUntil === undefined || now < record.ejectedUntil) return false
    record.ejectedUntil = undefined
    record.consecutiveFailures = 0
    record.calls = 0
    record.failures = 0
    return true
  }

  #compare(all: readonly OutlierRecord[], now: number): Ejection[] {
    const { successRate } = this
    if (successRate === undefined) return []
    const { deviations, minCalls, minEndpoints } = successRate
    const compared = all.filter(
      ({ calls, ejectedUntil }) => calls >= minCalls && ejectedUntil === undefined,
    )
    if (compared.length < minEndpoints) return []
    const rates = compared.map(({ calls, failures }) => (calls - failures) / calls)
    const { mean, deviation } = spreadOf(rates)
    const limit = mean - deviations * deviation
    const ejections: Ejection[] = []
    compared.forEach((record, index) => {
      const rate = rates[index] as number
      if (rate >= limit) return
      const reason = `success rate ${percent(rate)} is below ${percent(limit)}, mean ${percent(mean)}`
      const ejection = this.#eject(record, all, reason, now)
      if (ejection !== undefined) ejections.push(ejection)
    })
    return ejections
  }

  #eject(
    record: OutlierRecord,
    all: readonly OutlierRecord[],
    reason: string,
    now: number,
  ): Ejection | undefined {
    const { baseEjectionMs, maxEjectionMs, maxEjectedShare } = this.options
    let ejected = 0
    for (const { ejectedUntil } of all) if (ejectedUntil !== undefined) ejected++
    // The last one stays, whatever the share.
    if (ejected + 1 >= all.length) return undefined
    if (ejected > 0 && ejected + 1 > all.length * maxEjectedShare) return undefined
    // Counted one further than the longest time needs, no further: it has to fall again.
    if (record.ejections * baseEjectionMs < maxEjectionMs) record.ejections++
    const until = now + Math.min(maxEjectionMs, baseEjectionMs * record.ejections)
    record.ejectedUntil = until
    record.consecutiveFailures = 0
    return { record, reason, until }
  }
}

function spreadOf(values: readonly number[]): { mean: number; deviation: number } {
  let sum = 0
  for (const value of values) sum += value
  const mean = sum / values.length
  let squares = 0
  for (const value of values) squares += (value - mean) ** 2
  return { mean, deviation: Math.sqrt(squares / values.length) }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function checkOptions(options: OutlierOptions): OutlierDetector['options'] {
  const {
    consecutiveFailures = outlierDefaults.consecutiveFailures,
    intervalMs = outlierDefaults.intervalMs,
    baseEjectionMs = outlierDefaults.baseEjectionMs,
    maxEjectionMs = outlierDefaults.maxEjectionMs,
    maxEjectedShare = outlierDefaults.maxEjectedShare,
  } = options
  return Object.freeze({
    consecutiveFailures: checkRange('consecutiveFailures', consecutiveFailures, 1, Infinity),
    intervalMs: checkRange('intervalMs', intervalMs, 1, MAX_MS),
    baseEjectionMs: checkRange('baseEjectionMs', baseEjectionMs, 1, MAX_MS),
    maxEjectionMs: checkRange('maxEjectionMs', maxEjectionMs, baseEjectionMs, MAX_MS),
    maxEjectedShare: checkRange('maxEjectedShare', maxEjectedShare, 0, 1),
  })
}

function checkSuccessRate(options: SuccessRateOptions): Readonly<Required<SuccessRateOptions>> {
  const {
    deviations = successRateDefaults.deviations,
    minCalls = successRateDefaults.minCalls,
    minEndpoints = successRateDefaults.minEndpoints,
  } = options
  return Object.freeze({
    deviations: checkRange('deviations', deviations, 0, 100),
    minCalls: checkInteger('minCalls', minCalls, 1, MAX_MS),
    // Of two, both lie exactly one deviation from the mean.
    minEndpoints: checkInteger('minEndpoints', minEndpoints, 3, MAX_MS),
  })
}

const MAX_MS = 0x7fff_ffff
