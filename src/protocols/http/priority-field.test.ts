import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type CallInit } from '../../core/context.ts'
import { HttpFields } from './fields.ts'
import { readUrgency, trustedPriority } from './priority-field.ts'
import { ContextReader, ContextWriter } from './propagation.ts'

const fields = (priority: string) => new HttpFields({ priority })

test('readUrgency reads u of the dictionary, and nothing else', () => {
  for (const [value, urgency] of [
    ['u=0', 0],
    ['i, u=5', 5],
    ['u=1;x=2 , i', 1],
    ['u=1, u=6', 6],
    ['u=8', undefined],
    ['u=10', undefined],
    ['u="1"', undefined],
    ['au=1', undefined],
    ['i', undefined],
    ['', undefined],
    [`${'a,'.repeat(200)}u=1`, undefined],
  ] as const) {
    assert.equal(readUrgency(fields(value)), urgency, value)
  }
  assert.equal(readUrgency(new HttpFields()), undefined)
})

test('a client cannot raise its own priority unless it is trusted', () => {
  const read = (value: string, priority?: 'ignore' | 'lower' | 'trust') => {
    const init: CallInit = {}
    new ContextReader(priority === undefined ? {} : { priority }).read(fields(value), init, 0)
    return new Call(init).priority
  }
  assert.deepEqual([read('u=0'), read('u=2'), read('u=3'), read('u=6')], [3, 3, 3, 6])
  assert.deepEqual([read('u=0', 'trust'), read('u=7', 'trust')], [0, 7])
  assert.deepEqual([read('u=0', 'ignore'), read('u=7', 'ignore')], [3, 3])
  assert.equal(trustedPriority(fields('nonsense'), 'trust'), undefined)
})

test('a priority travels on with the call, where the caller did not write one', () => {
  const writer = new ContextWriter()
  const written = (context: Call, given = new HttpFields()) =>
    writer.write(given, context, { now: () => 0 }).get('priority')
  assert.equal(written(new Call()), undefined)
  assert.equal(written(new Call({ priority: 6 })), 'u=6')
  assert.equal(written(new Call({ priority: 6 }), fields('u=1, i')), 'u=1, i')
})
