import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BreakerState, Permit } from '../core/policy.ts'
import { SeededRandom } from '../testing/seeded-random.ts'
import { type BreakerOptions, CircuitBreaker } from './breaker.ts'

const half = (): number => 0.5
/** With chance at a half, the first open time of 1,000 ms is 750 ms. */
const FIRST_OPEN_MS = 750

function fixture(options: BreakerOptions = {}) {
  const changes: string[] = []
  const breaker = new CircuitBreaker(half, options, (next, previous) => {
    changes.push(`${previous}>${next}`)
  })
  const acquire = (now: number): Permit => {
    const permit = breaker.tryAcquire(now)
    assert.ok(permit, `a permit at ${now}, ${breaker.state}`)
    return permit
  }
  const run = (outcomes: string, now: number): void => {
    for (const outcome of outcomes) {
      if (outcome === '+') acquire(now).success(now)
      else if (outcome === '-') acquire(now).failure(now, new Error('x'))
      else acquire(now).cancel(now)
    }
  }
  return { breaker, changes, acquire, run }
}

test('CircuitBreaker opens by its table', () => {
  const table: [outcomes: string, state: BreakerState, options?: BreakerOptions][] = [
    ['----', 'closed'],
    ['-----', 'open'],
    ['----+----', 'closed'],
    ['----.-', 'open'], // a cancelled call says nothing either way
    ['-', 'open', { consecutiveFailures: 1 }],
    ['+-+-+-+-+-+-+-+-+-+', 'closed'], // 9 of 19
    ['+-+-+-+-+-+-+-+-+-+-', 'open'], // 10 of 20
    ['+-+-+-+-+-+-+-+-+-++', 'closed'], // 9 of 20
    ['+--+--+--', 'closed', { minCalls: 10 }],
    ['+--+--+--+-', 'open', { minCalls: 10 }],
    ['--------------------', 'open', { consecutiveFailures: Number.POSITIVE_INFINITY }],
  ]
  for (const [outcomes, state, options] of table) {
    const { breaker, run } = fixture(options)
    run(outcomes.slice(0, -1), 0)
    assert.equal(breaker.state, 'closed', `${outcomes} but the last`)
    run(outcomes.slice(-1), 0)
    assert.equal(breaker.state, state, outcomes)
  }
})

test('CircuitBreaker waits for the end of what has begun, as slow as its beginning', () => {
  const { breaker, acquire, changes } = fixture({ consecutiveFailures: 2, slowCallMs: 100 })
  const [one, two, stream] = [acquire(0), acquire(0), acquire(0)]
  for (const permit of [one, two, stream]) permit.answered?.(10)
  one.failure(5_000, new Error('in trailers'))
  assert.equal(breaker.state, 'closed')
  two.failure(5_000, new Error('in trailers'))
  assert.equal(breaker.state, 'open')
  stream.success(9_000)
  assert.equal(breaker.state, 'open')
  // A probe has done its part with its head: a stream may go on for ever.
  const probe = acquire(5_000 + FIRST_OPEN_MS)
  assert.equal(breaker.state, 'half-open')
  probe.answered?.(5_000 + FIRST_OPEN_MS)
  assert.equal(acquire(5_000 + FIRST_OPEN_MS) === undefined, false)
  probe.failure(20_000, new Error('late'))
  assert.equal(changes.filter((change) => change === 'half-open>open').length, 0)
})

test('CircuitBreaker counts what has begun no more among the calls of its ramp', () => {
  const { breaker, acquire, run } = fixture({ successesToClose: 1 })
  run('-----', 0)
  acquire(FIRST_OPEN_MS).success(FIRST_OPEN_MS)
  const now = FIRST_OPEN_MS + 1
  const limit = breaker.rampLimit(now) ?? 0
  assert.ok(limit > 0)
  for (let count = 0; count < limit * 3; count++) acquire(now).answered?.(now)
  assert.equal(breaker.allows(now), true)
})

test('CircuitBreaker forgets calls that left its window', () => {
  const { breaker, run } = fixture({ consecutiveFailures: 100 })
  run('-'.repeat(19), 0)
  run('-', 10_000)
  assert.equal(breaker.state, 'closed')
  run('-'.repeat(18), 10_000)
  assert.equal(breaker.state, 'closed')
  run('-', 19_999)
  assert.equal(breaker.state, 'open')
})

test('CircuitBreaker refuses while open, then lets one probe at a time through', () => {
  const { breaker, changes, acquire, run } = fixture()
  run('-----', 0)
  assert.equal(breaker.retryAt, FIRST_OPEN_MS)
  assert.equal(breaker.tryAcquire(FIRST_OPEN_MS - 1), undefined)
  assert.equal(breaker.allows(FIRST_OPEN_MS - 1), false)
  assert.equal(breaker.allows(FIRST_OPEN_MS), true)
  assert.equal(breaker.state, 'open') // asking changes nothing
  const probe = acquire(FIRST_OPEN_MS)
  assert.equal(breaker.state, 'half-open')
  assert.equal(breaker.retryAt, undefined)
  assert.equal(breaker.tryAcquire(FIRST_OPEN_MS), undefined)
  probe.success(800)
  assert.equal(breaker.state, 'half-open')
  acquire(800).success(810)
  assert.equal(breaker.state, 'closed')
  assert.deepEqual(changes, ['closed>open', 'open>half-open', 'half-open>closed'])
  run('----', 820)
  assert.equal(breaker.state, 'closed') // it begins anew
})

test('CircuitBreaker stays open longer each time a probe fails, up to maxOpenMs', () => {
  const { breaker, acquire, run } = fixture({ maxOpenMs: 5_000 })
  run('-----', 0)
  let now = 0
  const waits: number[] = []
  for (let count = 0; count < 5; count++) {
    waits.push((breaker.retryAt as number) - now)
    now = breaker.retryAt as number
    acquire(now).failure(now, new Error('x'))
  }
  assert.deepEqual(waits, [750, 1_500, 3_000, 3_750, 3_750])
  acquire(now + 3_750).success(now + 3_750)
  acquire(now + 3_750).success(now + 3_750)
  run('-----', now + 3_750)
  assert.equal((breaker.retryAt as number) - (now + 3_750), 750) // after recovery it begins anew
})

test('CircuitBreaker gives the place of a cancelled probe to another', () => {
  const { breaker, acquire, run } = fixture()
  run('-----', 0)
  acquire(FIRST_OPEN_MS).cancel(760)
  assert.equal(breaker.state, 'half-open')
  acquire(770).failure(770, new Error('x'))
  assert.equal(breaker.state, 'open')
})

test('CircuitBreaker lets another probe go when one gets no answer', () => {
  const { breaker, acquire, run } = fixture({ probeTimeoutMs: 2_000 })
  run('-----', 0)
  acquire(FIRST_OPEN_MS)
  assert.equal(breaker.tryAcquire(FIRST_OPEN_MS + 1_999), undefined)
  acquire(FIRST_OPEN_MS + 2_000)
  assert.equal(breaker.tryAcquire(FIRST_OPEN_MS + 2_001), undefined)
})

test('CircuitBreaker ignores permits of an earlier state', () => {
  const { breaker, acquire, run } = fixture()
  const late = [acquire(0), acquire(0), acquire(0)]
  run('-----', 0)
  const { retryAt } = breaker
  late[0]?.failure(100, new Error('x'))
  assert.equal(breaker.retryAt, retryAt)
  acquire(FIRST_OPEN_MS)
  late[1]?.success(FIRST_OPEN_MS)
  late[2]?.failure(FIRST_OPEN_MS, new Error('x'))
  assert.equal(breaker.state, 'half-open')
})

test('CircuitBreaker counts a permit once', () => {
  const { breaker, acquire } = fixture({ consecutiveFailures: 2 })
  const permit = acquire(0)
  permit.failure(0, new Error('x'))
  permit.failure(0, new Error('x'))
  permit.success(0)
  assert.equal(breaker.state, 'closed')
  acquire(0).failure(0, new Error('x'))
  assert.equal(breaker.state, 'open')
})

test('CircuitBreaker never has more probes than maxProbes, whatever happens', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const breaker = new CircuitBreaker(random.next, {
      maxProbes: 3,
      consecutiveFailures: 2,
      probeTimeoutMs: 1e9,
    })
    let now = 0
    let probes: Permit[] = []
    let early: Permit[] = []
    for (let step = 0; step < 500; step++) {
      now += random.integer(0, 400)
      const before = breaker.state
      const permit = random.chance(0.6) ? breaker.tryAcquire(now) : undefined
      if (breaker.state !== before) probes = []
      if (permit !== undefined) (breaker.state === 'half-open' ? probes : early).push(permit)
      assert.ok(probes.length <= 3, `seed ${seed}`)
      const from = random.chance(0.7) ? probes : early
      const settled = from.splice(random.integer(0, Math.max(0, from.length - 1)), 1)[0]
      if (settled === undefined) continue
      const state = breaker.state
      if (random.chance(0.4)) settled.failure(now, new Error('x'))
      else if (random.chance(0.5)) settled.success(now)
      else settled.cancel(now)
      if (breaker.state !== state) {
        early = early.concat(probes)
        probes = []
      }
    }
  }
})

test('CircuitBreaker refuses options out of range', () => {
  const wrong: BreakerOptions[] = [
    { consecutiveFailures: 0 },
    { failureRate: 0 },
    { failureRate: 1.1 },
    { minCalls: 0 },
    { openMs: 100, maxOpenMs: 99 },
    { maxProbes: 0 },
    { successesToClose: 0 },
    { slowCallMs: 0 },
    { slowCallRate: 0 },
    { slowCallRate: 1.1 },
    { rampMs: -1 },
  ]
  for (const options of wrong) {
    assert.throws(() => new CircuitBreaker(half, options), { code: 'ERR_OPTION_RANGE' })
  }
})

/** Calls that each took so long, one after the other. */
function runTimed(made: ReturnType<typeof fixture>, calls: [outcome: string, ms: number][]): void {
  let now = 0
  for (const [outcome, ms] of calls) {
    const permit = made.acquire(now)
    now += ms
    if (outcome === '+') permit.success(now)
    else if (outcome === '-') permit.failure(now, new Error('x'))
    else permit.cancel(now)
  }
}

test('CircuitBreaker opens when too many calls are slow', () => {
  const options = { slowCallMs: 100, minCalls: 4, windowMs: 10_000 }
  const table: [what: string, calls: [string, number][], state: BreakerState, BreakerOptions?][] = [
    [
      'half of them',
      [
        ['+', 1],
        ['+', 100],
        ['+', 1],
        ['+', 100],
      ],
      'open',
    ],
    [
      'a little less slow',
      [
        ['+', 1],
        ['+', 99],
        ['+', 1],
        ['+', 100],
      ],
      'closed',
    ],
    [
      'too few calls',
      [
        ['+', 100],
        ['+', 100],
        ['+', 100],
      ],
      'closed',
    ],
    [
      'given up after it was slow',
      [
        ['.', 100],
        ['.', 200],
        ['+', 1],
        ['.', 100],
      ],
      'open',
    ],
    [
      'given up before',
      [
        ['.', 99],
        ['.', 99],
        ['.', 99],
        ['+', 1],
        ['.', 99],
      ],
      'closed',
    ],
    [
      'nothing is slow by default',
      [
        ['+', 9e6],
        ['+', 9e6],
      ],
      'closed',
      { slowCallMs: Infinity },
    ],
    [
      'all but one',
      [
        ['+', 1],
        ['+', 200],
        ['+', 200],
        ['+', 200],
      ],
      'closed',
      { slowCallRate: 0.8 },
    ],
  ]
  for (const [what, calls, state, more] of table) {
    const made = fixture({ ...options, ...more })
    runTimed(made, calls)
    assert.equal(made.breaker.state, state, what)
  }
})

test('CircuitBreaker says why it opened for slowness', () => {
  const reasons: unknown[] = []
  const breaker = new CircuitBreaker(
    half,
    { slowCallMs: 100, minCalls: 2 },
    (_next, _previous, error) => void reasons.push((error as Error | undefined)?.message),
  )
  for (const at of [0, 200]) breaker.tryAcquire(at)?.success(at + 150)
  breaker.tryAcquire(2_000)?.success(2_100)
  assert.deepEqual(reasons, [
    '2 of 2 calls took 100 ms or longer',
    undefined,
    'a probe took 100 ms, slowCallMs 100',
  ])
})

test('CircuitBreaker does not close on probes that are slow', () => {
  const { breaker, acquire, run } = fixture({ slowCallMs: 100 })
  run('-----', 0)
  acquire(FIRST_OPEN_MS).success(FIRST_OPEN_MS + 100)
  assert.equal(breaker.state, 'open')
  const again = breaker.retryAt as number
  acquire(again).success(again + 99)
  acquire(again + 99).success(again + 198)
  assert.equal(breaker.state, 'closed')
})

/** A breaker that closed at `at`. */
function recovered(options: BreakerOptions = {}) {
  const made = fixture(options)
  made.run('-----', 0)
  made.run('++', FIRST_OPEN_MS)
  assert.equal(made.breaker.state, 'closed')
  return { ...made, at: FIRST_OPEN_MS }
}

test('CircuitBreaker lets calls in by and by after it recovered', () => {
  const { breaker, acquire, at } = recovered()
  const permits = [acquire(at), acquire(at)]
  assert.equal(breaker.rampLimit(at), 2)
  assert.equal(breaker.describe(at), 'closed again, 2 calls at a time')
  assert.equal(breaker.allows(at), false)
  assert.equal(breaker.tryAcquire(at), undefined)
  for (const permit of permits) permit.success(at + 10)
  assert.equal(breaker.rampLimit(at + 10), 4) // twice as many with each round trip
  const more = [1, 2, 3, 4].map(() => acquire(at + 10))
  assert.equal(breaker.tryAcquire(at + 10), undefined)
  more[0]?.failure(at + 20, new Error('x'))
  assert.equal(breaker.rampLimit(at + 20), 2) // half as many with a failure
  assert.equal(breaker.tryAcquire(at + 20), undefined)
  more[1]?.cancel(at + 20)
  more[2]?.cancel(at + 20)
  acquire(at + 20) // what was given up has left its place
})

test('CircuitBreaker ends its ramp after rampMs, and has none with 0 or before any opening', () => {
  const { breaker, acquire, at } = recovered({ rampMs: 1_000 })
  acquire(at)
  acquire(at)
  assert.equal(breaker.tryAcquire(at + 999), undefined)
  for (let count = 0; count < 100; count++) acquire(at + 1_000)
  assert.equal(breaker.rampLimit(at + 1_000), undefined)
  for (const made of [recovered({ rampMs: 0 }), { ...fixture(), at: 0 }]) {
    for (let count = 0; count < 100; count++) made.acquire(made.at)
  }
})

test('CircuitBreaker never has more calls in flight than its ramp allows', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const { breaker, at } = recovered({ minCalls: 1e6 })
    const permits: Permit[] = []
    let limit = 2
    let failed = 0
    for (let step = 0; step < 400; step++) {
      const now = at + step
      const permit = random.chance(0.6) ? breaker.tryAcquire(now) : undefined
      if (permit !== undefined) {
        permits.push(permit)
        assert.ok(permits.length <= limit, `seed ${seed} step ${step}`)
      }
      if (permits.length === 0 || random.chance(0.5)) continue
      const settled = permits.splice(random.integer(0, permits.length - 1), 1)[0] as Permit
      const drawn = random.integer(0, 9)
      if (drawn < 2) settled.cancel(now)
      else if (drawn < 4 && ++failed < 5) {
        settled.failure(now, new Error('x'))
        limit = Math.max(2, limit >> 1)
      } else {
        settled.success(now)
        limit++
        failed = 0
      }
    }
  }
})
