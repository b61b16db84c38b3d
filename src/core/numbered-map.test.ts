import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { NumberedMap } from './numbered-map.ts'

test('keeps what a Map keeps, whatever comes and goes', () => {
  const random = new SeededRandom(7)
  const map = new NumberedMap<{ readonly id: number }>()
  const model = new Map<number, { readonly id: number }>()
  let next = 1
  for (let step = 0; step < 20_000; step++) {
    // Waves of many and of few, odd and even numbers.
    const many = step % 4_000 < 1_500
    if (random.next() < (many ? 0.7 : 0.4)) {
      const item = { id: next }
      next += 1 + Math.floor(random.next() * 4)
      map.add(item)
      model.set(item.id, item)
    } else {
      const keys = [...model.keys()]
      const id = keys[Math.floor(random.next() * keys.length * 1.1)] ?? next
      assert.equal(map.delete(id), model.delete(id))
    }
    assert.equal(map.size, model.size)
    const id = Math.floor(random.next() * next)
    assert.equal(map.get(id), model.get(id))
  }
  assert.deepEqual(map.values(), [...model.values()])
  map.clear()
  assert.deepEqual(map.values(), [])
  assert.equal(map.get(next - 1), undefined)
})

test('one that stays does not make it grow: the others of its place are beside it', () => {
  const map = new NumberedMap<{ readonly id: number }>()
  const first = { id: 1 }
  map.add(first)
  for (let id = 3; id < 10_000; id += 2) {
    const item = { id }
    map.add(item)
    assert.equal(map.get(id), item)
    assert.equal(map.get(1), first)
    assert.equal(map.delete(id), true)
    assert.equal(map.get(id), undefined)
  }
  assert.deepEqual(map.values(), [first])
})
