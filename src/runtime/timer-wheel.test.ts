import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Clock, Timer } from '../core/clock.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { SeededRandom } from '../testing/seeded-random.ts'
import { TimerWheel, type WheelEntry } from './timer-wheel.ts'
import { wheelClock } from './wheel-clock.ts'

class Entry implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess: boolean
  at = 0
  expiredAt: number[] = []
  onExpire: (() => void) | undefined

  constructor(holdsProcess = true) {
    this.holdsProcess = holdsProcess
  }

  expire(now: number): void {
    this.expiredAt.push(now)
    this.onExpire?.()
  }
}

function fixture(startMs = 1_000.3) {
  const clock = new ManualClock({ startMs })
  const wheel = new TimerWheel({ clock })
  const arm = (inMs: number): Entry => {
    const entry = new Entry()
    entry.at = clock.now() + inMs
    wheel.arm(entry, entry.at)
    return entry
  }
  return { clock, wheel, arm }
}

const HOUR = 3_600_000

test('TimerWheel expires once, never early and at most a tick late, at every distance', () => {
  for (const inMs of [
    -5, 0, 0.1, 1, 3.9, 4, 4.1, 251, 252, 256, 257, 1_000, 16_383, 16_384, 16_385,
  ]) {
    for (const more of [0, 60_000, HOUR, 17 * HOUR, 19 * HOUR, 100 * HOUR]) {
      const { clock, wheel, arm } = fixture()
      const entry = arm(inMs + more)
      clock.advance(Math.max(0, inMs + more) + 8)
      assert.equal(entry.expiredAt.length, 1, `in ${inMs + more} ms`)
      const late = (entry.expiredAt[0] as number) - Math.max(entry.at, 1_000.3)
      assert.ok(late >= 0 && late < 8, `${late} ms late, in ${inMs + more} ms`)
      assert.equal(wheel.size, 0)
      assert.equal(clock.pendingTimers, 0)
    }
  }
})

test('TimerWheel agrees with a list of timers over random arming, moving, cancelling, advancing', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new SeededRandom(seed)
    const { clock, wheel } = fixture(random.integer(0, 5_000))
    const entries = new Set<Entry>()
    for (let step = 0; step < 300; step++) {
      const chosen = random.integer(0, 9)
      if (chosen < 5) {
        const entry = new Entry(random.chance(0.5))
        entry.at = clock.now() + random.next() * 10 ** random.integer(0, 6)
        wheel.arm(entry, entry.at)
        entries.add(entry)
      } else if (chosen < 7 && entries.size > 0) {
        const entry = random.pick([...entries])
        wheel.cancel(entry)
        entries.delete(entry)
      } else if (chosen < 8 && entries.size > 0) {
        const entry = random.pick([...entries])
        entry.at = clock.now() + random.next() * 10 ** random.integer(0, 6)
        wheel.arm(entry, entry.at)
      } else clock.advance(random.next() * 10 ** random.integer(0, 5))
      for (const entry of entries) {
        if (entry.expiredAt.length > 0) {
          const late = (entry.expiredAt[0] as number) - entry.at
          assert.ok(late >= 0 && late < 4.001, `seed ${seed}: ${late} ms late`)
          entries.delete(entry)
        } else assert.ok(clock.now() - entry.at < 4.001, `seed ${seed}: overdue`)
      }
      assert.equal(wheel.size, entries.size, `seed ${seed}`)
      assert.ok(clock.pendingTimers <= 1)
    }
    clock.advance(2_000_000)
    for (const entry of entries) assert.equal(entry.expiredAt.length, 1, `seed ${seed}`)
    assert.equal(clock.pendingTimers, 0)
  }
})

/** A clock that counts the timers set on it. */
function countingClock(): { clock: ManualClock; counting: Clock; timers: () => number } {
  let timers = 0
  const clock = new ManualClock()
  const counting: Clock = {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    defer: (callback) => clock.defer(callback),
    setTimer(at, callback) {
      timers++
      return clock.setTimer(at, callback)
    },
  }
  return { clock, counting, timers: () => timers }
}

test('TimerWheel sets no clock timer for calls that end in time', () => {
  const { clock, counting, timers } = countingClock()
  const wheel = new TimerWheel({ clock: counting })
  for (let call = 0; call < 10_000; call++) {
    const entry = new Entry()
    wheel.arm(entry, clock.now() + 30_000)
    clock.advance(1)
    wheel.cancel(entry)
  }
  assert.ok(timers() <= 2, `${timers()} clock timers for 10,000 calls over 10 s`)
})

test('TimerWheel catches up when it was off, and wakes once for a short timeout', () => {
  const { clock, counting, timers } = countingClock()
  const wheel = new TimerWheel({ clock: counting })
  clock.advance(50 * HOUR)
  const entry = new Entry()
  wheel.arm(entry, clock.now() + 20)
  clock.advance(24)
  assert.equal(entry.expiredAt.length, 1)
  assert.equal(timers(), 1)
})

test('TimerWheel lets entries be armed and cancelled by an entry that expires', () => {
  const { clock, wheel, arm } = fixture()
  const first = arm(10)
  const second = arm(10)
  const again = new Entry()
  first.onExpire = () => {
    wheel.cancel(second)
    if (first.expiredAt.length < 3) wheel.arm(first, clock.now())
    wheel.arm(again, clock.now() + 100)
  }
  clock.advance(30)
  assert.equal(first.expiredAt.length, 3)
  assert.equal(second.expiredAt.length, 0)
  clock.advance(100)
  assert.equal(again.expiredAt.length, 1)
})

test('TimerWheel goes on after an entry that throws', () => {
  const { clock, arm } = fixture()
  const bad = arm(10)
  const good = arm(10)
  bad.onExpire = () => {
    throw new Error('bug')
  }
  assert.throws(() => clock.advance(20), /bug/)
  clock.advance(20)
  assert.equal(good.expiredAt.length, 1)
})

test('TimerWheel holds the process only while an entry that does so is armed', () => {
  let held: boolean | undefined
  const timer: Timer = {
    cancel: () => void (held = undefined),
    ref: () => void (held = true),
    unref: () => void (held = false),
  }
  const clock: Clock = {
    now: () => 0,
    wallNow: () => 0,
    defer() {},
    setTimer() {
      held = true
      return timer
    },
  }
  const wheel = new TimerWheel({ clock })
  const sweep = new Entry(false)
  const call = new Entry(true)
  wheel.arm(sweep, 1_000)
  assert.equal(held, false)
  wheel.arm(call, 1_000)
  assert.equal(held, true)
  wheel.cancel(call)
  assert.equal(held, false)
  wheel.arm(call, 500)
  assert.equal(held, true)
})

test('TimerWheel refuses a resolution out of range', () => {
  const clock = new ManualClock()
  for (const resolutionMs of [0, 0.5, 1_001]) {
    assert.throws(() => new TimerWheel({ clock, resolutionMs }), { code: 'ERR_OPTION_RANGE' })
  }
})

test('TimerWheel agrees with a sorted list, at every resolution and distance', () => {
  const far = fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(2_000_000), fc.nat(150 * HOUR))
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant('arm' as const), at: fc.nat(15), far }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('cancel' as const), at: fc.nat(15) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant('pass' as const), far }) },
  )
  fc.assert(
    fc.property(
      fc.constantFrom(1, 4, 10),
      fc.array(step, { maxLength: 60 }),
      (resolutionMs, steps) => {
        const clock = new ManualClock({ startMs: 0.5 })
        const wheel = new TimerWheel({ clock, resolutionMs })
        const entries = Array.from({ length: 16 }, () => new Entry())
        /** The model: what is armed, by when. */
        const model = new Map<Entry, number>()
        const check = (): void => {
          for (const entry of entries) {
            const at = model.get(entry)
            const expired = entry.expiredAt.splice(0)
            if (expired.length > 0) {
              assert.equal(expired.length, 1, 'expired twice')
              assert.ok(at !== undefined, 'expired though not armed')
              const late = (expired[0] as number) - at
              assert.ok(late >= 0 && late <= resolutionMs, `${late} ms late`)
              model.delete(entry)
            } else if (at !== undefined) {
              assert.ok(clock.now() <= at + resolutionMs, `overdue by ${clock.now() - at} ms`)
            }
            assert.equal(wheel.isArmed(entry), model.has(entry))
          }
          assert.equal(wheel.size, model.size)
        }
        for (const one of steps) {
          if (one.what === 'pass') clock.advance(one.far)
          else if (one.what === 'cancel') {
            wheel.cancel(entries[one.at] as Entry)
            model.delete(entries[one.at] as Entry)
          } else {
            const at = clock.now() + one.far
            wheel.arm(entries[one.at] as Entry, at)
            model.set(entries[one.at] as Entry, at)
          }
          check()
        }
        clock.advance(200 * HOUR)
        check()
        assert.equal(model.size, 0)
      },
    ),
  )
})

test('TimerWheel expires entries of one tick in the order in which they were armed', () => {
  for (const inMs of [10, 400, 20_000, 2_000_000]) {
    const { clock, wheel } = fixture()
    const order: number[] = []
    const at = clock.now() + inMs
    for (let index = 0; index < 100; index++) {
      const entry = new Entry()
      entry.onExpire = () => void order.push(index)
      wheel.arm(entry, at)
    }
    clock.advance(inMs + 8)
    assert.deepEqual(
      order,
      Array.from({ length: 100 }, (_, index) => index),
      `in ${inMs} ms`,
    )
  }
})

test('TimerWheel grows with what is armed, and takes places again that were given back', () => {
  const { clock, wheel, arm } = fixture()
  const entries = Array.from({ length: 10_000 }, (_, index) => arm(1_000 + index))
  for (const entry of entries.slice(0, 9_000)) wheel.cancel(entry)
  const places = new Set(entries.slice(9_000).map(({ wheelPlace }) => wheelPlace))
  for (let index = 0; index < 9_000; index++) places.add(arm(5_000).wheelPlace)
  assert.equal(places.size, 10_000) // each its own
  assert.ok(Math.max(...places) <= 16_384)
  clock.advance(20_000)
  assert.equal(wheel.size, 0)
  assert.equal(arm(10).wheelPlace, 1) // what so many needed was given back
})

test('TimerWheel.rest lets go of the clock once nothing is armed', () => {
  const { clock, wheel, arm } = fixture()
  const entry = arm(50)
  wheel.rest()
  assert.equal(clock.pendingTimers, 1)
  wheel.cancel(entry)
  assert.equal(clock.pendingTimers, 1) // left as it is: the next call needs it
  wheel.rest()
  assert.equal(clock.pendingTimers, 0)
  const next = arm(30)
  clock.advance(34)
  assert.equal(next.expiredAt.length, 1)
})

test('TimerWheel.hold changes an entry that is armed', () => {
  const held: boolean[] = []
  const timer: Timer = {
    cancel() {},
    ref: () => void held.push(true),
    unref: () => void held.push(false),
  }
  const clock: Clock = { now: () => 0, wallNow: () => 0, defer() {}, setTimer: () => timer }
  const wheel = new TimerWheel({ clock })
  const entry = new Entry(true)
  wheel.arm(entry, 1_000)
  wheel.hold(entry, false)
  wheel.hold(entry, false)
  wheel.hold(entry, true)
  wheel.cancel(entry)
  wheel.hold(entry, false) // not armed: counts from the next time on
  wheel.arm(entry, 1_000)
  assert.deepEqual(held, [false, true, false])
})

test('wheelClock gives many timers for one of the clock', () => {
  const { clock, wheel } = fixture()
  const shared = wheelClock(wheel)
  const fired: number[] = []
  const timers = [30, 10, 20, 40].map((inMs) =>
    shared.setTimer(shared.now() + inMs, () => void fired.push(inMs)),
  )
  assert.equal(clock.pendingTimers, 1)
  timers[2]?.cancel()
  timers[2]?.cancel()
  timers[3]?.unref()
  timers[3]?.ref()
  clock.advance(35)
  assert.deepEqual(fired, [10, 30])
  clock.advance(10)
  assert.deepEqual(fired, [10, 30, 40])
  assert.equal(shared.wallNow(), clock.wallNow())
  let deferred = false
  shared.defer(() => {
    deferred = true
  })
  clock.flush()
  assert.ok(deferred)
})
