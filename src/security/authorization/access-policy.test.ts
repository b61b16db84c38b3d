import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AccessLevel, AccessQuestion, Authorizer } from '../../core/access.ts'
import { UsageError } from '../../core/errors.ts'
import { AccessPolicy, type AccessPolicyOptions, allOf, type Role } from './access-policy.ts'
import { compilePattern } from './pattern.ts'

interface Asked {
  roles?: readonly string[]
  id?: string
  method?: string
  attributes?: Readonly<Record<string, unknown>>
  level?: AccessLevel
}

function question(action: string, resource: string, asked: Asked | null = {}): AccessQuestion {
  const {
    roles = [],
    id = 'alice',
    method = 'basic',
    attributes = {},
    level = 'resource',
  } = asked ?? {}
  const principal = asked === null ? undefined : { id, method, roles, attributes }
  return { principal, level, action, resource, context: {} }
}

const shop: AccessPolicyOptions = {
  roles: {
    reader: { allow: [{ actions: ['GET', 'HEAD'], resources: ['/orders/**'] }] },
    clerk: {
      inherits: ['reader'],
      allow: [{ name: 'new order', actions: ['POST'], resources: ['/orders'] }],
    },
    admin: { inherits: ['clerk'], allow: [{ actions: ['*'], resources: ['**'] }] },
    own: { allow: [{ actions: ['*'], resources: ['/users/{id}/**'] }] },
    guest: { allow: [{ actions: ['GET'], resources: ['/'] }] },
    suspended: { deny: [{ name: 'suspended', actions: ['*'], resources: ['**'] }] },
  },
  deny: [{ name: 'secrets', actions: ['*'], resources: ['/orders/secret/**'] }],
  assignments: [{ principal: 'carol', method: 'mtls', roles: ['reader'] }],
  anonymousRoles: ['guest'],
}
const policy = new AccessPolicy(shop)

for (const [why, asked, action, resource, allow] of [
  ['a role allows it', { roles: ['reader'] }, 'GET', '/orders/1', true],
  ['** takes no segment as well', { roles: ['reader'] }, 'GET', '/orders', true],
  ['another action is not allowed', { roles: ['reader'] }, 'DELETE', '/orders/1', false],
  ['case counts', { roles: ['reader'] }, 'get', '/orders/1', false],
  ['a longer name is another one', { roles: ['reader'] }, 'GET', '/ordersx', false],
  ['an inherited rule allows it', { roles: ['clerk'] }, 'GET', '/orders/1', true],
  ['an own rule of the heir', { roles: ['clerk'] }, 'POST', '/orders', true],
  ['the heir’s rule is not its parent’s', { roles: ['reader'] }, 'POST', '/orders', false],
  ['a denial wins over any role', { roles: ['admin'] }, 'GET', '/orders/secret/1', false],
  [
    'a denying role wins over an allowing one',
    { roles: ['admin', 'suspended'] },
    'GET',
    '/',
    false,
  ],
  ['in either order', { roles: ['suspended', 'admin'] }, 'GET', '/', false],
  ['no role, nothing', {}, 'GET', '/orders/1', false],
  ['a role that is not defined', { roles: ['root', '__proto__'] }, 'GET', '/orders/1', false],
  ['{id} is the caller', { roles: ['own'], id: 'bob' }, 'PUT', '/users/bob/name', true],
  ['{id} is nobody else', { roles: ['own'], id: 'bob' }, 'PUT', '/users/eve/name', false],
  ['an id with a separator is no path', { roles: ['own'], id: 'a/b' }, 'PUT', '/users/a/b', false],
  ['an id with a star is no pattern', { roles: ['own'], id: '*' }, 'PUT', '/users/eve', false],
  ['an assignment by method', { id: 'carol', method: 'mtls' }, 'GET', '/orders', true],
  ['the same id by another method', { id: 'carol', method: 'bearer' }, 'GET', '/orders', false],
  ['anonymous callers have their roles', null, 'GET', '/', true],
  ['and no others', null, 'GET', '/orders', false],
  ['another level', { roles: ['admin'], level: 'operation' }, 'GET', '', false],
] as const) {
  test(`AccessPolicy: ${why} (${action} ${resource}: ${allow})`, () => {
    assert.equal(policy.decide(question(action, resource, asked)).allow, allow)
  })
}

test('AccessPolicy names the rule that decided, for the audit log', () => {
  const reason = (action: string, resource: string, asked: Asked): string | undefined =>
    policy.decide(question(action, resource, asked)).reason
  assert.equal(reason('GET', '/orders', { roles: ['reader'] }), 'allowed by role reader, allow 1')
  assert.equal(reason('POST', '/orders', { roles: ['clerk'] }), 'allowed by new order')
  assert.equal(reason('GET', '/orders/secret', { roles: ['admin'] }), 'denied by secrets')
  assert.equal(reason('GET', '/', {}), 'no rule allows it')
})

test('AccessPolicy decides on three levels, each by its own rules', () => {
  const levels = new AccessPolicy({
    roles: {
      app: {
        allow: [
          { level: 'connection', actions: ['connect'], resources: ['edge-*'] },
          { level: 'operation', actions: ['GET', 'P*'] },
          { actions: ['*'], resources: ['/a'] },
        ],
      },
    },
  })
  const allows = (level: AccessLevel, action: string, resource: string): boolean =>
    levels.decide(question(action, resource, { roles: ['app'], level })).allow
  assert.equal(allows('connection', 'connect', 'edge-1'), true)
  assert.equal(allows('connection', 'connect', 'admin'), false)
  assert.equal(allows('operation', 'PATCH', ''), true)
  assert.equal(allows('operation', 'DELETE', ''), false)
  assert.equal(allows('resource', 'DELETE', '/a'), true)
})

test('AccessPolicy gives everybody who is authenticated its own rules, and nobody else', () => {
  const open = new AccessPolicy({ allow: [{ actions: ['GET'], resources: ['/me'] }] })
  assert.equal(open.decide(question('GET', '/me')).allow, true)
  assert.equal(open.decide(question('GET', '/me', null)).allow, false)
})

test('AccessPolicy can be told not to believe the roles of the identity source', () => {
  const strict = new AccessPolicy({ ...shop, trustPrincipalRoles: false })
  assert.equal(strict.decide(question('GET', '/orders', { roles: ['admin'] })).allow, false)
  assert.equal(
    strict.decide(question('GET', '/orders', { id: 'carol', method: 'mtls' })).allow,
    true,
  )
})

test('AccessPolicy takes a resource of 8192 characters, and none that is longer', () => {
  const all = new AccessPolicy({ allow: [{ actions: ['*'], resources: ['**'] }] })
  assert.equal(all.decide(question('GET', 'x'.repeat(8_192))).allow, true)
  assert.equal(all.decide(question('GET', 'x'.repeat(8_193))).allow, false)
})

for (const [why, options, message] of [
  [
    'a circle of two',
    { roles: { a: { inherits: ['b'] }, b: { inherits: ['a'] } } },
    /circle: a → b → a/,
  ],
  ['a circle of one', { roles: { a: { inherits: ['a'] } } }, /circle: a → a/],
  ['a role that is not there', { roles: { a: { inherits: ['b'] } } }, /a inherits from b/],
  ['a role given that is not there', { anonymousRoles: ['x'] }, /role x is given/],
  ['an assignment of one', { assignments: [{ principal: 'a', roles: ['x'] }] }, /role x is given/],
  [
    'no actions',
    { allow: [{ actions: [], resources: ['**'] }] },
    /policy, allow 1: has no actions/,
  ],
  ['no resources', { deny: [{ actions: ['*'] }] }, /policy, deny 1: names no resources/],
  [
    'resources of an operation',
    { allow: [{ level: 'operation', actions: ['*'], resources: ['**'] }] },
    /the level operation has no resources/,
  ],
  ['an empty pattern', { allow: [{ actions: [''], resources: ['**'] }] }, /0 characters/],
  ['a stray **', { allow: [{ actions: ['*'], resources: ['/a**'] }] }, /stand alone/],
  ['a stray {id}', { allow: [{ actions: ['*'], resources: ['/u-{id}'] }] }, /stand alone/],
  [
    'a condition that is none',
    { allow: [{ actions: ['*'], resources: ['**'], when: [{} as never] }] },
    /policy, allow 1: a condition is none/,
  ],
] as const) {
  test(`AccessPolicy refuses ${why} when it is made`, () => {
    assert.throws(
      () => new AccessPolicy(options as AccessPolicyOptions),
      (error) => error instanceof UsageError && message.test(error.message),
    )
  })
}

// Properties: small alphabets, so that rules and questions meet often.
const action = fc.constantFrom('a', 'b', 'c')
const segment = fc.constantFrom('x', 'y', '*', '**')
const resource = fc
  .array(fc.constantFrom('x', 'y'), { maxLength: 3 })
  .map((parts) => parts.join('/'))
const rule = fc.record({
  actions: fc.array(fc.constantFrom('a', 'b', 'c', '*'), { minLength: 1, maxLength: 2 }),
  resources: fc.array(
    fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    { minLength: 1, maxLength: 2 },
  ),
})
const rules = fc.array(rule, { maxLength: 3 })
const NAMES = ['r0', 'r1', 'r2'] as const
/** A role inherits from earlier ones only, so there are no circles. */
const roles: fc.Arbitrary<Record<string, Role>> = fc
  .tuple(...NAMES.map((_, at) => fc.tuple(rules, rules, fc.subarray(NAMES.slice(0, at)))))
  .map((made) =>
    Object.fromEntries(
      made.map(([allow, deny, inherits], at) => [NAMES[at] as string, { allow, deny, inherits }]),
    ),
  )
const held = fc.subarray([...NAMES])

test('AccessPolicy property: another denial never allows more', () => {
  fc.assert(
    fc.property(roles, held, rule, action, resource, (made, have, extra, act, res) => {
      const asked = question(act, res, { roles: have })
      const before = new AccessPolicy({ roles: made }).decide(asked).allow
      const after = new AccessPolicy({ roles: made, deny: [extra] }).decide(asked).allow
      assert.ok(before || !after)
    }),
    { numRuns: 300 },
  )
})

test('AccessPolicy property: a denial that matches always wins, wherever it stands', () => {
  fc.assert(
    fc.property(
      roles,
      held,
      fc.constantFrom(...NAMES),
      action,
      resource,
      (made, have, at, act, res) => {
        const denying = {
          ...made,
          [at]: { ...made[at], deny: [{ actions: [act], resources: ['**'] }] },
        }
        const asked = question(act, res, { roles: [...have, at] })
        assert.equal(new AccessPolicy({ roles: denying }).decide(asked).allow, false)
      },
    ),
    { numRuns: 300 },
  )
})

test('AccessPolicy property: without denials, more roles and an heir allow at least as much', () => {
  fc.assert(
    fc.property(
      roles,
      held,
      fc.constantFrom(...NAMES),
      action,
      resource,
      (made, have, more, act, res) => {
        const allowing = Object.fromEntries(
          Object.entries(made).map(([name, role]) => [name, { ...role, deny: [] }]),
        )
        const allows = (of: Record<string, Role>, names: readonly string[]): boolean =>
          new AccessPolicy({ roles: of }).decide(question(act, res, { roles: names })).allow
        assert.ok(!allows(allowing, have) || allows(allowing, [...have, more]))
        const heir = { ...allowing, heir: { inherits: have } }
        assert.equal(allows(heir, ['heir']), allows(allowing, have))
      },
    ),
    { numRuns: 300 },
  )
})

test('AccessPolicy property: the order of rules and roles means nothing', () => {
  fc.assert(
    fc.property(roles, held, action, resource, (made, have, act, res) => {
      const turned = Object.fromEntries(
        Object.entries(made)
          .reverse()
          .map(([name, { allow = [], deny = [], inherits = [] }]) => [
            name,
            { allow: allow.toReversed(), deny: deny.toReversed(), inherits: inherits.toReversed() },
          ]),
      )
      const one = new AccessPolicy({ roles: made }).decide(question(act, res, { roles: have }))
      const other = new AccessPolicy({ roles: turned }).decide(
        question(act, res, { roles: have.toReversed() }),
      )
      assert.equal(one.allow, other.allow)
    }),
    { numRuns: 300 },
  )
})

/** The meaning of patterns by definition, exponential and short. */
function meaning(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return text.length === 0
  if (first === '**') {
    return Array.from({ length: text.length + 1 }, (_, at) => text.slice(at)).some((left) =>
      meaning(rest, left),
    )
  }
  const [one, ...others] = text
  if (one === undefined) return false
  return (first === '*' || first === one) && meaning(rest, others)
}

test('compilePattern property: agrees with its definition', () => {
  const patterns = fc.array(segment, { minLength: 1, maxLength: 5 })
  const texts = fc.array(fc.constantFrom('x', 'y', ''), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      const compiled = compilePattern(pattern.join('/'), { separator: '/' })
      assert.equal(compiled(text.join('/'), undefined), meaning(pattern, text))
    }),
    { numRuns: 1_000 },
  )
})

test('compilePattern property: stars within a segment agree with a regular expression', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 8 })
  const texts = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 })
  fc.assert(
    fc.property(letters, texts, (source, text) => {
      fc.pre(!source.includes('**'))
      const compiled = compilePattern(source, { separator: '' })
      const expected = new RegExp(`^${source.replaceAll('*', '[ab]*')}$`)
      assert.equal(compiled(text, undefined), expected.test(text))
    }),
    { numRuns: 1_000 },
  )
})

test('compilePattern does not fall into a trap that backtracking would', () => {
  const stars = `${'*a'.repeat(200)}b`
  const within = compilePattern(stars, { separator: '' })
  const across = compilePattern(`${'**/a/'.repeat(80)}b`, { separator: '/' })
  let steps = 0
  const started = process.cpuUsage().user
  while (steps < 20) {
    assert.equal(within('a'.repeat(4_000), undefined), false)
    assert.equal(across('a/'.repeat(2_000), undefined), false)
    steps++
  }
  // Backtracking would not end within the life of the universe.
  assert.ok(process.cpuUsage().user - started < 20_000_000)
})

test('compilePattern takes 512 characters, and none more', () => {
  compilePattern('x'.repeat(512), { separator: '/' })
  assert.throws(() => compilePattern('x'.repeat(513), { separator: '/' }), UsageError)
})

test('compilePattern separates as it is told to', () => {
  const topic = compilePattern('orders.*.new', { separator: '.' })
  assert.equal(topic('orders.eu.new', undefined), true)
  assert.equal(topic('orders.eu.de.new', undefined), false)
  assert.equal(topic('orders.a/b.new', undefined), true)
})

test('allOf allows what every one allows, and asks no further after a denial', async () => {
  const asked: string[] = []
  const one = (name: string, allow: boolean, late: boolean): Authorizer => ({
    decide: () => {
      asked.push(name)
      const decision = allow ? { allow, reason: name } : { allow, reason: name }
      return late ? Promise.resolve(decision as never) : (decision as never)
    },
  })
  const decide = async (...list: Authorizer[]): Promise<boolean> =>
    (await allOf(list).decide(question('a', 'x'))).allow
  assert.equal(
    await decide(one('a', true, false), one('b', true, true), one('c', true, false)),
    true,
  )
  assert.equal(
    await decide(one('d', true, true), one('e', false, true), one('f', true, false)),
    false,
  )
  assert.equal(await decide(one('g', false, false), one('h', true, false)), false)
  assert.deepEqual(asked, ['a', 'b', 'c', 'd', 'e', 'g'])
  assert.throws(() => allOf([]), UsageError)
})
