import assert from 'node:assert/strict'
import test from 'node:test'
import { ObserverGroup } from './observer-group.ts'
import { Registry } from './registry.ts'

test('ObserverGroup ends all of its observers and none of others', () => {
  const registry = new Registry()
  const value = (name: string): number | undefined => {
    const series = registry.collect().find((family) => family.name === name)?.series[0]
    return series !== undefined && 'value' in series ? series.value : undefined
  }
  const one = new ObserverGroup(registry)
  const two = new ObserverGroup(registry)
  for (const group of [one, two]) {
    group.gauge('heddle.test.size', {}, (report) => report(1))
    group.counter('heddle.test.things', {}, (report) => report(2))
  }
  assert.equal(value('heddle.test.size'), 2)
  one[Symbol.dispose]()
  one[Symbol.dispose]()
  assert.equal(value('heddle.test.size'), 1)
  assert.equal(value('heddle.test.things'), 2)
  two[Symbol.dispose]()
  assert.equal(value('heddle.test.size'), undefined)
})
