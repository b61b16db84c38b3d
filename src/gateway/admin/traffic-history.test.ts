import assert from 'node:assert/strict'
import test from 'node:test'
import { TrafficHistory } from './traffic-history.ts'

const levels = { connections: 3, active: 1, retries: 0 }

test('TrafficHistory closes whole seconds with what ended in them', () => {
  const history = new TrafficHistory(500)
  history.record(200, 0.01, 900) // in the second we began in: not a whole one
  history.record(200, 0.01, 1_100)
  history.record(404, 0.02, 1_500)
  history.record(503, 0.03, 1_900)
  history.record(0, 0.04, 1_999)
  history.record(200, 0.05, 2_000)
  assert.equal(history.close(1_999, levels), 0)
  assert.equal(history.close(2_001, levels), 1)
  assert.equal(history.close(2_002, levels), 0)
  const [point, ...others] = history.points()
  assert.equal(others.length, 0)
  assert.ok(point !== undefined)
  assert.equal(point.requests, 4)
  assert.equal(point.clientErrors, 1)
  assert.equal(point.serverErrors, 2)
  assert.equal(point.connections, 3)
  assert.ok(Math.abs((point.p99Ms ?? 0) - 40) < 1)
  assert.equal(history.endedAt, 2_000)
})

test('TrafficHistory has empty seconds where nothing happened', () => {
  const history = new TrafficHistory(0)
  history.close(2_000, levels)
  assert.deepEqual(history.points(), [
    {
      requests: 0,
      clientErrors: 0,
      serverErrors: 0,
      p50Ms: undefined,
      p90Ms: undefined,
      p99Ms: undefined,
      connections: 3,
      active: 1,
      retries: 0,
    },
  ])
})

test('TrafficHistory catches up after the process was held up', () => {
  const history = new TrafficHistory(0)
  for (let second = 1; second < 5; second++) history.record(200, 0.001, second * 1_000)
  assert.equal(history.close(5_000, { ...levels, retries: 0 }), 4)
  assert.deepEqual(
    history.points().map((point) => point.requests),
    [1, 1, 1, 1],
  )
  assert.equal(history.close(6_000, { ...levels, retries: 7 }), 1)
  assert.equal(history.points(1)[0]?.retries, 7)
})

test('TrafficHistory keeps historySeconds', () => {
  const history = new TrafficHistory(0, { historySeconds: 2 })
  for (let second = 1; second < 5; second++) {
    for (let index = 0; index < second; index++) history.record(200, 0.001, second * 1_000)
    history.close((second + 1) * 1_000, levels)
  }
  assert.deepEqual(
    history.points().map((point) => point.requests),
    [3, 4],
  )
  assert.throws(() => new TrafficHistory(0, { historySeconds: 0 }), /historySeconds is 0/)
})

test('TrafficHistory latency covers the time asked for', () => {
  const history = new TrafficHistory(0)
  history.record(200, 0.1, 1_000)
  history.record(200, 0.2, 30_000)
  assert.equal(history.latency(31_000, 60_000).count, 2)
  assert.equal(history.latency(31_000, 10_000).count, 1)
})
