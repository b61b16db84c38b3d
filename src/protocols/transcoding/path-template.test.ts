import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PathMatcher } from './path-matcher.ts'
import { parsePathTemplate } from './path-template.ts'

const shape = (text: string): string => {
  const { segments, variables, verb } = parsePathTemplate(text)
  const path = segments.map((one) =>
    one.kind === 'literal' ? one.text : one.kind === 'one' ? '*' : '**',
  )
  const held = variables.map(
    ({ fieldPath, start, end }) => `${fieldPath.join('.')}=${path.slice(start, end).join('/')}`,
  )
  return [path.join('/'), ...held, ...(verb === undefined ? [] : [`:${verb}`])].join(' ')
}

test('parsePathTemplate reads the whole grammar', () => {
  assert.equal(shape('/v1/books'), 'v1/books')
  assert.equal(shape('/v1/{name}'), 'v1/* name=*')
  assert.equal(
    shape('/v1/{book.name=shelves/*/books/*}'),
    'v1/shelves/*/books/* book.name=shelves/*/books/*',
  )
  assert.equal(shape('/v1/{a}/x/{b_2.c=y/**}:do'), 'v1/*/x/y/** a=* b_2.c=y/** :do')
  assert.equal(shape('/v1/*/**'), 'v1/*/**')
  assert.equal(shape('/v1/a%20b:undelete'), 'v1/a b :undelete')
  assert.equal(shape('/**'), '**')
})

test('parsePathTemplate refuses everything else, with the place', () => {
  for (const [text, message] of [
    ['', /expected '\/' at 0/],
    ['v1', /expected '\/' at 0/],
    ['/', /expected a segment at 1/],
    ['/v1/', /expected a segment at 4/],
    ['/v1//x', /expected a segment at 4/],
    ['/{}', /the name of a field at 2/],
    ['/{1a}', /the name of a field at 2/],
    ['/{a.}', /the name of a field at 4/],
    ['/{a=}', /expected a segment at 4/],
    ['/{a', /expected '}' at 3/],
    ['/{a=x/{b}}', /no variable inside a variable/],
    ['/{a}b', /the end at 4/],
    ['/a{b}', /the end at 2/],
    ['/**/x', /nothing behind \*\*/],
    ['/{a=**}/x', /nothing behind \*\*/],
    ['/{a}/{a}', /a once only/],
    ['/a:', /expected a segment at 3/],
    ['/a:b:c', /the end at 4/],
    ['/a?b', /the end at 2/],
    ['/***', /the end at 3/],
    ['/..', /not relative/],
    ['/%zz', /expected a segment/],
    ['/%ff', /not percent-encoded UTF-8/],
    [`/${'a'.repeat(2_048)}`, /2049 characters is over 2048/],
    [`/a${'/a'.repeat(128)}`, /at most 128 segments/],
  ] as const) {
    assert.throws(() => parsePathTemplate(text), { code: 'ERR_SCHEMA', message }, text)
  }
  parsePathTemplate(`/${'a'.repeat(2_047)}`)
  parsePathTemplate(`/a${'/a'.repeat(127)}`)
})

const matcherOf = (...templates: string[]): PathMatcher<string> => {
  const matcher = new PathMatcher<string>()
  for (const text of templates) {
    const [method = '', path = ''] = text.split(' ')
    assert.ok(matcher.add(method, parsePathTemplate(path), text))
  }
  return matcher
}

test('PathMatcher prefers what is more specific, in whatever order it was added', () => {
  const templates = [
    'GET /v1/{rest=**}',
    'GET /v1/{shelf}/{book}',
    'GET /v1/shelves/{book}',
    'GET /v1/shelves/best',
    'GET /v1/shelves/best:list',
    'POST /v1/shelves/{book}:archive',
    '* /v1/any',
  ]
  for (const order of [templates, templates.toReversed()]) {
    const matcher = matcherOf(...order)
    for (const [path, template, values] of [
      ['/v1/shelves/best', 'GET /v1/shelves/best', []],
      ['/v1/shelves/best:list', 'GET /v1/shelves/best:list', []],
      ['/v1/shelves/other', 'GET /v1/shelves/{book}', ['other']],
      ['/v1/x/best', 'GET /v1/{shelf}/{book}', ['x', 'best']],
      ['/v1/shelves/best/x', 'GET /v1/{rest=**}', ['shelves/best/x']],
      ['/v1', 'GET /v1/{rest=**}', ['']],
      ['/v1/', 'GET /v1/{rest=**}', ['']],
      ['/v1/x', 'GET /v1/{rest=**}', ['x']],
      ['/v1/any', '* /v1/any', []],
      // A verb that no template of the method has is a part of the segment.
      ['/v1/shelves/x:archive', 'GET /v1/shelves/{book}', ['x:archive']],
      ['/v1/shelves/x:y', 'GET /v1/shelves/{book}', ['x:y']],
    ] as const) {
      assert.deepEqual(matcher.match('GET', path), { target: template, values }, path)
    }
    assert.deepEqual(matcher.match('POST', '/v1/shelves/x:archive'), {
      target: 'POST /v1/shelves/{book}:archive',
      values: ['x'],
    })
    assert.equal(matcher.match('GET', '/v2'), undefined)
    assert.equal(matcher.match('GET', '*'), undefined)
    assert.deepEqual(matcher.match('PUT', '/v1/shelves/best'), { allowed: ['GET'] })
  }
})

test('PathMatcher decodes: a single segment as a whole, of several all but slashes', () => {
  const matcher = matcherOf(
    'GET /one/{a}',
    'GET /many/{a=x/*}',
    'GET /rest/{a=**}',
    'GET /a%20b/%C3%BC',
  )
  const values = (path: string): unknown => matcher.match('GET', path)
  assert.deepEqual(values('/one/a%2Fb%20c'), { target: 'GET /one/{a}', values: ['a/b c'] })
  assert.deepEqual(values('/many/x/a%2Fb%20c'), {
    target: 'GET /many/{a=x/*}',
    values: ['x/a%2Fb c'],
  })
  assert.deepEqual(values('/rest/a%2fb/c%3f'), { target: 'GET /rest/{a=**}', values: ['a%2fb/c?'] })
  assert.deepEqual(values('/a%20b/%C3%BC'), { target: 'GET /a%20b/%C3%BC', values: [] })
  assert.equal(values('/one/'), undefined)
  for (const path of [
    '/one/%',
    '/one/%c3',
    '/rest/%2e%2e',
    '/rest/a/..',
    '/one/.',
    '/one/x%2f..',
  ]) {
    assert.throws(() => values(path), { status: 'INVALID_ARGUMENT' }, path)
  }
})

test('PathMatcher refuses the same method and template twice', () => {
  const matcher = matcherOf('GET /v1/{a}')
  assert.equal(matcher.add('GET', parsePathTemplate('/v1/{b}'), 'again'), false)
  assert.equal(matcher.add('PUT', parsePathTemplate('/v1/{b}'), 'other'), true)
})

test('PathMatcher takes a path of 16,384 characters and 512 segments, and no more', () => {
  const matcher = matcherOf('GET /{a=**}')
  assert.ok(matcher.match('GET', `/${'x'.repeat(16_383)}`))
  assert.equal(matcher.match('GET', `/${'x'.repeat(16_384)}`), undefined)
  assert.ok(matcher.match('GET', '/x'.repeat(512)))
  assert.equal(matcher.match('GET', '/x'.repeat(513)), undefined)
})
