import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CircuitBreaker } from './breaker.ts'
import { type BreakerCell, HALF_OPEN, LocalBreakerCell, OPEN } from './breaker-cell.ts'
import { SharedBreakers } from './shared-breakers.ts'

const half = (): number => 0.5
const LIMITS = { maxProbes: 2, probeTimeoutMs: 100 }

test('a shared cell does what a local one does, whatever is asked of it', () => {
  const step = fc.record({
    what: fc.constantFrom('change', 'late', 'try', 'may', 'end', 'success'),
    state: fc.constantFrom(0, 1, 2),
    wait: fc.integer({ min: 0, max: 120 }),
    openings: fc.integer({ min: 0, max: 50 }),
  })
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const shared = SharedBreakers.create({ capacity: 2, offsetMs: -5_000 }).cellFor('a')
    assert.ok(shared)
    const cells: BreakerCell[] = [new LocalBreakerCell(), shared]
    let now = 10_000
    for (const { what, state, wait, openings } of steps) {
      now += wait
      const results = cells.map((cell) => {
        const { version } = cell
        switch (what) {
          case 'change':
            return cell.change(version, state as 0, now + wait, openings)
          case 'late':
            return cell.change(version + 4, state as 0, now, openings)
          case 'try':
            return cell.tryProbe(version, now, LIMITS)
          case 'may':
            return cell.mayProbe(version, now, LIMITS)
          case 'end':
            return cell.endProbe(version)
          default:
            return cell.probeSucceeded(version)
        }
      })
      assert.equal(results[1], results[0], what)
      const [a, b] = cells as [BreakerCell, BreakerCell]
      assert.deepEqual([b.version, b.openings], [a.version, a.openings])
      if (a.version !== 0) assert.ok(Math.abs(b.at - a.at) < 0.01)
    }
  })
  fc.assert(property, { numRuns: 150 })
})

test('SharedBreakers keeps endpoints apart and finds each again', () => {
  const breakers = SharedBreakers.create({ capacity: 4 })
  const again = SharedBreakers.from(breakers.buffer)
  const a = breakers.cellFor('a') as BreakerCell
  const b = breakers.cellFor('b') as BreakerCell
  a.change(a.version, OPEN, 100, 1)
  assert.equal(again.cellFor('a')?.version, a.version)
  assert.notEqual(b.version, a.version)
})

test('SharedBreakers gives the place of an endpoint that is gone to another, at its limit', () => {
  const breakers = SharedBreakers.create({ capacity: 2 })
  const a = breakers.cellFor('a') as BreakerCell
  const a2 = breakers.cellFor('a') as BreakerCell
  const b = breakers.cellFor('b') as BreakerCell
  assert.equal(breakers.cellFor('c'), undefined) // one past the limit
  a.change(a.version, OPEN, 100, 1)
  a.release()
  a.release() // once is enough
  assert.equal(breakers.cellFor('c'), undefined) // somebody else still has it
  assert.equal(breakers.cellFor('a')?.version, a2.version)
  b.change(b.version, HALF_OPEN, 0, 0)
  b.release()
  assert.equal(breakers.cellFor('c')?.version, 0) // and it begins anew
})

test('CircuitBreaker sees what another one on the same cell changed', () => {
  const breakers = SharedBreakers.create()
  const changes: string[] = []
  const [one, other] = [1, 2].map(
    (id) =>
      new CircuitBreaker(
        half,
        { consecutiveFailures: 1 },
        (next) => void changes.push(`${id} ${next}`),
        breakers.cellFor('a'),
      ),
  ) as [CircuitBreaker, CircuitBreaker]
  const late = other.tryAcquire(0)
  one.tryAcquire(0)?.failure(0, new Error('x'))
  assert.equal(other.state, 'open')
  assert.equal(other.shared, true)
  assert.equal(other.tryAcquire(1), undefined)
  late?.failure(2, new Error('x')) // of an earlier state: counts no more
  assert.deepEqual(changes, ['1 open', '2 open'])
  assert.equal(other.retryAt, one.retryAt)
})

test('SharedBreakers refuses buffers that are none', () => {
  for (const bytes of [0, 64, 100, 128]) {
    assert.throws(() => SharedBreakers.from(new SharedArrayBuffer(bytes)), {
      code: 'ERR_ARGUMENT',
    })
  }
  assert.throws(() => SharedBreakers.create({ capacity: 0 }), { code: 'ERR_OPTION_RANGE' })
})
