import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Capability } from './connection.ts'
import { nextConnectionId } from './connection-id.ts'
import { noopMeter } from './metrics.ts'

test('noopMeter counts nothing and hands out the same instruments', () => {
  const counter = noopMeter.counter('a')
  counter.add()
  counter.add(3)
  const gauge = noopMeter.gauge('b')
  gauge.set(1)
  gauge.add(-1)
  noopMeter.histogram('c', { unit: 's' }, { k: 'v' }).record(0.5)
  assert.equal(noopMeter.counter('other'), counter)
})

test('nextConnectionId ascends and never repeats', () => {
  const ids = Array.from({ length: 100 }, nextConnectionId)
  for (let at = 1; at < ids.length; at++) assert.equal(ids[at], (ids[at - 1] as number) + 1)
})

test('Capability bits are distinct', () => {
  const bits = Object.values(Capability)
  assert.equal(
    bits.reduce((sum, bit) => sum | bit, 0),
    bits.reduce((sum, bit) => sum + bit, 0),
  )
})
