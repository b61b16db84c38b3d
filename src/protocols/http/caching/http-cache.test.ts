import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../../core/context.ts'
import { TransportError } from '../../../core/errors.ts'
import { ManualClock } from '../../../testing/manual-clock.ts'
import { formatHttpDate } from '../date.ts'
import type { FieldsInit } from '../fields.ts'
import {
  HttpRequest,
  type HttpRequestInit,
  HttpResponse,
  type HttpResponseInit,
  type HttpService,
} from '../messages.ts'
import { HttpCache } from './http-cache.ts'
import type { HttpCacheOptions } from './http-cache-options.ts'

class World {
  readonly clock = new ManualClock()
  readonly cache: HttpCache
  readonly seen: HttpRequest[] = []
  /** What the origin says next; the last one again and again. */
  replies: (HttpResponseInit | Error | HttpService)[] = []
  readonly service: HttpService

  constructor(options: Partial<HttpCacheOptions> = {}) {
    this.cache = new HttpCache({ clock: this.clock, ...options })
    this.service = this.cache.wrap(async (request, context) => {
      this.seen.push(request)
      const reply = this.replies.length > 1 ? this.replies.shift() : this.replies[0]
      if (reply instanceof Error) throw reply
      if (typeof reply === 'function') return reply(request, context)
      return new HttpResponse({ ...reply })
    })
  }

  /** Date is now, as an origin would say. */
  fields(fields: Record<string, string>): Record<string, string> {
    return { date: formatHttpDate(this.clock.wallNow()), ...fields }
  }

  async get(init: HttpRequestInit = {}, call = new Call()): Promise<HttpResponse> {
    return this.service(new HttpRequest({ authority: 'a.example', target: '/x', ...init }), call)
  }

  pass(seconds: number): void {
    this.clock.advance(seconds * 1_000)
  }
}

const status = (response: HttpResponse): string | undefined => response.fields.get('cache-status')

// RFC 9111 section 3: what may be stored. Each row: the request, the response, and what becomes of it.
interface StoreRow {
  readonly rule: string
  readonly request?: HttpRequestInit
  readonly response: HttpResponseInit
  readonly shared: boolean
  readonly private: boolean
  readonly options?: Partial<HttpCacheOptions>
}

const PAST = 'Thu, 01 Jan 2015 00:00:00 GMT'
const AUTHORIZED: HttpRequestInit = { fields: { authorization: 'Basic x' } }
const control = (text: string, more: Record<string, string> = {}): HttpResponseInit => ({
  fields: { 'cache-control': text, ...more },
})

const STORE: readonly StoreRow[] = [
  { rule: '5.2.2.1 max-age', response: control('max-age=60'), shared: true, private: true },
  {
    rule: '5.2.2.5 no-store',
    response: control('no-store, max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: '5.2.2.7 private',
    response: control('private, max-age=60'),
    shared: false,
    private: true,
  },
  {
    rule: '5.2.2.7 private with field names',
    response: control('private="x", max-age=60'),
    shared: false,
    private: true,
  },
  {
    rule: '5.2.2.10 s-maxage',
    response: control('s-maxage=60, max-age=0'),
    shared: true,
    private: false,
  },
  {
    rule: '5.3 Expires',
    response: { fields: { expires: 'Wed, 01 Jan 2031 00:00:00 GMT' } },
    shared: true,
    private: true,
  },
  {
    rule: '5.3 Expires that is no date',
    response: { fields: { expires: '0' } },
    shared: false,
    private: false,
  },
  { rule: '3 nothing said', response: {}, shared: false, private: false },
  {
    rule: '4.2.2 heuristic',
    response: { fields: { 'last-modified': PAST } },
    // Without a lifetime it is stored to be validated, and validated each time.
    shared: false,
    private: true,
  },
  {
    rule: '4.2.2 heuristic, switched on',
    response: { fields: { 'last-modified': PAST } },
    options: { heuristicFraction: 0.1 },
    shared: true,
    private: true,
  },
  {
    rule: '3.5 Authorization',
    request: AUTHORIZED,
    response: control('max-age=60'),
    shared: false,
    private: true,
  },
  {
    rule: '3.5 Authorization, public',
    request: AUTHORIZED,
    response: control('public, max-age=60'),
    shared: true,
    private: true,
  },
  {
    rule: '3.5 Authorization, must-revalidate',
    request: AUTHORIZED,
    response: control('must-revalidate, max-age=60'),
    shared: true,
    private: true,
  },
  {
    rule: '3.5 Authorization, s-maxage',
    request: AUTHORIZED,
    response: control('s-maxage=60, max-age=60'),
    shared: true,
    private: true,
  },
  {
    rule: '4.1 Vary: *',
    response: control('max-age=60', { vary: 'accept, *' }),
    shared: false,
    private: false,
  },
  {
    rule: '7.3 Set-Cookie',
    response: control('max-age=60', { 'set-cookie': 'id=1' }),
    shared: false,
    private: true,
  },
  {
    rule: '7.3 Set-Cookie, stripped',
    response: control('max-age=60', { 'set-cookie': 'id=1' }),
    options: { stripSetCookie: true },
    shared: true,
    private: true,
  },
  {
    rule: '3 status 404 with a lifetime',
    response: { status: 404, ...control('max-age=60') },
    shared: true,
    private: true,
  },
  {
    rule: '3.3 status 206',
    response: { status: 206, ...control('max-age=60') },
    shared: false,
    private: false,
  },
  {
    rule: 'a complaint about the request',
    response: { status: 400, ...control('max-age=60') },
    shared: false,
    private: true,
  },
  {
    rule: 'too large a header (CPDoS)',
    response: { status: 431, ...control('max-age=60') },
    shared: false,
    private: true,
  },
  {
    rule: '5.2.2.3 must-understand, unknown status',
    response: { status: 299, ...control('must-understand, max-age=60') },
    shared: false,
    private: false,
  },
  {
    rule: '5.2.2.3 must-understand over no-store',
    response: control('must-understand, no-store, max-age=60'),
    shared: true,
    private: true,
  },
  {
    rule: '5.2.1.5 no-store of the request',
    request: { fields: { 'cache-control': 'no-store' } },
    response: control('max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: '3.3 Range',
    request: { fields: { range: 'bytes=0-1' } },
    response: control('max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: 'a GET with content',
    request: { body: 'x' },
    response: control('max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: 'If-Match is the origin’s',
    request: { fields: { 'if-match': '"a"' } },
    response: control('max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: 'a field that overrides the path',
    request: { fields: { 'X-Original-URL': '/admin' } },
    response: control('max-age=60'),
    shared: false,
    private: false,
  },
  {
    rule: '5.1 Age at the end of its life',
    response: control('max-age=60', { age: '60' }),
    shared: false,
    private: false,
  },
]

for (const row of STORE) {
  for (const mode of ['shared', 'private'] as const) {
    test(`HttpCache (${mode}) ${row[mode] ? 'reuses' : 'does not reuse'}: ${row.rule}`, async () => {
      const world = new World({ mode, ...row.options })
      world.replies = [
        {
          ...row.response,
          fields: {
            date: formatHttpDate(world.clock.wallNow()),
            ...(row.response.fields as object),
          },
          body: 'one',
        },
      ]
      const first = await world.get(row.request)
      assert.equal(await first.body.text(), 'one')
      const second = await world.get(row.request)
      assert.equal(await second.body.text(), 'one')
      assert.equal(world.seen.length, row[mode] ? 1 : 2, `${status(first)} then ${status(second)}`)
      if (row[mode]) assert.match(status(second) ?? '', /^heddle; hit; ttl=\d+$/)
    })
  }
}

test('HttpCache answers a hit without a promise, with Age, and without what is of one hop', async () => {
  const world = new World()
  const fields = world.fields({
    'cache-control': 'max-age=60',
    connection: 'x-hop',
    'x-hop': '1',
    'keep-alive': 'timeout=5',
    age: '3',
  })
  world.replies = [{ fields, body: 'hello', reason: 'Fine' }]
  const miss = await world.get()
  assert.equal(status(miss), 'heddle; fwd=uri-miss; stored')
  world.pass(7)
  const hit = world.service(new HttpRequest({ authority: 'A.example', target: '/x' }), new Call())
  assert.ok(hit instanceof HttpResponse)
  assert.equal(hit.reason, 'Fine')
  assert.equal(hit.fields.get('age'), '10')
  assert.equal(hit.fields.get('content-length'), '5')
  for (const name of ['connection', 'x-hop', 'keep-alive'])
    assert.equal(hit.fields.has(name), false)
  assert.equal(status(hit), 'heddle; hit; ttl=50')
})

test('HttpCache gives each hit a copy, or the stored bytes where it is told to', async () => {
  for (const shareBodies of [false, true]) {
    const world = new World({ shareBodies })
    world.replies = [{ fields: world.fields({ 'cache-control': 'max-age=60' }), body: 'abc' }]
    await world.get()
    const one = (await world.get()).body.content as Uint8Array
    const two = (await world.get()).body.content as Uint8Array
    assert.equal(one === two, shareBodies)
    assert.deepEqual(one, two)
  }
})

// RFC 9111 4.2.3: the age of a response when it came, and what is left of its life.
const AGES: readonly (readonly [
  rule: string,
  agoSeconds: number,
  age: string | undefined,
  took: number,
  expected: number,
])[] = [
  ['its Date is old', 30, undefined, 0, 30],
  ['its Age is larger than its Date is old', 5, '20', 0, 20],
  ['the time of the exchange counts', 0, '20', 4, 24],
  ['Age that is no number is ignored', 0, 'x', 0, 0],
  ['of a list of ages the first counts', 0, '7, 9', 0, 7],
  ['a Date of the future is none', -100, undefined, 0, 0],
]

for (const [rule, ago, age, took, expected] of AGES) {
  test(`HttpCache counts the age of a response: ${rule}`, async () => {
    const world = new World()
    const date = formatHttpDate(world.clock.wallNow() - ago * 1_000 + took * 1_000)
    const fields = { date, 'cache-control': 'max-age=100', ...(age !== undefined && { age }) }
    world.replies = [
      () => {
        world.pass(took)
        return new HttpResponse({ fields, body: 'x' })
      },
    ]
    await world.get()
    assert.equal((await world.get()).fields.get('age'), String(expected))
  })
}

test('HttpCache counts ages on the monotonic clock: a clock that is set back makes nothing young', async () => {
  const world = new World()
  world.replies = [{ fields: world.fields({ 'cache-control': 'max-age=10' }), body: 'x' }]
  await world.get()
  world.pass(11)
  world.clock.jumpWall(-1_000_000)
  await world.get()
  assert.equal(world.seen.length, 2)
})

// RFC 9111 5.2.1: what a request may demand of a response that is 20 of its 60 seconds old.
const DEMANDS: readonly (readonly [directive: string, hit: boolean, passed: number])[] = [
  ['', true, 20],
  ['max-age=20', true, 20],
  ['max-age=19', false, 20],
  ['min-fresh=40', true, 20],
  ['min-fresh=41', false, 20],
  ['no-cache', false, 20],
  ['max-stale=10', true, 70],
  ['max-stale=9', false, 70],
  ['max-stale', true, 9_000],
  ['', false, 60],
  ['', true, 59],
]

for (const [directive, hit, passed] of DEMANDS) {
  test(`HttpCache ${hit ? 'hits' : 'asks'} after ${passed} s of 60 for '${directive}'`, async () => {
    const world = new World()
    world.replies = [
      { fields: world.fields({ 'cache-control': 'max-age=60', etag: '"1"' }), body: 'x' },
    ]
    await world.get()
    world.pass(passed)
    await world.get(directive === '' ? {} : { fields: { 'cache-control': directive } })
    assert.equal(world.seen.length, hit ? 1 : 2)
  })
}

test('HttpCache can be told to take no demands of clients, but for no-store', async () => {
  const world = new World({ requestDirectives: false })
  world.replies = [{ fields: world.fields({ 'cache-control': 'max-age=60' }), body: 'x' }]
  await world.get()
  await world.get({ fields: { 'cache-control': 'no-cache' } })
  await world.get({ fields: { pragma: 'no-cache' } })
  assert.equal(world.seen.length, 1)
  await world.get({ fields: { 'cache-control': 'no-store' } })
  assert.equal(world.seen.length, 2)
})

test('HttpCache answers 504 to only-if-cached when it has nothing', async () => {
  const world = new World()
  world.replies = [{ fields: world.fields({ 'cache-control': 'max-age=60' }), body: 'x' }]
  const only = { fields: { 'cache-control': 'only-if-cached' } }
  const none = await world.get(only)
  assert.equal(none.status, 504)
  assert.equal(status(none), 'heddle; detail=only-if-cached')
  assert.equal(world.seen.length, 0)
  await world.get()
  assert.equal((await world.get(only)).status, 200)
  world.pass(61)
  assert.equal((await world.get(only)).status, 504)
  assert.equal((await world.get({ fields: { ...only.fields, range: 'bytes=0-1' } })).status, 504)
})

test('HttpCache validates what is stale and freshens it by the 304', async () => {
  const world = new World()
  world.replies = [
    {
      fields: world.fields({
        'cache-control': 'max-age=10',
        etag: '"1"',
        'last-modified': PAST,
        'x-kept': 'a',
        'x-new': 'a',
      }),
      body: 'one',
    },
    () =>
      new HttpResponse({
        status: 304,
        fields: world.fields({
          etag: '"1"',
          'cache-control': 'max-age=20',
          'x-new': 'b',
          'content-length': '0',
          'content-type': 'x/y',
        }),
      }),
  ]
  await world.get()
  world.pass(11)
  const validated = await world.get()
  const asked = world.seen[1]?.fields
  assert.equal(asked?.get('if-none-match'), '"1"')
  assert.equal(asked?.get('if-modified-since'), PAST)
  assert.equal(validated.status, 200)
  assert.equal(await validated.body.text(), 'one')
  assert.equal(status(validated), 'heddle; fwd=stale; fwd-status=304; ttl=20; stored')
  const { fields } = await world.get()
  assert.equal(fields.get('x-new'), 'b')
  assert.equal(fields.get('x-kept'), 'a')
  assert.equal(fields.get('content-length'), '3')
  assert.equal(fields.has('content-type'), false)
  assert.equal(fields.get('age'), '0')
  assert.deepEqual([world.seen.length, world.cache.stats.revalidated], [2, 1])
})

test('HttpCache hands the cookies of a 304 to the one client that asked', async () => {
  const world = new World()
  world.replies = [
    { fields: world.fields({ 'cache-control': 'max-age=10', etag: '"1"' }), body: 'one' },
    () => new HttpResponse({ status: 304, fields: world.fields({ 'set-cookie': 'a=1' }) }),
  ]
  await world.get()
  world.pass(11)
  assert.equal((await world.get()).fields.get('set-cookie'), 'a=1')
  assert.equal((await world.get()).fields.has('set-cookie'), false)
})

test('HttpCache forgets what a 304 says is not to be stored any more', async () => {
  const world = new World()
  world.replies = [
    { fields: world.fields({ 'cache-control': 'max-age=10', etag: '"1"' }), body: 'one' },
    { status: 304, fields: { 'cache-control': 'private' } },
  ]
  await world.get()
  world.pass(11)
  assert.equal(await (await world.get()).body.text(), 'one')
  assert.equal(world.cache.stats.entries, 0)
})

test('HttpCache asks once more when a 304 is about another entity tag', async () => {
  const world = new World()
  world.replies = [
    { fields: world.fields({ 'cache-control': 'max-age=10', etag: '"1"' }), body: 'one' },
    { status: 304, fields: { etag: '"2"' } },
    () =>
      new HttpResponse({
        fields: world.fields({ 'cache-control': 'max-age=10', etag: '"2"' }),
        body: 'two',
      }),
  ]
  await world.get()
  world.pass(11)
  assert.equal(await (await world.get()).body.text(), 'two')
  assert.equal(world.seen[2]?.fields.has('if-none-match'), false)
})

test('HttpCache answers a client’s own conditions from what is stored', async () => {
  const world = new World()
  const fields = {
    'cache-control': 'max-age=60',
    etag: 'W/"a,b"',
    'last-modified': PAST,
    'content-type': 'x/y',
  }
  world.replies = [{ fields: world.fields(fields), body: 'one' }]
  // The first is not stored yet: it is fetched whole, and its client has it nevertheless.
  const first = await world.get({ fields: { 'if-none-match': '"z", "a,b"' } })
  assert.equal(first.status, 304)
  assert.equal(world.seen[0]?.fields.has('if-none-match'), false)
  const rows: readonly (readonly [FieldsInit, number])[] = [
    [{ 'if-none-match': '"a,b"' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"b"' }, 200],
    [{ 'if-none-match': '"b"', 'if-modified-since': PAST }, 200], // the tag decides
    [{ 'if-modified-since': PAST }, 304],
    [{ 'if-modified-since': 'Wed, 31 Dec 2014 23:59:59 GMT' }, 200],
    [{ 'if-modified-since': 'soon' }, 200],
  ]
  for (const [asked, expected] of rows) {
    const response = await world.get({ fields: asked })
    assert.equal(response.status, expected, JSON.stringify(asked))
    if (expected === 304) {
      assert.equal(response.fields.get('etag'), 'W/"a,b"')
      assert.equal(response.fields.has('content-type'), false)
      assert.equal(response.body.isEmpty, true)
    }
  }
  assert.equal(world.seen.length, 1)
})

test('HttpCache leaves conditions to the origin while its answers cannot be stored', async () => {
  const world = new World()
  world.replies = [{ fields: { 'cache-control': 'no-store' }, body: 'x' }, { status: 304 }]
  await world.get()
  assert.equal((await world.get({ fields: { 'if-none-match': '"1"' } })).status, 304)
  assert.equal(world.seen[1]?.fields.get('if-none-match'), '"1"')
})

test('HttpCache answers HEAD from GET, and by a HEAD learns that GET has changed', async () => {
  const world = new World()
  world.replies = [
    { fields: world.fields({ 'cache-control': 'max-age=60', etag: '"1"' }), body: 'one' },
  ]
  await world.get()
  const head = await world.get({ method: 'HEAD' })
  assert.equal(head.body.isEmpty, true)
  assert.equal(head.fields.get('content-length'), '3')
  assert.equal(world.seen.length, 1)
  world.pass(61)
  world.replies = [{ fields: world.fields({ 'cache-control': 'max-age=60', etag: '"2"' }) }]
  assert.equal((await world.get({ method: 'HEAD' })).fields.get('etag'), '"2"')
  assert.equal(world.seen[1]?.fields.has('if-none-match'), false)
  assert.equal(world.cache.stats.entries, 0)
})

test('HttpCache keeps variants apart by what Vary names', async () => {
  const world = new World()
  world.replies = [
    (request) =>
      new HttpResponse({
        fields: world.fields({ 'cache-control': 'max-age=60', vary: 'Accept-Language' }),
        body: request.fields.get('accept-language') ?? 'none',
      }),
  ]
  const ask = async (language?: string): Promise<string> => {
    const fields: FieldsInit = language === undefined ? {} : { 'accept-language': language }
    return (await world.get({ fields })).body.text()
  }
  assert.deepEqual(
    [await ask('de'), await ask('en'), await ask(), await ask('')],
    ['de', 'en', 'none', ''],
  )
  assert.deepEqual(
    [await ask('de'), await ask('en'), await ask(), await ask('')],
    ['de', 'en', 'none', ''],
  )
  assert.equal(world.seen.length, 4)
  assert.equal(
    status(await world.get({ fields: { 'accept-language': 'fr' } })),
    'heddle; fwd=vary-miss; stored',
  )
})

test('HttpCache takes the target as it stands, authority and scheme with it', async () => {
  const world = new World()
  world.replies = [
    (request) =>
      new HttpResponse({
        fields: world.fields({ 'cache-control': 'max-age=60' }),
        body: `${request.authority}${request.target}`,
      }),
  ]
  for (const target of ['/x?a=1&b=2', '/x?b=2&a=1', '/x?', '/x', '/x#', '/X', '/%78']) {
    assert.equal(await (await world.get({ target })).body.text(), `a.example${target}`)
  }
  await world.get({ authority: 'b.example' })
  await world.get({ scheme: 'https' })
  assert.equal(world.seen.length, 9)
})

// RFC 9111 4.4.
test('HttpCache forgets the target of an unsafe method that went well, and what it names', async () => {
  const world = new World()
  const fresh = { fields: world.fields({ 'cache-control': 'max-age=60' }), body: 'x' }
  const stored = async (): Promise<void> => {
    world.replies = [fresh]
    for (const target of ['/x', '/y', '/z?q', '/other']) await world.get({ target })
    assert.equal(world.cache.stats.entries, 4)
  }
  await stored()
  world.replies = [{ status: 404 }]
  await world.get({ method: 'POST' })
  assert.equal(world.cache.stats.entries, 4)
  world.replies = [
    { status: 201, fields: { location: 'y', 'content-location': 'http://a.example/z?q' } },
  ]
  assert.equal(status(await world.get({ method: 'POST' })), 'heddle; fwd=method')
  assert.equal(world.cache.stats.entries, 1)
  await stored()
  world.replies = [
    {
      status: 201,
      fields: { location: 'http://b.example/y', 'content-location': 'https://a.example/z?q' },
    },
  ]
  await world.get({ method: 'DELETE' })
  assert.equal(world.cache.stats.entries, 3)
  world.replies = [{}]
  await world.get({ method: 'OPTIONS', target: '/y' })
  assert.equal(world.cache.stats.entries, 3)
  assert.equal(world.cache.stats.invalidated, 4)
})

test('HttpCache serves stale while it revalidates, once at a time (RFC 5861)', async () => {
  const world = new World()
  const fields = { 'cache-control': 'max-age=10, stale-while-revalidate=20', etag: '"1"' }
  let release: (() => void) | undefined
  world.replies = [
    { fields: world.fields(fields), body: 'one' },
    () =>
      new Promise((resolve) => {
        release = () => resolve(new HttpResponse({ fields: world.fields(fields), body: 'two' }))
      }),
  ]
  await world.get()
  world.pass(30)
  const stale = await world.get()
  assert.equal(await stale.body.text(), 'one')
  assert.equal(status(stale), 'heddle; hit; ttl=-20; detail=stale-while-revalidate')
  assert.equal(await (await world.get({ method: 'HEAD' })).body.text(), '')
  assert.equal(world.seen.length, 2)
  assert.equal(world.seen[1]?.method, 'GET')
  release?.()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await (await world.get()).body.text(), 'two')
  assert.equal(world.seen.length, 2)
  world.pass(31)
  const late = world.get()
  release?.()
  assert.equal(status(await late), 'heddle; fwd=stale; stored')
})

test('HttpCache revalidates maxBackground at a time and not one more', async () => {
  const world = new World({ maxBackground: 1 })
  const fields = { 'cache-control': 'max-age=10, stale-while-revalidate=20' }
  world.replies = [{ fields: world.fields(fields), body: 'x' }]
  await world.get({ target: '/a' })
  await world.get({ target: '/b' })
  world.pass(11)
  world.replies = [() => new Promise(() => {})]
  await world.get({ target: '/a' })
  await world.get({ target: '/b' })
  assert.deepEqual(
    world.seen.map((one) => one.target),
    ['/a', '/b', '/a'],
  )
})

// RFC 5861 section 4 and RFC 9111 4.2.4.
const STAND_IN: readonly (readonly [
  text: string,
  after: number,
  stands: boolean,
  options?: Partial<HttpCacheOptions>,
])[] = [
  ['max-age=10, stale-if-error=20', 30, true],
  ['max-age=10, stale-if-error=20', 31, false],
  ['max-age=10', 11, false],
  ['max-age=10', 11, true, { staleIfErrorMs: 1_000 }],
  ['max-age=10', 12, false, { staleIfErrorMs: 1_000 }],
  ['max-age=10, stale-if-error=20, must-revalidate', 11, false],
  ['max-age=10, stale-if-error=20, proxy-revalidate', 11, false],
  ['max-age=10, stale-if-error=20, no-cache', 11, false],
  ['s-maxage=10', 11, false, { staleIfErrorMs: 60_000 }],
  ['s-maxage=10, stale-if-error=20', 11, true],
]

for (const [text, after, stands, options] of STAND_IN) {
  test(`HttpCache ${stands ? 'stands in' : 'does not stand in'} for a failing origin after ${after} s: ${text}`, async () => {
    for (const failure of [
      new TransportError('ERR_RESET', 'gone'),
      { status: 503, body: 'busy' },
    ]) {
      const world = new World(options)
      world.replies = [
        { fields: world.fields({ 'cache-control': text, etag: '"1"' }), body: 'one' },
        failure,
      ]
      await world.get()
      world.pass(after)
      if (stands) {
        const response = await world.get()
        assert.equal(response.status, 200)
        assert.equal(await response.body.text(), 'one')
        assert.match(status(response) ?? '', /fwd=stale; ttl=-\d+; detail=stale-if-error$/)
      } else if (failure instanceof Error) await assert.rejects(world.get(), failure)
      else assert.equal((await world.get()).status, 503)
    }
  })
}

test('HttpCache never uses what must be revalidated', async () => {
  for (const text of ['must-revalidate', 'proxy-revalidate', 's-maxage=10']) {
    const world = new World()
    const fields = { 'cache-control': `max-age=10, ${text}`, etag: '"1"' }
    world.replies = [{ fields: world.fields(fields), body: 'x' }]
    await world.get()
    world.pass(11)
    await world.get({ fields: { 'cache-control': 'max-stale' } })
    assert.equal(world.seen.length, 2, text)
  }
})
