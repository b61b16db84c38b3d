import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('SlidingRetryBudget refuses options out of range', () => {
  for (const options of [{ ratio: -0.1 }, { minPerSecond: -1 }, { windowMs: 9 }]) {
    assert.throws(() => new SlidingRetryBudget(options), { code: 'ERR_OPTION_RANGE' })
  }
})
