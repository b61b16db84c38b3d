import assert from 'node:assert/strict'
import test from 'node:test'
import type { TraceContext } from '../core/context.ts'
import { UsageError } from '../core/errors.ts'
import { type MetricFamily, OTHER, Registry } from './registry.ts'

test('Registry counter adds and never falls', () => {
  const counter = new Registry().counter('heddle.test.things')
  counter.add()
  counter.add(2.5)
  counter.add(-1)
  counter.add(Number.NaN)
  assert.equal(counter.value, 3.5)
})

test('Registry gives the same instrument for the same attributes in any order', () => {
  const registry = new Registry()
  const one = registry.counter('heddle.test.things', {}, { a: 1, b: 'x' })
  const two = registry.counter('heddle.test.things', {}, { b: 'x', a: 1 })
  const three = registry.counter('heddle.test.things', {}, { a: 1, b: 'y' })
  assert.equal(one, two)
  assert.notEqual(one, three)
})

test('Registry does not confuse attributes whose texts join equally', () => {
  const registry = new Registry()
  const one = registry.counter('heddle.test.things', {}, { a: 'b', c: 'd' })
  const two = registry.counter('heddle.test.things', {}, { a: 'bc', d: '' })
  assert.notEqual(one, two)
})

test('Registry histogram counts each value in the first bucket that holds it', () => {
  const registry = new Registry()
  const histogram = registry.histogram('heddle.test.sizes', { buckets: [1, 10] })
  for (const value of [0, 1, 1.5, 10, 10.1, 1e9]) histogram.record(value)
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) histogram.record(value)
  assert.deepEqual([...histogram.counts], [2, 2, 2])
  assert.equal(histogram.count, 6)
  assert.equal(histogram.sum, 0 + 1 + 1.5 + 10 + 10.1 + 1e9)
})

test('Registry histogram keeps the last sampled trace of a bucket', () => {
  const histogram = new Registry({ wallNow: () => 1_500 }).histogram('heddle.test.time', {
    unit: 's',
    buckets: [1],
  })
  histogram.record(0.5, trace('a', 0))
  assert.equal(histogram.exemplars, undefined)
  histogram.record(0.6, trace('b', 1))
  histogram.record(0.7, trace('c', 3))
  histogram.record(0.8)
  assert.deepEqual(histogram.exemplars, [
    { value: 0.7, traceId: 'c'.repeat(32), spanId: 'c'.repeat(16), wallMs: 1_500 },
    undefined,
  ])
})

test('Registry refuses a second kind, unit or Prometheus name', () => {
  const registry = new Registry()
  registry.counter('heddle.test.things', { unit: 'By' })
  const refuses = (act: () => unknown, message: RegExp): void => {
    assert.throws(act, (error) => error instanceof UsageError && message.test(error.message))
  }
  refuses(() => registry.gauge('heddle.test.things', { unit: 'By' }), /counter in 'By', .* gauge/)
  refuses(
    () => registry.counter('heddle.test.things', { unit: 's' }),
    /asked for as counter in 's'/,
  )
  refuses(
    () => registry.counter('heddle.test_things', { unit: 'By' }),
    /both be exposed as heddle_/,
  )
  refuses(() => registry.counter('bad name'), /metric name "bad name"/)
  refuses(() => registry.histogram('heddle.test.h', { buckets: [1, 1] }), /1 after 1/)
  assert.equal(registry.counter('heddle.test.things'), registry.counter('heddle.test.things'))
})

test('Registry counts what is over maxSeriesPerMetric under _OTHER', () => {
  const registry = new Registry({ maxSeriesPerMetric: 3 })
  const bind = (path: string) => registry.counter('heddle.test.things', {}, { path, code: 200 })
  bind('/a').add(1)
  bind('/b').add(2)
  // The limit holds two named series and the shared one.
  assert.equal(overflows(registry), 0)
  bind('/c').add(4)
  bind('/d').add(8)
  bind('/a').add(16)
  const series = find(registry, 'heddle.test.things').series
  assert.deepEqual(
    series.map((one) => [
      one.attributes['path'],
      one.attributes['code'],
      'value' in one && one.value,
    ]),
    [
      ['/a', 200, 17],
      ['/b', 200, 2],
      [OTHER, OTHER, 12],
    ],
  )
  assert.equal(overflows(registry), 2)
})

test('Registry cuts attribute values after maxValueLength', () => {
  const registry = new Registry({ maxValueLength: 4 })
  const exact = registry.counter('heddle.test.things', {}, { path: 'abcd' })
  assert.equal(registry.counter('heddle.test.things', {}, { path: 'abcde' }), exact)
  assert.notEqual(registry.counter('heddle.test.things', {}, { path: 'abc' }), exact)
})

test('Registry refuses options out of range', () => {
  assert.throws(() => new Registry({ maxSeriesPerMetric: 0 }), /maxSeriesPerMetric is 0/)
  assert.throws(() => new Registry({ maxValueLength: 0.5 }), /maxValueLength is 0.5/)
})

test('Registry observers are read on collect, add up, and end when disposed', () => {
  const registry = new Registry({ maxSeriesPerMetric: 3 })
  let size = 1
  const first = registry.observe('gauge', 'heddle.test.size', {}, (report) => {
    report(size, { pool: 'a' })
    report(size, { pool: 'b' })
  })
  registry.observe('gauge', 'heddle.test.size', {}, (report) => {
    report(10, { pool: 'a' })
    report(1, { pool: 'c' })
    report(2, { pool: 'd' })
  })
  size = 5
  const read = (): unknown =>
    find(registry, 'heddle.test.size').series.map((one) => [
      one.attributes['pool'],
      'value' in one && one.value,
    ])
  assert.deepEqual(read(), [
    ['a', 15],
    ['b', 5],
    [OTHER, 3],
  ])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  assert.deepEqual(read(), [
    ['a', 10],
    ['c', 1],
    [OTHER, 2],
  ])
})

test('Registry survives an observer that throws, and counts it', () => {
  const registry = new Registry()
  registry.counter('heddle.test.things').add()
  registry.observe('gauge', 'heddle.test.broken', {}, () => {
    throw new Error('broken')
  })
  assert.equal(find(registry, 'heddle.test.things').series.length, 1)
  assert.equal(registry.counter('heddle.telemetry.observer.errors').value, 1)
})

test('Registry removeSeries makes room again', () => {
  const registry = new Registry({ maxSeriesPerMetric: 3 })
  const bind = (endpoint: string) => registry.gauge('heddle.test.load', {}, { endpoint })
  bind('a').set(1)
  bind('b').set(2)
  assert.equal(
    registry.removeSeries((_, attributes) => attributes['endpoint'] === 'a'),
    1,
  )
  bind('c').set(3)
  const names = find(registry, 'heddle.test.load').series.map((one) => one.attributes['endpoint'])
  assert.deepEqual(names, ['b', 'c'])
})

test('Registry removeSeries makes room again beside _OTHER', () => {
  const registry = new Registry({ maxSeriesPerMetric: 3 })
  const bind = (path: string) => registry.counter('heddle.test.things', {}, { path })
  for (const path of ['/a', '/b', '/c']) bind(path).add()
  registry.removeSeries((_, attributes) => attributes['path'] === '/a')
  bind('/d').add()
  bind('/e').add()
  const series = find(registry, 'heddle.test.things').series
  assert.deepEqual(
    series.map((one) => [one.attributes['path'], 'value' in one && one.value]),
    [
      ['/b', 1],
      [OTHER, 2],
      ['/d', 1],
    ],
  )
})

function find(registry: Registry, name: string): MetricFamily {
  const family = registry.collect().find((one) => one.name === name)
  assert.ok(family !== undefined, `metric ${name}`)
  return family
}

function overflows(registry: Registry): number {
  return registry.counter('heddle.telemetry.series.overflows').value
}

function trace(digit: string, flags: number): TraceContext {
  return {
    traceId: digit.repeat(32),
    spanId: digit.repeat(16),
    flags,
    state: undefined,
    baggage: undefined,
  }
}
