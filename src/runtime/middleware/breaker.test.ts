import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { Call } from '../../core/context.ts'
import { OverloadError, RemoteError, TimeoutError, TransportError } from '../../core/errors.ts'
import type { Service } from '../../core/service.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { CircuitBreaker } from '../breaker.ts'
import { breaker } from './breaker.ts'

function fixture(answer: () => string | Promise<string>) {
  const clock = new ManualClock()
  const circuit = new CircuitBreaker(() => 0.5, { consecutiveFailures: 2 })
  const service: Service<string, string> = breaker<string, string>({
    clock,
    breaker: circuit,
    classifier: scriptedClassifier,
  })(answer)
  const call = async (): Promise<string> => service('get', new Call())
  return { clock, circuit, call, service }
}

test('breaker counts by the classifier’s verdict', async () => {
  const table: [what: string, answer: () => string, opens: boolean][] = [
    ['success', () => 'ok', false],
    ['a failing response', () => 'fail', true],
    ['a response that says busy', () => 'busy', false],
    ['a reset', () => raise(new TransportError('ERR_RESET', 'x')), true],
    ['a timeout', () => raise(new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'x')), true],
    ['a timeout while it waited here', () => raise(waited()), false],
    ['a refusal of the peer', () => raise(new RemoteError('ERR_REMOTE', 'x')), false],
    ['a full pool', () => raise(new OverloadError('ERR_POOL_FULL', 'x')), false],
    ['an abort', () => raise(new Error('mine')), false],
  ]
  for (const [what, answer, opens] of table) {
    const { circuit, call } = fixture(answer)
    for (let count = 0; count < 2; count++) await call().catch(() => {})
    assert.equal(circuit.state, opens ? 'open' : 'closed', what)
  }
})

test('breaker passes outcomes through untouched, also of promises', async () => {
  const error = new TransportError('ERR_RESET', 'x')
  await assert.rejects(fixture(() => Promise.reject(error)).call(), (got) => got === error)
  assert.equal(await fixture(async () => 'ok').call(), 'ok')
  assert.equal(fixture(() => 'ok').service('get', new Call()), 'ok')
})

test('breaker refuses without calling and says when it may be asked again', async () => {
  let calls = 0
  const { clock, call } = fixture(() => {
    calls++
    return 'fail'
  })
  await call()
  await call()
  await assert.rejects(call(), {
    code: 'ERR_BREAKER_OPEN',
    sent: 'nothing',
    message: 'the circuit breaker is open for another 750 ms',
  })
  assert.equal(calls, 2)
  await clock.advanceAsync(750)
  await call()
  assert.equal(calls, 3)
})

test('breaker refuses beside a probe', async () => {
  const probe = Promise.withResolvers<string>()
  const answers: (string | Promise<string>)[] = ['fail', 'fail', probe.promise]
  const { clock, call, circuit } = fixture(() => answers.shift() ?? 'ok')
  await call()
  await call()
  await clock.advanceAsync(750)
  const probing = call()
  await assert.rejects(call(), /half-open, and its probes are under way/)
  probe.resolve('ok')
  await probing
  await call()
  assert.equal(circuit.state, 'closed')
})

test('breaker gives a probe that was cancelled back', async () => {
  const answers: (() => string)[] = [() => 'fail', () => 'fail', () => raise(new Error('mine'))]
  const { clock, call, circuit } = fixture(() => (answers.shift() ?? (() => 'ok'))())
  await call()
  await call()
  await clock.advanceAsync(750)
  await assert.rejects(call(), /mine/)
  assert.equal(circuit.state, 'half-open')
  await call()
  await call()
  assert.equal(circuit.state, 'closed')
})

test('breaker refuses what is over the ramp after recovery, and says so', async () => {
  const waiting = [1, 2, 3].map(() => Promise.withResolvers<string>())
  const answers: (string | Promise<string>)[] = ['fail', 'fail', 'ok', 'ok']
  for (const { promise } of waiting) answers.push(promise)
  const { clock, call } = fixture(() => answers.shift() ?? 'ok')
  await call()
  await call()
  await clock.advanceAsync(750)
  await call()
  await call()
  const calls = [call(), call()]
  await assert.rejects(call(), /closed again, and lets calls in by and by/)
  for (const { resolve } of waiting) resolve('ok')
  await Promise.all(calls)
  await call()
})

function raise(error: Error): never {
  throw error
}

function waited(): Error {
  return new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'x', { sent: 'nothing' })
}
