import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AccessQuestion } from '../../core/access.ts'
import { UsageError } from '../../core/errors.ts'
import { AccessPolicy } from './access-policy.ts'
import { type Condition, compileCondition, type Truth } from './condition.ts'
import { compileTimeWindow, type TimeWindow } from './time-window.ts'

const asked: AccessQuestion = {
  principal: {
    id: 'alice',
    method: 'bearer',
    roles: [],
    attributes: { tenant: 'a', level: 3, groups: ['x', 'y'], org: { unit: 7 }, nothing: null },
  },
  level: 'resource',
  action: 'GET',
  resource: '/',
  context: {
    address: '192.0.2.7',
    wallTime: Date.parse('2026-11-24T12:30:00Z'),
    attributes: { a: 1 },
  },
}
const bare: AccessQuestion = { ...asked, principal: undefined, context: {} }

const TABLE: readonly [condition: Condition, truth: Truth, withoutFacts?: Truth][] = [
  [{ attribute: 'principal.id', equals: 'alice' }, 'yes'],
  [{ attribute: 'principal.id', equals: 'bob' }, 'no'],
  [{ attribute: 'principal.method', in: ['mtls', 'bearer'] }, 'yes'],
  [{ attribute: 'claims.tenant', equals: 'a' }, 'yes'],
  [{ attribute: 'claims.org.unit', equals: 7 }, 'yes'],
  [{ attribute: 'claims.org.unit', equals: '7' }, 'no'],
  [{ attribute: 'claims.groups', equals: 'y' }, 'yes'],
  [{ attribute: 'claims.groups', in: ['z'] }, 'no'],
  [{ attribute: 'claims.org', equals: 'a' }, 'unknown'],
  [{ attribute: 'claims.nothing', equals: 'a' }, 'unknown'],
  [{ attribute: 'claims.constructor', present: true }, 'no', 'no'],
  [{ attribute: 'claims.tenant.length', equals: 1 }, 'unknown'],
  [{ attribute: 'claims.tenant', present: true }, 'yes', 'no'],
  [{ attribute: 'claims.other', present: false }, 'yes', 'yes'],
  [{ attribute: 'context.a', equals: 1 }, 'yes'],
  [{ attribute: 'claims.level', atLeast: 3 }, 'yes'],
  [{ attribute: 'claims.level', above: 3 }, 'no'],
  [{ attribute: 'claims.level', atMost: 3, atLeast: 1 }, 'yes'],
  [{ attribute: 'claims.level', below: 3 }, 'no'],
  [{ attribute: 'claims.tenant', atLeast: 0 }, 'unknown'],
  [{ cidr: ['192.0.2.0/24'] }, 'yes'],
  [{ cidr: ['192.0.2.8/30', '2001:db8::/32'] }, 'no'],
  [{ cidr: ['192.0.2.7'] }, 'yes'],
  [{ cidr: ['::ffff:192.0.2.0/120'] }, 'yes'],
  [{ cidr: ['::/0'] }, 'no'],
  [{ time: { from: '12:00', to: '13:00' } }, 'yes'],
  [{ time: { from: '13:00', to: '14:00' } }, 'no'],
  [{ not: { attribute: 'principal.id', equals: 'bob' } }, 'yes'],
  [{ not: { attribute: 'claims.other', equals: 'x' } }, 'unknown'],
  [
    {
      all: [
        { attribute: 'principal.id', equals: 'alice' },
        { attribute: 'claims.x', equals: 1 },
      ],
    },
    'unknown',
  ],
  [
    {
      all: [
        { attribute: 'principal.id', equals: 'bob' },
        { attribute: 'claims.x', equals: 1 },
      ],
    },
    'no',
  ],
  [
    {
      any: [
        { attribute: 'principal.id', equals: 'alice' },
        { attribute: 'claims.x', equals: 1 },
      ],
    },
    'yes',
  ],
  [
    {
      any: [
        { attribute: 'principal.id', equals: 'bob' },
        { attribute: 'claims.x', equals: 1 },
      ],
    },
    'unknown',
  ],
]

for (const [condition, truth, withoutFacts = 'unknown'] of TABLE) {
  test(`compileCondition ${JSON.stringify(condition)} is ${truth}, without facts ${withoutFacts}`, () => {
    const compiled = compileCondition(condition)
    assert.equal(compiled(asked), truth)
    assert.equal(compiled(bare), withoutFacts)
  })
}

test('compileCondition takes an IPv4 address of an IPv6 socket for what it is', () => {
  const compiled = compileCondition({ cidr: ['192.0.2.0/24'] })
  const from = (address: string): Truth => compiled({ ...asked, context: { address } })
  assert.equal(from('::ffff:192.0.2.9'), 'yes')
  assert.equal(from('fe80::1%eth0'), 'no')
  assert.equal(from('not an address'), 'unknown')
})

for (const [why, condition] of [
  ['an attribute of nowhere', { attribute: 'env.HOME', present: true }],
  ['a field of the principal that is none', { attribute: 'principal.roles', present: true }],
  ['an empty path', { attribute: 'claims.', present: true }],
  ['a name without a path', { attribute: 'claims', present: true }],
  ['no bound', { attribute: 'claims.a' }],
  ['a bound that is no number', { attribute: 'claims.a', atLeast: Number.NaN }],
  ['no values', { attribute: 'claims.a', in: [] }],
  ['no blocks', { cidr: [] }],
  ['a block that is none', { cidr: ['10.0.0.0/33'] }],
  ['an empty all', { all: [] }],
  ['an empty any', { any: [] }],
  ['nothing', {}],
  ['a time that is none', { time: { from: '25:00', to: '26:00' } }],
  ['a zone that is none', { time: { from: '01:00', to: '02:00', zone: 'Mars/Base' } }],
  ['a day that is none', { time: { from: '01:00', to: '02:00', days: ['someday'] } }],
  ['no days', { time: { from: '01:00', to: '02:00', days: [] } }],
] as const) {
  test(`compileCondition refuses ${why}`, () => {
    assert.throws(() => compileCondition(condition as unknown as Condition), UsageError)
  })
}

test('compileCondition takes 8 levels of nesting, and none more', () => {
  const nest = (depth: number): Condition =>
    depth === 0 ? { attribute: 'claims.a', present: true } : { not: nest(depth - 1) }
  compileCondition(nest(8))
  assert.throws(() => compileCondition(nest(9)), UsageError)
})

test('a missing attribute never allows, and never lifts a denial', () => {
  const missing = { attribute: 'claims.missing', equals: true } as const
  const everything = { actions: ['*'], resources: ['**'] }
  const decide = (when: Condition, effect: 'allow' | 'deny'): boolean => {
    const policy = new AccessPolicy({
      allow: effect === 'allow' ? [{ ...everything, when: [when] }] : [everything],
      deny: effect === 'deny' ? [{ ...everything, when: [when] }] : [],
    })
    return policy.decide(asked).allow
  }
  for (const when of [missing, { not: missing }, { not: { not: missing } }]) {
    assert.equal(decide(when, 'allow'), false)
    assert.equal(decide(when, 'deny'), false)
  }
})

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ attribute: fc.constantFrom('claims.a', 'claims.b'), equals: fc.constantFrom(1, 2) }),
  fc.record({ attribute: fc.constantFrom('claims.a', 'claims.b'), atLeast: fc.constantFrom(1, 2) }),
)
const tree: fc.Arbitrary<Condition> = fc.letrec<{ node: Condition }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.record({ not: tie('node') }),
    fc.record({ all: fc.array(tie('node'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('node'), { minLength: 1, maxLength: 3 }) }),
  ),
})).node

test('compileCondition property: what is yes without an attribute stays yes whatever it is', () => {
  const value = fc.constantFrom<unknown>(1, 2, 3, 'x', null, [1])
  fc.assert(
    fc.property(tree, value, value, (condition, a, b) => {
      const compiled = compileCondition(condition)
      const of = (attributes: Record<string, unknown>): Truth =>
        compiled({ ...asked, principal: { id: '', method: '', roles: [], attributes } })
      const less = of({ a })
      // Knowing more turns unknown into something, never a yes into a no or the reverse.
      if (less !== 'unknown') assert.equal(of({ a, b }), less)
    }),
    { numRuns: 1_000 },
  )
})

for (const [window, time, within] of [
  [{ from: '08:00', to: '18:00' }, '2026-11-24T08:00:00Z', true],
  [{ from: '08:00', to: '18:00' }, '2026-11-24T07:59:59Z', false],
  [{ from: '08:00', to: '18:00' }, '2026-11-24T17:59:59Z', true],
  [{ from: '08:00', to: '18:00' }, '2026-11-24T18:00:00Z', false],
  [{ from: '00:00', to: '24:00' }, '2026-11-24T23:59:59Z', true],
  [{ from: '00:00', to: '00:00' }, '2026-11-24T12:00:00Z', true],
  // A Tuesday.
  [{ from: '08:00', to: '18:00', days: ['tue'] }, '2026-11-24T12:00:00Z', true],
  [{ from: '08:00', to: '18:00', days: ['wed', 'mon'] }, '2026-11-24T12:00:00Z', false],
  // Over midnight: it belongs to the day it begins on.
  [{ from: '22:00', to: '06:00', days: ['mon'] }, '2026-11-24T05:59:00Z', true],
  [{ from: '22:00', to: '06:00', days: ['mon'] }, '2026-11-24T06:00:00Z', false],
  [{ from: '22:00', to: '06:00', days: ['mon'] }, '2026-11-24T22:00:00Z', false],
  [{ from: '22:00', to: '06:00', days: ['sun'] }, '2026-11-23T01:00:00Z', true],
  [{ from: '09:00', to: '10:00', zone: 'Europe/Berlin' }, '2026-11-24T08:30:00Z', true],
  [{ from: '09:00', to: '10:00', zone: 'Europe/Berlin' }, '2026-07-24T07:30:00Z', true],
  [{ from: '09:00', to: '10:00', zone: 'Europe/Berlin' }, '2026-07-24T08:30:00Z', false],
] as const) {
  test(`compileTimeWindow ${JSON.stringify(window)} at ${time}: ${within}`, () => {
    assert.equal(compileTimeWindow(window as TimeWindow)(Date.parse(time)), within)
  })
}
