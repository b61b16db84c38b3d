import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFields } from '../fields.ts'
import {
  type CacheControl,
  MAX_DELTA_SECONDS,
  NO_CACHE_CONTROL,
  parseCacheControl,
  readCacheControl,
} from './cache-control.ts'

const READ: readonly (readonly [text: string, meaning: Partial<CacheControl>])[] = [
  ['', {}],
  ['max-age=60', { maxAge: 60 }],
  ['MAX-AGE=60 , Public', { maxAge: 60, public: true }],
  ['max-age="60"', { maxAge: 60 }], // 5.2: both forms are to be understood
  ['max-age=60;x, public', { maxAge: 0, public: true }],
  ['max-age=-1', { maxAge: 0 }],
  ['max-age', { maxAge: 0 }],
  ['max-age=1.5', { maxAge: 0 }],
  ['max-age=99999999999999999999', { maxAge: MAX_DELTA_SECONDS }], // 1.2.2
  ['max-age=10, max-age=20', { maxAge: 10 }], // 4.2.1: the first
  ['max-age=60, no-cache', { maxAge: 60, noCache: true }],
  ['private="set-cookie, x", max-age=5', { private: true, maxAge: 5 }],
  ['no-cache="a\\"b, max-age=9", s-maxage=1', { noCache: true, sMaxAge: 1 }],
  ['no-cache="never closed, public', { noCache: true }],
  ['max-stale', { maxStale: Number.POSITIVE_INFINITY }],
  ['max-stale=30', { maxStale: 30 }],
  ['max-stale=soon', {}],
  ['min-fresh=30, only-if-cached', { minFresh: 30, onlyIfCached: true }],
  ['stale-while-revalidate=30, stale-if-error=60', { staleWhileRevalidate: 30, staleIfError: 60 }],
  [',, ,must-revalidate,', { mustRevalidate: true }],
  ['community="UCI", x=y, must-understand', { mustUnderstand: true }], // 5.2.3: unknown ones
  ['proxy-revalidate no-store', { proxyRevalidate: true }],
]

for (const [text, meaning] of READ) {
  test(`parseCacheControl reads '${text}'`, () => {
    assert.deepEqual(parseCacheControl(text), { ...NO_CACHE_CONTROL, ...meaning })
  })
}

test('readCacheControl joins lines, and takes Pragma where there is no Cache-Control', () => {
  const lines = new HttpFields([
    ['cache-control', 'public'],
    ['Cache-Control', 'max-age=1'],
    ['pragma', 'no-cache'],
  ])
  const expected = { ...NO_CACHE_CONTROL, public: true, maxAge: 1 }
  assert.deepEqual(readCacheControl(lines), expected)
  assert.equal(readCacheControl(new HttpFields({ pragma: 'no-cache' })).noCache, true)
})
