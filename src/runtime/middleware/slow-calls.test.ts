import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedExchanger, scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { ip } from '../../core/address.ts'
import { CallTiming } from '../../core/call-timing.ts'
import { Call } from '../../core/context.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { createClient } from '../client.ts'
import { explain } from '../stack/explain.ts'
import { type SlowCall, slowCalls } from './slow-calls.ts'

test('a slow call says where its time went: connecting, queue, attempts, backoff', async () => {
  const clock = new ManualClock()
  const slow: SlowCall[] = []
  const made: ScriptedExchanger[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      await new Promise<void>((resolve) => void clock.setTimer(clock.now() + 30, resolve))
      const exchanger = new ScriptedExchanger()
      made.push(exchanger)
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    random: seededRandom(1),
    pool: { max: 1 },
    breaker: false,
    retry: { baseMs: 100, maxMs: 100, jitter: 'none' },
    slowCalls: { thresholdMs: 150, onSlow: (call) => void slow.push(call as SlowCall) },
  })
  const first = client.call('get first')
  await clock.advanceAsync(30)
  const second = client.call('get second')
  await clock.advanceAsync(40)
  made[0]?.calls[0]?.reply('fast enough')
  assert.equal(await first, 'fast enough')
  await clock.advanceAsync(60)
  made[0]?.calls[0]?.reply('fail')
  await clock.advanceAsync(110)
  await clock.advanceAsync(20)
  made[0]?.calls[0]?.reply('ok')
  assert.equal(await second, 'ok')
  assert.equal(slow.length, 1)
  const [{ timing, tookMs, operation, reply, thresholdMs } = assert.fail('none')] = slow
  assert.deepEqual([operation, reply, thresholdMs], ['get', 'ok', 150])
  assert.equal(tookMs, 230)
  assert.equal(timing.queueMs, 40)
  assert.equal(timing.connectMs, 0)
  assert.ok(timing.backoffMs >= 100 && timing.backoffMs <= 110)
  assert.deepEqual(
    timing.attempts.map(({ endpoint, failed }) => [endpoint, failed]),
    [
      ['10.0.0.1:80', true],
      ['10.0.0.1:80', false],
    ],
  )
  assert.equal(timing.attempts[0]?.tookMs, 100)
  const layer = explain(client).layers.find(({ name }) => name === 'slow calls')
  assert.deepEqual(layer?.parameters, { thresholdMs: 150, minMs: 10, maxPerMinute: 60 })
  client.destroy()
})

test('a call that waits for its connection says what making it took', async () => {
  const clock = new ManualClock()
  const slow: SlowCall[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      await new Promise<void>((resolve) => void clock.setTimer(clock.now() + 30, resolve))
      return new ScriptedExchanger({ answer: () => 'ok' })
    },
    classifier: scriptedClassifier,
    clock,
    random: seededRandom(1),
    slowCalls: { thresholdMs: 10, onSlow: (call) => void slow.push(call as SlowCall) },
  })
  const call = client.call('get')
  await clock.advanceAsync(30)
  assert.equal(await call, 'ok')
  assert.deepEqual([slow[0]?.timing.connectMs, slow[0]?.timing.queueMs], [30, 0])
  client.destroy()
})

test('slowCalls adds the time of a call to that of the call it is part of', () => {
  const clock = new ManualClock()
  const outer = new CallTiming()
  const call = slowCalls<string, string>({
    clock,
    operation: (request) => request,
    onSlow: () => assert.fail('fast'),
  })((_request, { timing }) => {
    timing?.waitedForConnection(7, 2)
    timing?.attempted('a', 3, false)
    return 'ok'
  })
  assert.equal(call('get', new Call({ timing: outer })), 'ok')
  assert.deepEqual([outer.queueMs, outer.connectMs, outer.attemptCount], [5, 2, 1])
})

test('slowCalls reports a failure with its type, and throws it untouched', () => {
  const clock = new ManualClock()
  const slow: SlowCall<string, string>[] = []
  const error = new RangeError('no')
  const call = slowCalls<string, string>({
    clock,
    thresholdMs: 0,
    operation: (request) => request,
    onSlow: (one) => void slow.push(one),
  })(() => {
    clock.advance(5)
    throw error
  })
  assert.throws(() => call('get', new Call()), error)
  assert.deepEqual([slow[0]?.errorType, slow[0]?.error, slow[0]?.tookMs], ['RangeError', error, 5])
})

test('CallTiming keeps 32 attempts and counts all', () => {
  const timing = new CallTiming()
  for (let index = 0; index < 40; index++) timing.attempted('a', 1, false)
  assert.deepEqual([timing.attempts.length, timing.attemptCount], [32, 40])
})
