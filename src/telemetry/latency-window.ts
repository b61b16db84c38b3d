/**
 * Latencies of the last seconds: a ring of histograms, one per slot of time, the oldest reused.
 *
 *     | 40–50 s ago | 30–40 | 20–30 | 10–20 | the running slot |      window 50 s, slots of 10 s
 *
 * Memory is constant. A view covers whole slots and the running one, so "the last 10 s" is between
 * 10 s and 20 s of data; that is why slots are short.
 */
import { checkInteger, checkRange } from '../core/errors.ts'
import {
  LatencyHistogram,
  type LatencyHistogramOptions,
  type LatencySummary,
} from './latency-histogram.ts'

export interface LatencyWindowOptions extends LatencyHistogramOptions {
  /**
   * Width of a slot.
   *
   * @default 1_000: what a dashboard that moves each second needs
   */
  slotMs?: number
  /**
   * Slots kept, the running one not counted.
   *
   * @default 60: one minute, 200 KB
   */
  slots?: number
}

export const latencyWindowDefaults: Readonly<{ slotMs: number; slots: number }> = Object.freeze({
  slotMs: 1_000,
  slots: 60,
})

export class LatencyWindow {
  readonly #ring: LatencyHistogram[]
  /** The number of the slot of time that each histogram holds. */
  readonly #held: Float64Array
  readonly #slotMs: number
  readonly #merged: LatencyHistogram
  #at = -1
  #current: LatencyHistogram

  constructor(options: LatencyWindowOptions = {}) {
    const { slotMs = latencyWindowDefaults.slotMs, slots = latencyWindowDefaults.slots } = options
    this.#slotMs = checkRange('slotMs', slotMs, 1, 3_600_000)
    const count = checkInteger('slots', slots, 1, 3_600) + 1
    this.#ring = Array.from({ length: count }, () => new LatencyHistogram(options))
    this.#held = new Float64Array(count).fill(-1)
    this.#merged = new LatencyHistogram(options)
    this.#current = this.#ring[0] as LatencyHistogram
  }

  record(latencyMs: number, now: number): void {
    const slot = Math.floor(now / this.#slotMs)
    if (slot !== this.#at) this.#moveTo(slot)
    this.#current.record(latencyMs)
  }

  /** What the slots of the last `lastMs` hold, the running one included. */
  summary(now: number, lastMs: number = this.#slotMs * (this.#ring.length - 1)): LatencySummary {
    return this.#merge(Math.floor(now / this.#slotMs), Math.ceil(lastMs / this.#slotMs)).summary()
  }

  /** What the last *finished* slot holds: one point of a chart. */
  lastSlot(now: number): LatencySummary {
    return this.#merge(Math.floor(now / this.#slotMs) - 1, 0).summary()
  }

  /** The slot `newest` and `before` slots before it. */
  #merge(newest: number, before: number): LatencyHistogram {
    const merged = this.#merged
    merged.reset()
    for (let index = 0; index < this.#ring.length; index++) {
      const held = this.#held[index] as number
      if (held < 0 || held > newest || held < newest - before) continue
      merged.merge(this.#ring[index] as LatencyHistogram)
    }
    return merged
  }

  #moveTo(slot: number): void {
    const index = slot % this.#ring.length
    this.#at = slot
    this.#current = this.#ring[index] as LatencyHistogram
    if (this.#held[index] === slot) return
    this.#held[index] = slot
    this.#current.reset()
  }
}
