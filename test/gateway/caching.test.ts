/** The cache of a route in a running gateway. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { generateApiKey } from '../../src/security/identity/api-keys.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

const KEPT = { 'cache-control': 'max-age=60' }

async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init)
  const text = await response.text()
  return { status: response.status, text, cache: response.headers.get('cache-status') }
}

test('Gateway route answers from its cache, logs that, and keeps it over a reload', async (t) => {
  let asked = 0
  const api = await upstream(t, () => {
    asked++
    return HttpResponse.text(`${asked}`, { fields: KEPT })
  })
  const lines: string[] = []
  const route = { name: 'kept', match: { prefix: '/kept' }, cluster: 'api', cache: {} }
  const config = {
    access_log: { path: 'stdout' },
    listeners: [HTTP],
    routes: [route, { name: 'plain', cluster: 'api' }],
    clusters: [{ name: 'api', endpoints: [api] }],
  }
  const { gateway, url, change } = await start(t, config, undefined, undefined, {
    writeOut: (line) => void lines.push(line),
  })
  assert.deepEqual(await ask(url('/kept')), {
    status: 200,
    text: '1',
    cache: 'heddle; fwd=uri-miss; stored',
  })
  const hit = await ask(url('/kept'))
  assert.equal(hit.text, '1')
  assert.match(hit.cache ?? '', /^heddle; hit; ttl=\d+$/)
  assert.deepEqual(await ask(url('/plain')), { status: 200, text: '2', cache: null })
  change({ ...config, routes: [route] })
  await gateway.reload()
  assert.equal((await ask(url('/kept'))).text, '1')
  assert.equal(gateway.clusters()[0]?.requests, 2)
  const [stats] = gateway.caches()
  assert.deepEqual(
    [stats?.name, stats?.hits, stats?.misses, stats?.entries],
    ['route kept', 2, 1, 1],
  )
  while (lines.length < 4) await new Promise((resolve) => setImmediate(resolve))
  const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    logged.map(({ cached, attempts, upstream: endpoint }) => [cached, attempts, endpoint]),
    [
      [undefined, 1, api],
      [true, 0, undefined],
      [undefined, 1, api],
      [true, 0, undefined],
    ],
  )
})

// What one client sends must not become what others get.
test('Gateway route keeps apart what the cluster is told of the client’s origin', async (t) => {
  const api = await upstream(t, ({ fields, authority }) => {
    const text = `${authority} ${fields.get('x-forwarded-host')} ${fields.get('x-forwarded-proto')}`
    return HttpResponse.text(text, { fields: KEPT })
  })
  const { url } = await start(t, {
    listeners: [HTTP, { ...HTTP, name: 'behind', forwarding: { trusted_hops: 1 } }],
    routes: [{ cluster: 'api', rewrite: { host: 'inner.example' }, cache: {} }],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const poison = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
  const forged = await ask(url('/'), { headers: poison })
  assert.match(forged.text, /^inner\.example 127\.0\.0\.1:\d+ http$/)
  // Of a trusted proxy they count, and are another resource.
  const trusted = await ask(url('/', 'behind'), { headers: poison })
  assert.equal(trusted.text, 'inner.example evil.example https')
  const after = await ask(url('/', 'behind'))
  assert.match(after.text, /^inner\.example 127\.0\.0\.1:\d+ http$/)
  for (const name of ['x-original-url', 'x-http-method-override', 'x-host']) {
    const { cache } = await ask(url('/'), { headers: { [name]: '/admin' } })
    assert.equal(cache, 'heddle; fwd=bypass', name)
  }
})

test('Gateway route does not store what a known caller gets, unless it says that it may', async (t) => {
  const api = await upstream(t, ({ fields, path }) => {
    const control = path === '/public' ? 'public, max-age=60' : 'max-age=60'
    return HttpResponse.text(`for ${fields.get('x-user') ?? 'anybody'}`, {
      fields: { 'cache-control': control },
    })
  })
  const directory = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = join(directory, 'keys.txt')
  const [anna, ben] = [generateApiKey(), generateApiKey()]
  await writeFile(file, `${anna.line}\n${ben.line}\n`)
  const authentication = { api_keys: { file }, principal_headers: { id: 'x-user' } }
  const { url } = await start(t, {
    listeners: [{ ...HTTP, authentication }],
    routes: [{ cluster: 'api', cache: {} }],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const as = (key: string, path = '/') => ask(url(path), { headers: { 'x-api-key': key } })
  const first = await as(anna.key.reveal())
  assert.equal(first.cache, 'heddle; fwd=uri-miss; detail=authorization')
  assert.notEqual((await as(ben.key.reveal())).text, first.text)
  assert.equal((await as(anna.key.reveal(), '/public')).cache, 'heddle; fwd=uri-miss; stored')
})
