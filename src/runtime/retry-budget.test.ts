import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../testing/seeded-random.ts'
import { SlidingRetryBudget } from './retry-budget.ts'

function withdrawals(budget: SlidingRetryBudget, now: number): number {
  let count = 0
  while (budget.tryWithdraw(now)) count++
  return count
}

test('SlidingRetryBudget grants a fifth of the calls and no more', () => {
  for (const [calls, retries] of [
    [0, 0],
    [4, 0],
    [5, 1],
    [99, 19],
    [100, 20],
  ] as const) {
    const budget = new SlidingRetryBudget({ minPerSecond: 0 })
    for (let call = 0; call < calls; call++) budget.deposit(call)
    assert.equal(withdrawals(budget, 100), retries, `${calls} calls`)
  }
})

test('SlidingRetryBudget has a reserve for clients with little traffic', () => {
  const budget = new SlidingRetryBudget({ minPerSecond: 1, windowMs: 10_000 })
  assert.equal(budget.balance, 10)
  assert.equal(withdrawals(budget, 0), 10)
  assert.equal(withdrawals(budget, 9_000), 0)
  assert.equal(withdrawals(budget, 10_000), 10) // what was withdrawn has left the window
})

test('SlidingRetryBudget forgets deposits after its window', () => {
  const budget = new SlidingRetryBudget({ minPerSecond: 0 })
  for (let call = 0; call < 50; call++) budget.deposit(0)
  for (let call = 0; call < 50; call++) budget.deposit(5_000)
  assert.equal(withdrawals(budget, 9_999), 20)
  const fresh = new SlidingRetryBudget({ minPerSecond: 0 })
  for (let call = 0; call < 50; call++) fresh.deposit(0)
  for (let call = 0; call < 50; call++) fresh.deposit(5_000)
  assert.equal(withdrawals(fresh, 10_000), 10)
  assert.equal(withdrawals(fresh, 60_000), 0)
})

test('SlidingRetryBudget counts retries that wait, and takes back those not sent', () => {
  const budget = new SlidingRetryBudget({ minPerSecond: 0 })
  for (let call = 0; call < 5; call++) budget.deposit(0)
  assert.ok(budget.tryWithdraw(0))
  assert.equal(budget.tryWithdraw(0), false)
  budget.giveBack(1)
  assert.ok(budget.tryWithdraw(1))
})

test('SlidingRetryBudget bounds the load when everything fails, at any rate of calls', () => {
  for (const perSecond of [1, 10, 100, 1_000]) {
    const budget = new SlidingRetryBudget({ minPerSecond: 0 })
    let calls = 0
    let retries = 0
    for (let now = 0; now < 60_000; now += 1_000 / perSecond) {
      calls++
      budget.deposit(now)
      while (budget.tryWithdraw(now)) retries++
    }
    assert.ok(retries <= calls * 0.2 + 1, `${retries} retries of ${calls} calls`)
    assert.ok(retries >= calls * 0.2 - 2, `${retries} retries of ${calls} calls`)
  }
})

test('SlidingRetryBudget: in no window more than the share of its calls, or the reserve (property)', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed)
    const windowMs = 1_000
    const minPerSecond = Math.floor(random() * 20)
    const ratio = 0.05 + random() * 0.5
    const budget = new SlidingRetryBudget({ ratio, minPerSecond, windowMs })
    const calls: number[] = []
    const retries: number[] = []
    // Bursts and rests, and a destination that fails now and then or all the time.
    const failing = random()
    for (let now = 0; now < 6_000; now += random() < 0.02 ? 700 * random() : 8 * random()) {
      calls.push(now)
      budget.deposit(now)
      while (random() < failing && budget.tryWithdraw(now)) {
        if (random() < 0.1) budget.giveBack(now)
        else retries.push(now)
      }
    }
    for (const end of retries) {
      const spent = countWithin(retries, end - windowMs * 0.9, end)
      // It moves in tenths: what was earned in the oldest one may still count.
      const earned = ratio * countWithin(calls, end - windowMs, end)
      const most = Math.max((minPerSecond * windowMs) / 1_000, earned)
      assert.ok(spent <= most + 1e-6, `seed ${seed}: ${spent} of ${most} at ${end}`)
    }
  }
})

test('SlidingRetryBudget: when all calls fail, a fifth more attempts, and the reserve once', () => {
  for (const [perSecond, once] of [
    [5, 10],
    [6, 10],
    [20, 10],
    // What begins with as many calls in a tenth of the window as earn the reserve has none on top.
    [50, 0],
    [300, 0],
  ] as const) {
    const budget = new SlidingRetryBudget()
    let calls = 0
    let retries = 0
    for (let now = 0; now < 120_000; now += 1_000 / perSecond) {
      calls++
      budget.deposit(now)
      while (budget.tryWithdraw(now)) retries++
      const most = Math.max(10, calls * 0.2 + once)
      assert.ok(retries <= most + 1e-6, `${retries} retries of ${calls} calls, ${perSecond}/s`)
    }
    assert.ok(retries > calls * 0.17, `${retries} of ${calls}`)
  }
})

test('SlidingRetryBudget refuses options out of range', () => {
  for (const options of [{ ratio: -0.1 }, { minPerSecond: -1 }, { windowMs: 9 }]) {
    assert.throws(() => new SlidingRetryBudget(options), { code: 'ERR_OPTION_RANGE' })
  }
})

function countWithin(times: readonly number[], after: number, until: number): number {
  return times.filter((at) => at > after && at <= until).length
}
