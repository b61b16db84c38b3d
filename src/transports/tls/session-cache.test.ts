import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionCache } from './session-cache.ts'

const session = (n: number) => Uint8Array.of(n)

test('SessionCache gives a single-use session once, the newest first', () => {
  const cache = new SessionCache(8)
  cache.put('a', session(1), true)
  cache.put('a', session(2), true)
  assert.deepEqual(
    [cache.take('a'), cache.take('a'), cache.take('a')],
    [session(2), session(1), undefined],
  )
  assert.equal(cache.size, 0)
})

test('SessionCache gives a reusable session again, and keeps one of them', () => {
  const cache = new SessionCache(8)
  cache.put('a', session(1), false)
  cache.put('a', session(2), false)
  assert.deepEqual([cache.take('a'), cache.take('a')], [session(2), session(2)])
  assert.equal(cache.size, 1)
})

test('SessionCache holds its maximum, and drops the oldest for one more', () => {
  const cache = new SessionCache(3)
  for (const server of ['a', 'b', 'c']) cache.put(server, session(1), true)
  assert.equal(cache.size, 3)
  cache.put('d', session(1), true)
  assert.equal(cache.size, 3)
  assert.equal(cache.take('a'), undefined)
  // A server that was stored again is younger.
  cache.put('b', session(2), true)
  assert.equal(cache.take('c'), undefined)
  assert.deepEqual(cache.take('b'), session(2))
})

test('SessionCache of size 0 keeps nothing', () => {
  const cache = new SessionCache(0)
  cache.put('a', session(1), true)
  assert.equal(cache.take('a'), undefined)
})
