/** The Kubernetes resolver against a stand-in that follows the API's documentation. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type KubernetesOptions, kubernetes } from '../../src/discovery/kubernetes.ts'
import { HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { KubernetesStandIn, type Slice, type SliceEntry } from '../support/kubernetes-stand-in.ts'
import { PushStream } from '../support/push-stream.ts'
import { watching } from '../support/watching.ts'

function fixture(options: KubernetesOptions = {}) {
  const clock = new ManualClock()
  const server = new KubernetesStandIn(clock)
  const settings = { clock, random: () => 0, http: server.service, namespace: 'shop', ...options }
  const resolver = kubernetes(settings)
  return { clock, server, watch: (target = 'users') => watching(resolver, target) }
}

const slice = (name: string, ...endpoints: (string | SliceEntry)[]): Slice => ({
  name,
  service: 'users',
  endpoints: endpoints.map((one) => (typeof one === 'string' ? { addresses: [one] } : one)),
})

test('kubernetes lists once and follows the watch: added, modified, deleted', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch()
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  server.apply(slice('s2', '10.0.0.2'))
  server.apply(slice('s1', '10.0.0.3'))
  server.delete('s2')
  server.apply({ ...slice('other', '10.9.9.9'), service: 'other' })
  await clock.settle()
  assert.deepEqual(heard.slice(1), [
    '10.0.0.1:8080 10.0.0.2:8080',
    '10.0.0.3:8080 10.0.0.2:8080',
    '10.0.0.3:8080',
  ])
  assert.equal(server.requests.length, 2)
  server.delete('s1')
  await clock.settle()
  assert.equal(heard.at(-1), '(nobody)')
  stop()
  await clock.settle()
  assert.deepEqual([server.watchers, clock.pendingTimers], [0, 0])
})

test('kubernetes asks with selector, version, bookmarks and a timeout by chance', async () => {
  const { clock, server, watch } = fixture()
  const { stop } = watch('users.shop')
  await clock.settle()
  const path = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices'
  const selector = 'labelSelector=kubernetes.io%2Fservice-name%3Dusers'
  assert.deepEqual(server.requests, [
    `${path}?${selector}&limit=500&resourceVersion=0`,
    `${path}?${selector}&watch=true&resourceVersion=100&allowWatchBookmarks=true&timeoutSeconds=300`,
  ])
  stop()
})

test('kubernetes goes on from its version when a watch ends, without a list', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch()
  await clock.settle()
  await clock.advanceAsync(300_000)
  assert.equal(server.watchers, 1)
  // Changes while nobody watches are in the history.
  server.endWatches()
  server.apply(slice('s2', '10.0.0.2'))
  await clock.advanceAsync(1_000)
  assert.deepEqual(heard, ['10.0.0.1:8080', '10.0.0.1:8080 10.0.0.2:8080'])
  assert.equal(server.requests.filter((target) => !target.includes('watch=')).length, 1)
  stop()
})

test('kubernetes lists anew after 410 Gone, the set kept meanwhile', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch()
  await clock.settle()
  server.endWatches()
  server.apply(slice('s2', '10.0.0.2'))
  server.compact()
  await clock.advanceAsync(1_000)
  assert.deepEqual(heard, [
    '10.0.0.1:8080',
    'error: kubernetes ended the watch: too old resource version: 101 (102)',
  ])
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:8080')
  const lists = server.requests.filter((target) => !target.includes('watch='))
  // The second list is not what a cache has: that was too old.
  assert.deepEqual(
    lists.map((target) => target.includes('resourceVersion')),
    [true, false],
  )
  stop()
})

test('kubernetes waits longer after each 410', async () => {
  const clock = new ManualClock()
  const asked: number[] = []
  const http = (): HttpResponse => {
    asked.push(clock.now() - 1_000)
    return HttpResponse.json({ message: 'gone', code: 410 }, { status: 410 })
  }
  const resolver = kubernetes({ clock, random: () => 0, http, namespace: 'shop' })
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(8_000)
  assert.deepEqual(asked, [0, 500, 1_500, 3_500, 7_500])
  assert.equal(heard.length, 5)
  stop()
})

test('kubernetes waits longer also when lists work and each watch is gone', async () => {
  const clock = new ManualClock()
  const server = new KubernetesStandIn(clock)
  server.apply(slice('s1', '10.0.0.1'))
  const lists: number[] = []
  const resolver = kubernetes({
    clock,
    random: () => 0,
    namespace: 'shop',
    http(request) {
      if (!request.target.includes('watch=')) {
        lists.push(clock.now() - 1_000)
        return server.service(request)
      }
      const body = new PushStream()
      body.write('{"type":"ERROR","object":{"code":410,"message":"too old"}}\n')
      return new HttpResponse({ body })
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(8_000)
  assert.deepEqual(lists, [0, 500, 1_500, 3_500, 7_500])
  assert.equal(heard.filter((one) => one === '10.0.0.1:8080').length, 5)
  stop()
})

test('kubernetes begins its waits anew after a watch that lasted', async () => {
  const clock = new ManualClock()
  const server = new KubernetesStandIn(clock)
  let broken = true
  const resolver = kubernetes({
    clock,
    random: () => 0,
    namespace: 'shop',
    http: (request) => {
      if (broken) throw new Error('unreachable')
      return server.service(request)
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(8_000)
  broken = false
  await clock.advanceAsync(8_000 + 30_000)
  assert.equal(server.watchers, 1)
  server.cutInTheMiddle(slice('s1', '10.0.0.1'))
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.1:8080')
  stop()
})

test('kubernetes moves its version on with bookmarks', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch()
  await clock.settle()
  server.churn(1_000)
  server.bookmark()
  server.compact()
  server.endWatches()
  await clock.advanceAsync(1_000)
  // Without the bookmark the version of the list would be too old now.
  assert.match(server.requests.at(-1) ?? '', /watch=true&resourceVersion=1101/)
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  stop()
})

test('kubernetes throws away an object that was cut, and gets it by the next watch', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch()
  await clock.settle()
  server.cutInTheMiddle(slice('s1', '10.0.0.1', '10.0.0.2'))
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080', 'error: the connection was reset'])
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:8080')
  assert.equal(server.requests.filter((target) => !target.includes('watch=')).length, 1)
  stop()
})

test('kubernetes takes a body that ends well inside an object for cut as well', async () => {
  const clock = new ManualClock()
  const server = new KubernetesStandIn(clock)
  server.apply(slice('s1', '10.0.0.1'))
  let watches = 0
  const resolver = kubernetes({
    clock,
    random: () => 0,
    namespace: 'shop',
    http(request) {
      if (!request.target.includes('watch=') || ++watches > 1) return server.service(request)
      const body = new PushStream()
      body.write('{"type":"DELETED","object":{"metadata":{"name":"s1","resourceVersion":"1"}}}')
      body.end()
      return new HttpResponse({ body })
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080', 'error: input ended before a delimiter'])
  await clock.advanceAsync(500)
  assert.deepEqual(heard.slice(2), ['10.0.0.1:8080'])
  stop()
})

test('kubernetes gives a watch up that its server forgot to end', async () => {
  const clock = new ManualClock()
  const server = new KubernetesStandIn(clock)
  const streams: PushStream[] = []
  const resolver = kubernetes({
    clock,
    random: () => 0,
    namespace: 'shop',
    watchMs: 20_000,
    http(request) {
      if (!request.target.includes('watch=')) return server.service(request)
      const body = new PushStream()
      streams.push(body)
      return new HttpResponse({ body })
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(10_000 + 30_000)
  assert.deepEqual([streams.length, streams[0]?.cancelled], [2, true])
  assert.deepEqual(heard, ['(nobody)'])
  stop()
  await clock.settle()
  assert.deepEqual([streams[1]?.cancelled, clock.pendingTimers], [true, 0])
})

test('kubernetes reads long lists page by page, and again when a page has expired', async () => {
  const clock = new ManualClock()
  const paged = new KubernetesStandIn(clock)
  for (let n = 1; n <= 5; n++) paged.apply(slice(`s${n}`, `10.0.0.${n}`))
  let pages = 0
  const resolver = kubernetes({
    clock,
    random: () => 0,
    namespace: 'shop',
    pageSize: 2,
    http(request) {
      if (!request.target.includes('watch=') && ++pages === 2) {
        paged.churn(1)
        paged.compact()
      }
      // Only a list of the newest comes in pages; the cache gives everything.
      const target = request.target.replace('&resourceVersion=0', '')
      return paged.service(new HttpRequest({ target, fields: request.fields }))
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  assert.match(heard[0] ?? '', /error: kubernetes answered 410: .*too old/)
  await clock.advanceAsync(500)
  assert.equal(heard[1], [1, 2, 3, 4, 5].map((n) => `10.0.0.${n}:8080`).join(' '))
  assert.equal(pages, 5)
  stop()
})

test('kubernetes sends the token that the file has now, and never shows it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  try {
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, 'first-token\n')
    const clock = new ManualClock()
    const server = new KubernetesStandIn(clock)
    server.token = 'first-token'
    server.apply(slice('s1', '10.0.0.1'))
    const told = Promise.withResolvers<string>()
    let count = 0
    const seen: string[] = []
    const asked = Promise.withResolvers<void>()
    const resolver = kubernetes({
      clock,
      random: () => 0,
      namespace: 'shop',
      tokenFile,
      http(request) {
        seen.push(request.fields.get('authorization') ?? '')
        if (++count === 3) asked.resolve()
        return server.service(request)
      },
    })
    const watch = resolver.watch('users', {
      onEndpoints: () => told.resolve('set'),
      onError: (error) => told.resolve(error.message),
    })
    assert.equal(await told.promise, 'set')
    while (server.watchers === 0) await new Promise((resolve) => setImmediate(resolve))
    await writeFile(tokenFile, 'second-token')
    server.token = 'second-token'
    server.endWatches()
    await clock.settle()
    clock.advance(1_000)
    await asked.promise
    assert.deepEqual(seen, ['Bearer first-token', 'Bearer first-token', 'Bearer second-token'])
    watch[Symbol.dispose]()
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('kubernetes finds its API server, token and namespace as a pod is told', async (t) => {
  const set = (host: string | undefined): void => {
    for (const [name, value] of [
      ['KUBERNETES_SERVICE_HOST', host],
      ['KUBERNETES_SERVICE_PORT', host && '6443'],
    ] as const) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  // A test run may itself be in a pod.
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env
  t.after(() => {
    set(host)
    if (port !== undefined) process.env['KUBERNETES_SERVICE_PORT'] = port
  })
  const inPod = existsSync('/var/run/secrets/kubernetes.io/serviceaccount')
  const asked: string[] = []
  const first = async (options: KubernetesOptions): Promise<string> => {
    const told = Promise.withResolvers<string>()
    const resolver = kubernetes({
      http(request) {
        asked.push(`${request.scheme}://${request.authority}${request.path}`)
        throw new Error('asked')
      },
      ...options,
    })
    const watch = resolver.watch('users', {
      onEndpoints: () => told.resolve('a set'),
      onError: (error) => told.resolve(error.message),
    })
    const message = await told.promise
    watch[Symbol.dispose]()
    return message
  }
  set('fd00::1')
  const account = '/var/run/secrets/kubernetes.io/serviceaccount'
  const missing = `the token of kubernetes cannot be read: ENOENT ${account}/token`
  if (!inPod) assert.equal(await first({}), missing)
  assert.equal(await first({ token: 't' }), 'asked')
  set(undefined)
  assert.equal(await first({ url: 'http://127.0.0.1:8001' }), 'asked')
  const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'
  if (!inPod)
    assert.deepEqual(asked, [`https://[fd00::1]:6443${path}`, `http://127.0.0.1:8001${path}`])
})

test('kubernetes refuses events and lists that are not of its API', async () => {
  const list = { metadata: { resourceVersion: '5' }, items: [] }
  for (const [event, message] of [
    ['[]', /a list instead of an object/],
    ['{"type":"ADDED","object":{"metadata":{"resourceVersion":"6"}}}', /without a name/],
    ['{"type":"ADDED","object":{"metadata":{"name":"x"}}}', /without resourceVersion/],
    ['{"type":"NEWS","object":{"metadata":{"resourceVersion":"6"}}}', /unknown type/],
    ['{"type":', /not a JSON document/],
    [`"${'x'.repeat(200)}"`, /over maxFrameBytes 100/],
  ] as const) {
    const clock = new ManualClock()
    const streams: PushStream[] = []
    const resolver = kubernetes({
      clock,
      namespace: 'shop',
      maxLineBytes: 100,
      http(request) {
        if (!request.target.includes('watch=')) return HttpResponse.json(list)
        const body = new PushStream()
        streams.push(body)
        body.write(`${event}\n`)
        return new HttpResponse({ body })
      },
    })
    const { heard, stop } = watching(resolver, 'users')
    await clock.settle()
    assert.equal(heard[0], '(nobody)')
    assert.match(heard[1] ?? '', message)
    assert.equal(streams[0]?.cancelled, true, event)
    stop()
  }
})

test('kubernetes takes maxSlices and refuses one more', async () => {
  const { clock, server, watch } = fixture({ maxSlices: 2 })
  server.apply(slice('s1', '10.0.0.1'))
  server.apply(slice('s2', '10.0.0.2'))
  const { heard, stop } = watch()
  await clock.settle()
  server.apply(slice('s3', '10.0.0.3'))
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080 10.0.0.2:8080', 'error: 3 slices are over maxSlices 2'])
  stop()
})

test('kubernetes says what is wrong with a port, and goes on watching', async () => {
  const { clock, server, watch } = fixture()
  server.apply(slice('s1', '10.0.0.1'))
  const { heard, stop } = watch('users.shop:grpc')
  await clock.settle()
  assert.deepEqual(heard.at(-1), 'error: s1 has no port grpc, it has http')
  server.apply({ ...slice('s1', '10.0.0.1'), ports: [{ name: 'grpc', port: 9_000 }] })
  await clock.settle()
  assert.equal(heard.at(-1), '10.0.0.1:9000')
  stop()
})

test('kubernetes reads its targets', () => {
  const { watch } = fixture()
  for (const wrong of ['', 'Users', 'a.b.c.d:http:1', 'users:', 'http://users']) {
    assert.throws(() => watch(wrong), { code: 'ERR_ADDRESS_INVALID' }, wrong)
  }
})

test('the Kubernetes stand-in refuses what the API refuses', () => {
  const server = new KubernetesStandIn(new ManualClock())
  const path = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices'
  const selector = 'labelSelector=kubernetes.io/service-name%3Dusers'
  server.token = 't'
  const ask = (method: string, target: string, token = 't') =>
    server.service(
      new HttpRequest({ method, target, fields: { authorization: `Bearer ${token}` } }),
    ).status
  assert.equal(ask('GET', `${path}?${selector}`, 'wrong'), 401)
  assert.equal(ask('GET', `${path.replace('shop', 'other')}?${selector}`), 403)
  assert.equal(ask('GET', '/api/v1/pods'), 404)
  assert.equal(ask('POST', `${path}?${selector}`), 405)
  assert.equal(ask('GET', path), 400)
  assert.equal(ask('GET', `${path}?${selector}&resourceVersion=x`), 400)
  assert.equal(ask('GET', `${path}?${selector}&resourceVersion=999`), 504)
  assert.equal(ask('GET', `${path}?${selector}&watch=true&timeoutSeconds=5m`), 400)
  const page = btoa('[100,2]')
  assert.equal(ask('GET', `${path}?${selector}&continue=${page}&resourceVersion=0`), 400)
  assert.equal(ask('GET', `${path}?${selector}`), 200)
})
