/**
 * Time that moves only when a test says so.
 *
 * `advance` fires timers in order of their time (then of their making) with `now()` standing exactly
 * at each; deferred work runs before the first and after each, as it would between two ticks. What
 * waits for promises as well uses `advanceAsync` and `settle`.
 *
 * `pendingTimers` and `pendingDeferred` are what a leak check reads: after everything is closed both
 * are 0.
 */
import type { Clock, Timer } from '../core/clock.ts'
import { InternalError, UsageError } from '../core/errors.ts'

export interface ManualClockOptions {
  /** First value of `now()`. Not 0, so that a forgotten `undefined` or 0 shows. @default 1_000 */
  startMs?: number
  /** First value of `wallNow()`. @default 2026-01-01T00:00:00Z */
  wallStartMs?: number
  /**
   * Most callbacks one `flush` runs before it says that the work does not come to rest.
   *
   * @default 10_000_000
   */
  maxCallbacks?: number
}

export const manualClockDefaults: Readonly<Required<ManualClockOptions>> = Object.freeze({
  startMs: 1_000,
  wallStartMs: 1_767_225_600_000,
  maxCallbacks: 10_000_000, // a MiB in chunks of one byte needs a few million
})

export class ManualClock implements Clock {
  #now: number
  #wallOffset: number
  readonly #maxCallbacks: number
  #heap: ManualTimer[] = []
  #deferred: (() => void)[] = []
  #pendingTimers = 0
  #made = 0
  #running = false

  constructor(options: ManualClockOptions = {}) {
    const {
      startMs = manualClockDefaults.startMs,
      wallStartMs = manualClockDefaults.wallStartMs,
      maxCallbacks = manualClockDefaults.maxCallbacks,
    } = options
    this.#now = startMs
    this.#wallOffset = wallStartMs - startMs
    this.#maxCallbacks = maxCallbacks
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#now + this.#wallOffset
  }

  setTimer(at: number, callback: () => void): Timer {
    if (Number.isNaN(at)) throw new UsageError('ERR_ARGUMENT', 'timer at NaN')
    const timer = new ManualTimer(at, ++this.#made, callback, () => {
      this.#pendingTimers -= 1
    })
    this.#pendingTimers += 1
    siftUp(this.#heap, timer)
    return timer
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  /** Timers that were set and have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#pendingTimers
  }

  get pendingDeferred(): number {
    return this.#deferred.length
  }

  /** When the next timer fires; undefined: none is set. */
  get nextTimerAt(): number | undefined {
    return this.#peek()?.at
  }

  /** Moves the wall clock alone, as an operator or NTP does. Negative: back. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms
  }

  /**
   * Moves both clocks on without running anything, as for a process that was frozen: what became due
   * on the way fires late, with the next `flush`.
   */
  freeze(ms: number): void {
    if (!(ms >= 0)) throw new UsageError('ERR_ARGUMENT', `cannot freeze for ${ms} ms`)
    this.#now += ms
  }

  /** Runs deferred work and timers that are due, until nothing is left for this moment. */
  flush(): void {
    this.advance(0)
  }

  /** Moves time on by `ms`, firing what becomes due on the way. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new UsageError('ERR_ARGUMENT', `cannot advance by ${ms} ms`)
    this.#enter()
    try {
      const end = this.#now + ms
      let callbacks = this.#runDeferred(0)
      for (let timer = this.#takeDue(end); timer !== undefined; timer = this.#takeDue(end)) {
        timer.fire()
        callbacks = this.#runDeferred(callbacks + 1)
      }
      // A callback may have frozen the process for longer.
      this.#now = Math.max(this.#now, end)
    } finally {
      this.#running = false
    }
  }

  /** Fires the next timer, however far away. @returns false when there is none */
  advanceToNext(): boolean {
    const at = this.nextTimerAt
    if (at === undefined) return false
    this.advance(Math.max(0, at - this.#now))
    return true
  }

  /** As `flush`, and lets promises that became ready run, until neither has anything to do. */
  async settle(): Promise<void> {
    let busy = true
    while (busy) {
      this.flush()
      for (let turn = 0; turn < PROMISE_TURNS; turn++) await undefined
      busy =
        this.#deferred.length > 0 || (this.#peek()?.at ?? Number.POSITIVE_INFINITY) <= this.#now
    }
  }

  /** As `advance`, with `settle` before the first timer and after each. */
  async advanceAsync(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new UsageError('ERR_ARGUMENT', `cannot advance by ${ms} ms`)
    const end = this.#now + ms
    await this.settle()
    for (let at = this.nextTimerAt; at !== undefined && at <= end; at = this.nextTimerAt) {
      this.advance(Math.max(0, at - this.#now))
      await this.settle()
    }
    if (this.#now < end) this.#now = end
    await this.settle()
  }

  #enter(): void {
    // A callback that moved time would fire later timers before earlier ones.
    if (this.#running) throw new UsageError('ERR_STATE', 'advance called from within a callback')
    this.#running = true
  }

  #runDeferred(callbacks: number): number {
    while (this.#deferred.length > 0) {
      const batch = this.#deferred
      this.#deferred = []
      for (let index = 0; index < batch.length; index++) {
        callbacks += 1
        if (callbacks > this.#maxCallbacks) {
          const message = `still busy after ${this.#maxCallbacks} callbacks`
          throw new InternalError('ERR_INVARIANT', message)
        }
        try {
          ;(batch[index] as () => void)()
        } catch (error) {
          // The rest of the batch is not lost with the one that threw.
          this.#deferred = [...batch.slice(index + 1), ...this.#deferred]
          throw error
        }
      }
    }
    return callbacks
  }

  #takeDue(end: number): ManualTimer | undefined {
    const timer = this.#peek()
    if (timer === undefined || timer.at > end) return undefined
    this.#now = Math.max(this.#now, timer.at)
    removeFirst(this.#heap)
    return timer
  }

  /** Cancelled timers stay in the heap until they come to the front. */
  #peek(): ManualTimer | undefined {
    let first = this.#heap[0]
    while (first !== undefined && !first.pending) {
      removeFirst(this.#heap)
      first = this.#heap[0]
    }
    return first
  }
}

class ManualTimer implements Timer {
  readonly at: number
  readonly order: number
  #callback: (() => void) | undefined
  readonly #onSettled: () => void

  constructor(at: number, order: number, callback: () => void, onSettled: () => void) {
    this.at = at
    this.order = order
    this.#callback = callback
    this.#onSettled = onSettled
  }

  get pending(): boolean {
    return this.#callback !== undefined
  }

  fire(): void {
    const callback = this.#callback
    this.cancel()
    callback?.()
  }

  cancel(): void {
    if (this.#callback === undefined) return
    this.#callback = undefined
    this.#onSettled()
  }

  ref(): void {}
  unref(): void {}
}

function earlier(a: ManualTimer, b: ManualTimer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Binary heap, earliest first. */
function siftUp(heap: ManualTimer[], timer: ManualTimer): void {
  let index = heap.length
  heap.push(timer)
  while (index > 0) {
    const parent = (index - 1) >> 1
    const above = heap[parent] as ManualTimer
    if (!earlier(timer, above)) break
    heap[index] = above
    index = parent
  }
  heap[index] = timer
}

function removeFirst(heap: ManualTimer[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let index = 0
  for (;;) {
    let child = index * 2 + 1
    if (child >= heap.length) break
    const right = heap[child + 1]
    if (right !== undefined && earlier(right, heap[child] as ManualTimer)) child += 1
    const below = heap[child] as ManualTimer
    if (!earlier(below, last)) break
    heap[index] = below
    index = child
  }
  heap[index] = last
}

/** Enough for chains of awaits as long as the client stack is deep. */
const PROMISE_TURNS = 64
