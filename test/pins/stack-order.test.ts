/**
 * The order of both stacks. A change here changes what every call means: say why in the commit.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { createClient } from '../../src/runtime/client.ts'
import { explain } from '../../src/runtime/stack/explain.ts'
import { serverLayers } from '../../src/runtime/stack/server-stack.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { ScriptedExchanger, scriptedClassifier } from '../runtime/scripted-exchanger.ts'

test('the client’s stack, outermost first', async () => {
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => new ScriptedExchanger({ answer: () => 'ok' }),
    classifier: scriptedClassifier,
    clock: new ManualClock(),
    random: () => 0.5,
  })
  await client.call('get')
  const { layers, endpoints } = explain(client)
  assert.deepEqual(
    layers.map(({ name }) => name),
    [
      'tracing',
      'slow calls',
      'metrics',
      'deadline',
      'middleware',
      'bulkhead',
      'call limiter',
      'retry',
      'hedge',
      'rate limit',
      'credentials',
    ],
  )
  assert.deepEqual(
    endpoints[0]?.layers.map(({ name }) => name),
    [
      'breaker',
      'attempt tracing',
      'attempt metrics',
      'attempt timeout',
      'endpoint limiter',
      'pool',
      'limiter',
    ],
  )
  for (const layer of [...layers, ...(endpoints[0]?.layers ?? [])]) {
    assert.ok(layer.rule.length > 20, `${layer.name} says why it stands there`)
  }
  await client.close()
})

test('the server’s stack, outermost first', () => {
  const clock = new ManualClock()
  const layers = serverLayers<string, string>({
    clock,
    wheel: new TimerWheel({ clock }),
    classifier: scriptedClassifier,
  })
  assert.deepEqual(
    layers.map(({ name }) => name),
    [
      'tracing',
      'slow calls',
      'access log',
      'metrics',
      'errors',
      'admission',
      'authentication',
      'authorization',
      'rate limit',
      'bulkhead',
      'limiter',
      'deadline',
      'middleware',
    ],
  )
})
