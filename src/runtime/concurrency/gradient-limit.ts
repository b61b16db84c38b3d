/**
 * A concurrency limit from the gradient of latency, as Envoy's adaptive concurrency and Netflix's
 * Gradient2 do.
 *
 *     gradient = tolerance × baseline ÷ median latency of the window       (between ½ and 1)
 *     limit    = limit × gradient + √limit                                 (the root is room to grow)
 *
 * What keeps it from running away, or down:
 *
 * - A window counts only calls that began after the last change, so that the effect of one change is
 *   seen before the next is made. The median, not the fastest: calls of different kinds are compared
 *   like with like.
 * - It grows only while at least half of it is used; otherwise nothing is learnt of what is possible.
 * - While a limit is always used up its own queue becomes part of every latency. So from time to time
 *   it is halved, for a window or two, until latency falls no further: that is the new baseline, and
 *   the way back when the service itself became slower or faster.
 */
import type { Random } from '../../core/clock.ts'
import { checkInteger, checkRange } from '../../core/errors.ts'
import type { AdaptiveLimit, ConcurrencySample } from './adaptive-limit.ts'

export interface GradientLimitOptions {
  /** @default 20 */
  initial?: number
  /** @default 4: below it there is too little to learn from */
  min?: number
  /** @default 1_000 */
  max?: number
  /**
   * Latency may be so many times the baseline before the limit shrinks.
   *
   * @default 1.5: noise of ordinary services stays below it
   */
  tolerance?: number
  /** Shortest window. @default 100 */
  windowMs?: number
  /** Calls that a window needs. @default 20 */
  minSamples?: number
  /** The baseline is measured anew so often, a tenth more or less by chance. @default 30_000 */
  probeIntervalMs?: number
}

export const gradientLimitDefaults: Readonly<Required<GradientLimitOptions>> = Object.freeze({
  initial: 20,
  min: 4,
  max: 1_000,
  tolerance: 1.5,
  windowMs: 100,
  minSamples: 20,
  probeIntervalMs: 30_000,
})

export class GradientLimit implements AdaptiveLimit {
  readonly options: Readonly<Record<string, number>>
  readonly #given: Required<GradientLimitOptions>
  readonly #random: Random
  readonly #latencies = new Float64Array(MAX_SAMPLES)
  #count = 0
  #overloads = 0
  #peak = 0
  #exact: number
  #windowStart = Number.NEGATIVE_INFINITY
  #baselineMs: number | undefined
  #probeAt = Number.NEGATIVE_INFINITY
  #probe: Probe | undefined
  #probed = false

  constructor(options: GradientLimitOptions, random: Random) {
    const given = { ...gradientLimitDefaults, ...withoutUndefined(options) }
    checkInteger('min', given.min, 1, MAX_LIMIT)
    checkInteger('max', given.max, given.min, MAX_LIMIT)
    checkInteger('initial', given.initial, given.min, given.max)
    checkRange('tolerance', given.tolerance, 1, 100)
    checkRange('windowMs', given.windowMs, 1, 60_000)
    checkInteger('minSamples', given.minSamples, 1, MAX_SAMPLES)
    checkRange('probeIntervalMs', given.probeIntervalMs, given.windowMs, 86_400_000)
    this.#given = given
    this.options = Object.freeze({ ...given })
    this.#random = random
    this.#exact = given.initial
  }

  get limit(): number {
    return Math.floor(this.#exact)
  }

  get baselineMs(): number | undefined {
    return this.#baselineMs
  }

  /** The baseline is being measured, below the limit. */
  get probing(): boolean {
    return this.#probe !== undefined
  }

  record(sample: ConcurrencySample): void {
    const { now, startedAt, inFlight, overloaded } = sample
    if (this.#windowStart === Number.NEGATIVE_INFINITY) this.#begin(startedAt)
    if (startedAt < this.#windowStart) return
    if (inFlight > this.#peak) this.#peak = inFlight
    if (overloaded) this.#overloads++
    // What comes after a full window is like what was in it.
    else if (this.#count < MAX_SAMPLES) this.#latencies[this.#count++] = now - startedAt
    if (now - this.#windowStart < this.#given.windowMs) return
    if (this.#count >= this.#given.minSamples) this.#close(now)
    else if (this.#overloads >= this.#given.minSamples) this.#backOff(now)
  }

  #close(now: number): void {
    const medianMs = Math.max(MIN_LATENCY_MS, median(this.#latencies.subarray(0, this.#count)))
    if (this.#probe !== undefined) this.#stepProbe(now, medianMs, this.#probe)
    else if (this.#baselineMs === undefined) {
      // The first calls may have met an overload: their latency is looked into at once.
      this.#baselineMs = medianMs
      this.#beginProbe(medianMs)
    } else this.#adjust(now, medianMs, this.#baselineMs)
    this.#begin(now)
  }

  #adjust(now: number, medianMs: number, knownMs: number): void {
    // It became faster; a part of the way, or chance alone would bring the baseline down.
    const baselineMs = medianMs < knownMs ? knownMs + (medianMs - knownMs) * FASTER_SHARE : knownMs
    this.#baselineMs = baselineMs
    if (this.#overloads > this.#count * OVERLOAD_SHARE) return this.#set(this.#exact * BACK_OFF)
    const ratio = (this.#given.tolerance * baselineMs) / medianMs
    const gradient = Math.min(1, Math.max(MIN_GRADIENT, ratio))
    const next = this.#exact * gradient + Math.sqrt(this.#exact)
    if (next < this.#exact || this.#peak * 2 >= this.#exact) this.#set(next)
    if (now >= this.#probeAt) this.#beginProbe(medianMs)
  }

  #backOff(now: number): void {
    this.#set(this.#exact * BACK_OFF)
    this.#begin(now)
  }

  #beginProbe(medianMs: number): void {
    this.#probe = { before: this.#exact, medianMs, lastMs: medianMs }
    this.#set(this.#exact / 2)
  }

  /** Half the limit again, until latency falls no further: then nothing queues. */
  #stepProbe(now: number, medianMs: number, probe: Probe): void {
    if (medianMs < probe.lastMs * SETTLED && this.#exact > this.#given.min) {
      probe.lastMs = medianMs
      return this.#set(this.#exact / 2)
    }
    this.#probe = undefined
    this.#baselineMs = Math.min(medianMs, probe.lastMs)
    // Back to what it was, as far as that was right by what is known now.
    const ratio = (this.#given.tolerance * this.#baselineMs) / probe.medianMs
    this.#set(Math.min(probe.before, probe.before * ratio + Math.sqrt(this.#exact)))
    // The first of all had little to compare with: the second comes soon.
    const { probeIntervalMs, windowMs } = this.#given
    const intervalMs = this.#probed ? probeIntervalMs : Math.min(probeIntervalMs, 10 * windowMs)
    this.#probed = true
    this.#probeAt = now + intervalMs * (0.9 + 0.2 * this.#random())
  }

  #set(limit: number): void {
    this.#exact = Math.min(this.#given.max, Math.max(this.#given.min, limit))
  }

  #begin(now: number): void {
    this.#windowStart = now
    this.#count = 0
    this.#overloads = 0
    this.#peak = 0
  }
}

interface Probe {
  /** The limit before it, and the median at that. */
  readonly before: number
  readonly medianMs: number
  /** The median of its last step. */
  lastMs: number
}

function median(latencies: Float64Array): number {
  latencies.sort()
  return latencies[latencies.length >> 1] as number
}

/** An explicit undefined is as if it were not there. */
function withoutUndefined<Options extends object>(options: Options): Options {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Options
}

const MAX_SAMPLES = 256
const MAX_LIMIT = 1_000_000
const MIN_GRADIENT = 0.5
const BACK_OFF = 0.8
/** More refusals than this share of the answers are overload, whatever the answers' latency. */
const OVERLOAD_SHARE = 0.1
const FASTER_SHARE = 0.2
/** Half the calls at a time, and latency fell by less than this: it was not the queue's. */
const SETTLED = 0.85
/** A clock's noise: faster calls are not compared. */
const MIN_LATENCY_MS = 0.05
