import assert from 'node:assert/strict'
import test from 'node:test'
import { parseExposition } from './exposition-parser.ts'
import { ObserverGroup } from './observer-group.ts'
import { observeProcess } from './process-metrics.ts'
import { renderPrometheus } from './prometheus.ts'
import { Registry } from './registry.ts'

test('observeProcess reads the facts on each collection', () => {
  const registry = new Registry()
  let user = 1
  observeProcess(new ObserverGroup(registry), {
    cpuSeconds: () => ({ user, system: 2 }),
    memory: () => ({ residentBytes: 9, heapUsedBytes: 1, heapTotalBytes: 2, externalBytes: 3 }),
    eventLoop: () => ({ activeMs: 500, idleMs: 1_500 }),
  })
  user = 7
  const samples = parseExposition(renderPrometheus(registry, 'prometheus'), 'prometheus')
  assert.equal(samples.get('process_cpu_time_seconds_total{cpu_mode="user"}'), 7)
  assert.equal(samples.get('process_memory_usage_bytes{}'), 9)
  assert.equal(samples.get('heddle_process_memory_bytes{kind="heap_total"}'), 2)
  const idle = 'nodejs_eventloop_time_seconds_total{nodejs_eventloop_state="idle"}'
  assert.equal(samples.get(idle), 1.5)
})
