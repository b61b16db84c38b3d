import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OverloadError, UsageError } from '../../core/errors.ts'
import { hashPassword, parsePasswordHash, verifyPassword } from './password-hash.ts'
import { type PasswordCheck, PasswordVerifier, parsePasswordFile } from './password-verifier.ts'

const CHEAP = { costLog2: 10 }

function manual(): { now(): number; time: number } {
  return {
    time: 0,
    now() {
      return this.time
    },
  }
}

test('hashPassword makes a scrypt hash that only the same password matches', async () => {
  const text = await hashPassword('hunter2', CHEAP)
  assert.match(text, /^\$scrypt\$ln=10,r=8,p=1\$/)
  assert.notEqual(text, await hashPassword('hunter2', CHEAP))
  const hash = parsePasswordHash(text)
  assert.equal(await verifyPassword('hunter2', hash), true)
  assert.equal(await verifyPassword('hunter3', hash), false)
  // The same characters, composed and decomposed.
  const accented = parsePasswordHash(await hashPassword('caf\u00e9', CHEAP))
  assert.equal(await verifyPassword('cafe\u0301', accented), true)
})

test('hashPassword takes a cost of 10 to 18', async () => {
  for (const costLog2 of [9, 19, 10.5, Number.NaN]) {
    await assert.rejects(hashPassword('x', { costLog2 }), UsageError)
  }
})

test('verifyPassword checks the vectors of RFC 7914', async () => {
  // Section 12, the third vector: scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1).
  const vector = parsePasswordHash(
    `$scrypt$ln=14,r=8,p=1$${Buffer.from('SodiumChloride').toString('base64').replace(/=+$/, '')}$${Buffer.from(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
        'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
      'hex',
    )
      .toString('base64')
      .replace(/=+$/, '')}`,
  )
  assert.equal(await verifyPassword('pleaseletmein', vector), true)
})

test('verifyPassword checks argon2id where Node has it', async (t) => {
  const salt = Buffer.from('somesaltsomesalt').toString('base64').replace(/=+$/, '')
  const hash = Buffer.alloc(32, 1).toString('base64').replace(/=+$/, '')
  const text = `$argon2id$v=19$m=64,t=1,p=1$${salt}$${hash}`
  if (!('argon2' in (await import('node:crypto')))) {
    assert.throws(() => parsePasswordHash(text), { code: 'ERR_OPTION_UNSUPPORTED' })
    return t.skip('this Node has no argon2')
  }
  assert.equal(await verifyPassword('password', parsePasswordHash(text)), false)
  // From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
  const reference = parsePasswordHash(
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  )
  assert.equal(await verifyPassword('password', reference), true)
})

for (const [why, text] of [
  ['plain text', 'hunter2'],
  ['crypt', '$1$salt$hash'],
  ['bcrypt', '$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'],
  ['SHA-1', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
  ['a cost below the least', '$scrypt$ln=9,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8'],
  ['a cost over the most', '$scrypt$ln=19,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8'],
  ['memory over the most', '$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q'],
  ['a short salt', '$scrypt$ln=15,r=8,p=1$c29t$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8'],
  ['a short hash', '$scrypt$ln=15,r=8,p=1$c29tZXNhbHQ$CTFhFdXP'],
] as const) {
  test(`parsePasswordHash refuses ${why}, and shows nothing of it`, () => {
    assert.throws(
      () => parsePasswordHash(text),
      (error) => {
        assert.ok(error instanceof UsageError)
        assert.ok(!error.message.includes(text))
        return true
      },
    )
  })
}

test('parsePasswordFile reads names, hashes and roles', async () => {
  const hash = await hashPassword('a', CHEAP)
  const users = parsePasswordFile(`# staff\n\nalice:${hash}:admin, reader\r\nbob:${hash}\n`)
  assert.deepEqual(
    users.map(({ name, roles }) => [name, roles]),
    [
      ['alice', ['admin', 'reader']],
      ['bob', []],
    ],
  )
})

test('parsePasswordFile names the line that is wrong, never the hash', async () => {
  const hash = await hashPassword('a', CHEAP)
  const cases: [string, RegExp][] = [
    ['alice', /line 1: is not name:hash/],
    [`:${hash}`, /line 1: is not name:hash/],
    [`alice:${hash}:a:b`, /line 1: is not name:hash/],
    ['\nalice:hunter2', /line 2: a password hash is/],
    [`alice:${hash}\nalice:${hash}`, /line 2: alice is there twice/],
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => parsePasswordFile(text),
      (error) => {
        assert.ok(error instanceof UsageError)
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hunter2|\$scrypt\$ln/)
        return true
      },
    )
  }
})

test('PasswordVerifier refuses an unknown name as it refuses a wrong password', async () => {
  const users = parsePasswordFile(`alice:${await hashPassword('right', CHEAP)}:admin`)
  const verifier = new PasswordVerifier({ clock: manual(), users })
  assert.deepEqual(await verifier.verify('alice', 'right'), {
    outcome: 'accepted',
    principal: { id: 'alice', method: 'basic', roles: ['admin'], attributes: {} },
  })
  const wrong = await verifier.verify('alice', 'wrong')
  assert.equal(wrong.outcome, 'refused')
  assert.deepEqual(await verifier.verify('mallory', 'right'), wrong)
  // Both were hashed: none was answered at once.
  assert.ok(verifier.verify('mallory', 'x') instanceof Promise)
  assert.ok(verifier.verify('__proto__', 'x') instanceof Promise)
})

test('PasswordVerifier remembers what was right, for its time only', async () => {
  const clock = manual()
  let checks = 0
  const users: PasswordCheck = (_name, password) => {
    checks++
    return password === 'right' ? { roles: ['x'] } : undefined
  }
  const verifier = new PasswordVerifier({ clock, users, rememberMs: 100, maxRemembered: 2 })
  await verifier.verify('a', 'right')
  clock.time = 99
  assert.ok(!(verifier.verify('a', 'right') instanceof Promise))
  await verifier.verify('a', 'righ')
  await verifier.verify('ar', 'ight')
  assert.equal(checks, 3)
  clock.time = 100
  await verifier.verify('a', 'right')
  assert.equal(checks, 4)
  const never = new PasswordVerifier({ clock, users, rememberMs: 0 })
  await never.verify('a', 'right')
  assert.ok(never.verify('a', 'right') instanceof Promise)
})

test('PasswordVerifier remembers maxRemembered, and forgets the oldest', async () => {
  const users: PasswordCheck = () => ({ roles: [] })
  const verifier = new PasswordVerifier({ clock: manual(), users, maxRemembered: 2 })
  for (const name of ['a', 'b', 'c']) await verifier.verify(name, 'x')
  assert.ok(!(verifier.verify('b', 'x') instanceof Promise))
  assert.ok(!(verifier.verify('c', 'x') instanceof Promise))
  assert.ok(verifier.verify('a', 'x') instanceof Promise)
})

test('PasswordVerifier checks maxConcurrent at a time, lets maxWaiting wait and refuses the next', async () => {
  const open: (() => void)[] = []
  const users: PasswordCheck = () =>
    new Promise((resolve) => open.push(() => resolve({ roles: [] })))
  const verifier = new PasswordVerifier({
    clock: manual(),
    users,
    maxConcurrent: 1,
    maxWaiting: 1,
  })
  const first = verifier.verify('a', 'x')
  const second = verifier.verify('b', 'x')
  await assert.rejects(
    async () => verifier.verify('c', 'x'),
    (error) => error instanceof OverloadError && error.code === 'ERR_LIMITED',
  )
  await settled(() => open.length === 1)
  open.shift()?.()
  assert.equal((await first).outcome, 'accepted')
  await settled(() => open.length === 1)
  open.shift()?.()
  assert.equal((await second).outcome, 'accepted')
})

test('PasswordVerifier hashes a password of maxPasswordLength, and none that is longer', async () => {
  const clock = manual()
  let checks = 0
  const users: PasswordCheck = () => {
    checks++
    return undefined
  }
  const verifier = new PasswordVerifier({ clock, users, maxPasswordLength: 8 })
  await verifier.verify('a', '12345678')
  assert.equal(checks, 1)
  assert.equal((await verifier.verify('a', '123456789')).outcome, 'refused')
  assert.equal(checks, 1)
})

/** Promises settle in turns; no time passes. */
async function settled(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !condition(); turn++) await Promise.resolve()
  assert.ok(condition())
}
