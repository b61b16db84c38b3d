import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  AccessEvent,
  Authenticator,
  LoginGuard,
  LoginKey,
  LoginOutcome,
} from '../../core/access.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { AccessError, TransportError, UsageError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { lockout } from '../lockout.ts'
import { type AuthenticationOptions, authentication } from './authentication.ts'

interface Request {
  readonly credentials: readonly string[]
}

/** Reads `<method>:<name>`; the table says what becomes of the name. */
function authenticator(
  method: string,
  outcomes: Record<string, () => MaybePromise<LoginOutcome>>,
): Authenticator<Request> {
  return {
    method,
    challenge: () => `${method} realm="x"`,
    strip: (request) => ({
      credentials: request.credentials.filter((text) => !text.startsWith(`${method}:`)),
    }),
    read: (request) => {
      const found = request.credentials.find((text) => text.startsWith(`${method}:`))
      if (found === undefined) return undefined
      const name = found.slice(method.length + 1)
      return { name, verify: () => outcomes[name]?.() ?? { outcome: 'refused', reason: 'unknown' } }
    },
  }
}

function accepted(id: string, method = 'first'): LoginOutcome {
  return { outcome: 'accepted', principal: { id, method, roles: [], attributes: {} } }
}

const first = authenticator('first', {
  alice: () => accepted('alice'),
  step: () => ({ outcome: 'challenged', challenge: 'first data="1"' }),
  expired: () => ({ outcome: 'refused', reason: 'old', challenge: 'first error="expired"' }),
  broken: () => {
    throw new TransportError('ERR_CONNECT', 'keys are out of reach')
  },
})
const second = authenticator('second', {
  alice: async () => accepted('alice', 'second'),
  proof: async () => ({ ...accepted('carol', 'second'), proof: 'v=1' }) as LoginOutcome,
})

interface Seen {
  request: Request
  context: CallContext
}

function build(options: Partial<AuthenticationOptions<Request, string>> = {}): {
  call(...credentials: string[]): MaybePromise<string>
  seen: Seen[]
  events: AccessEvent[]
} {
  const seen: Seen[] = []
  const events: AccessEvent[] = []
  const wrapped = authentication<Request, string>({
    clock: { now: () => 1_000 },
    authenticators: [first, second],
    observer: { onAccess: (event) => events.push(event) },
    ...options,
  })((request, context) => {
    seen.push({ request, context })
    return 'served'
  })
  return { call: (...credentials) => wrapped({ credentials }, new Call()), seen, events }
}

const challengesOf = (error: unknown): unknown => {
  assert.ok(error instanceof AccessError)
  assert.equal(error.code, 'ERR_UNAUTHENTICATED')
  return error.detail?.challenges
}

test('authentication gives the principal to the service, synchronously where it can', async () => {
  const { call, seen, events } = build()
  assert.equal(call('first:alice'), 'served')
  assert.equal(seen[0]?.context.principal?.id, 'alice')
  const pending = call('second:alice')
  assert.ok(pending instanceof Promise)
  assert.equal(await pending, 'served')
  assert.equal(seen[1]?.context.principal?.method, 'second')
  assert.deepEqual(
    events.map((event) => event.type === 'login' && [event.outcome, event.method, event.name]),
    [
      ['accepted', 'first', 'alice'],
      ['accepted', 'second', 'alice'],
    ],
  )
})

test('authentication strips every kind of credentials unless told to keep them', () => {
  const strict = build()
  strict.call('first:alice', 'second:other', 'note:x')
  assert.deepEqual(strict.seen[0]?.request.credentials, ['note:x'])
  const keeping = build({ keepCredentials: true })
  keeping.call('first:alice')
  assert.deepEqual(keeping.seen[0]?.request.credentials, ['first:alice'])
  const anonymous = build({ anonymous: true })
  anonymous.call('note:x')
  assert.equal(anonymous.seen[0]?.context.principal, undefined)
})

test('authentication tells a caller without credentials every way to log in', () => {
  const { call, seen, events } = build()
  assert.throws(
    () => call(),
    (error) => {
      assert.deepEqual(challengesOf(error), ['first realm="x"', 'second realm="x"'])
      return true
    },
  )
  assert.equal(seen.length, 0)
  assert.equal(events[0]?.type === 'login' && events[0].reason, 'no credentials')
})

test('authentication lets callers without credentials in only when it is anonymous', () => {
  const { call, seen } = build({ anonymous: true })
  assert.equal(call(), 'served')
  assert.equal(seen[0]?.context.principal, undefined)
  // Wrong credentials are no anonymous call.
  assert.throws(() => call('first:mallory'), AccessError)
  assert.throws(() => authentication({ clock: { now: () => 0 }, authenticators: [] }), UsageError)
})

test('authentication tries the next authenticator after a refusal', async () => {
  const { call, seen } = build()
  assert.equal(await call('first:mallory', 'second:alice'), 'served')
  assert.equal(seen[0]?.context.principal?.method, 'second')
  assert.throws(
    () => call('first:expired'),
    (error) => {
      // What was wrong stands in the place of that one's general challenge.
      assert.deepEqual(challengesOf(error), ['first error="expired"', 'second realm="x"'])
      return true
    },
  )
})

test('authentication sends the challenge of a dialogue alone, and counts no failure', () => {
  const failed: LoginKey[] = []
  const { call } = build({ guard: guard({ failed: (key) => failed.push(key) }) })
  assert.throws(
    () => call('first:step'),
    (error) => {
      assert.deepEqual(challengesOf(error), ['first data="1"'])
      return true
    },
  )
  assert.deepEqual(failed, [])
})

test('authentication that cannot find out throws the reason, and another may still accept', async () => {
  const failed: LoginKey[] = []
  const { call, events } = build({ guard: guard({ failed: (key) => failed.push(key) }) })
  assert.throws(() => call('first:broken'), TransportError)
  assert.equal(events[0]?.type === 'login' && events[0].outcome, 'failed')
  assert.equal(await call('first:broken', 'second:alice'), 'served')
  const anonymous = build({ anonymous: true })
  assert.throws(() => anonymous.call('first:broken'), TransportError)
  assert.deepEqual(failed, [])
})

test('authentication asks the guard first, and tells it how it went', async () => {
  const log: string[] = []
  const told = guard({
    failed: ({ name, address }) => log.push(`failed ${name} ${address}`),
    succeeded: ({ name }) => log.push(`succeeded ${name}`),
  })
  const { call } = build({ guard: told, addressOf: () => '192.0.2.1' })
  call('first:alice')
  assert.throws(() => call('first:mallory'))
  // Two authenticators that saw the same name are one failure.
  await assert.rejects(async () => call('first:eve', 'second:eve'))
  assert.deepEqual(log, ['succeeded alice', 'failed mallory 192.0.2.1', 'failed eve 192.0.2.1'])
})

test('authentication of a locked-out caller checks nothing', () => {
  let checked = 0
  const counting = authenticator('first', {
    alice: () => {
      checked++
      return accepted('alice')
    },
  })
  const { call, events } = build({
    authenticators: [counting],
    guard: guard({ check: (_key, now) => now + 2_500 }),
  })
  assert.throws(
    () => call('first:alice'),
    (error) => {
      assert.ok(error instanceof AccessError)
      assert.equal(error.code, 'ERR_LOCKED_OUT')
      assert.equal(error.detail?.retryAfterMs, 2_500)
      return true
    },
  )
  assert.equal(checked, 0)
  assert.equal(events[0]?.type === 'login' && events[0].outcome, 'locked-out')
})

test('authentication of many guesses at once answers no more of them than of one by one', async () => {
  const slow = authenticator('first', { right: async () => accepted('right') })
  const wrong: Authenticator<Request> = {
    ...slow,
    read: (request, context) => {
      const attempt = slow.read(request, context)
      const verify = attempt?.verify
      return verify && { name: 'alice', verify: async () => verify() }
    },
  }
  const guard = lockout({ maxFailures: 2 })
  const { call, seen } = build({ authenticators: [wrong], guard })
  const guesses = ['a', 'b', 'c', 'd', 'right'].map(async (guess) => call(`first:${guess}`))
  const codes = (await Promise.allSettled(guesses)).map((one) =>
    one.status === 'rejected' ? one.reason.code : one.value,
  )
  assert.deepEqual(codes, [
    'ERR_UNAUTHENTICATED',
    'ERR_UNAUTHENTICATED',
    'ERR_LOCKED_OUT',
    'ERR_LOCKED_OUT',
    'ERR_LOCKED_OUT',
  ])
  assert.equal(seen.length, 0)
})

test('authentication puts the proof of the server into the reply', async () => {
  const { call } = build({ withProof: (reply, proof) => `${reply} ${proof}` })
  assert.equal(await call('second:proof'), 'served v=1')
})

test('authentication of a call that was cancelled meanwhile serves nothing', async () => {
  const seen: Request[] = []
  const context = new Call()
  const wrapped = authentication<Request, string>({
    clock: { now: () => 0 },
    authenticators: [second],
  })((request) => {
    seen.push(request)
    return 'served'
  })
  const pending = wrapped({ credentials: ['second:alice'] }, context)
  const reason = new Error('gone')
  context.cancel(reason)
  await assert.rejects(async () => pending, reason)
  assert.equal(seen.length, 0)
})

function guard(parts: Partial<LoginGuard>): LoginGuard {
  return { check: () => undefined, failed: () => {}, succeeded: () => {}, ...parts }
}
