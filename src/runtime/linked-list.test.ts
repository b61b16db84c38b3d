import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Link, LinkedList, unlink } from './linked-list.ts'

class Item implements Link {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

const names = (list: LinkedList<Item>): string => [...list].map((item) => item.name).join('')

test('LinkedList keeps order at both ends and lets any member leave', () => {
  const list = new LinkedList<Item>()
  assert.ok(list.isEmpty)
  assert.equal(list.first, undefined)
  assert.equal(list.last, undefined)
  assert.equal(list.removeFirst(), undefined)
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Item(name)) as [
    Item,
    Item,
    Item,
    Item,
  ]
  list.addLast(b)
  list.addLast(c)
  list.addFirst(a)
  list.addLast(d)
  assert.equal(names(list), 'abcd')
  unlink(c)
  assert.equal(names(list), 'abd')
  unlink(c)
  assert.equal(c.next, undefined)
  assert.equal(list.removeFirst(), a)
  assert.equal(list.first, b)
  assert.equal(list.last, d)
  list.addLast(a)
  for (const item of list) unlink(item)
  assert.ok(list.isEmpty)
})
