/** Load policies on a real client and server: what is refused, how it is told, who waits. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { loadReportOf } from '../../src/protocols/http/load-field.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { explain } from '../../src/runtime/stack/explain.ts'
import { type HttpServerOptions, httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'

async function serve(
  t: TestContext,
  service: HttpService,
  options: HttpServerOptions,
): Promise<string> {
  const server = httpServer(service, options)
  const { address } = await server.listen(tcp(), '127.0.0.1:0')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  return `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
}

test('httpServer refuses with 429 whoever is over a rate limit, and tells everybody what is left', async (t) => {
  const refused: string[] = []
  const origin = await serve(t, () => HttpResponse.text('done'), {
    admission: { name: 'network', key: 'address', limit: 100, windowMs: 60_000 },
    rateLimit: { key: (request) => request.path, name: 'path', limit: 2, windowMs: 3_600_000 },
    observer: {
      onExchange() {},
      onRefused: ({ limit, key }) => void refused.push(`${limit} ${key}`),
    },
  })
  const client = httpClient(origin, { retry: false })
  t.after(() => client.close())
  const first = await client.get('/a')
  assert.equal(first.status, 200)
  assert.equal(first.fields.get('ratelimit-policy'), '"path";q=2;w=3600, "network";q=100;w=60')
  assert.match(first.fields.get('ratelimit') ?? '', /^"path";r=1;t=1800, "network";r=99;t=1$/)
  await client.get('/a')
  const over = await client.get('/a')
  assert.equal(over.status, 429)
  assert.match(await over.body.text(), /^429 Too Many Requests \(ERR_RATE_LIMITED\)/)
  // Seconds may go by while the test runs.
  assert.match(over.fields.get('retry-after') ?? '', /^(?:1800|17\d\d)$/)
  // Only the limit that refused: it is the one to wait for.
  assert.match(over.fields.get('ratelimit') ?? '', /^"path";r=0;t=(?:1800|17\d\d)$/)
  assert.equal((await client.get('/b')).status, 200)
  assert.deepEqual(refused, ['path /a'])
})

test('explain shows the rate limit of a client, and what it did', async (t) => {
  const origin = await serve(t, () => HttpResponse.text('done'), {})
  const client = httpClient(origin, {
    retry: false,
    rateLimit: [
      { name: 'burst', limit: 2, windowMs: 3_600_000 },
      { name: 'day', limit: 100, windowMs: 86_400_000, algorithm: 'sliding-window' },
    ],
  })
  t.after(() => client.close())
  await client.get('/')
  await client.get('/')
  await assert.rejects(async () => client.get('/'), { code: 'ERR_RATE_LIMITED' })
  const layer = explain(client.core).layers.find(({ name }) => name === 'rate limit')
  assert.equal(layer?.parameters['burst.limit'], 2)
  assert.equal(layer?.parameters['day.algorithm'], 'sliding-window')
  assert.equal(layer?.state['burst.refused'], 1)
  assert.equal(layer?.state['day.allowed'], 2)
})

test('httpServer sheds by priority, and a client cannot raise its own', async (t) => {
  const running = Promise.withResolvers<HttpResponse>()
  const begun = Promise.withResolvers<void>()
  const order: string[] = []
  const origin = await serve(
    t,
    (request) => {
      order.push(request.path)
      if (request.path !== '/running') return HttpResponse.text('done')
      begun.resolve()
      return running.promise
    },
    { limiter: { maxConcurrent: 1, maxQueued: 2, maxQueueMs: 30_000 } },
  )
  const client = httpClient(origin, { retry: false })
  t.after(() => client.close())
  const get = async (path: string, priority: string) => {
    const { status, fields } = await client.get(path, { fields: { priority } })
    return `${status} ${fields.get('retry-after') ?? '-'}`
  }
  const first = get('/running', 'u=3')
  await begun.promise
  const low = [get('/low', 'u=7'), get('/low', 'u=7')]
  // It claims to be the most urgent; it is believed to be of the middle, which is enough here.
  const claims = get('/claims', 'u=0')
  // Whichever came last: there is room for one of them.
  assert.equal(await Promise.race(low), '503 1')
  assert.equal(await get('/too-low', 'u=7'), '503 1')
  running.resolve(HttpResponse.text('done'))
  assert.deepEqual(await Promise.all([first, claims]), ['200 -', '200 -'])
  assert.deepEqual((await Promise.all(low)).sort(), ['200 -', '503 1'])
  assert.deepEqual(order, ['/running', '/claims', '/low'])
})

test('httpServer with an adaptive limit, and its bulkheads', async (t) => {
  const hang = Promise.withResolvers<HttpResponse>()
  const both = Promise.withResolvers<void>()
  let begun = 0
  const origin = await serve(
    t,
    (request) => {
      if (request.path !== '/slow') return HttpResponse.text('done')
      if (++begun === 2) both.resolve()
      return hang.promise
    },
    {
      limiter: { adaptive: { algorithm: 'gradient', initial: 4, min: 4 } },
      bulkhead: { key: (request) => request.path, maxConcurrent: 2 },
    },
  )
  const client = httpClient(origin, { retry: false })
  t.after(() => client.close())
  const slow = [client.get('/slow'), client.get('/slow')]
  await both.promise
  assert.equal((await client.get('/slow')).status, 503)
  assert.equal((await client.get('/other')).status, 200)
  hang.resolve(HttpResponse.text('done'))
  await Promise.all(slow)
})

test('httpClient limits attempts at an endpoint adaptively, and explains it', async (t) => {
  const origin = await serve(t, () => HttpResponse.text('done'), {})
  const client = httpClient(origin, {
    endpointLimiter: { adaptive: 'aimd', maxQueued: 10 },
    bulkhead: { maxConcurrent: 5 },
  })
  t.after(() => client.close())
  for (let call = 0; call < 3; call++) await client.get('/')
  const { layers, endpoints } = explain(client.core)
  const endpointLimiter = endpoints[0]?.layers.find(({ name }) => name === 'endpoint limiter')
  assert.equal(endpointLimiter?.parameters['algorithm'], 'aimd')
  assert.equal(endpointLimiter?.state['limit'], 20)
  const compartments = layers.find(({ name }) => name === 'bulkhead')
  assert.deepEqual(compartments?.state, { compartments: 1, refused: 0 })
})

test('a server tells its clients how full it is where it is set to, and a client reads it', async (t) => {
  const waiting: (() => void)[] = []
  const origin = await serve(
    t,
    async ({ path }) => {
      if (path === '/slow') await new Promise<void>((resolve) => waiting.push(resolve))
      return HttpResponse.text('done')
    },
    { limiter: { maxConcurrent: 2, maxQueued: 3, report: true } },
  )
  const client = httpClient(origin, { retry: false })
  t.after(() => client.close())
  const report = async (path: string) => {
    const response = await client.get(path)
    await response.body.text()
    return loadReportOf(response.fields)
  }
  assert.deepEqual(await report('/'), { depth: 0, limit: 5 })
  const slow = report('/slow')
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(await report('/'), { depth: 1, limit: 5 })
  waiting[0]?.()
  assert.deepEqual(await slow, { depth: 0, limit: 5 })
})
