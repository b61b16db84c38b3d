import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { Call } from './context.ts'

test('Call tells each callback once, in order, and at once when it is cancelled already', () => {
  const call = new Call()
  const told: string[] = []
  call.onCancel((reason) => void told.push(`a ${reason.message}`))
  call.onCancel((reason) => void told.push(`b ${reason.message}`))
  call.cancel(new Error('first'))
  call.cancel(new Error('second'))
  assert.equal(call.cancelReason?.message, 'first')
  call.onCancel((reason) => void told.push(`c ${reason.message}`))()
  assert.deepEqual(told, ['a first', 'b first', 'c first'])
})

test('Call does not tell a callback that was removed, in whatever order', () => {
  for (const removed of [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]]) {
    const call = new Call()
    const told: number[] = []
    const removals = [0, 1, 2].map((index) => call.onCancel(() => void told.push(index)))
    for (const index of removed) {
      removals[index]?.()
      removals[index]?.() // idempotent
    }
    const added = call.onCancel(() => void told.push(3))
    call.cancel()
    added()
    assert.deepEqual(
      told,
      [0, 1, 2, 3].filter((index) => !removed.includes(index)),
    )
  }
})

test('Call does not tell a callback that another one removed meanwhile', () => {
  for (const [first, second] of [
    [0, 1],
    [1, 2],
    [0, 2],
  ] as const) {
    const call = new Call()
    const told: number[] = []
    const removals: (() => void)[] = []
    for (const index of [0, 1, 2]) {
      const remove = call.onCancel(() => {
        told.push(index)
        if (index === first) removals[second]?.()
      })
      removals.push(remove)
    }
    call.cancel()
    assert.deepEqual(
      told,
      [0, 1, 2].filter((index) => index !== second),
    )
  }
})

test('Call follows parent and signal, takes the earlier deadline, and lets both go', () => {
  const controller = new AbortController()
  const parent = new Call({ deadline: 100, signal: controller.signal, priority: 5 })
  const child = new Call({ deadline: 200, attempt: 2 }, parent)
  assert.equal(child.deadline, 100)
  assert.equal(child.priority, 5)
  assert.equal(new Call({ deadline: 50 }, parent).deadline, 50)
  const finished = new Call({}, parent)
  finished.finish()
  const reason = new Error('mine')
  controller.abort(reason)
  assert.equal(child.cancelReason, reason)
  assert.equal(finished.cancelled, false)
  assert.equal(child.signal.reason, reason)
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

test('Call makes its signal when asked, and aborts it with the reason', () => {
  const call = new Call()
  const { signal } = call
  assert.equal(signal.aborted, false)
  const reason = new Error('mine')
  call.cancel(reason)
  assert.equal(signal.reason, reason)
})
