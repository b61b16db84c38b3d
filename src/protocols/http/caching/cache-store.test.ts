import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFields } from '../fields.ts'
import { CacheStore } from './cache-store.ts'
import { type StoredResponse, storedResponse } from './stored-response.ts'

const RULES = {
  shared: true,
  stripSetCookie: false,
  heuristicFraction: 0,
  maxHeuristicSeconds: 0,
}

function entry(key: string, length: number, vary?: string, value = ''): StoredResponse {
  const fields = new HttpFields(vary === undefined ? {} : { vary })
  const request = new HttpFields(vary === undefined ? {} : { [vary]: value })
  const head = { status: 200, reason: undefined, fields }
  const arrival = { now: 1, wallMs: 1, exchangeMs: 0 }
  return storedResponse(key, request, head, new Uint8Array(length), arrival, RULES)
}

const NONE = new HttpFields()

test('CacheStore pushes out what was used longest ago when it is full of bytes', () => {
  const one = entry('a', 1_000)
  const store = new CacheStore({ maxBytes: one.bytes * 2 })
  store.put(one)
  store.put(entry('b', 1_000))
  assert.equal(store.stats.bytes, one.bytes * 2)
  assert.equal(store.stats.evicted, 0)
  assert.ok(store.find('a', NONE)) // used: now b is the older one
  store.put(entry('c', 1_000))
  assert.equal(store.find('b', NONE), undefined)
  assert.ok(store.find('a', NONE))
  assert.deepEqual([store.stats.entries, store.stats.evicted], [2, 1])
})

test('CacheStore keeps maxEntries responses and not one more', () => {
  const store = new CacheStore({ maxEntries: 2 })
  for (const key of ['a', 'b']) store.put(entry(key, 0))
  assert.equal(store.stats.entries, 2)
  store.put(entry('c', 0))
  assert.equal(store.stats.entries, 2)
  assert.equal(store.find('a', NONE), undefined)
})

test('CacheStore takes a body of maxEntryBytes and refuses one byte more', () => {
  const store = new CacheStore({ maxEntryBytes: 10 })
  assert.equal(store.put(entry('a', 10)), true)
  assert.equal(store.put(entry('a', 11)), false)
  // What it would have replaced is old news.
  assert.equal(store.find('a', NONE), undefined)
  assert.equal(store.stats.bytes, 0)
})

test('CacheStore keeps maxVariants of one resource, the newest ones', () => {
  const store = new CacheStore({ maxVariants: 2 })
  for (const language of ['de', 'en']) store.put(entry('a', 1, 'accept-language', language))
  assert.equal(store.stats.entries, 2)
  store.put(entry('a', 1, 'accept-language', 'fr'))
  assert.equal(store.stats.entries, 2)
  assert.equal(store.find('a', new HttpFields({ 'accept-language': 'de' })), undefined)
  assert.ok(store.find('a', new HttpFields({ 'accept-language': 'fr' })))
  assert.equal(store.find('a', NONE), undefined)
  assert.deepEqual(store.varyNamesOf('a'), ['accept-language'])
})

test('CacheStore with one variant at a time replaces it', () => {
  const store = new CacheStore({ maxVariants: 1 })
  store.put(entry('a', 1, 'accept', 'x'))
  store.put(entry('a', 1, 'accept', 'y'))
  assert.equal(store.stats.entries, 1)
  assert.ok(store.find('a', new HttpFields({ accept: 'y' })))
  assert.equal(store.invalidate('a'), 1)
  assert.deepEqual(store.stats, { entries: 0, bytes: 0, arrivingBytes: 0, evicted: 1 })
})

test('CacheStore lends maxArrivingBytes and not one more', () => {
  const store = new CacheStore({ maxArrivingBytes: 10 })
  assert.equal(store.reserve(10), true)
  assert.equal(store.reserve(1), false)
  store.release(10)
  assert.equal(store.reserve(1), true)
})

test('CacheStore remembers what cannot be shared until its time, for maxEntries resources', () => {
  const store = new CacheStore({ maxEntries: 1 })
  store.noteUnshareable('a', 10)
  assert.equal(store.isUnshareable('a', 9), true)
  assert.equal(store.isUnshareable('a', 10), false)
  store.noteUnshareable('a', 20)
  store.noteUnshareable('b', 20)
  assert.equal(store.isUnshareable('a', 11), false)
  assert.equal(store.isUnshareable('b', 11), true)
  store.put(entry('b', 1))
  assert.equal(store.isUnshareable('b', 11), false)
})

test('CacheStore refuses options out of range', () => {
  assert.throws(() => new CacheStore({ maxEntries: 0 }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new CacheStore({ maxBytes: -1 }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new CacheStore({ maxVariants: 1_025 }), { code: 'ERR_OPTION_RANGE' })
})
