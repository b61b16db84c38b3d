import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import { interleaveFamilies, type ResolvedAddress, raceAddresses } from './happy-eyeballs.ts'

const four = (n: number): ResolvedAddress => ({ address: `192.0.2.${n}`, family: 4 })
const six = (n: number): ResolvedAddress => ({ address: `2001:db8::${n}`, family: 6 })

test('interleaveFamilies alternates, the first answer leading', () => {
  assert.deepEqual(interleaveFamilies([six(1), six(2), six(3), four(1)]), [
    six(1),
    four(1),
    six(2),
    six(3),
  ])
  assert.deepEqual(interleaveFamilies([four(1), six(1), six(2)]), [four(1), six(1), six(2)])
  assert.deepEqual(interleaveFamilies([]), [])
})

/** A race whose attempts are settled by hand. */
function setUp(addresses: readonly ResolvedAddress[]) {
  const clock = new ManualClock()
  const controller = new AbortController()
  const started: string[] = []
  const aborted: string[] = []
  const connect = new Map<string, () => void>()
  const fail = new Map<string, (error: Error) => void>()
  const result = raceAddresses<string>({
    addresses,
    clock,
    attemptDelayMs: 250,
    signal: controller.signal,
    attempt({ address }, onConnected, onFailed) {
      started.push(address)
      connect.set(address, () => onConnected(address))
      fail.set(address, onFailed)
      return { abort: () => void aborted.push(address) }
    },
  })
  result.catch(() => {})
  return { clock, controller, started, aborted, connect, fail, result }
}

test('raceAddresses starts the next address after the delay and not before', async () => {
  const { clock, started, aborted, connect, result } = setUp([six(1), four(1), six(2)])
  assert.deepEqual(started, ['2001:db8::1'])
  clock.advance(249)
  assert.equal(started.length, 1)
  clock.advance(1)
  assert.deepEqual(started, ['2001:db8::1', '192.0.2.1'])
  connect.get('192.0.2.1')?.()
  assert.equal(await result, '192.0.2.1')
  assert.deepEqual(aborted, ['2001:db8::1'])
  assert.equal(clock.pendingTimers, 0)
  assert.equal(started.length, 2, 'the third is never tried')
})

test('raceAddresses starts the next address at once when one fails', async () => {
  const { clock, started, fail, connect, result } = setUp([six(1), four(1), four(2)])
  fail.get('2001:db8::1')?.(new Error('unreachable'))
  assert.deepEqual(started, ['2001:db8::1', '192.0.2.1'])
  clock.advance(249)
  assert.equal(started.length, 2, 'the delay counts from the last start')
  clock.advance(1)
  assert.equal(started.length, 3)
  connect.get('192.0.2.1')?.()
  assert.equal(await result, '192.0.2.1')
})

test('raceAddresses lets a slow first address win while a later one is still trying', async () => {
  const { clock, aborted, connect, result } = setUp([six(1), four(1)])
  clock.advance(250)
  connect.get('2001:db8::1')?.()
  assert.equal(await result, '2001:db8::1')
  assert.deepEqual(aborted, ['192.0.2.1'])
})

test('raceAddresses rejects with every failure in order, or with the only one', async () => {
  const two = setUp([six(1), four(1)])
  const [a, b] = [new Error('a'), new Error('b')]
  two.clock.advance(250)
  two.fail.get('192.0.2.1')?.(b)
  two.fail.get('2001:db8::1')?.(a)
  await assert.rejects(two.result, (error) => {
    assert.deepEqual((error as AggregateError).errors, [b, a])
    return true
  })
  const one = setUp([four(1)])
  one.fail.get('192.0.2.1')?.(a)
  await assert.rejects(one.result, a)
  assert.equal(one.clock.pendingTimers + two.clock.pendingTimers, 0)
})

test('raceAddresses drops everything when aborted', async () => {
  const { clock, controller, aborted, started, result } = setUp([six(1), four(1), four(2)])
  clock.advance(250)
  const reason = new Error('stop')
  controller.abort(reason)
  await assert.rejects(result, reason)
  assert.deepEqual(aborted, ['2001:db8::1', '192.0.2.1'])
  clock.advance(1_000)
  assert.equal(started.length, 2)
  assert.equal(clock.pendingTimers, 0)
})

test('raceAddresses goes on when an attempt cannot even start', async () => {
  const clock = new ManualClock()
  const race = raceAddresses<string>({
    addresses: [four(1), four(2)],
    clock,
    attemptDelayMs: 250,
    signal: new AbortController().signal,
    attempt({ address }, onConnected) {
      if (address === '192.0.2.1') throw new Error('bad local address')
      queueMicrotask(() => onConnected(address))
      return { abort() {} }
    },
  })
  assert.equal(await race, '192.0.2.2')
})
