import assert from 'node:assert/strict'
import test from 'node:test'
import { stubCluster, stubEndpoint } from '../../../test/support/stub-gateway-status.ts'
import { EndpointTrends, stateOf } from './endpoint-trends.ts'

const address = '127.0.0.1:9001'

test('EndpointTrends tells rate of ten seconds and success of a minute', () => {
  const trends = new EndpointTrends()
  const sample = (second: number, requests: number, failures: number): void =>
    trends.sample(
      [stubCluster({ requests, failures, endpoints: [stubEndpoint({ requests, failures })] })],
      second * 1_000,
    )
  assert.equal(trends.ofEndpoint('api', address).successRate, undefined)
  sample(0, 0, 0)
  assert.equal(trends.ofEndpoint('api', address).requestsPerSecond, 0)
  sample(1, 100, 50)
  for (let second = 2; second <= 61; second++) sample(second, 100 + second, 50)
  assert.deepEqual(trends.ofEndpoint('api', address), {
    requestsPerSecond: 1,
    successRate: 1,
    stateSince: undefined,
  })
  assert.equal(trends.ofCluster('api').successRate, 1)
})

test('EndpointTrends success counts failures of the window', () => {
  const trends = new EndpointTrends()
  trends.sample([stubCluster({ requests: 10, failures: 10 })], 0)
  trends.sample([stubCluster({ requests: 30, failures: 15 })], 1_000)
  assert.equal(trends.ofCluster('api').successRate, 0.75)
  assert.equal(trends.ofCluster('api').requestsPerSecond, 20)
})

test('EndpointTrends notes when a state began', () => {
  const trends = new EndpointTrends()
  const sample = (breaker: 'open' | 'closed', wallNow: number): void =>
    trends.sample([stubCluster({ endpoints: [stubEndpoint({ breaker })] })], wallNow)
  sample('closed', 1_000)
  assert.equal(trends.ofEndpoint('api', address).stateSince, undefined)
  sample('open', 2_000)
  sample('open', 3_000)
  assert.equal(trends.ofEndpoint('api', address).stateSince, 2_000)
})

test('EndpointTrends starts over when a counter fell, and forgets what is gone', () => {
  const trends = new EndpointTrends()
  trends.sample([stubCluster({ requests: 100, failures: 0 })], 0)
  trends.sample([stubCluster({ requests: 1, failures: 1 })], 1_000)
  assert.equal(trends.ofCluster('api').successRate, undefined)
  assert.equal(trends.ofCluster('api').requestsPerSecond, 0)
  trends.sample([], 2_000)
  trends.sample([stubCluster({ requests: 50 })], 3_000)
  assert.equal(trends.ofCluster('api').requestsPerSecond, 0)
})

test('stateOf names what matters most', () => {
  const open = { breaker: 'open', ejected: true, health: 'unhealthy' } as const
  assert.equal(stateOf(stubEndpoint(open)), 'breaker-open')
  assert.equal(stateOf(stubEndpoint({ ...open, breaker: 'closed' })), 'ejected')
  assert.equal(stateOf(stubEndpoint({ health: 'unhealthy', breaker: 'half-open' })), 'unhealthy')
  assert.equal(stateOf(stubEndpoint({ breaker: 'half-open' })), 'breaker-half-open')
  assert.equal(stateOf(stubEndpoint({ health: 'unknown' })), 'unknown')
})
