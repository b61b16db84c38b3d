/** The etcd resolver against scripted answers; interop/discovery.interop.ts has the real one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallContext } from '../../src/core/context.ts'
import { type EtcdOptions, endOfPrefix, etcd, readInstance } from '../../src/discovery/etcd.ts'
import { type HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { PushStream } from '../support/push-stream.ts'
import { watching } from '../support/watching.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** One member: `keys` is the store, `events` goes to every watch. */
class ScriptedEtcd {
  readonly keys = new Map<string, string>()
  readonly requests: { path: string; body: Record<string, unknown>; token: string | undefined }[] =
    []
  readonly streams: PushStream[] = []
  revision = 10
  compacted = 0
  token: string | undefined
  /** What a new watch says instead of that it was created. */
  refuse: object | undefined

  readonly http = async (request: HttpRequest, _context: CallContext): Promise<HttpResponse> => {
    const body = (await request.body.json()) as Record<string, unknown>
    const token = request.fields.get('authorization')
    this.requests.push({ path: request.target, body, token })
    assert.equal(request.method, 'POST')
    if (request.target === '/v3/auth/authenticate') {
      return body['password'] === 'pa55word'
        ? HttpResponse.json({ header: {}, token: this.token })
        : HttpResponse.json(
            { error: `wrong: ${String(body['password'])}`, code: 3 },
            { status: 400 },
          )
    }
    if (this.token !== undefined && token !== this.token) {
      return HttpResponse.json(
        { error: 'etcdserver: invalid auth token', code: 16 },
        { status: 401 },
      )
    }
    if (request.target === '/v3/kv/range') return HttpResponse.json(this.#range(body))
    assert.equal(request.target, '/v3/watch')
    return this.#watch(body['create_request'] as Record<string, string>)
  }

  #range(body: Record<string, unknown>): object {
    const all = [...this.keys].map(([key, value]) => ({ key: base64(key), value: base64(value) }))
    const kvs = all.slice(0, Number(body['limit']))
    return { header: this.header(), kvs, count: String(all.length) }
  }

  #watch(create: Record<string, string>): HttpResponse {
    const stream = new PushStream()
    this.streams.push(stream)
    const start = Number(create['start_revision'])
    if (this.refuse !== undefined) this.line(this.refuse)
    else if (start <= this.compacted) {
      this.line({ header: this.header(), created: true })
      this.line({ header: this.header(), canceled: true, compact_revision: String(this.compacted) })
      stream.end()
    } else this.line({ header: this.header(), created: true })
    return new HttpResponse({ body: stream })
  }

  header(): object {
    return { cluster_id: '1', revision: String(this.revision) }
  }

  /** To the newest watch. */
  line(result: object): void {
    this.streams.at(-1)?.write(`${JSON.stringify({ result })}\n`)
  }

  put(key: string, value: string): void {
    this.keys.set(key, value)
    this.revision++
    this.line({
      header: this.header(),
      events: [
        { kv: { key: base64(key), value: base64(value), mod_revision: `${this.revision}` } },
      ],
    })
  }

  delete(key: string): void {
    this.keys.delete(key)
    this.revision++
    const kv = { key: base64(key), mod_revision: String(this.revision) }
    this.line({ header: this.header(), events: [{ type: 'DELETE', kv }] })
  }
}

function fixture(options: EtcdOptions = {}) {
  const clock = new ManualClock()
  const server = new ScriptedEtcd()
  server.keys.set('users/a', '10.0.0.1:8080')
  const resolver = etcd({ clock, random: () => 0, http: server.http, ...options })
  return { clock, server, watch: (target = 'users') => watching(resolver, target) }
}

test('etcd reads the range below a prefix and follows it from the next revision', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  const [range, created] = server.requests
  assert.deepEqual(range?.body, {
    key: base64('users/'),
    range_end: base64('users0'),
    limit: '10001',
  })
  assert.deepEqual(created?.body['create_request'], {
    key: base64('users/'),
    range_end: base64('users0'),
    start_revision: '11',
    progress_notify: true,
    fragment: true,
  })
  server.put('users/b', '{"address":"10.0.0.2:8080"}')
  server.delete('users/a')
  server.delete('users/b')
  await clock.settle()
  assert.deepEqual(heard.slice(1), ['10.0.0.1:8080 10.0.0.2:8080', '10.0.0.2:8080', '(nobody)'])
  stop()
  await clock.settle()
  assert.deepEqual([server.streams[0]?.cancelled, clock.pendingTimers], [true, 0])
})

test('etcd goes on at the next revision when a watch breaks, without a range', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.put('users/b', '10.0.0.2:8080')
  server.streams[0]?.fail(new Error('reset'))
  await clock.advanceAsync(500)
  assert.deepEqual(heard, [
    '10.0.0.1:8080',
    '10.0.0.1:8080 10.0.0.2:8080',
    'error: reset',
    '10.0.0.1:8080 10.0.0.2:8080',
  ])
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ['/v3/kv/range', '/v3/watch', '/v3/watch'],
  )
  const again = server.requests[2]?.body['create_request'] as { start_revision: string }
  assert.equal(again.start_revision, '12')
  stop()
})

test('etcd goes on after the last event it got, not where the store was', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  const starts = (): string[] =>
    server.requests
      .filter(({ path }) => path === '/v3/watch')
      .map(({ body }) => (body['create_request'] as { start_revision: string }).start_revision)
  // The store goes on while the watch is away; the next one is told its revision, and is cut.
  server.revision = 20
  server.streams[0]?.end()
  await clock.advanceAsync(1_000)
  server.streams[1]?.end()
  await clock.advanceAsync(1_000)
  // It catches up: an event of long ago comes under the newest revision, and it is cut again.
  const kv = { key: base64('users/b'), value: base64('10.0.0.2:80'), mod_revision: '15' }
  server.line({ header: server.header(), events: [{ kv }] })
  server.streams[2]?.end()
  await clock.advanceAsync(1_000)
  // A progress notice has no events: everything up to it was told.
  server.line({ header: server.header() })
  server.streams[3]?.end()
  await clock.advanceAsync(1_000)
  assert.deepEqual(starts(), ['11', '11', '11', '16', '21'])
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:80')
  stop()
})

test('etcd reads the range again when its revision was compacted away', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.keys.set('users/b', '10.0.0.2:8080')
  server.revision = 50
  server.compacted = 40
  server.streams[0]?.end()
  await clock.advanceAsync(1_000)
  assert.equal(heard.at(-1), 'error: etcd ended the watch: compacted to 40')
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:8080')
  stop()
})

test('etcd reads the range again when the store is behind: it was restored', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.streams[0]?.end()
  server.revision = 3
  server.keys.clear()
  server.keys.set('users/c', '10.0.0.3:8080')
  await clock.advanceAsync(1_000)
  assert.match(heard.at(-1) ?? '', /at revision 3, before 10: it is another store/)
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.3:8080')
  stop()
})

test('etcd tells a revision that came in fragments once, whole', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.revision++
  const event = (key: string, value: string) => ({
    kv: { key: base64(`users/${key}`), value: base64(value), mod_revision: '11' },
  })
  server.line({ header: server.header(), fragment: true, events: [event('b', '10.0.0.2:1')] })
  await clock.settle()
  assert.equal(heard.length, 1)
  server.line({ header: server.header(), events: [event('c', '10.0.0.3:1')] })
  await clock.settle()
  assert.deepEqual(heard.slice(1), ['10.0.0.1:8080 10.0.0.2:1 10.0.0.3:1'])
  stop()
})

test('etcd understands a stream however it is cut into chunks', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  const text = JSON.stringify({
    result: {
      header: { revision: '11' },
      events: [
        { kv: { key: base64('users/é'), value: base64('10.0.0.2:80'), mod_revision: '11' } },
      ],
    },
  })
  for (const byte of new TextEncoder().encode(`${text}\n`)) {
    server.streams[0]?.write(Uint8Array.of(byte))
  }
  await clock.settle()
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:80')
  stop()
})

test('etcd reads the whole prefix again after resyncMs', async () => {
  const { clock, server, watch } = fixture({ resyncMs: 60_000 })
  const { heard, stop } = watch()
  await clock.settle()
  server.keys.set('users/missed', '10.0.0.9:80')
  await clock.advanceAsync(60_000)
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.9:80')
  assert.equal(server.streams[0]?.cancelled, true)
  stop()
})

test('etcd keeps the right values beside a wrong one, and says which', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.put('users/b', 'not an address')
  await clock.settle()
  assert.match(heard.at(-1) ?? '', /error: the value of users\/b in etcd is not an endpoint/)
  server.put('users/b', '10.0.0.2:80')
  await clock.settle()
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:80')
  stop()
})

test('etcd takes maxEndpoints and refuses one more, by range and by watch', async () => {
  const { clock, server, watch } = fixture({ maxEndpoints: 2 })
  server.keys.set('users/b', '10.0.0.2:80')
  const { heard, stop } = watch()
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080 10.0.0.2:80'])
  server.put('users/c', '10.0.0.3:80')
  await clock.settle()
  assert.equal(heard.at(-1), 'error: 3 or more endpoints are over maxEndpoints 2')
  stop()
})

test('etcd gets a token for its user, and another when it is refused', async () => {
  const { clock, server, watch } = fixture({ user: { name: 'heddle', password: 'pa55word' } })
  server.token = 'token-1'
  const { heard, stop } = watch()
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  server.token = 'token-2'
  server.streams[0]?.end()
  await clock.advanceAsync(1_500)
  assert.equal(server.requests.at(-1)?.token, 'token-2')
  assert.equal(heard.at(-1), '10.0.0.1:8080')
  stop()
})

test('etcd never shows its password or token', async () => {
  const { clock, server, watch } = fixture({ user: { name: 'heddle', password: 'hunter2hunter2' } })
  server.token = 'x'
  const { heard, stop } = watch()
  await clock.settle()
  assert.match(heard[0] ?? '', /etcd answered 400: .*wrong: \[redacted\]/)
  stop()
})

test('etcd says what a gateway error is, and reads the range again', async () => {
  const { clock, server, watch } = fixture()
  const { heard, stop } = watch()
  await clock.settle()
  server.streams[0]?.write(
    '{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}\n',
  )
  await clock.settle()
  assert.equal(heard.at(-1), 'error: etcd ended the watch: etcdserver: no leader')
  await clock.advanceAsync(500)
  assert.equal(heard.at(-1), '10.0.0.1:8080')
  stop()
})

test('readInstance reads host:port and the JSON of people and of etcd’s own naming', () => {
  const address = { kind: 'ip', host: '10.0.0.1', port: 80 }
  assert.deepEqual(readInstance(' 10.0.0.1:80\n'), { endpoint: { address }, healthy: true })
  const rich =
    '{"address":"10.0.0.1:80","weight":2,"priority":1,"locality":"eu","hostname":"h","healthy":false}'
  assert.deepEqual(readInstance(rich), {
    endpoint: { address, weight: 2, priority: 1, locality: 'eu', hostname: 'h' },
    healthy: false,
    metadata: {},
  })
  const naming = readInstance('{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"v":"1"}}')
  assert.deepEqual(naming, { endpoint: { address }, healthy: true, metadata: { v: '1' } })
  const wrong = [
    '',
    ':80',
    '10.0.0.1',
    '10.0.0.1:0',
    '{',
    '{}',
    '[]',
    '{"address":"a:1","weight":0}',
  ]
  for (const value of wrong) assert.throws(() => readInstance(value), Error, value)
})

test('endOfPrefix is the first key that does not begin with the prefix', () => {
  const end = (...bytes: number[]) => [...endOfPrefix(Uint8Array.from(bytes))]
  assert.deepEqual(end(0x61), [0x62])
  assert.deepEqual(end(0x61, 0xff), [0x62])
  assert.deepEqual(end(0xff, 0xff), [0])
})
