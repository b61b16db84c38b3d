import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture } from '../../test/runtime/pool-fixture.ts'
import type { Meter } from '../core/metrics.ts'
import { poolMetrics } from './pool-metrics.ts'

test('poolMetrics tells a pool by the names of the conventions', async () => {
  const gauges = new Map<string, number>()
  const records: string[] = []
  const meter: Meter = {
    counter: (name) => ({ add: () => void records.push(name) }),
    gauge: (name, _options, attributes) => ({
      set: () => assert.fail('pools of one name add up'),
      add(value) {
        const key = `${name} ${attributes?.['db.client.connection.state'] ?? ''}`.trim()
        gauges.set(key, (gauges.get(key) ?? 0) + value)
      },
    }),
    histogram: (name) => ({ record: (value) => void records.push(`${name} ${value}`) }),
  }
  const observer = poolMetrics(meter, 'p', () => ({
    stats: pool.stats,
    limits: pool.limits,
    closed: pool.state === 'closed',
  }))
  const { pool, clock, acquire } = fixture({ max: 1, min: 1, maxWaitMs: 40, observer: observer! })
  const lease = await acquire()
  const late = acquire().catch(() => {})
  await clock.advanceAsync(50)
  await late
  const waiting = acquire()
  await clock.advanceAsync(20)
  assert.deepEqual(Object.fromEntries(gauges), {
    'db.client.connection.count used': 1,
    'db.client.connection.max': 1,
    'db.client.connection.idle.max': 1,
    'db.client.connection.idle.min': 1,
    'db.client.connection.pending_requests': 1,
  })
  lease.release()
  ;(await waiting).release()
  assert.deepEqual(records, [
    'db.client.connection.create_time 0',
    'db.client.connection.wait_time 0',
    'db.client.connection.timeouts',
    'db.client.connection.use_time 0.07',
    'db.client.connection.wait_time 0.02',
    'db.client.connection.use_time 0',
  ])
  pool.reconfigure({ max: 5 })
  assert.equal(gauges.get('db.client.connection.max'), 5)
  assert.equal(gauges.get('db.client.connection.count idle'), 1)
  await pool.close()
  // Of a pool that is gone nothing is left in the sum.
  assert.deepEqual(new Set(gauges.values()), new Set([0]))
})
