import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalizeTarget, type PathOptions, pathDefaults } from './path.ts'

const normalize = (target: string, options: Partial<PathOptions> = {}) =>
  normalizeTarget(target, { ...pathDefaults, ...options })

test('normalizeTarget returns a plain target as it is', () => {
  for (const target of [
    '/',
    '/a',
    '/a/b.c/',
    '/a?x=//../%zz\\',
    '/.well',
    '/a.b',
    '/a:b@c;d=1,e',
  ]) {
    assert.equal(normalize(target), target)
  }
})

test('normalizeTarget decodes unreserved characters and capitalises the rest', () => {
  assert.equal(normalize('/%61dmin'), '/admin')
  assert.equal(normalize('/%7e%2D%5f%2e'), '/~-_.')
  assert.equal(normalize('/caf%c3%a9'), '/caf%C3%A9')
  assert.equal(normalize('/a%20b%3fc'), '/a%20b%3Fc')
  assert.equal(normalize('/%2561'), '/%2561') // decoded once, never twice
})

test('normalizeTarget resolves dot segments, encoded ones too', () => {
  const cases: [string, string][] = [
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/..', '/'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b?q=../x', '/b?q=../x'],
    ['/a//../b', '/b'], // slashes are merged first
    ['/...', '/...'],
    ['/a/..b/.c', '/a/..b/.c'],
  ]
  for (const [target, expected] of cases) assert.equal(normalize(target), expected, target)
  assert.equal(normalize('/a/../b', { dotSegments: 'reject' }), undefined)
  assert.equal(normalize('/a/../b', { dotSegments: 'keep' }), '/a/../b')
})

test('normalizeTarget refuses a fragment, which some servers cut off', () => {
  assert.equal(normalize('/admin#x'), undefined)
  assert.equal(normalize('/a/%2561#'), undefined)
  assert.equal(normalize('/admin%23x'), '/admin%23x')
})

test('normalizeTarget merges, refuses or keeps double slashes', () => {
  assert.equal(normalize('//a///b//'), '/a/b/')
  assert.equal(normalize('//a', { doubleSlashes: 'reject' }), undefined)
  assert.equal(normalize('//a///b', { doubleSlashes: 'keep' }), '//a///b')
})

test('normalizeTarget keeps, decodes or refuses encoded slashes', () => {
  assert.equal(normalize('/a%2fb'), '/a%2Fb')
  assert.equal(normalize('/a%2Fb', { encodedSlashes: 'decode' }), '/a/b')
  assert.equal(normalize('/a%2F..%2Fb', { encodedSlashes: 'decode' }), '/b')
  assert.equal(normalize('/a%2fb', { encodedSlashes: 'reject' }), undefined)
  assert.equal(normalize('/a%5cb', { encodedSlashes: 'reject' }), undefined)
  assert.equal(normalize('/a%5cb', { encodedSlashes: 'decode' }), undefined) // a backslash now
  assert.equal(normalize('/a%5cb', { encodedSlashes: 'decode', backslashes: 'slash' }), '/a/b')
})

test('normalizeTarget refuses, turns or keeps backslashes', () => {
  assert.equal(normalize('/a\\..\\b'), undefined)
  assert.equal(normalize('/a\\..\\b', { backslashes: 'slash' }), '/b')
  assert.equal(normalize('/a\\b', { backslashes: 'keep' }), '/a\\b')
  assert.equal(normalize('/a?\\'), '/a?\\')
})

test('normalizeTarget refuses what has no one meaning', () => {
  for (const target of [
    '/%',
    '/%4',
    '/%zz',
    '/%0',
    '/a%00b',
    '/%0a',
    '/%7F',
    '/a b',
    '/\u0000',
    '/\u00e9',
  ]) {
    assert.equal(normalize(target), undefined, JSON.stringify(target))
  }
})

test('normalizeTarget is idempotent', () => {
  const parts = ['/', '.', '..', '%2e', '%2F', '%61', 'a', '//', '%25', '\\']
  let seed = 1
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let round = 0; round < 2_000; round++) {
    let target = '/'
    for (let count = 0; count < 8; count++) target += parts[Math.floor(random() * parts.length)]
    for (const encodedSlashes of ['keep', 'decode'] as const) {
      const options = { encodedSlashes, backslashes: 'slash' } as const
      const once = normalize(target, options)
      if (once === undefined) continue
      // %25 decodes to nothing, so a second pass finds nothing new.
      assert.equal(normalize(once, options), once, target)
      assert.ok(!/\/\.{1,2}(?:\/|$)|\/\//.test(once), once)
    }
  }
})

test('normalizeTarget refuses dot segments that only some servers see', () => {
  for (const target of [
    '/public/..;/admin',
    '/public/..;x=1/admin',
    '/public/.;/admin',
    '/public/..;',
    '/public/..%2fadmin',
    '/public/x%2f..%2f..%2Fadmin',
    '/public/x%2F%2e%2e',
    '/public/..%5Cadmin',
    '/public/%2e%2e%2fadmin',
  ]) {
    assert.equal(normalize(target), undefined, target)
    assert.notEqual(normalize(target, { dotSegments: 'keep' }), undefined, target)
  }
  assert.equal(normalize('/a/..\\b', { backslashes: 'keep' }), undefined)
  for (const target of ['/a..;x/b', '/v1..v2%2Fb', '/...%2Fa', '/a;..', '/.well-known%2Fx']) {
    assert.equal(normalize(target), target)
  }
})
