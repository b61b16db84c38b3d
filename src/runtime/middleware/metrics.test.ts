import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { Call } from '../../core/context.ts'
import { TransportError } from '../../core/errors.ts'
import { type Attributes, type Meter, noopMeter } from '../../core/metrics.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type MetricsOptions, metrics } from './metrics.ts'

/** Keeps every value under its name and attributes. */
function recorder(): { meter: Meter; values: Map<string, number[]> } {
  const values = new Map<string, number[]>()
  const list = (name: string, attributes: Attributes = {}): number[] => {
    const key = `${name} ${JSON.stringify(attributes)}`
    const known = values.get(key)
    if (known !== undefined) throw new Error(`made twice: ${key}`)
    const made: number[] = []
    values.set(key, made)
    return made
  }
  const meter: Meter = {
    counter: (name, _options, attributes) => {
      const into = list(name, attributes)
      return { add: (amount = 1) => void into.push(amount) }
    },
    gauge: (name, _options, attributes) => {
      const into = list(name, attributes)
      return { set: (value) => void into.push(value), add: (amount) => void into.push(amount) }
    },
    histogram: (name, _options, attributes) => {
      const into = list(name, attributes)
      return { record: (value) => void into.push(value) }
    },
  }
  return { meter, values }
}

function fixture(options: Partial<MetricsOptions<string, string>> = {}) {
  const clock = new ManualClock()
  const { meter, values } = recorder()
  const service = metrics<string, string>({
    clock,
    meter,
    duration: 'd',
    active: 'a',
    attributes: { peer: 'p' },
    operationAttribute: 'op',
    operation: (request) => scriptedClassifier.operation(request),
    outcomeAttribute: 'status',
    outcome: (reply) => reply,
    ...options,
  })(async (request) => {
    clock.advance(250)
    if (request.endsWith('!')) throw new TransportError('ERR_RESET', 'x')
    if (request.endsWith('?')) throw new RangeError('x')
    return request.split(' ')[1] ?? '200'
  })
  const call = async (request: string): Promise<unknown> => service(request, new Call())
  return { values, call }
}

test('metrics records duration by operation and outcome, and calls under way', async () => {
  const { values, call } = fixture()
  await call('get')
  await call('get')
  await call('get 404')
  await call('put !').catch(() => {})
  await call('put ?').catch(() => {})
  assert.deepEqual(
    [...values],
    [
      ['a {"peer":"p","op":"get"}', [1, -1, 1, -1, 1, -1]],
      ['d {"peer":"p","op":"get","status":"200"}', [0.25, 0.25]],
      ['d {"peer":"p","op":"get","status":"404"}', [0.25]],
      ['a {"peer":"p","op":"put"}', [1, -1, 1, -1]],
      ['d {"peer":"p","op":"put","error.type":"ERR_RESET"}', [0.25]],
      ['d {"peer":"p","op":"put","error.type":"RangeError"}', [0.25]],
    ],
  )
})

test('metrics tells at most maxSeries operations and outcomes apart', async () => {
  const { values, call } = fixture({ maxSeries: 2 })
  for (const request of ['a', 'b', 'c', 'd', 'a 1', 'a 2', 'a 3']) await call(request)
  assert.deepEqual(
    [...values.keys()].filter((key) => key.startsWith('a')),
    ['a {"peer":"p","op":"a"}', 'a {"peer":"p","op":"b"}', 'a {"peer":"p","op":"_OTHER"}'],
  )
  assert.equal(values.get('d {"peer":"p","op":"_OTHER","status":"200"}')?.length, 2)
  assert.equal(values.get('d {"peer":"p","op":"a","status":"_OTHER"}')?.length, 2)
})

test('metrics vanishes when nobody counts', () => {
  const next = (): string => 'ok'
  const middleware = metrics<string, string>({
    clock: new ManualClock(),
    meter: noopMeter,
    duration: 'd',
    operationAttribute: 'op',
    operation: () => 'x',
  })
  assert.equal(middleware(next), next)
})
