/**
 * Very many timeouts on one timer of the clock: a hierarchical timing wheel (Varghese and Lauck,
 * scheme 7).
 *
 *     level 0   64 slots of one tick             up to    256 ms
 *     level 1   64 slots of 64 ticks             up to   16.4 s
 *     level 2   64 slots of 4,096 ticks          up to   17.5 min
 *     level 3   64 slots of 262,144 ticks        up to   18.6 h; what is later goes round again
 *
 * **Exactness.** An entry never expires early. It expires at most one tick (4 ms unless told
 * otherwise) after its time, plus what the clock's own timer is late. Entries of one tick expire
 * in the order in which they were armed, unless they waited in different levels.
 *
 * **Cost.** A slot is a list of places, and places are numbers in typed arrays: linking objects
 * would make the garbage collector note every link from an old object to a new one. Timeouts of one
 * length fall into the same slot, so the slot of the last one is tried first.
 *
 * A cancelled entry leaves the clock's timer as it is: calls that end in time, which is nearly all
 * of them, never touch it. It wakes once, finds nothing, and stays off while nothing is armed.
 */
import type { Clock, Timer } from '../core/clock.ts'
import { checkInteger } from '../core/errors.ts'

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
export interface WheelEntry {
  /** Where the wheel keeps it; 0: not armed. The wheel's, begins as 0. */
  wheelPlace: number
  /** Whether it keeps the process alive while armed. Changed by {@link TimerWheel.hold} only. */
  readonly holdsProcess: boolean
  /** Its time has come. It is not armed any more and may be armed again. Must not throw. */
  expire(now: number): void
}

export class TimerWheel {
  readonly clock: Clock
  readonly #resolutionMs: number
  readonly #onTimer = (): void => this.#wake()
  /** First place of each slot, 0 for none; then the list of those that are being fired. */
  readonly #heads = new Int32Array(SLOTS * LEVELS + 1)
  /** A bit for each slot that may hold something, two words a level. */
  readonly #marks = new Int32Array(LEVELS * 2)
  // By place, from 1. `previous` of a first one is its slot, inverted; `next` also links free places.
  #entries: (WheelEntry | undefined)[] = []
  #next = new Int32Array(0)
  #previous = new Int32Array(0)
  #due = new Float64Array(0)
  #free = 0
  /** Ticks of the slot that the last entry went into. */
  #slotFrom = 0
  #slotTo = 0
  #slot = 0
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
    if (entry.wheelPlace !== 0) this.cancel(entry)
    if (this.#armed === 0) this.#catchUp()
    this.#armed++
    if (entry.holdsProcess && this.#holding++ === 0) this.#updateHold()
    if (this.#free === 0) this.#grow()
    const place = this.#free
    this.#free = this.#next[place] as number
    this.#entries[place] = entry
    entry.wheelPlace = place
    const due = Math.max(Math.ceil(at / this.#resolutionMs), this.#tick + 1)
    this.#due[place] = due
    this.#link(place, due)
    if (this.#slotFrom < this.#timerTick && !this.#advancing) this.#setTimer(this.#slotFrom)
  }

  /** Harmless when it is not armed. */
  cancel(entry: WheelEntry): void {
    const place = entry.wheelPlace
    if (place === 0) return
    this.#unlink(place)
    this.#forget(place, entry)
  }

  isArmed(entry: WheelEntry): boolean {
    return entry.wheelPlace !== 0
  }

  /** Whether the entry keeps the process alive from now on. */
  hold(entry: WheelEntry & { holdsProcess: boolean }, holds: boolean): void {
    if (entry.holdsProcess === holds) return
    entry.holdsProcess = holds
    if (entry.wheelPlace === 0) return
    this.#holding += holds ? 1 : -1
    if (this.#holding === (holds ? 1 : 0)) this.#updateHold()
  }

  /** Its owner closes: lets go of the clock's timer at once if nothing is armed. */
  rest(): void {
    if (this.#armed > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerTick = Number.POSITIVE_INFINITY
    this.#clear()
  }

  /** A wheel that is off stands still: it would take a short timeout for a long one. */
  #catchUp(): void {
    if (this.#timer !== undefined || this.#advancing) return
    this.#tick = Math.floor(this.clock.now() / this.#resolutionMs)
  }

  /** Puts a place into its slot, which `#slotFrom` then tells the first tick of. */
  #link(place: number, due: number): void {
    // A coarser slot than need be is right as well, as long as it is still to come.
    if (due < this.#slotFrom || due >= this.#slotTo || this.#slotFrom <= this.#tick) {
      this.#findSlot(due)
    }
    const slot = this.#slot
    const head = this.#heads[slot] as number
    this.#next[place] = head
    this.#previous[place] = ~slot
    if (head !== 0) this.#previous[head] = place
    this.#heads[slot] = place
  }

  #findSlot(due: number): void {
    const distance = due - this.#tick
    let level = 0
    while (level < LEVELS - 1 && distance >= (TICKS[level + 1] as number)) level++
    const ticks = TICKS[level] as number
    // What is further away than the wheel is long waits in its last slot, and is placed again.
    const position =
      level === LEVELS - 1
        ? Math.floor(Math.min(due, this.#tick + ticks * (SLOTS - 1)) / ticks)
        : Math.floor(due / ticks)
    const index = position % SLOTS
    this.#slot = level * SLOTS + index
    this.#slotFrom = position * ticks
    this.#slotTo = this.#slotFrom + ticks
    this.#marks[level * 2 + (index >> 5)]! |= 1 << (index & 31)
  }

  #unlink(place: number): void {
    const next = this.#next[place] as number
    const previous = this.#previous[place] as number
    if (next !== 0) this.#previous[next] = previous
    if (previous > 0) this.#next[previous] = next
    else this.#heads[~previous] = next
  }

  #forget(place: number, entry: WheelEntry): void {
    entry.wheelPlace = 0
    this.#entries[place] = undefined
    this.#next[place] = this.#free
    this.#free = place
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
      const next = this.#heads[FIRING] === 0 ? this.#nextTick() : this.#tick
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
        if (next % ticks === 0) this.#descend(level, next / ticks)
      }
      this.#collect(next)
      this.#fire(now)
    }
    if (this.#armed === 0) this.#clear()
    if (target > this.#tick) this.#tick = target
  }

  /** Entries of a coarse slot whose time has begun go into finer ones. */
  #descend(level: number, position: number): void {
    let place = this.#take(level, position)
    if (place === 0) return
    // From the last, which was armed first: so the order is kept.
    while (this.#next[place] !== 0) place = this.#next[place] as number
    while (place > 0) {
      const before = this.#previous[place] as number
      const due = this.#due[place] as number
      // Due at this very tick: level 0 is looked at next.
      if (due <= this.#tick) this.#linkNow(place)
      else this.#link(place, due)
      place = before
    }
  }

  /** Into the slot of the present tick, which is about to be collected. */
  #linkNow(place: number): void {
    const index = this.#tick % SLOTS
    const head = this.#heads[index] as number
    this.#next[place] = head
    this.#previous[place] = ~index
    if (head !== 0) this.#previous[head] = place
    this.#heads[index] = place
    this.#marks[index >> 5]! |= 1 << (index & 31)
  }

  /** Entries of one tick, first armed first, in front of those that are being fired. */
  #collect(tick: number): void {
    let place = this.#take(0, tick)
    while (place !== 0) {
      const next = this.#next[place] as number
      const head = this.#heads[FIRING] as number
      this.#next[place] = head
      this.#previous[place] = ~FIRING
      if (head !== 0) this.#previous[head] = place
      this.#heads[FIRING] = place
      place = next
    }
  }

  #fire(now: number): void {
    for (;;) {
      const place = this.#heads[FIRING] as number
      if (place === 0) return
      const entry = this.#entries[place] as WheelEntry
      this.#unlink(place)
      this.#forget(place, entry)
      entry.expire(now)
    }
  }

  /** The first place of a slot, which is empty from then on. */
  #take(level: number, position: number): number {
    const index = position % SLOTS
    const slot = level * SLOTS + index
    const head = this.#heads[slot] as number
    this.#heads[slot] = 0
    this.#marks[level * 2 + (index >> 5)]! &= ~(1 << (index & 31))
    return head
  }

  #nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    for (let level = 0; level < LEVELS; level++) {
      const ticks = TICKS[level] as number
      const current = Math.floor(this.#tick / ticks)
      const distance = this.#distanceToNext(level, current)
      if (distance > 0) next = Math.min(next, (current + distance) * ticks)
    }
    return next
  }

  /** Slots from `position` (exclusive) to the next that may hold something: 1 to 64, 0 for none. */
  #distanceToNext(level: number, position: number): number {
    const low = this.#marks[level * 2] as number
    const high = this.#marks[level * 2 + 1] as number
    if ((low | high) === 0) return 0
    for (let distance = 1; distance <= SLOTS; distance++) {
      const index = (position + distance) % SLOTS
      if (((index < 32 ? low : high) & (1 << (index & 31))) !== 0) return distance
    }
    return 0
  }

  /** Nothing is armed: no slot holds anything. */
  #clear(): void {
    this.#marks.fill(0)
    this.#slotFrom = 0
    this.#slotTo = 0
    if (this.#entries.length <= KEPT_PLACES) return
    this.#entries = []
    this.#next = new Int32Array(0)
    this.#previous = new Int32Array(0)
    this.#due = new Float64Array(0)
    this.#free = 0
  }

  #grow(): void {
    const before = this.#next.length
    const size = Math.max(FIRST_PLACES, before * 2)
    this.#next = copyInto(new Int32Array(size), this.#next)
    this.#previous = copyInto(new Int32Array(size), this.#previous)
    this.#due = copyInto(new Float64Array(size), this.#due)
    // Place 0 is nobody's: 0 means none.
    const first = Math.max(1, before)
    for (let place = first; place < size - 1; place++) this.#next[place] = place + 1
    this.#free = first
    while (this.#entries.length < size) this.#entries.push(undefined)
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

function copyInto<Numbers extends Int32Array | Float64Array>(to: Numbers, from: Numbers): Numbers {
  to.set(from)
  return to
}

const SLOTS = 64
const LEVELS = 4
/** Ticks in one slot of each level. */
const TICKS: readonly number[] = [1, 64, 4_096, 262_144]
/** The list of those that are being fired, behind the slots. */
const FIRING = SLOTS * LEVELS
const FIRST_PLACES = 64
/** More places than this are given back when nothing is armed: 96 KiB. */
const KEPT_PLACES = 4_096
