import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LockoutEvent, type LockoutOptions, lockout, lockoutDefaults } from './lockout.ts'

const MINUTE = 60_000
const key = (name: string | undefined, address: string | undefined) => ({ name, address })
const ADA = key('ada', '192.0.2.1')

test('lockout makes a pair wait after maxFailures, twice as long each time, up to a limit', () => {
  const events: LockoutEvent[] = []
  const guard = lockout({
    maxFailures: 3,
    lockMs: 1_000,
    maxLockMs: 3_000,
    onLockout: (event) => events.push(event),
  })
  let now = 0
  for (const lockedForMs of [1_000, 2_000, 3_000, 3_000]) {
    for (let failure = 1; failure <= 3; failure++) {
      assert.equal(guard.check(ADA, now), undefined)
      guard.failed(ADA, now)
    }
    assert.equal(guard.check(ADA, now), now + lockedForMs)
    assert.equal(guard.check(ADA, now + lockedForMs - 1), now + lockedForMs)
    assert.equal(guard.check(key('ada', '192.0.2.2'), now), undefined, 'elsewhere')
    assert.equal(guard.check(key('bob', '192.0.2.1'), now), undefined, 'somebody else there')
    now += lockedForMs
  }
  assert.deepEqual(events[1], {
    scope: 'name-and-address',
    name: 'ada',
    address: '192.0.2.1',
    failures: 3,
    lockedForMs: 2_000,
  })
  assert.equal(events.length, 4)
})

test('lockout counts in a sliding window, and forgets after a quiet one', () => {
  const guard = lockout({ maxFailures: 3, windowMs: MINUTE, lockMs: 1_000 })
  guard.failed(ADA, 0)
  guard.failed(ADA, 30_000)
  guard.failed(ADA, MINUTE)
  assert.equal(guard.check(ADA, MINUTE), undefined, 'the first one is a minute old')
  guard.failed(ADA, MINUTE + 1)
  assert.equal(guard.check(ADA, MINUTE + 1), MINUTE + 1_001)
  const later = 2 * MINUTE + 1_001
  assert.equal(guard.check(ADA, later), undefined)
  for (const _ of [1, 2, 3]) guard.failed(ADA, later)
  assert.equal(guard.check(ADA, later), later + 1_000, 'the first wait again')
})

test('lockout begins anew after a success, for the pair and not for the address', () => {
  const guard = lockout({ maxFailures: 2, maxFailuresPerAddress: 4, lockMs: 1_000 })
  guard.failed(ADA, 0)
  guard.succeeded(ADA, 0)
  guard.failed(ADA, 0)
  assert.equal(guard.check(ADA, 0), undefined)
  // An attacker with an account of their own: a login in between does not help.
  for (const name of ['x', 'y']) {
    guard.failed(key(name, '192.0.2.1'), 0)
    guard.succeeded(key('mallory', '192.0.2.1'), 0)
  }
  assert.equal(guard.check(key('mallory', '192.0.2.1'), 0), 1_000)
  assert.equal(guard.check(ADA, 0), 1_000)
  assert.equal(guard.check(key('ada', '192.0.2.2'), 0), undefined)
})

test('lockout under pressure leaves every new place one try, and a known place all of its own', () => {
  const events: LockoutEvent[] = []
  const guard = lockout({ pressureFailures: 20, onLockout: (event) => events.push(event) })
  const home = key('ada', '198.51.100.1')
  guard.failed(home, 0)
  guard.succeeded(home, 0)
  for (let place = 1; place <= 30; place++) guard.failed(key('ada', `192.0.2.${place}`), place)
  assert.deepEqual(
    events.filter(({ scope }) => scope === 'name').map(({ failures }) => failures),
    [20],
    'told once',
  )
  assert.equal(guard.check(key('ada', '192.0.2.3'), 31), undefined, 'failed before the pressure')
  assert.notEqual(guard.check(key('ada', '192.0.2.25'), 31), undefined, 'had its one try')
  assert.equal(guard.check(key('ada', '203.0.113.9'), 31), undefined, 'the owner on a journey')
  for (let failure = 0; failure < 4; failure++) guard.failed(home, 32)
  assert.equal(guard.check(home, 32), undefined, 'the owner at home mistypes')
  guard.failed(home, 32)
  assert.notEqual(guard.check(home, 32), undefined)
})

test('lockout takes a /64 for one place, a mapped address for IPv4, and any case for one name', () => {
  const guard = lockout({ maxFailures: 2 })
  guard.failed(key('Ada', '2001:db8::1'), 0)
  guard.failed(key('ADA', '2001:db8::2:1'), 0)
  assert.notEqual(guard.check(key('ada', '2001:db8::ffff'), 0), undefined)
  assert.equal(guard.check(key('ada', '2001:db8:0:1::1'), 0), undefined)
  guard.failed(key('bob', '::ffff:192.0.2.1'), 0)
  guard.failed(key('bob', '192.0.2.1'), 0)
  assert.notEqual(guard.check(key('bob', '192.0.2.1'), 0), undefined)
  guard.failed(key('eve', undefined), 0)
  guard.failed(key('eve', undefined), 0)
  assert.notEqual(guard.check(key('eve', undefined), 0), undefined)
  // Without a name only the place counts.
  const anonymous = lockout({ maxFailures: 1, maxFailuresPerAddress: 2 })
  anonymous.failed(key(undefined, '192.0.2.1'), 0)
  assert.equal(anonymous.check(key(undefined, '192.0.2.1'), 0), undefined)
  anonymous.failed(key(undefined, '192.0.2.1'), 0)
  assert.notEqual(anonymous.check(key('ada', '192.0.2.1'), 0), undefined)
})

test('lockout drops what is not locked before what is', () => {
  const guard = lockout({ maxFailures: 1, maxEntries: 3, lockMs: 10_000, maxFailuresPerAddress: 9 })
  guard.failed(ADA, 0)
  const open = lockout({ maxFailures: 2, maxEntries: 3 })
  for (let other = 0; other < 2; other++) guard.failed(key(`x${other}`, '192.0.2.1'), 1)
  assert.equal(guard.check(ADA, 2), 10_000)
  open.failed(ADA, 0)
  open.failed(ADA, 0)
  for (let other = 0; other < 50; other++) open.failed(key(`x${other}`, `192.0.2.${other}`), 1)
  assert.notEqual(open.check(ADA, 2), undefined, 'fifty strangers did not push the lock out')
})

test('lockout options have their limits', () => {
  for (const [name, value] of [
    ['maxFailures', 0],
    ['maxFailuresPerAddress', 0],
    ['pressureFailures', 100_001],
    ['windowMs', 0],
    ['lockMs', 0],
    ['maxLockMs', 29_999],
    ['maxEntries', 0],
  ] as const) {
    assert.throws(() => lockout({ [name]: value }), {
      code: 'ERR_OPTION_RANGE',
      message: new RegExp(`${name} is ${value}`),
    })
  }
  lockout({ ...lockoutDefaults, maxFailures: 1, maxLockMs: 30_000, maxEntries: 1 })
})

const NAMES = ['ada', 'bob', 'eve']
const PLACES = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1']
const step = fc.record({
  name: fc.constantFrom(...NAMES),
  address: fc.constantFrom(...PLACES),
  good: fc.boolean(),
  waitMs: fc.integer({ min: 0, max: 20_000 }),
})
const options: LockoutOptions = {
  maxFailures: 3,
  maxFailuresPerAddress: 8,
  pressureFailures: 5,
  windowMs: MINUTE,
  lockMs: 5_000,
  maxLockMs: 40_000,
}

test('lockout: no attack from elsewhere keeps the owner of a name out of a fresh place', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const guard = lockout(options)
      let now = 0
      for (const { name, address, waitMs } of steps) {
        now += waitMs
        if (guard.check({ name, address }, now) === undefined) guard.failed({ name, address }, now)
        for (const owner of NAMES) {
          assert.equal(guard.check(key(owner, '203.0.113.77'), now), undefined)
        }
      }
    }),
  )
})

test('lockout: a wait lies ahead, has a limit, and ends by itself', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const guard = lockout(options)
      let now = 0
      for (const { name, address, good, waitMs } of steps) {
        now += waitMs
        const until = guard.check({ name, address }, now)
        if (until !== undefined) {
          assert.ok(until > now && until <= now + 40_000)
          assert.equal(guard.check({ name, address }, until - 0.5), until)
          // Nobody was let in meanwhile, so nothing has been added.
          now = until
          assert.equal(guard.check({ name, address }, now), undefined)
        }
        if (good) guard.succeeded({ name, address }, now)
        else guard.failed({ name, address }, now)
      }
    }),
  )
})

test('lockout: a pair never has more failures than maxFailures without a wait in between', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const guard = lockout(options)
      const inARow = new Map<string, number[]>()
      let now = 0
      for (const { name, address, waitMs } of steps) {
        now += waitMs
        const id = `${name} ${address}`
        if (guard.check({ name, address }, now) !== undefined) {
          inARow.delete(id)
          continue
        }
        guard.failed({ name, address }, now)
        const times = [...(inARow.get(id) ?? []), now].filter((at) => at > now - MINUTE)
        inARow.set(id, times)
        assert.ok(times.length <= 3 || guard.check({ name, address }, now) !== undefined)
        if (guard.check({ name, address }, now) !== undefined) inARow.delete(id)
      }
    }),
  )
})

test('lockout: memory is bounded, whatever names and places are tried', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string(), fc.option(fc.ipV6(), { nil: undefined })), { maxLength: 200 }),
      (tries) => {
        const guard = lockout({ ...options, maxEntries: 7 })
        tries.forEach(([name, address], now) => {
          guard.failed({ name, address }, now)
          assert.ok(guard.size <= 21)
        })
      },
    ),
  )
  const guard = lockout({ maxEntries: 1 })
  guard.failed(key('x'.repeat(1_000_000), '192.0.2.1'), 0)
  assert.notEqual(guard.size, 0)
})
