import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { Call, callDefaults } from './context.ts'

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

test('Call has the defaults and keeps what it was given', () => {
  const plain = new Call()
  assert.equal(plain.deadline, undefined)
  assert.equal(plain.attempt, 1)
  assert.equal(plain.priority, callDefaults.priority)
  assert.equal(plain.idempotent, undefined)
  assert.equal(plain.metadata.size, 0)
  const given = new Call({ deadline: 5, attempt: 2, priority: 7, idempotent: false })
  assert.deepEqual([given.deadline, given.attempt, given.priority], [5, 2, 7])
  assert.equal(given.idempotent, false)
})

test('Call child inherits, overrides, and takes the earlier deadline', () => {
  const metadata = new Map([['a', 'b']])
  const parent = new Call({ deadline: 100, priority: 1, idempotent: true, metadata })
  const child = new Call({ attempt: 3 }, parent)
  assert.equal(child.metadata, metadata)
  assert.deepEqual([child.priority, child.attempt, child.idempotent], [1, 3, true])
  assert.equal(child.deadline, 100)
  assert.equal(new Call({ deadline: 50 }, parent).deadline, 50)
  assert.equal(new Call({ deadline: 150 }, parent).deadline, 100)
  assert.equal(new Call({ deadline: 150 }, new Call()).deadline, 150)
  assert.equal(new Call({ idempotent: false }, parent).idempotent, false)
})

test('Call.onCancel removes one of two equal callbacks', () => {
  const call = new Call()
  let heard = 0
  const callback = (): void => void heard++
  const remove = call.onCancel(callback)
  call.onCancel(callback)
  remove()
  call.cancel()
  assert.equal(heard, 1)
})

test('Call of a cancelled parent is born cancelled', () => {
  const parent = new Call()
  const reason = new Error('before')
  parent.cancel(reason)
  assert.equal(new Call({}, parent).cancelReason, reason)
})

test('Call passes the reason of the caller’s signal through untouched', () => {
  const controller = new AbortController()
  const call = new Call({ signal: controller.signal })
  const reason = { not: 'an error' }
  controller.abort(reason)
  assert.equal(call.cancelReason, reason)
  const aborted = new Call({ signal: AbortSignal.abort(reason) })
  assert.equal(aborted.cancelReason, reason)
})

test('Call leaves no listener on the signal and none on the parent after finish or cancel', () => {
  for (const end of ['finish', 'cancel'] as const) {
    const counted = countListeners(new AbortController().signal)
    let onParent = 0
    const parent = new Call()
    const spied = Object.create(parent, {
      onCancel: {
        value: (callback: (reason: Error) => void) => {
          onParent += 1
          const remove = parent.onCancel(callback)
          return () => {
            onParent -= 1
            remove()
          }
        },
      },
      deadline: { value: undefined },
      attempt: { value: 1 },
      metadata: { value: new Map() },
      idempotent: { value: undefined },
      priority: { value: 3 },
      trace: { value: undefined },
      correlationId: { value: undefined },
    }) as Call
    const call = new Call({ signal: counted.signal }, spied)
    assert.deepEqual([counted.count(), onParent], [1, 1])
    call[end]()
    assert.deepEqual([counted.count(), onParent], [0, 0], end)
  }
})

function countListeners(signal: AbortSignal): { signal: AbortSignal; count(): number } {
  let count = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: Parameters<AbortSignal['addEventListener']>) => {
    count += 1
    addEventListener.apply(signal, args)
  }
  signal.removeEventListener = (...args: Parameters<AbortSignal['removeEventListener']>) => {
    count -= 1
    removeEventListener.apply(signal, args)
  }
  return { signal, count: () => count }
}

test('Call follows its parent after finish, as long as somebody listens', () => {
  const controller = new AbortController()
  const listeners = (): number => getEventListeners(controller.signal, 'abort').length
  const parent = new Call({ signal: controller.signal })
  const streaming = new Call({}, parent)
  const [a, b] = [streaming.onCancel(() => {}), streaming.onCancel(() => {})]
  streaming.finish()
  parent.finish()
  a()
  assert.equal(listeners(), 1)
  b()
  assert.equal(listeners(), 0)
  controller.abort(new Error('late'))
  assert.equal(streaming.cancelled, false)
})

test('Call reaches a stream that still listens', () => {
  const parent = new Call()
  const streaming = new Call({}, parent)
  let told: Error | undefined
  streaming.onCancel((reason) => void (told = reason))
  streaming.finish()
  const reason = new Error('mine')
  parent.cancel(reason)
  assert.equal(told, reason)
})
