import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, ip, unix } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import { OverloadError, TimeoutError, TransportError } from '../../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../../core/policy.ts'
import { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { roundRobin } from '../../runtime/balancer/round-robin.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { cluster as clusterSchema, type RetryCondition } from '../config/schema/cluster.ts'
import { clusterClassifier } from './cluster-classifier.ts'
import { clusterResolver } from './cluster-resolver.ts'
import { ClusterHealth, type HealthEvent } from './endpoint-health.ts'
import { type HealthAware, observedBalancer } from './observed-balancer.ts'

const config = (extra: object) =>
  clusterSchema.parse({ name: 'a', endpoints: ['10.0.0.1:80'], ...extra })

/** A balancer over so many endpoints, with outlier detection. */
function balancerOf(count: number, outlier: object = {}) {
  const clock = new ManualClock()
  const events: HealthEvent[] = []
  let balancer: HealthAware | undefined
  const health: ClusterHealth = new ClusterHealth({
    clock,
    outlier: config({ outlier_detection: outlier }).outlier_detection,
    onChange: () => balancer?.refresh(),
    onEvent: (event) => void events.push(event),
  })
  const nodes = Array.from({ length: count }, (_, index) => ({
    endpoint: { address: ip(`10.0.0.${index + 1}`, 80) },
    available: () => true,
  }))
  const made = observedBalancer(roundRobin(), health, (value) => {
    balancer = value
  })<(typeof nodes)[number]>()
  made.update(nodes)
  const call = new Call()
  const pick = () => {
    const picked = made.pick(call, clock.now(), () => 0)
    assert.ok(picked !== undefined)
    return picked
  }
  /** Hosts of the next picks, each ended well. */
  const next = (picks: number): string[] =>
    Array.from({ length: picks }, () => {
      const picked = pick()
      picked.done(clock.now(), 5, false)
      return picked.node.endpoint.address.host.slice(-1)
    })
  /** Fails every pick of one endpoint until it was hit `times`. */
  const fail = (host: string, times: number): void => {
    for (let hits = 0; hits < times; ) {
      const picked = pick()
      const hit = picked.node.endpoint.address.host.endsWith(`.${host}`)
      picked.done(clock.now(), 5, hit)
      if (hit) hits++
    }
  }
  return { clock, health, events, next, fail, made, nodes }
}

test('ClusterHealth ejects after consecutive failures and takes back after a growing time', () => {
  const { clock, events, next, fail, health } = balancerOf(3, {
    consecutive_failures: 3,
    base_ejection_time: '10s',
    max_ejection_time: '15s',
  })
  fail('2', 2)
  assert.deepEqual([...next(6)].sort(), ['1', '1', '2', '2', '3', '3'])
  fail('2', 3) // the successes between started over
  assert.deepEqual(new Set(next(6)), new Set(['1', '3']))
  assert.equal(health.of('10.0.0.2:80').ejectedUntil, clock.now() + 10_000)
  clock.advance(9_999)
  assert.ok(!next(6).includes('2'))
  clock.advance(1)
  assert.ok(next(6).includes('2'))
  fail('2', 3)
  assert.equal(health.of('10.0.0.2:80').ejectedUntil, clock.now() + 15_000) // 20 s, but at most 15
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ejected', 'returned', 'ejected'],
  )
  health.close()
  assert.equal(clock.pendingTimers, 0)
})

test('ClusterHealth ejects no more than max_ejection_percent, and never the last', () => {
  const four = balancerOf(4, { consecutive_failures: 1, max_ejection_percent: 50 })
  four.fail('1', 1)
  four.fail('2', 1)
  four.fail('3', 1)
  assert.deepEqual(new Set(four.next(8)), new Set(['3', '4']))
  const tenPercent = balancerOf(4, { consecutive_failures: 1, max_ejection_percent: 10 })
  tenPercent.fail('1', 1) // one may always go
  tenPercent.fail('2', 1)
  assert.deepEqual(new Set(tenPercent.next(8)), new Set(['2', '3', '4']))
  const two = balancerOf(2, { consecutive_failures: 1, max_ejection_percent: 100 })
  two.fail('1', 1)
  two.fail('2', 1)
  assert.deepEqual(new Set(two.next(4)), new Set(['2']))
  const one = balancerOf(1, { consecutive_failures: 1 })
  one.fail('1', 5)
  assert.deepEqual(one.next(1), ['1'])
})

test('observedBalancer leaves out what active checks call unhealthy, unless it is all', () => {
  const { health, next } = balancerOf(3)
  health.setActive('10.0.0.1:80', false, 'refused')
  assert.ok(!next(6).includes('1'))
  health.setActive('10.0.0.2:80', false, 'refused')
  assert.deepEqual(new Set(next(6)), new Set(['3']))
  health.setActive('10.0.0.3:80', false, 'refused')
  assert.deepEqual(new Set(next(6)), new Set(['1', '2', '3']))
  health.setActive('10.0.0.2:80', true, undefined)
  assert.deepEqual(new Set(next(6)), new Set(['2']))
})

test('observedBalancer counts attempts, failures and latency by endpoint', () => {
  const { clock, health, next, fail } = balancerOf(2, { consecutive_failures: 100 })
  next(4)
  fail('2', 3)
  const record = health.of('10.0.0.2:80')
  assert.equal(record.failures, 3)
  assert.equal(record.requests, 5)
  assert.equal(record.consecutiveFailures, 3)
  assert.ok(record.latency.summary(clock.now()).count === 5)
})

test('ClusterHealth forgets endpoints that are gone, with their timers', () => {
  const { clock, made, nodes, fail, health } = balancerOf(3, { consecutive_failures: 1 })
  fail('1', 1)
  assert.equal(clock.pendingTimers, 1)
  made.update(nodes.slice(1))
  assert.equal(clock.pendingTimers, 0)
  assert.equal(health.of('10.0.0.1:80').ejections, 0)
})

const REQUEST = new HttpRequest({ method: 'GET' })
const POST = new HttpRequest({ method: 'POST' })

test('clusterClassifier retries what retry_on names and nothing else', () => {
  const retries = (conditions: RetryCondition[], outcome: number | Error): boolean => {
    const classifier = clusterClassifier(conditions, () => 0)
    if (typeof outcome !== 'number') {
      return classifier.classifyError(REQUEST, outcome, new Call()).retry
    }
    const response = new HttpResponse({ status: outcome })
    return classifier.classifyResponse(REQUEST, response, new Call()).retry
  }
  const refused = new TransportError('ERR_CONNECT_REFUSED', '', { sent: 'nothing' })
  const reset = new TransportError('ERR_RESET', '', { sent: 'all' })
  const attempt = new TimeoutError('ERR_ATTEMPT_TIMEOUT', '')
  const breaker = new OverloadError('ERR_BREAKER_OPEN', '')
  const cases: [RetryCondition[], number | Error, boolean][] = [
    [['gateway-error'], 503, true],
    [['gateway-error'], 500, false],
    [['5xx'], 500, true],
    [['5xx'], 503, true],
    [['5xx', 'gateway-error'], 404, false],
    [['5xx'], 429, false],
    [['overloaded'], 429, true],
    [[], 503, false],
    [['connect-failure'], refused, true],
    [['connect-failure'], breaker, true],
    [['connect-failure'], reset, false],
    [['reset'], reset, true],
    [['reset'], refused, false],
    [['attempt-timeout'], attempt, true],
    [['reset'], attempt, false],
    [['reset', '5xx'], new TypeError('a bug'), false],
  ]
  for (const [conditions, outcome, expected] of cases) {
    assert.equal(retries(conditions, outcome), expected, `${conditions} ${outcome}`)
  }
})

test('clusterClassifier takes Retry-After as an invitation only for idempotent requests', () => {
  const classifier = clusterClassifier(['gateway-error'], () => 0)
  const response = new HttpResponse({ status: 503, fields: { 'retry-after': '2' } })
  const get = classifier.classifyResponse(REQUEST, response, new Call())
  assert.equal(get.pushbackMs, 2_000)
  const post = classifier.classifyResponse(POST, response, new Call())
  assert.equal(post.pushbackMs, undefined)
})

test('clusterResolver joins addresses and names into one set', () => {
  const names = new Map<string, ResolverListener>()
  const disposed: string[] = []
  const dns: Resolver = {
    watch(target, listener) {
      names.set(target, listener)
      return { [Symbol.dispose]: () => void disposed.push(target) }
    },
  }
  const sets: string[][] = []
  const errors: string[] = []
  const listener: ResolverListener = {
    onEndpoints: (endpoints) => void sets.push(endpoints.map(describe)),
    onError: (error) => void errors.push(error.message),
  }
  const endpoints = config({
    endpoints: [
      { address: 'a.example:80', weight: 3, priority: 1 },
      '[::1]:81',
      'unix:/run/x',
      'b.example:82',
    ],
  }).endpoints
  const watch = clusterResolver(endpoints, dns).watch('', listener)
  assert.deepEqual(sets.at(-1), ['[::1]:81', 'unix:/run/x'])
  names.get('b.example:82')?.onError(new Error('no such name'))
  assert.deepEqual(errors, []) // others are there
  names.get('a.example:80')?.onEndpoints([{ address: ip('10.0.0.1', 80) }])
  assert.deepEqual(sets.at(-1), ['10.0.0.1:80 a.example w3 p1', '[::1]:81', 'unix:/run/x'])
  watch[Symbol.dispose]()
  assert.deepEqual(disposed, ['a.example:80', 'b.example:82'])

  const only = clusterResolver(['c.example:80'], dns).watch('', listener)
  const count = sets.length
  names.get('c.example:80')?.onError(new Error('SERVFAIL'))
  assert.deepEqual(errors, ['SERVFAIL'])
  assert.equal(sets.length, count)
  only[Symbol.dispose]()
  assert.equal(formatAddress(unix('/run/x')), 'unix:/run/x')
})

function describe({ address, hostname, weight, priority }: Endpoint): string {
  const more = hostname === undefined ? '' : ` ${hostname} w${weight} p${priority}`
  return formatAddress(address) + more
}
