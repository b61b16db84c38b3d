/** Load policies on a real client and server: what is refused, how it is told, who waits. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
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
  assert.equal(first.fields.get('ratelimit'), '"path";r=1;t=1800, "network";r=99;t=1')
  await client.get('/a')
  const over = await client.get('/a')
  assert.equal(over.status, 429)
  assert.match(await over.body.text(), /^429 Too Many Requests \(ERR_RATE_LIMITED\)/)
  assert.equal(over.fields.get('retry-after'), '1800')
  // Only the limit that refused: it is the one to wait for.
  assert.equal(over.fields.get('ratelimit'), '"path";r=0;t=1800')
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
