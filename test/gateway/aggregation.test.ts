/** Routes that ask several clusters at once, in a running gateway. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Channel } from '../../src/core/channel.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

async function aggregated(
  t: TestContext,
  services: Record<string, HttpService>,
  aggregate: Record<string, unknown>,
  route: object = {},
) {
  const clusters: object[] = []
  for (const [name, service] of Object.entries(services)) {
    const endpoint = await upstream(t, service)
    clusters.push({ name, endpoints: [endpoint], retry_policy: { num_retries: 0 } })
  }
  const { parts, ...rest } = aggregate
  const own =
    parts ?? Object.fromEntries(Object.keys(services).map((one) => [one, { cluster: one }]))
  const running = await start(t, {
    listeners: [HTTP],
    routes: [{ match: { pattern: '/page/:id' }, aggregate: { parts: own, ...rest }, ...route }],
    clusters,
  })
  const ask = async (path = '/page/7', init: RequestInit = {}) => {
    const response = await fetch(running.url(path), init)
    const text = await response.text()
    const { status, headers } = response
    const said = ['x-heddle-partial', 'x-heddle-error'].map((name) => headers.get(name))
    return { status, body: JSON.parse(text) as unknown, partial: said[0], error: said[1], headers }
  }
  return { ...running, ask }
}

const json =
  (value: unknown): HttpService =>
  () =>
    HttpResponse.json(value)

test('Gateway aggregate asks every part at once and names their answers', async (t) => {
  const held = Promise.withResolvers<void>()
  let here = 0
  const together: HttpService = async ({ target, method }) => {
    if (++here === 2) held.resolve()
    await held.promise // nobody is answered before all were asked
    return HttpResponse.json({ target, method })
  }
  const { ask } = await aggregated(
    t,
    { a: together, b: together },
    {
      parts: {
        user: { cluster: 'a', path: '/users/:id' },
        orders: {
          cluster: 'b',
          path: '/orders',
          query: { user: ':id', 'a b': 'x&y' },
          method: 'POST',
        },
      },
    },
  )
  const { status, body, partial, error, headers } = await ask('/page/7%26all=1?q=1')
  assert.deepEqual([status, partial, error], [200, null, null])
  assert.equal(headers.get('content-type'), 'application/json')
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.deepEqual(body, {
    user: { target: '/users/7%26all=1?q=1', method: 'GET' },
    orders: { target: '/orders?user=7%26all%3D1&a%20b=x%26y', method: 'POST' },
  })
})

test('Gateway aggregate tells what is missing, and answers with the rest', async (t) => {
  const { ask, gateway } = await aggregated(
    t,
    {
      good: json({ n: 1 }),
      text: () => HttpResponse.text('plain'),
      empty: () => new HttpResponse({ status: 204 }),
      status: () => new HttpResponse({ status: 404 }),
      moved: () => new HttpResponse({ status: 302, fields: { location: '/x' } }),
      broken: () =>
        new HttpResponse({ fields: { 'content-type': 'application/json' }, body: '{"a"' }),
      coded: () => new HttpResponse({ fields: { 'content-encoding': 'gzip' }, body: 'x' }),
    },
    { partial_status: 203 },
  )
  const { status, body, partial, error } = await ask()
  assert.deepEqual([status, error], [203, null])
  assert.equal(partial, 'status, moved, broken, coded')
  const { errors, ...values } = body as Record<string, Record<string, { code: string }>>
  assert.deepEqual(values, {
    good: { n: 1 },
    text: 'plain',
    empty: null,
    status: null,
    moved: null,
    broken: null,
    coded: null,
  })
  const codes = Object.entries(errors ?? {}).map(([name, one]) => [name, one.code])
  assert.deepEqual(codes, [
    ['status', 'status'],
    ['moved', 'status'],
    ['broken', 'not_json'],
    ['coded', 'encoded'],
  ])
  assert.equal(gateway.recentErrors().length, 0)
})

test('Gateway aggregate without a required part has the status of that part, and gives up the others', async (t) => {
  const cancelled = Promise.withResolvers<void>()
  const { ask, gateway } = await aggregated(
    t,
    {
      user: () => new HttpResponse({ status: 404 }),
      slow: (_request, context) => {
        context.onCancel(() => cancelled.resolve())
        return new Promise(() => {})
      },
    },
    { parts: { user: { cluster: 'user', required: true }, slow: { cluster: 'slow' } } },
  )
  const { status, body, partial, error } = await ask()
  assert.deepEqual([status, partial, error], [404, 'user, slow', 'part_failed'])
  const { errors } = body as { errors: Record<string, { code: string; status: number }> }
  assert.deepEqual([errors['user']?.status, errors['slow']?.code], [404, 'given_up'])
  await cancelled.promise
  assert.match(gateway.recentErrors()[0]?.message ?? '', /part user: answered 404/)
})

test('Gateway aggregate in which every part fails has the worst status of them', async (t) => {
  const { ask } = await aggregated(
    t,
    { a: () => new HttpResponse({ status: 404 }), b: () => new HttpResponse({ status: 503 }) },
    {},
  )
  const { status, error } = await ask()
  assert.deepEqual([status, error], [503, 'part_failed'])
})

test('Gateway aggregate takes max_part_size of a part and not one byte more', async (t) => {
  const streamed: HttpService = () => {
    const text = new TextEncoder().encode(`"${'x'.repeat(9)}"`)
    const body = new Channel<Uint8Array>(
      () => {
        body.write(text)
        body.end()
      },
      () => {},
    )
    return new HttpResponse({ fields: { 'content-type': 'application/json' }, body })
  }
  const { ask } = await aggregated(
    t,
    {
      fits: () => HttpResponse.json('x'.repeat(8)),
      over: () => HttpResponse.json('x'.repeat(9)),
      streamed,
    },
    { max_part_size: 10 },
  )
  const { body, partial } = await ask()
  assert.equal(partial, 'over, streamed')
  const { fits, errors } = body as { fits: string; errors: Record<string, { code: string }> }
  assert.equal(fits, 'x'.repeat(8))
  assert.deepEqual([errors['over']?.code, errors['streamed']?.code], ['too_large', 'too_large'])
})

test('Gateway aggregate sends parts the client’s fields and body as it is told', async (t) => {
  const echo: HttpService = async ({ fields, body, method }) => {
    const names = ['authorization', 'accept', 'accept-encoding', 'if-none-match', 'x-request-id']
    const sent = Object.fromEntries(names.map((name) => [name, fields.get(name) ?? null]))
    return HttpResponse.json({
      ...sent,
      method,
      body: await body.text(),
      type: fields.get('content-type') ?? null,
    })
  }
  const parts = {
    plain: { cluster: 'echo' },
    search: { cluster: 'echo', method: 'POST', send_body: true },
  }
  const all = await aggregated(t, { echo }, { parts, max_body: 4 })
  const headers = {
    authorization: 'Bearer t',
    'content-type': 'text/x',
    accept: 'text/html',
    'if-none-match': '"1"',
    'x-request-id': 'theirs',
  }
  const { body } = await all.ask('/page/1', { method: 'POST', body: 'find', headers })
  const { plain, search } = body as Record<string, Record<string, string>>
  const { 'x-request-id': id, ...first } = plain ?? {}
  assert.match(id ?? '', /^[0-9a-f-]{12,}$/)
  assert.deepEqual(first, {
    authorization: 'Bearer t',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'if-none-match': null,
    method: 'GET',
    body: '',
    type: null,
  })
  assert.deepEqual(
    [search?.['method'], search?.['body'], search?.['type']],
    ['POST', 'find', 'text/x'],
  )
  assert.equal(search?.['x-request-id'], id)
  const long = await fetch(all.url('/page/1'), { method: 'POST', body: 'finds' })
  assert.deepEqual([long.status, long.headers.get('x-heddle-error')], [413, 'body_too_large'])
  const few = await aggregated(t, { echo }, { forward_headers: ['X-Other'] })
  const one = (
    (await few.ask('/page/1', { headers })).body as Record<string, Record<string, string>>
  )['echo']
  assert.deepEqual([one?.['authorization'], (one?.['x-request-id'] ?? '').length > 0], [null, true])
})

test('Gateway aggregate merges objects and lists', async (t) => {
  const services = { a: json({ x: 1, y: 1 }), b: json({ y: 2 }), c: json([1]) }
  const object = await aggregated(t, services, { merge: 'object' })
  const merged = await object.ask()
  assert.equal(merged.partial, 'c')
  const { errors, ...rest } = merged.body as Record<string, unknown>
  assert.deepEqual(rest, { x: 1, y: 2 })
  assert.deepEqual(Object.keys(errors as object), ['c'])
  const array = await aggregated(t, { c: json([1]) }, { merge: 'array' })
  assert.deepEqual((await array.ask()).body, [{ name: 'c', status: 200, body: [1] }])
})

test('Gateway aggregate with a cache keeps what its parts say that may be kept', async (t) => {
  let asked = 0
  const kept: HttpService = () =>
    HttpResponse.json(++asked, { fields: { 'cache-control': 'max-age=60' } })
  let other = 0
  const { ask } = await aggregated(
    t,
    { kept, other: () => HttpResponse.json(++other) },
    {},
    { cache: {} },
  )
  assert.deepEqual((await ask()).body, { kept: 1, other: 1 })
  assert.deepEqual((await ask()).body, { kept: 1, other: 2 })
})

test('Gateway configuration names what is wrong with an aggregate', () => {
  const parts = { user: { cluster: 'nobody', path: '/u/:name', query: { q: ':nam' } } }
  const text = JSON.stringify({
    listeners: [HTTP],
    routes: [{ match: { pattern: '/p/:id' }, aggregate: { parts }, rewrite: { path: '/' } }],
  })
  const outcome = loadConfig(text, { file: 'g.yaml', environment: () => undefined })
  assert.ok(!outcome.ok)
  assert.deepEqual(
    outcome.problems.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`).sort(),
    [
      "aggregate.parts.user.cluster: no cluster is named 'nobody'",
      'aggregate.parts.user.path: :name is not in the pattern',
      'aggregate.parts.user.query.q: :nam is not in the pattern',
      'rewrite: has no effect on an aggregate: its parts have paths of their own',
    ],
  )
  for (const [bad, message] of [
    [{}, 'an aggregate has at least one part'],
    [{ errors: { cluster: 'a' } }, "no part is named 'errors': failures stand there"],
  ] as const) {
    const config = { listeners: [HTTP], routes: [{ aggregate: { parts: bad } }] }
    const refused = loadConfig(JSON.stringify(config), {
      file: 'g.yaml',
      environment: () => undefined,
    })
    assert.ok(!refused.ok)
    assert.equal(refused.problems[0]?.message, message)
  }
  const many = (count: number) =>
    loadConfig(
      JSON.stringify({
        listeners: [HTTP],
        routes: [
          {
            aggregate: {
              parts: Object.fromEntries(
                Array.from({ length: count }, (_, at) => [`p${at}`, { cluster: 'a' }]),
              ),
            },
          },
        ],
        clusters: [{ name: 'a', endpoints: ['127.0.0.1:1'] }],
      }),
      { file: 'g.yaml', environment: () => undefined },
    )
  assert.equal(many(16).ok, true)
  assert.equal(many(17).ok, false)
})
