/** The Consul resolver against a stand-in that follows Consul's documentation, on a manual clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../src/core/context.ts'
import { type ConsulOptions, consul, nextIndex } from '../../src/discovery/consul.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { ConsulStandIn } from '../support/consul-stand-in.ts'
import { watching } from '../support/watching.ts'

function fixture(options: ConsulOptions = {}) {
  const clock = new ManualClock()
  const server = new ConsulStandIn(clock)
  const resolver = consul({ clock, random: () => 0, http: server.service, ...options })
  return { clock, server, watch: (target = 'users') => watching(resolver, target) }
}

const a = { id: 'a', address: '10.0.0.1', port: 8_080 }
const b = { id: 'b', address: '10.0.0.2', port: 8_080 }

test('consul tells the set and every change of it at once', async () => {
  const { clock, server, watch } = fixture()
  server.put('users', [a])
  const { heard, stop } = watch()
  await clock.advanceAsync(5_000)
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  assert.equal(server.blocked, 1)
  server.put('users', [a, b])
  await clock.settle()
  assert.deepEqual(heard.slice(1), ['10.0.0.1:8080 10.0.0.2:8080'])
  stop()
  await clock.settle()
  assert.equal(server.blocked, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('consul asks with index and wait, and again when the wait is over', async () => {
  const { clock, server, watch } = fixture({ waitMs: 60_000 })
  server.put('users', [a])
  const { heard, stop } = watch()
  await clock.advanceAsync(1_000)
  assert.deepEqual(server.requests, [
    '/v1/health/service/users?passing=true&stale=',
    '/v1/health/service/users?passing=true&stale=&index=11&wait=60s',
  ])
  await clock.advanceAsync(60_000)
  assert.equal(server.requests.length, 3)
  // The answer of a wait that is over is the same set: nobody is told twice.
  assert.deepEqual(heard, ['10.0.0.1:8080'])
  stop()
})

test('consul waits for what Consul adds to the wait, and not much longer', async () => {
  const clock = new ManualClock()
  const slow = new ConsulStandIn(clock, () => 1)
  const resolver = consul({ clock, random: () => 0, http: slow.service, waitMs: 160_000 })
  slow.put('users', [a])
  const patient = watching(resolver, 'users')
  await clock.advanceAsync(1_000 + 170_000)
  assert.equal(slow.requests.length, 3)
  assert.deepEqual(patient.heard, ['10.0.0.1:8080'])
  patient.stop()
  // An agent that hangs answers nothing at all.
  const hanging = consul({ clock, random: () => 0, http: () => new Promise(() => {}) })
  const { heard, stop } = watching(hanging, 'users')
  await clock.advanceAsync(10_000)
  assert.deepEqual(heard, ['error: consul did not answer in 10000 ms'])
  stop()
  await clock.settle()
  assert.equal(clock.pendingTimers, 0)
})

test('consul begins anew when the index goes backwards', async () => {
  const { clock, server, watch } = fixture()
  server.put('users', [a])
  const { heard, stop } = watch()
  await clock.advanceAsync(5_000)
  server.restore(3)
  await clock.settle()
  server.put('users', [b])
  await clock.advanceAsync(1_000)
  assert.deepEqual(heard.at(-1), '10.0.0.2:8080')
  await clock.advanceAsync(1_000)
  const indexes = server.requests.map((target) => /index=(\d+)/.exec(target)?.[1])
  assert.deepEqual(indexes, [undefined, '11', undefined, '3', '4'])
  stop()
})

test('nextIndex is 0 after a step back and at least 1 otherwise', () => {
  const answer = (index: string | undefined) => ({
    fields: new HttpFields(index === undefined ? [] : [['x-consul-index', index]]),
  })
  assert.equal(nextIndex(0n, answer('0')), 1n)
  assert.equal(nextIndex(5n, answer('5')), 5n)
  assert.equal(nextIndex(5n, answer('4')), 0n)
  assert.equal(nextIndex(0n, answer('18446744073709551615')), 18_446_744_073_709_551_615n)
  for (const wrong of [undefined, '', '-1', 'x', '1e3']) {
    assert.throws(() => nextIndex(0n, answer(wrong)), { code: 'ERR_MALFORMED' })
  }
})

test('consul takes instances that pass, unless accept says otherwise', async () => {
  const instances = [a, { ...b, status: 'warning' as const, tags: ['v2'] }]
  for (const [options, expected] of [
    [{}, '10.0.0.1:8080'],
    [{ passing: false }, '10.0.0.1:8080'],
    [{ passing: false, accept: () => true }, '10.0.0.1:8080 10.0.0.2:8080'],
    [{ passing: false, accept: (one) => one.tags?.includes('v2') === true }, '10.0.0.2:8080'],
  ] as [ConsulOptions, string][]) {
    const { clock, server, watch } = fixture(options)
    server.put('users', instances)
    const { heard, stop } = watch()
    await clock.settle()
    assert.deepEqual(heard, [expected])
    stop()
  }
})

test('consul sends tags, datacenter and filter, and reads weights, locality and node addresses', async () => {
  const { clock, server, watch } = fixture({
    tags: ['v1', 'blue'],
    datacenter: 'dc1',
    filter: 'Service.Meta.x == "1"',
    stale: false,
  })
  server.put('users', [
    {
      id: 'x',
      port: 1,
      nodeAddress: 'fd00::1',
      tags: ['v1', 'blue'],
      weights: { Passing: 7, Warning: 1 },
    },
    { id: 'y', address: '10.0.0.9', port: 2, tags: ['v1'] },
  ])
  const one = watch()
  await clock.settle()
  assert.equal(
    server.requests[0],
    '/v1/health/service/users?passing=true&tag=v1&tag=blue&dc=dc1&filter=Service.Meta.x+%3D%3D+%221%22',
  )
  assert.deepEqual(one.endpoints, [
    { address: { kind: 'ip', host: 'fd00::1', port: 1 }, weight: 7, locality: 'dc1' },
  ])
  one.stop()
})

test('consul keeps the set when Consul fails, waits longer each time, and goes on', async () => {
  const clock = new ManualClock()
  const server = new ConsulStandIn(clock)
  let broken = false
  const resolver = consul({
    clock,
    random: () => 0,
    http: (request, context) => {
      if (broken) return HttpResponse.text('rpc error: no leader', { status: 500 })
      return server.service(request, context)
    },
  })
  server.put('users', [a])
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(2_000)
  broken = true
  // The query that blocks is answered; the next one fails.
  server.put('users', [a, b])
  await clock.settle()
  const error = 'error: consul answered 500: rpc error: no leader'
  assert.deepEqual(heard, ['10.0.0.1:8080', '10.0.0.1:8080 10.0.0.2:8080', error])
  // `equal` jitter at 0 waits half of 1, 2 and 4 seconds.
  await clock.advanceAsync(500 + 1_000)
  assert.deepEqual(heard.slice(2), [error, error, error])
  broken = false
  await clock.advanceAsync(2_000)
  // The same set again: it ends the error.
  assert.equal(heard.at(-1), '10.0.0.1:8080 10.0.0.2:8080')
  stop()
})

test('consul believes an empty answer, unless it has no leader or is told to keep', async () => {
  const { clock, server, watch } = fixture()
  server.put('users', [a])
  const { heard, stop } = watch()
  await clock.advanceAsync(1_000)
  server.put('users', [])
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080', '(nobody)'])
  stop()
  const orphan = fixture()
  orphan.server.put('users', [a])
  const lost = orphan.watch()
  await orphan.clock.advanceAsync(1_000)
  orphan.server.knownLeader = false
  orphan.server.put('users', [])
  await orphan.clock.settle()
  assert.match(lost.heard.at(-1) ?? '', /error: consul has no leader/)
  lost.stop()
  const keeping = fixture({ whenEmpty: 'keep' })
  keeping.server.put('users', [a])
  const kept = keeping.watch()
  await keeping.clock.advanceAsync(1_000)
  keeping.server.put('users', [])
  await keeping.clock.settle()
  assert.equal(kept.heard.at(-1), 'error: users has no endpoints; the known set is kept')
  kept.stop()
})

test('consul sends its token and never shows it', async () => {
  const { clock, server, watch } = fixture({ token: () => 's3cret-token' })
  server.token = 'another'
  server.put('users', [a])
  const { heard, stop } = watch()
  await clock.settle()
  assert.deepEqual(server.tokens, ['s3cret-token'])
  assert.deepEqual(heard, ['error: consul answered 403: ACL not found: [redacted]'])
  server.token = 's3cret-token'
  await clock.advanceAsync(1_000)
  assert.equal(heard.at(-1), '10.0.0.1:8080')
  stop()
})

test('consul shares one watch among watchers of a service', async () => {
  const { clock, server, watch } = fixture()
  server.put('users', [a])
  const [first, second] = [watch(), watch()]
  await clock.advanceAsync(1_000)
  const third = watch()
  assert.deepEqual(third.heard, ['10.0.0.1:8080'])
  assert.equal(server.blocked, 1)
  first.stop()
  first.stop()
  second.stop()
  await clock.settle()
  assert.equal(server.blocked, 1)
  third.stop()
  await clock.settle()
  assert.deepEqual([server.blocked, clock.pendingTimers], [0, 0])
})

test('consul does not ask more than once a second a server that never blocks', async () => {
  const clock = new ManualClock()
  let asked = 0
  const resolver = consul({
    clock,
    http: () => {
      const response = HttpResponse.json([])
      response.fields.set('x-consul-index', String(++asked))
      return response
    },
  })
  const { stop } = watching(resolver, 'users')
  await clock.advanceAsync(10_000)
  assert.equal(asked, 11)
  stop()
})

test('consul refuses answers that are too long, no JSON, or of something else', async () => {
  const index = { 'x-consul-index': '1' }
  for (const [answer, message] of [
    [
      HttpResponse.text('[]'.padEnd(101), { fields: index }),
      /an answer of 101 is over maxResponseBytes 100/,
    ],
    [HttpResponse.text('<html>', { fields: index }), /6 characters that are not JSON/],
    [HttpResponse.json({}, { fields: index }), /a object instead of a list/],
    [HttpResponse.json([1], { fields: index }), /a number instead of an object/],
    [HttpResponse.json([]), /without X-Consul-Index/],
  ] as const) {
    const clock = new ManualClock()
    const resolver = consul({ clock, http: () => answer, maxResponseBytes: 100 })
    const { heard, stop } = watching(resolver, 'users')
    await clock.settle()
    assert.match(heard[0] ?? '', message)
    stop()
  }
})

test('consul takes maxEndpoints and refuses one more, the known set kept', async () => {
  const { clock, server, watch } = fixture({ maxEndpoints: 2 })
  server.put('users', [a, b])
  const { heard, stop } = watch()
  await clock.advanceAsync(1_000)
  server.put('users', [a, b, { ...b, port: 1 }])
  await clock.settle()
  assert.deepEqual(heard, [
    '10.0.0.1:8080 10.0.0.2:8080',
    'error: 3 endpoints of users are over maxEndpoints 2',
  ])
  stop()
})

test('the Consul stand-in refuses what Consul refuses', async () => {
  const { clock, server } = fixture()
  const { service } = server
  for (const [method, target, status] of [
    ['POST', '/v1/health/service/users', 405],
    ['GET', '/v1/catalog/nodes', 404],
    ['GET', '/v1/health/service/users?index=-1', 400],
    ['GET', '/v1/health/service/users?index=1&wait=5', 400],
    ['GET', '/v1/health/service/users?stale&consistent', 400],
    ['GET', '/v1/health/service/users?passing=maybe', 400],
    ['GET', '/v1/health/service/users?dc=elsewhere', 500],
    ['GET', '/v1/health/service/users?index=0', 200],
  ] as const) {
    const response = await service(new HttpRequest({ method, target }), new Call())
    assert.equal(response.status, status, target)
  }
  assert.equal(clock.pendingTimers, 0)
})

test('consul refuses options that cannot be', () => {
  for (const options of [
    { waitMs: 999 },
    { waitMs: 600_001 },
    { maxEndpoints: 0 },
    { maxResponseBytes: 0 },
  ]) {
    assert.throws(() => consul(options), { code: 'ERR_OPTION_RANGE' })
  }
  for (const url of ['consul:8500', 'http://user:pass@consul', 'http://consul/v1', 'x']) {
    assert.throws(
      () => consul({ url }),
      (error: Error) => !error.message.includes('pass'),
    )
  }
  assert.throws(() => consul({ url: [] }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => consul({ url: ['http://a', 'https://b'] }), { code: 'ERR_ARGUMENT' })
})
