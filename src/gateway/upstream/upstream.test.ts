import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, ip, unix } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import { OverloadError, TimeoutError, TransportError } from '../../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../../core/policy.ts'
import { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { cluster as clusterSchema, type RetryCondition } from '../config/schema/cluster.ts'
import { clusterClassifier } from './cluster-classifier.ts'
import { clusterResolver } from './cluster-resolver.ts'
import { ClusterHealth, type HealthEvent } from './endpoint-health.ts'

const config = (extra: object) =>
  clusterSchema.parse({ name: 'a', endpoints: ['10.0.0.1:80'], ...extra })

test('ClusterHealth counts attempts, failures and latency by endpoint, and forgets those gone', () => {
  const health = new ClusterHealth(() => {})
  const [a, b] = [{ address: ip('10.0.0.1', 80) }, { address: ip('10.0.0.2', 80) }]
  health.keepOnly([a, b])
  health.onAttempt(a, 10, 5, false)
  health.onAttempt(a, 20, 7, true)
  health.onAttempt(b, 20, undefined, true)
  const record = health.of('10.0.0.1:80')
  assert.deepEqual([record.requests, record.failures], [2, 1])
  assert.equal(record.latency.summary(20).count, 2)
  assert.equal(health.of('10.0.0.2:80').latency.summary(20).count, 0)
  // A new set with the same addresses keeps what is known.
  const again = { address: ip('10.0.0.1', 80), weight: 2 }
  health.keepOnly([again])
  health.onAttempt(again, 30, 5, false)
  health.onAttempt(b, 30, 5, false) // gone: nobody counts it
  assert.equal(health.of('10.0.0.1:80').requests, 3)
  assert.equal(health.of('10.0.0.2:80').requests, 0)
})

test('ClusterHealth tells changes of active checks once, and ejections on', () => {
  const events: HealthEvent[] = []
  const health = new ClusterHealth((event) => void events.push(event))
  const endpoint = { address: ip('10.0.0.1', 80), hostname: 'a.example' }
  health.setActive('10.0.0.1:80', false, 'refused')
  health.setActive('10.0.0.1:80', false, 'refused again')
  health.setActive('10.0.0.1:80', true, undefined)
  health.onEjected(endpoint, '5 failures in a row')
  health.onReturned(endpoint)
  assert.deepEqual(
    events.map(({ endpoint, type, reason }) => `${endpoint} ${type} ${reason}`),
    [
      '10.0.0.1:80 unhealthy refused',
      '10.0.0.1:80 healthy undefined',
      'a.example/10.0.0.1:80 ejected 5 failures in a row',
      'a.example/10.0.0.1:80 returned undefined',
    ],
  )
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
