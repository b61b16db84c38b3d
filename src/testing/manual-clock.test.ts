import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './manual-clock.ts'

test('ManualClock.advance fires timers in order of time, then of their making', () => {
  const clock = new ManualClock({ startMs: 0 })
  const fired: string[] = []
  for (const [name, at] of [
    ['c', 30],
    ['a', 10],
    ['b', 20],
    ['b2', 20],
    ['d', 40],
  ] as const) {
    clock.setTimer(at, () => fired.push(`${name}@${clock.now()}`))
  }
  clock.advance(30)
  assert.deepEqual(fired, ['a@10', 'b@20', 'b2@20', 'c@30'])
  assert.equal(clock.pendingTimers, 1)
  assert.equal(clock.nextTimerAt, 40)
})

test('ManualClock fires what a timer sets within the same advance', () => {
  const clock = new ManualClock({ startMs: 0 })
  const fired: number[] = []
  const again = (): void => {
    fired.push(clock.now())
    clock.setTimer(clock.now() + 10, again)
  }
  clock.setTimer(10, again)
  clock.advance(35)
  assert.deepEqual(fired, [10, 20, 30])
  assert.equal(clock.now(), 35)
})

test('ManualClock.cancel is idempotent and keeps a timer from firing', () => {
  const clock = new ManualClock()
  const timer = clock.setTimer(clock.now() + 1, () => assert.fail('cancelled'))
  timer.cancel()
  timer.cancel()
  assert.equal(clock.pendingTimers, 0)
  clock.advance(10)
})

test('ManualClock runs deferred work before timers and after each', () => {
  const clock = new ManualClock({ startMs: 0 })
  const order: string[] = []
  clock.defer(() => order.push('deferred'))
  clock.setTimer(1, () => {
    order.push('timer 1')
    clock.defer(() => order.push('deferred by 1'))
  })
  clock.setTimer(2, () => order.push('timer 2'))
  clock.advance(2)
  assert.deepEqual(order, ['deferred', 'timer 1', 'deferred by 1', 'timer 2'])
  assert.equal(clock.pendingDeferred, 0)
})

test('ManualClock.flush fires timers that are due without moving time', () => {
  const clock = new ManualClock({ startMs: 5 })
  let fired = 0
  clock.setTimer(5, () => fired++)
  clock.setTimer(-1, () => fired++)
  clock.setTimer(6, () => fired++)
  clock.flush()
  assert.equal(fired, 2)
  assert.equal(clock.now(), 5)
})

test('ManualClock keeps the rest of a batch when one callback throws', () => {
  const clock = new ManualClock()
  let ran = 0
  clock.defer(() => {
    throw new Error('mine')
  })
  clock.defer(() => ran++)
  assert.throws(() => clock.flush(), /mine/)
  clock.flush()
  assert.equal(ran, 1)
})

test('ManualClock says that work which makes work does not come to rest', () => {
  const clock = new ManualClock({ maxCallbacks: 100 })
  const again = (): void => clock.defer(again)
  clock.defer(again)
  assert.throws(() => clock.flush(), /still busy after 100 callbacks/)
})

test('ManualClock.advance refuses to run inside a callback', () => {
  const clock = new ManualClock()
  clock.defer(() => clock.advance(1))
  assert.throws(() => clock.flush(), { code: 'ERR_STATE' })
})

test('ManualClock.jumpWall moves the wall clock alone', () => {
  const clock = new ManualClock({ startMs: 10, wallStartMs: 1_000 })
  clock.jumpWall(-500)
  clock.advance(5)
  assert.equal(clock.wallNow(), 505)
  assert.equal(clock.now(), 15)
})

test('ManualClock.freeze fires late what became due meanwhile', () => {
  const clock = new ManualClock({ startMs: 0 })
  const fired: number[] = []
  clock.setTimer(10, () => fired.push(clock.now()))
  clock.freeze(500)
  assert.deepEqual(fired, [])
  clock.flush()
  assert.deepEqual(fired, [500])
  clock.setTimer(510, () => clock.freeze(100))
  clock.advance(20)
  assert.equal(clock.now(), 610)
  assert.throws(() => clock.freeze(-1), /cannot freeze for -1 ms/)
})

test('ManualClock.advanceAsync lets promises run between timers', async () => {
  const clock = new ManualClock({ startMs: 0 })
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(clock.now() + ms, resolve))
  const seen: number[] = []
  const done = (async () => {
    for (let round = 0; round < 3; round++) {
      await wait(10)
      seen.push(clock.now())
    }
  })()
  await clock.advanceAsync(100)
  await done
  assert.deepEqual(seen, [10, 20, 30])
  assert.equal(clock.now(), 100)
})

test('ManualClock orders a thousand timers set in any order', () => {
  const clock = new ManualClock({ startMs: 0 })
  const fired: number[] = []
  for (let index = 0; index < 1_000; index++) {
    const at = (index * 7_919) % 1_009
    const timer = clock.setTimer(at, () => fired.push(at))
    if (index % 3 === 0) timer.cancel()
  }
  clock.advance(2_000)
  assert.equal(fired.length, 666)
  assert.deepEqual(
    fired,
    fired.slice().sort((a, b) => a - b),
  )
  assert.equal(clock.pendingTimers, 0)
})
