/**
 * Very many timeouts on one timer of the clock: a hierarchical timing wheel (Varghese and Lauck,
 * scheme 7). Arming and cancelling link and unlink an object that exists already.
 *
 *     level 0   64 slots of one tick             up to    256 ms
 *     level 1   64 slots of 64 ticks             up to   16.4 s
 *     level 2   64 slots of 4,096 ticks          up to   17.5 min
 *     level 3   64 slots of 262,144 ticks        up to   18.6 h; what is later goes round again
 *
 * **Exactness.** An entry never expires early. It expires at most one tick (4 ms unless told
 * otherwise) after its time, plus what the clock's own timer is late. Entries of one tick expire
 * in no promised order.
 *
 * A cancelled entry leaves the clock's timer as it is: calls that end in time, which is nearly all
 * of them, never touch it. It wakes once, finds nothing, and stays off while nothing is armed.
 */
import type { Clock, Timer } from '../core/clock.ts'
import { checkInteger } from '../core/errors.ts'
import { type Link, LinkedList, unlink } from './linked-list.ts'

export interface TimerWheelOptions {
  clock: Clock
  /**
   * Length of a tick in milliseconds: how late a timeout may be. Timeouts of network calls are
   * tens of milliseconds and more, so that 4 ms is not felt.
   *
   * @default 4
   */
  resolutionMs?: number
}

export const timerWheelDefaults: Readonly<{ resolutionMs: number }> = Object.freeze({
  resolutionMs: 4,
})

/** Something with a timeout. Whoever has one implements this itself: nothing more is allocated. */
export interface WheelEntry extends Link {
  /** Tick at which it is due; the wheel's. */
  dueTick: number
  /** Whether it keeps the process alive while armed. Must not change meanwhile. */
  readonly holdsProcess: boolean
  /** Its time has come. It is not armed any more and may be armed again. Must not throw. */
  expire(now: number): void
}

export class TimerWheel {
  readonly clock: Clock
  readonly #resolutionMs: number
  readonly #levels: readonly Level[] = [new Level(), new Level(), new Level(), new Level()]
  readonly #firing = new LinkedList<WheelEntry>()
  readonly #onTimer = (): void => this.#wake()
  /** Everything up to here has expired. */
  #tick: number
  #armed = 0
  #holding = 0
  #timer: Timer | undefined
  #timerTick = Number.POSITIVE_INFINITY
  #timerHolds = true
  #advancing = false

  constructor(options: TimerWheelOptions) {
    const { clock, resolutionMs = timerWheelDefaults.resolutionMs } = options
    this.clock = clock
    this.#resolutionMs = checkInteger('resolutionMs', resolutionMs, 1, 1_000)
    this.#tick = Math.floor(clock.now() / this.#resolutionMs)
  }

  /** Entries armed now. */
  get size(): number {
    return this.#armed
  }

  /**
   * Expires `entry` at `at`, a value of the clock, or at most a tick later; at the next tick when
   * `at` has passed. An entry that is armed already is moved.
   */
  arm(entry: WheelEntry, at: number): void {
    if (entry.next !== undefined) this.cancel(entry)
    // A wheel that is off stands still. It catches up, or a short timeout would look far away.
    if (this.#armed === 0 && this.#timer === undefined && !this.#advancing) {
      this.#tick = Math.floor(this.clock.now() / this.#resolutionMs)
    }
    entry.dueTick = Math.max(Math.ceil(at / this.#resolutionMs), this.#tick + 1)
    this.#armed++
    if (entry.holdsProcess && this.#holding++ === 0) this.#updateHold()
    const wakeTick = this.#place(entry)
    if (wakeTick < this.#timerTick && !this.#advancing) this.#setTimer(wakeTick)
  }

  /** Harmless when it is not armed. */
  cancel(entry: WheelEntry): void {
    if (entry.next === undefined) return
    unlink(entry)
    this.#forget(entry)
  }

  isArmed(entry: WheelEntry): boolean {
    return entry.next !== undefined
  }

  /** Puts an entry into its slot; returns the tick at which that slot must be looked at. */
  #place(entry: WheelEntry): number {
    const due = entry.dueTick
    const distance = due - this.#tick
    if (distance < SLOTS) return this.#levels[0]!.add(due, 1, entry)
    for (let level = 1; level < LEVELS - 1; level++) {
      const ticks = TICKS[level] as number
      if (distance < ticks * SLOTS) return this.#levels[level]!.add(due, ticks, entry)
    }
    const ticks = TICKS[LEVELS - 1] as number
    const within = Math.min(due, this.#tick + ticks * (SLOTS - 1))
    return this.#levels[LEVELS - 1]!.add(within, ticks, entry)
  }

  #forget(entry: WheelEntry): void {
    this.#armed--
    if (entry.holdsProcess && --this.#holding === 0) this.#updateHold()
  }

  #wake(): void {
    this.#timer = undefined
    this.#timerTick = Number.POSITIVE_INFINITY
    const now = this.clock.now()
    this.#advancing = true
    try {
      this.#advance(Math.floor(now / this.#resolutionMs), now)
    } finally {
      this.#advancing = false
      const next = this.#firing.isEmpty ? this.#nextTick() : this.#tick
      if (this.#armed > 0) this.#setTimer(next)
    }
  }

  #advance(target: number, now: number): void {
    this.#fire(now)
    while (this.#armed > 0) {
      const next = this.#nextTick()
      if (next > target) break
      this.#tick = next
      // From the coarsest down, so that an entry may fall through several levels at once.
      for (let level = LEVELS - 1; level > 0; level--) {
        const ticks = TICKS[level] as number
        if (next % ticks !== 0) continue
        const slot = this.#levels[level]!.take(next / ticks)
        if (slot === undefined) continue
        for (const entry of slot) {
          unlink(entry)
          // Due at this very tick: level 0 is looked at below.
          if (entry.dueTick <= next) this.#firing.addLast(entry)
          else this.#place(entry)
        }
      }
      const slot = this.#levels[0]!.take(next)
      if (slot !== undefined) {
        for (const entry of slot) {
          unlink(entry)
          this.#firing.addLast(entry)
        }
      }
      this.#fire(now)
    }
    if (this.#armed === 0) for (const level of this.#levels) level.clear()
    if (target > this.#tick) this.#tick = target
  }

  #fire(now: number): void {
    for (let entry = this.#firing.first; entry !== undefined; entry = this.#firing.first) {
      unlink(entry)
      this.#forget(entry)
      entry.expire(now)
    }
  }

  #nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    for (let level = 0; level < LEVELS; level++) {
      const ticks = TICKS[level] as number
      const current = Math.floor(this.#tick / ticks)
      const distance = this.#levels[level]!.distanceToNext(current)
      if (distance > 0) next = Math.min(next, (current + distance) * ticks)
    }
    return next
  }

  #setTimer(tick: number): void {
    if (tick === Number.POSITIVE_INFINITY) return
    this.#timer?.cancel()
    this.#timerTick = tick
    this.#timer = this.clock.setTimer(tick * this.#resolutionMs, this.#onTimer)
    this.#timerHolds = true
    this.#updateHold()
  }

  #updateHold(): void {
    const holds = this.#holding > 0
    if (this.#timer === undefined || holds === this.#timerHolds) return
    this.#timerHolds = holds
    if (holds) this.#timer.ref()
    else this.#timer.unref()
  }
}

/** One ring of slots and a bit for each that may hold something. */
class Level {
  readonly #slots: LinkedList<WheelEntry>[] = []
  #low = 0
  #high = 0

  constructor() {
    for (let index = 0; index < SLOTS; index++) this.#slots.push(new LinkedList())
  }

  /** @returns the tick at which the slot begins: when it must be looked at */
  add(tick: number, ticksPerSlot: number, entry: WheelEntry): number {
    const position = Math.floor(tick / ticksPerSlot)
    const index = position % SLOTS
    this.#slots[index]!.addLast(entry)
    if (index < 32) this.#low |= 1 << index
    else this.#high |= 1 << (index - 32)
    return position * ticksPerSlot
  }

  /** The slot at `position`, if its bit was set; the bit is cleared, the caller empties the slot. */
  take(position: number): LinkedList<WheelEntry> | undefined {
    const index = position % SLOTS
    const bit = 1 << (index & 31)
    if (((index < 32 ? this.#low : this.#high) & bit) === 0) return undefined
    if (index < 32) this.#low &= ~bit
    else this.#high &= ~bit
    return this.#slots[index]
  }

  clear(): void {
    this.#low = 0
    this.#high = 0
  }

  /** Slots from `position` (exclusive) to the next that may hold something: 1 to 64, 0 for none. */
  distanceToNext(position: number): number {
    if ((this.#low | this.#high) === 0) return 0
    for (let distance = 1; distance <= SLOTS; distance++) {
      const index = (position + distance) % SLOTS
      if (((index < 32 ? this.#low : this.#high) & (1 << (index & 31))) !== 0) return distance
    }
    return 0
  }
}

const SLOTS = 64
const LEVELS = 4
/** Ticks in one slot of each level. */
const TICKS: readonly number[] = [1, 64, 4_096, 262_144]
