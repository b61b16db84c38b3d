import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { ConcurrencyLimit, limiter } from './limiter.ts'

test('limiter takes calls up to maxConcurrent and refuses one more', async () => {
  const limit = new ConcurrencyLimit({ maxConcurrent: 2 })
  const answers = [1, 2, 3].map(() => Promise.withResolvers<string>())
  let calls = 0
  const service = limiter<string, string>(limit)(() => answers[calls++]?.promise ?? 'ok')
  const [first, second] = [service('a', new Call()), service('b', new Call())]
  assert.throws(() => service('c', new Call()), {
    code: 'ERR_LIMITED',
    message: '2 calls are under way, maxConcurrent 2',
  })
  assert.equal(calls, 2)
  answers[0]?.resolve('a')
  assert.equal(await first, 'a')
  assert.equal(limit.inFlight, 1)
  const third = service('c', new Call())
  answers[1]?.reject(new Error('x'))
  answers[2]?.resolve('c')
  await assert.rejects(async () => second, /x/)
  assert.equal(await third, 'c')
  assert.equal(limit.inFlight, 0)
  assert.equal(limit.refused, 1)
})

test('limiter gives the place of a call that throws back', () => {
  const limit = new ConcurrencyLimit({ maxConcurrent: 1 })
  const service = limiter<string, string>(limit)(() => {
    throw new Error('x')
  })
  for (let count = 0; count < 3; count++) assert.throws(() => service('a', new Call()), /x/)
  assert.equal(limit.inFlight, 0)
})

test('ConcurrencyLimit refuses a limit out of range', () => {
  for (const maxConcurrent of [0, -1, 1.5]) {
    assert.throws(() => new ConcurrencyLimit({ maxConcurrent }), { code: 'ERR_OPTION_RANGE' })
  }
})
