/** Limits of listeners, routes and clusters over real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { type Logger, silentLogger } from '../../src/telemetry/log.ts'
import { HTTP, named, start, upstream } from './running-gateway.ts'

/** Status and what the answer says of load. */
async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers })
  await response.text()
  const { status } = response
  const said = (name: string): string | null => response.headers.get(name)
  return {
    status,
    code: said('x-heddle-error'),
    retryAfter: steady(said('retry-after')),
    rateLimit: steady(said('ratelimit')),
    policy: said('ratelimit-policy'),
  }
}

/** Seconds go by while a test runs: up to the next hundred. */
function steady(text: string | null): string | null {
  const rounded = (seconds: string): string => String(Math.ceil(Number(seconds) / 100) * 100)
  return text?.replace(/(?<=^|t=)\d{2,}$/, rounded) ?? null
}

test('Gateway route refuses with 429 who is over its rate, and tells everybody what is left', async (t) => {
  const api = await upstream(t, named('api'))
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [
      {
        name: 'keyed',
        match: { path: '/keyed' },
        rate_limits: [{ key: 'header', header: 'x-user', requests: 2, per: '1h' }],
        cluster: 'api',
      },
      {
        name: 'fixed',
        match: { path: '/fixed' },
        rate_limits: [{ key: 'all', name: 'total', requests: 1, per: '1h' }],
        fixed_response: { body: 'fixed' },
      },
    ],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const keyed = (user: string) => ask(url('/keyed'), { 'x-user': user })
  assert.deepEqual(await keyed('a'), {
    status: 200,
    code: null,
    retryAfter: null,
    rateLimit: '"header";r=1;t=1800',
    policy: '"header";q=2;w=3600',
  })
  assert.equal((await keyed('a')).status, 200)
  assert.deepEqual(await keyed('a'), {
    status: 429,
    code: 'ERR_RATE_LIMITED',
    retryAfter: '1800',
    rateLimit: '"header";r=0;t=1800',
    policy: '"header";q=2;w=3600',
  })
  assert.equal((await keyed('b')).status, 200)
  assert.deepEqual(
    [(await ask(url('/fixed'))).status, (await ask(url('/fixed'))).status],
    [200, 429],
  )
  assert.deepEqual(
    gateway.limits().map(({ name, policy, allowed, refused }) => [name, policy, allowed, refused]),
    [
      ['route keyed header', 'rate limit', 3, 1],
      ['route fixed total', 'rate limit', 1, 1],
    ],
  )
  // Many who come too often must not push real trouble out of the list of errors.
  assert.equal(gateway.recentErrors().length, 0)
})

test('Gateway listener limits addresses before routing, behind trusted hops', async (t) => {
  const { gateway, url } = await start(t, {
    listeners: [
      {
        ...HTTP,
        forwarding: { trusted_hops: 1 },
        rate_limits: [{ requests: 1, per: '1h' }],
      },
    ],
    routes: [{ match: { path: '/fixed' }, fixed_response: { body: 'fixed' } }],
    clusters: [],
  })
  const from = (client: string, path = '/fixed') =>
    ask(url(path), { 'x-forwarded-for': client }).then(({ status }) => status)
  assert.equal(await from('192.0.2.1'), 200)
  assert.equal(await from('192.0.2.1'), 429)
  assert.equal(await from('192.0.2.2', '/nowhere'), 404)
  assert.equal(await from('192.0.2.2', '/nowhere'), 429)
  // One network of IPv6 is one client.
  assert.equal(await from('2001:db8::1'), 200)
  assert.equal(await from('2001:db8::2'), 429)
  assert.equal(gateway.limits()[0]?.refused, 3)
})

test('Gateway listener refuses connections of an address that makes too many', async (t) => {
  const { gateway, at } = await start(t, {
    listeners: [{ ...HTTP, connection_rate_limit: { connections: 2, per: '1h' } }],
    routes: [{ fixed_response: { body: 'fixed' } }],
    clusters: [],
  })
  const answer = async (): Promise<string> => {
    const socket = connect(at())
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    let text = ''
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    await once(socket, 'close')
    return text
  }
  assert.match(await answer(), /fixed$/)
  assert.match(await answer(), /fixed$/)
  assert.equal(await answer(), '')
  assert.equal(gateway.listeners()[0]?.refusedConnections, 1)
})

test('Gateway route has its own places, serves by priority and sheds with 503', async (t) => {
  const running = Promise.withResolvers<HttpResponse>()
  const begun = Promise.withResolvers<void>()
  const order: string[] = []
  const slow = await upstream(t, ({ path }) => {
    order.push(path)
    begun.resolve()
    return order.length === 1 ? running.promise : HttpResponse.text('done')
  })
  const { gateway, url } = await start(t, {
    listeners: [{ ...HTTP, concurrency: { max_requests: 1, max_queued: 1, max_queue_time: '9s' } }],
    routes: [
      { name: 'low', match: { prefix: '/low' }, priority: 6, cluster: 'slow' },
      { name: 'high', match: { prefix: '/high' }, priority: 1, cluster: 'slow' },
    ],
    clusters: [{ name: 'slow', endpoints: [slow] }],
  })
  const first = ask(url('/high/1'))
  await begun.promise
  const low = ask(url('/low/1'))
  const queued = () => gateway.limits().find(({ name }) => name === 'listener http')?.queued
  while (queued() !== 1) await new Promise((resolve) => setImmediate(resolve))
  // Less important than its route: a client may do that, and gains nothing by it.
  const high = ask(url('/high/2'), { priority: 'u=5' })
  assert.deepEqual(await low, {
    status: 503,
    code: 'ERR_SHED',
    retryAfter: '1',
    rateLimit: null,
    policy: null,
  })
  assert.equal((await ask(url('/low/2'), { priority: 'u=0' })).status, 503)
  running.resolve(HttpResponse.text('done'))
  assert.deepEqual([(await first).status, (await high).status], [200, 200])
  assert.deepEqual(order, ['/high/1', '/high/2'])
})

test('Gateway route: a bulkhead keeps one client from using up the places of others', async (t) => {
  const hang = Promise.withResolvers<HttpResponse>()
  const begun = Promise.withResolvers<void>()
  const api = await upstream(t, ({ path }) => {
    if (path !== '/hang') return HttpResponse.text('done')
    begun.resolve()
    return hang.promise
  })
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ bulkhead: { key: 'header', header: 'x-tenant', max_requests: 1 }, cluster: 'api' }],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const first = ask(url('/hang'), { 'x-tenant': 'a' })
  await begun.promise
  assert.equal((await ask(url('/'), { 'x-tenant': 'a' })).code, 'ERR_LIMITED')
  assert.equal((await ask(url('/'), { 'x-tenant': 'b' })).status, 200)
  hang.resolve(HttpResponse.text('done'))
  assert.equal((await first).status, 200)
  assert.equal((await ask(url('/'), { 'x-tenant': 'a' })).status, 200)
})

test('Gateway cluster is sent no more than its rate, and no client is blamed for it', async (t) => {
  const api = await upstream(t, named('api'))
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'api' }],
    clusters: [
      {
        name: 'api',
        endpoints: [api],
        rate_limit: { requests: 1, per: '1h' },
        concurrency: { adaptive: { algorithm: 'aimd', initial: 7 } },
        retry_policy: { num_retries: 0 },
      },
    ],
  })
  assert.equal((await ask(url('/'))).status, 200)
  const over = await ask(url('/'))
  assert.deepEqual([over.status, over.code, over.rateLimit], [503, 'ERR_RATE_LIMITED', null])
  assert.deepEqual(
    gateway.limits().map(({ policy, refused, limit }) => [policy, refused, limit]),
    [
      ['rate limit', 1, undefined],
      ['concurrency', 0, 7],
    ],
  )
  assert.match(gateway.explain(), /rate limit: allowed 1, refused 1, waiting 0/)
  assert.match(gateway.explain(), /endpoint limiter: limit 7, inFlight 0/)
})

test('Gateway keeps the counts of a limit that a reload leaves as it is', async (t) => {
  const config = (body: string, requests: number) => ({
    listeners: [HTTP],
    routes: [
      {
        name: 'limited',
        rate_limits: [{ key: 'all', requests, per: '1h' }],
        fixed_response: { body },
      },
    ],
    clusters: [],
  })
  const { gateway, url, change } = await start(t, config('one', 1))
  assert.equal((await ask(url('/'))).status, 200)
  change(config('two', 1))
  await gateway.reload()
  assert.equal((await ask(url('/'))).status, 429)
  change(config('two', 2))
  await gateway.reload()
  assert.equal((await ask(url('/'))).status, 200)
})

test('Gateway logs that requests have waited for too long, and that they no longer do', async (t) => {
  const running = Promise.withResolvers<HttpResponse>()
  const slow = await upstream(t, ({ path }) =>
    path === '/first' ? running.promise : HttpResponse.text('done'),
  )
  const said = new Set<string>()
  const overloaded = Promise.withResolvers<void>()
  const log: Logger = {
    ...silentLogger,
    child: () => log,
    warn(message) {
      said.add(message)
      if (message === 'overloaded') overloaded.resolve()
    },
  }
  const config = {
    listeners: [HTTP],
    routes: [
      { concurrency: { max_requests: 1, max_queued: 1, max_queue_time: '30s' }, cluster: 'a' },
    ],
    clusters: [{ name: 'a', endpoints: [slow] }],
  }
  const { gateway, url } = await start(t, config, log)
  const first = ask(url('/first'))
  while (gateway.limits()[0]?.inFlight !== 1) await new Promise((resolve) => setImmediate(resolve))
  const second = ask(url('/second'))
  // A queue that has stood for 100 ms is an overload: the newest takes the oldest's place then.
  const others: Promise<unknown>[] = []
  while (!said.has('overloaded')) {
    const asked = ask(url('/x'))
    others.push(asked)
    await Promise.race([asked, overloaded.promise])
  }
  running.resolve(HttpResponse.text('done'))
  await Promise.all([first, second, ...others])
  assert.ok(said.has('no longer overloaded'))
})

test('Gateway tells how full a limit is where it is set to, on answers and refusals', async (t) => {
  const waiting: (() => void)[] = []
  const api = await upstream(t, async ({ path }) => {
    if (path === '/told/slow') await new Promise<void>((resolve) => waiting.push(resolve))
    const response = HttpResponse.text('ok')
    response.fields.set('heddle-load', 'depth=1, limit=1')
    return response
  })
  const limit = { max_requests: 1 }
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [
      { match: { prefix: '/told' }, concurrency: { ...limit, report: true }, cluster: 'api' },
      { match: { prefix: '/own' }, concurrency: limit, fixed_response: { body: 'x' } },
      { cluster: 'api' },
    ],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const said = async (path: string) => {
    const response = await fetch(url(path))
    await response.text()
    return [response.status, response.headers.get('heddle-load')]
  }
  assert.deepEqual(await said('/told'), [200, 'depth=0, limit=1'])
  const slow = said('/told/slow')
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(await said('/told'), [503, 'depth=1, limit=1'])
  waiting[0]?.()
  assert.deepEqual(await slow, [200, 'depth=0, limit=1'])
  assert.deepEqual(await said('/own'), [200, null])
  // What an upstream says passes, as any field of its answers.
  assert.deepEqual(await said('/'), [200, 'depth=1, limit=1'])
})
