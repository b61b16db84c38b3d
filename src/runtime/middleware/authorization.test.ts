import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessDecision, AccessEvent, AccessQuestion, Authorizer } from '../../core/access.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { AccessError, UsageError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { type AuthorizationOptions, authorization, connectionAdmission } from './authorization.ts'

interface Request {
  readonly method: string
  readonly path: string | undefined
}

const alice = { id: 'alice', method: 'basic', roles: ['reader'], attributes: {} }

const TRACE = {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  flags: 1,
  state: undefined,
  baggage: undefined,
}

function build(
  decide: (question: AccessQuestion) => MaybePromise<AccessDecision>,
  options: Partial<AuthorizationOptions<Request>> = {},
): {
  call(request?: Request): MaybePromise<string>
  asked: AccessQuestion[]
  events: AccessEvent[]
  served: () => number
} {
  const asked: AccessQuestion[] = []
  const events: AccessEvent[] = []
  let served = 0
  const authorizer: Authorizer = {
    decide: (question) => {
      asked.push(question)
      return decide(question)
    },
  }
  const wrapped = authorization<Request, string>({
    clock: { wallNow: () => 42 },
    authorizer,
    action: (request) => request.method,
    resource: (request) => request.path,
    addressOf: () => '192.0.2.1',
    observer: { onAccess: (event) => events.push(event) },
    ...options,
  })(() => {
    served++
    return 'served'
  })
  const call = (request: Request = { method: 'GET', path: '/a' }): MaybePromise<string> =>
    wrapped(request, new Call({ principal: alice, correlationId: 'c1', trace: TRACE }))
  return { call, asked, events, served: () => served }
}

test('authorization asks with principal, action, resource and facts, and tells the observer', () => {
  const { call, asked, events } = build(() => ({ allow: true, reason: 'rule 1' }), {
    attributes: () => ({ tenant: 'a' }),
  })
  assert.equal(call(), 'served')
  assert.deepEqual(asked, [
    {
      principal: alice,
      level: 'resource',
      action: 'GET',
      resource: '/a',
      context: { address: '192.0.2.1', wallTime: 42, attributes: { tenant: 'a' } },
    },
  ])
  assert.deepEqual(events, [
    {
      type: 'decision',
      outcome: 'allowed',
      level: 'resource',
      action: 'GET',
      resource: '/a',
      principal: 'alice',
      method: 'basic',
      reason: 'rule 1',
      address: '192.0.2.1',
      correlationId: 'c1',
      traceId: 'a'.repeat(32),
      connectionId: undefined,
    },
  ])
})

test('authorization refuses without telling the caller why', () => {
  const { call, served, events } = build(() => ({ allow: false, reason: 'secret rule' }))
  assert.throws(call, (error) => {
    assert.ok(error instanceof AccessError)
    assert.equal(error.code, 'ERR_FORBIDDEN')
    assert.doesNotMatch(`${error.message} ${JSON.stringify(error.detail ?? {})}`, /secret/)
    return true
  })
  assert.equal(served(), 0)
  assert.equal(events[0]?.reason, 'secret rule')
})

test('authorization asks every level, and one denial is enough', async () => {
  const allowing = build(() => Promise.resolve({ allow: true }), {
    levels: ['operation', 'resource'],
  })
  assert.equal(await allowing.call(), 'served')
  assert.deepEqual(
    allowing.asked.map(({ level, resource }) => [level, resource]),
    [
      ['operation', ''],
      ['resource', '/a'],
    ],
  )
  for (const denied of ['operation', 'resource']) {
    const { call, served } = build(
      async ({ level }) => (level === denied ? { allow: false, reason: 'no' } : { allow: true }),
      { levels: ['operation', 'resource'] },
    )
    await assert.rejects(async () => call(), AccessError)
    assert.equal(served(), 0)
  }
  assert.throws(() => build(() => ({ allow: true }), { levels: [] }), UsageError)
})

test('authorization fails closed when its authorizer throws, rejects or the resource has no name', async () => {
  const throwing = build(() => {
    throw new Error('bug')
  })
  assert.throws(throwing.call, AccessError)
  assert.match(String(throwing.events[0]?.reason), /bug/)
  const rejecting = build(() => Promise.reject(new Error('down')))
  await assert.rejects(async () => rejecting.call(), AccessError)
  const allowing = build(() => ({ allow: true }))
  assert.throws(() => allowing.call({ method: 'GET', path: undefined }), AccessError)
  assert.equal(allowing.asked.length, 0)
})

test('authorization of a call that was cancelled meanwhile serves nothing', async () => {
  let served = 0
  const wrapped = authorization<Request, string>({
    clock: { wallNow: () => 0 },
    authorizer: { decide: async () => ({ allow: true }) },
    action: () => 'GET',
    resource: () => '/',
  })(() => {
    served++
    return 'served'
  })
  const context = new Call()
  const pending = wrapped({ method: 'GET', path: '/' }, context)
  context.cancel(new Error('gone'))
  await assert.rejects(async () => pending, /gone/)
  assert.equal(served, 0)
})

test('connectionAdmission asks before a byte is read, and does not wait', () => {
  const connection = {
    id: 7,
    facts: { remote: { kind: 'ip', host: '192.0.2.9', port: 1 } },
  } as unknown as Connection
  const events: AccessEvent[] = []
  const admit = (decide: Authorizer['decide']): Error | undefined =>
    connectionAdmission({
      authorizer: { decide },
      clock: { wallNow: () => 0 },
      resource: 'edge',
      observer: { onAccess: (event) => events.push(event) },
      principalOf: () => alice,
    })(connection)
  const asked: AccessQuestion[] = []
  assert.equal(
    admit((question) => {
      asked.push(question)
      return { allow: true }
    }),
    undefined,
  )
  assert.deepEqual(asked[0], {
    principal: alice,
    level: 'connection',
    action: 'connect',
    resource: 'edge',
    context: { address: '192.0.2.9', wallTime: 0 },
  })
  assert.ok(admit(() => ({ allow: false, reason: 'no' })) instanceof AccessError)
  assert.ok(admit(async () => ({ allow: true })) instanceof AccessError)
  assert.deepEqual(
    events.map(({ connectionId }) => connectionId),
    [7, 7, 7],
  )
})
