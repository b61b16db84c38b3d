/** Who may be chosen: ejection, panic, priorities, zones, slow start, subsets; for every strategy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  anyCall,
  failNode,
  nodesOf,
  sharesOf,
  TestNode,
} from '../../../test/runtime/balancer-node.ts'
import { formatAddress } from '../../core/address.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import type { BalancerFactory, EndpointBalancer } from './balancer.ts'
import type { BalancingOptions } from './balancing-options.ts'
import { leastRequest } from './least-request.ts'
import { maglev } from './maglev.ts'
import { p2c } from './p2c.ts'
import { random } from './random.ts'
import { ringHash } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'

const noKey = (): undefined => undefined
const FREE: Readonly<Record<string, BalancerFactory>> = {
  p2c: p2c(),
  'round-robin': roundRobin(),
  random: random(),
  'least-request': leastRequest(),
}
const ALL: Readonly<Record<string, BalancerFactory>> = {
  ...FREE,
  'ring-hash': ringHash({ key: noKey }),
  maglev: maglev({ key: noKey, tableSize: 1_009 }),
}

function make(
  factory: BalancerFactory,
  nodes: readonly TestNode[],
  balancing: BalancingOptions = {},
): EndpointBalancer<TestNode> {
  const balancer = factory<TestNode>(balancing)
  balancer.update(nodes, 0)
  return balancer
}

const share = (counts: Record<string, number>, nodes: readonly TestNode[]): number => {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return nodes.reduce((sum, { name }) => sum + (counts[name] ?? 0), 0) / all
}
const near = (actual: number, expected: number, within = 0.04): void =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`)

for (const [name, factory] of Object.entries(ALL)) {
  test(`${name} leaves an ejected endpoint alone until its time is over, and tells`, () => {
    const nodes = nodesOf(3)
    const [bad] = nodes as [TestNode]
    const events: string[] = []
    const balancer = make(factory, nodes, {
      outlierEjection: { consecutiveFailures: 3, baseEjectionMs: 10_000 },
      observer: {
        onEjected: ({ address }, reason, forMs) =>
          void events.push(`${formatAddress(address)} out for ${forMs}: ${reason}`),
        onReturned: ({ address }) => void events.push(`${formatAddress(address)} back`),
      },
    })
    failNode(balancer, bad, 2, 5, nodes)
    const only = new Set(nodes.filter((node) => node !== bad))
    balancer.pick(anyCall, 5, seededRandom(1), only)?.done(5, 1, false) // a success between
    failNode(balancer, bad, 3, 6, nodes)
    assert.equal(sharesOf(balancer, 300, 10_005)[bad.name], undefined)
    assert.equal(balancer.balanceOf(bad, 10_005).ejectedForMs, 1)
    assert.equal(balancer.pick(anyCall, 10_006, seededRandom(1), only)?.node, bad)
    assert.equal(balancer.balanceOf(bad, 10_006).ejectedForMs, undefined)
    const at = '10.0.0.0:80'
    assert.deepEqual(events, [`${at} out for 10000: 3 failures in a row`, `${at} back`])
  })

  test(`${name} leaves out what health checks call down, unless nothing else is left`, () => {
    const nodes = nodesOf(3)
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode]
    const panics: string[] = []
    const balancer = make(factory, nodes, {
      observer: { onPanic: (priority, panic) => void panics.push(`${priority} ${panic}`) },
    })
    balancer.setHealthy(a, false, 1)
    balancer.setHealthy(b, false, 1)
    assert.deepEqual(Object.keys(sharesOf(balancer, 50, 2)), [c.name])
    balancer.setHealthy(c, false, 3)
    assert.equal(Object.keys(sharesOf(balancer, 200, 4)).length, 3)
    balancer.setHealthy(b, true, 5)
    assert.deepEqual(Object.keys(sharesOf(balancer, 50, 6)), [b.name])
    assert.deepEqual(panics, ['0 true', '0 false'])
  })

  test(`${name} in a panic still leaves alone what its breaker holds back`, () => {
    const nodes = nodesOf(2)
    const [a, b] = nodes as [TestNode, TestNode]
    const balancer = make(factory, nodes)
    for (const node of nodes) balancer.setHealthy(node, false, 1)
    a.up = false
    assert.deepEqual(Object.keys(sharesOf(balancer, 50, 2)), [b.name])
    b.up = false
    assert.equal(balancer.pick(anyCall, 3, seededRandom(1)), undefined)
  })

  test(`${name} divides calls between priorities by their health`, () => {
    const main = nodesOf(4)
    const spare = [0, 1, 2, 3].map((at) => new TestNode(`10.9.0.${at}`, { priority: 1 }))
    const balancer = make(factory, [...spare, ...main])
    near(share(sharesOf(balancer, 1_000, 1), main), 1, 0)
    balancer.setHealthy(main[0] as TestNode, false, 2)
    near(share(sharesOf(balancer, 1_000, 3), main), 1, 0) // 75 % × 1.4
    balancer.setHealthy(main[1] as TestNode, false, 4)
    near(share(sharesOf(balancer, 4_000, 5), main), 0.7)
    ;(main[2] as TestNode).up = false // a breaker that opened; nobody says so
    near(share(sharesOf(balancer, 4_000, 105), main), 0.35)
    balancer.setHealthy(main[3] as TestNode, false, 106)
    near(share(sharesOf(balancer, 1_000, 107), main), 0, 0)
  })

  test(`${name} never chooses what is ejected, unhealthy, weightless or down, but in a panic`, () => {
    const step = fc.record({
      at: fc.nat(7),
      what: fc.constantFrom('fail', 'succeed', 'unhealthy', 'healthy', 'down', 'up'),
      passMs: fc.nat(3_000),
    })
    fc.assert(
      fc.property(
        fc.array(fc.record({ weight: fc.nat(3), priority: fc.nat(1) }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.constantFrom(0, 0.5),
        fc.array(step, { maxLength: 80 }),
        (endpoints, panicThreshold, steps) => {
          const nodes = endpoints.map((more, at) => new TestNode(`10.0.0.${at}`, more))
          const unhealthy = new Set<TestNode>()
          const panics = new Set<number>()
          const balancer = make(factory, nodes, {
            panicThreshold,
            outlierEjection: { consecutiveFailures: 2, baseEjectionMs: 5_000 },
            observer: {
              onPanic: (priority, panic) =>
                void (panic ? panics.add(priority) : panics.delete(priority)),
            },
          })
          const chance = seededRandom(steps.length)
          let now = 0
          for (const { at, what, passMs } of steps) {
            now += passMs
            const node = nodes[at % nodes.length] as TestNode
            if (what === 'down' || what === 'up') {
              node.up = what === 'up'
              balancer.refresh()
            } else if (what === 'unhealthy' || what === 'healthy') {
              balancer.setHealthy(node, what === 'healthy', now)
              if (what === 'healthy') unhealthy.delete(node)
              else unhealthy.add(node)
            }
            const pick = balancer.pick(anyCall, now, chance)
            const usable = nodes.filter((one) => one.up && (one.endpoint.weight ?? 1) > 0)
            if (pick === undefined) {
              // Only when nothing may be chosen at all, ejected or not, is nothing chosen.
              assert.equal(usable.length, 0)
              continue
            }
            const chosen = pick.node
            assert.ok(usable.includes(chosen), `${chosen.name} is down or has no weight`)
            const out = unhealthy.has(chosen) || balancer.ejectedUntil(chosen, now) !== undefined
            if (out) assert.ok(panics.has(chosen.endpoint.priority ?? 0), `${chosen.name} is out`)
            pick.done(now, 1, what === 'fail')
          }
          for (const node of nodes) assert.equal(balancer.loadOf(node), 0)
        },
      ),
      { numRuns: 60 },
    )
  })
}

/** Six standard deviations: one seed in five hundred million is outside. */
function withinChance(count: number, calls: number, share: number): boolean {
  return Math.abs(count - calls * share) <= 6 * Math.sqrt(calls * share * (1 - share)) + 1
}

for (const name of ['random', 'least-request', 'p2c', 'round-robin']) {
  test(`${name} spreads calls by weight within what chance allows, for any seed`, () => {
    const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(weights, fc.nat(), (each, seed) => {
        const nodes = each.map((weight, at) => new TestNode(`10.0.0.${at}`, { weight }))
        const balancer = make(FREE[name] as BalancerFactory, nodes)
        const calls = 1_500
        const counts = sharesOf(balancer, calls, 1, seed)
        const total = each.reduce((sum, weight) => sum + weight, 0)
        for (const { name: node, endpoint } of nodes) {
          const count = counts[node] ?? 0
          const share = (endpoint.weight ?? 1) / total
          // In turn it is exact; p2c asks a new endpoint once before it gets its share.
          const fits =
            name === 'round-robin'
              ? Math.abs(count - calls * share) <= 1
              : withinChance(count, calls, share)
          assert.ok(fits, `${node} has ${count} of ${calls}, its share is ${share}`)
        }
      }),
      { numRuns: 40 },
    )
  })
}

test('ring hash and maglev spread calls without a key evenly within what chance allows', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('ring', 'table'), (seed, kind) => {
      const nodes = nodesOf(4)
      // So many points that the shares of the ring themselves are even.
      const factory =
        kind === 'ring'
          ? ringHash({ key: noKey, pointsPerEndpoint: 4_000 })
          : maglev({ key: noKey, tableSize: 2_003 })
      const counts = sharesOf(make(factory, nodes), 1_500, 1, seed)
      for (const { name } of nodes) assert.ok(withinChance(counts[name] ?? 0, 1_500, 0.25), kind)
    }),
    { numRuns: 20 },
  )
})

for (const [name, factory] of Object.entries(FREE)) {
  test(`${name} prefers the own zone, and spills over when too much of it is out`, () => {
    const own = nodesOf(4, { locality: 'a' })
    const other = [0, 1].map((at) => new TestNode(`10.9.0.${at}`, { locality: 'b' }))
    const nowhere = new TestNode('10.9.0.9')
    const balancer = make(factory, [...own, ...other, nowhere], { locality: { zone: 'a' } })
    near(share(sharesOf(balancer, 500, 1), own), 1, 0)
    balancer.setHealthy(own[0] as TestNode, false, 2)
    near(share(sharesOf(balancer, 500, 3), own), 1, 0)
    balancer.setHealthy(own[1] as TestNode, false, 4)
    const counts = sharesOf(balancer, 4_000, 5)
    near(share(counts, own), 0.7)
    near(share(counts, [nowhere]), 0.1)
    balancer.setHealthy(own[2] as TestNode, false, 6)
    balancer.setHealthy(own[3] as TestNode, false, 6)
    near(share(sharesOf(balancer, 500, 7), own), 0, 0)
    for (const node of other) node.up = false
    nowhere.up = false
    balancer.refresh()
    near(share(sharesOf(balancer, 500, 8), own), 1, 0) // in a panic: it is all there is
  })

  test(`${name} sends what the own zone has no room for to the others, while they have`, () => {
    const own = nodesOf(2, { locality: 'a' })
    const other = [new TestNode('10.9.0.1', { locality: 'b' })]
    const balancer = make(factory, [...own, ...other], { locality: { zone: 'a', maxLoad: 5 } })
    const chance = seededRandom(3)
    const inOwn = (picks: number): number =>
      Array.from({ length: picks }, () => balancer.pick(anyCall, 1, chance)?.node).filter(
        (node) => node !== undefined && own.includes(node),
      ).length
    assert.equal(inOwn(10), 10) // 5 each
    assert.equal(inOwn(5), 0)
    assert.equal(inOwn(7), 7) // both are full: home again
  })

  test(`${name} uses zones as one when there is none of the own`, () => {
    const balancer = make(factory, nodesOf(4, { locality: 'b' }), { locality: { zone: 'a' } })
    assert.equal(Object.keys(sharesOf(balancer, 200, 1)).length, 4)
  })

  test(`${name} gives a new endpoint a growing share, those of the first set all of it`, () => {
    const nodes = nodesOf(3)
    const fresh = nodes.pop() as TestNode
    const balancer = make(factory, nodes, { slowStart: { windowMs: 10_000, minShare: 0.1 } })
    assert.equal(balancer.balanceOf(nodes[0] as TestNode, 0).slowStartShare, undefined)
    balancer.update([...nodes, fresh], 1_000)
    // Loads must count for a balancer that looks at nothing else.
    const taken = (now: number): number => {
      const chance = seededRandom(5)
      const picks = Array.from({ length: 210 }, () => balancer.pick(anyCall, now, chance))
      for (const pick of picks) pick?.done(now, 1, false)
      return picks.filter((pick) => pick?.node === fresh).length / 210
    }
    near(taken(1_000), 0.1 / 2.1, 0.035)
    assert.equal(balancer.balanceOf(fresh, 6_000).slowStartShare, 0.5)
    near(taken(6_000), 0.5 / 2.5, 0.08)
    near(taken(11_000), 1 / 3, 0.08)
    assert.equal(balancer.balanceOf(fresh, 11_000).slowStartShare, undefined)
  })

  test(`${name} uses its subset only, weights included`, () => {
    const subset = { client: 4, clients: 7, size: 5 }
    const offered = nodesOf(30).map(({ endpoint }) => endpoint)
    const balancer = factory<TestNode>({ subset })
    const nodes = balancer.select(offered).map((endpoint, at) => {
      const node = new TestNode(`10.0.0.${at}`)
      node.endpoint = endpoint
      return node
    })
    balancer.update(nodes, 0)
    const counts = sharesOf(balancer, 3_000, 1)
    const used = Object.keys(counts).length
    assert.ok(used >= 5 && used <= 11, `${used} are used`)
    // Cut servers at the ends have less than whole ones.
    const all = nodes.map((node) => counts[node.name] ?? 0).filter((count) => count > 0)
    assert.ok(Math.max(...all) < (3_000 / used) * 2, all.join())
  })
}

test('EndpointBalancer starts a returned endpoint slowly, from the end of its ejection', () => {
  const nodes = nodesOf(3)
  const [bad] = nodes as [TestNode]
  const balancer = make(roundRobin(), nodes, {
    outlierEjection: { consecutiveFailures: 1, baseEjectionMs: 1_000 },
    slowStart: { windowMs: 10_000 },
  })
  failNode(balancer, bad, 1, 0, nodes)
  sharesOf(balancer, 10, 6_000) // noticed late
  assert.equal(balancer.balanceOf(bad, 6_000).slowStartShare, 0.5)
  balancer.setHealthy(bad, false, 20_000)
  balancer.setHealthy(bad, true, 21_000)
  assert.equal(balancer.balanceOf(bad, 22_000).slowStartShare, 0.1)
})

test('EndpointBalancer compares success rates when an interval ends, without being told', () => {
  const nodes = nodesOf(6)
  const [bad] = nodes as [TestNode]
  const reasons: string[] = []
  const balancer = make(roundRobin(), nodes, {
    outlierEjection: { consecutiveFailures: 1e9, intervalMs: 1_000 },
    observer: { onEjected: (_endpoint, reason) => void reasons.push(reason) },
  })
  for (let call = 0; call < 900; call++) {
    const pick = balancer.pick(anyCall, call, seededRandom(1))
    pick?.done(call, 1, pick.node === bad && call % 12 < 6)
  }
  assert.deepEqual(reasons, [])
  balancer.pick(anyCall, 1_000, seededRandom(1))?.done(1_000, 1, false)
  assert.equal(reasons.length, 1)
  assert.match(reasons.join(), /^success rate \d/)
  assert.ok(balancer.ejectedUntil(bad, 1_001) !== undefined)
})

test('EndpointBalancer takes a refusal of our own for neither failure nor success', () => {
  const ejects = (...outcomes: [latency: number | undefined, failed: boolean][]): boolean => {
    const nodes = nodesOf(2)
    const [a, b] = nodes as [TestNode, TestNode]
    const balancer = make(random(), nodes, { outlierEjection: { consecutiveFailures: 2 } })
    for (const [latency, failed] of outcomes) {
      balancer.pick(anyCall, 0, seededRandom(1), new Set([b]))?.done(0, latency, failed)
    }
    return balancer.ejectedUntil(a, 0) !== undefined
  }
  assert.equal(ejects([1, true], [undefined, false]), false)
  assert.equal(ejects([1, true], [undefined, false], [1, true]), true)
  assert.equal(ejects([1, true], [1, false], [1, true]), false)
})

test('EndpointBalancer turns to all of a priority below its panic threshold, only when short', () => {
  const nodes = nodesOf(4)
  const spare = new TestNode('10.9.0.1', { priority: 1 })
  const down = (balancer: EndpointBalancer<TestNode>): void => {
    for (const node of nodes.slice(0, 3)) balancer.setHealthy(node, false, 1)
  }
  const alone = make(roundRobin(), nodes, { panicThreshold: 0.5 })
  down(alone)
  assert.equal(Object.keys(sharesOf(alone, 40, 2)).length, 4)
  // While another priority carries the load, nobody need turn to the sick.
  const helped = make(roundRobin(), [...nodes, spare], { panicThreshold: 0.5 })
  down(helped)
  assert.deepEqual(Object.keys(sharesOf(helped, 400, 2)).sort(), ['10.0.0.3', '10.9.0.1'])
})

test('EndpointBalancer refuses balancing out of range, or that does not go together', () => {
  const wrong: [BalancingOptions, string][] = [
    [{ panicThreshold: 1.1 }, 'ERR_OPTION_RANGE'],
    [{ overprovisioning: 0.9 }, 'ERR_OPTION_RANGE'],
    [{ locality: { zone: '' } }, 'ERR_ARGUMENT'],
    [{ locality: { zone: 'a', maxLoad: 0 } }, 'ERR_OPTION_RANGE'],
    [{ locality: { zone: 'a' }, subset: { client: 0, clients: 1 } }, 'ERR_ARGUMENT'],
  ]
  for (const [balancing, code] of wrong) {
    assert.throws(() => p2c()<TestNode>(balancing), { code })
  }
  assert.throws(() => p2c({ latencyWindowMs: 0 })<TestNode>(), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => p2c({ failurePenaltyMs: -1 })<TestNode>(), { code: 'ERR_OPTION_RANGE' })
})
