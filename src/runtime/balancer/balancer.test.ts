import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import type { Endpoint } from '../../core/policy.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import type { BalancerFactory, BalancerNode, EndpointBalancer } from './balancer.ts'
import { leastRequest } from './least-request.ts'
import { p2c } from './p2c.ts'
import { PeakEwma } from './peak-ewma.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'

class Node implements BalancerNode {
  endpoint: Endpoint
  readonly name: string
  up = true

  constructor(name: string, weight = 1, priority = 0) {
    this.name = name
    this.endpoint = { address: ip(name, 80), weight, priority }
  }

  available(): boolean {
    return this.up
  }
}

const context = new Call()
const ALL: Readonly<Record<string, BalancerFactory>> = {
  p2c: p2c(),
  'round-robin': roundRobin(),
  random: random(),
  'least-request': leastRequest(),
}

function make(factory: BalancerFactory, ...nodes: Node[]): EndpointBalancer<Node> {
  const balancer = factory<Node>()
  balancer.update(nodes, 0)
  return balancer
}

/** Picks and ends `count` calls one after the other; says how many each node got. */
function shares(
  balancer: EndpointBalancer<Node>,
  count: number,
  latencyMs: (node: Node) => number = () => 1,
  seed = 1,
): Record<string, number> {
  const chance = seededRandom(seed)
  const counts: Record<string, number> = {}
  for (let call = 0; call < count; call++) {
    const pick = balancer.pick(context, call, chance)
    assert.ok(pick)
    counts[pick.node.name] = (counts[pick.node.name] ?? 0) + 1
    pick.done(call, latencyMs(pick.node), false)
  }
  return counts
}

for (const [name, factory] of Object.entries(ALL)) {
  test(`${name} uses every endpoint about equally`, () => {
    const counts = shares(make(factory, new Node('a'), new Node('b'), new Node('c')), 3_000)
    for (const node of ['a', 'b', 'c']) {
      assert.ok(Math.abs((counts[node] ?? 0) - 1_000) < 200, JSON.stringify(counts))
    }
  })

  test(`${name} picks nothing without endpoints, and the only one there is`, () => {
    const balancer = make(factory)
    assert.equal(balancer.pick(context, 0, seededRandom(1)), undefined)
    assert.deepEqual(shares(make(factory, new Node('a')), 5), { a: 5 })
  })

  test(`${name} never picks what is not available or has no weight`, () => {
    const down = new Node('down')
    down.up = false
    const nodes = [new Node('a'), down, new Node('b'), new Node('none', 0)]
    assert.deepEqual(Object.keys(shares(make(factory, ...nodes), 200)).sort(), ['a', 'b'])
    for (const node of nodes) node.up = false
    assert.equal(make(factory, ...nodes).pick(context, 0, seededRandom(1)), undefined)
  })

  test(`${name} avoids excluded endpoints, unless there are no others`, () => {
    const [a, b, c] = [new Node('a'), new Node('b'), new Node('c')]
    const balancer = make(factory, a, b, c)
    const chance = seededRandom(7)
    for (let count = 0; count < 50; count++) {
      assert.equal(balancer.pick(context, 0, chance, new Set([a, c]))?.node, b)
    }
    assert.ok(balancer.pick(context, 0, chance, new Set([a, b, c])))
    b.up = false
    assert.notEqual(balancer.pick(context, 0, chance, new Set([a, c]))?.node, b)
  })

  test(`${name} turns to a lower priority only when the better ones are down`, () => {
    const [main, spare] = [new Node('main'), new Node('spare', 1, 1)]
    const balancer = make(factory, spare, main)
    assert.deepEqual(shares(balancer, 20), { main: 20 })
    main.up = false
    assert.deepEqual(shares(balancer, 20), { spare: 20 })
    main.up = true
    assert.deepEqual(shares(balancer, 20), { main: 20 })
  })

  test(`${name} knows the load of each endpoint until the pick is done, once`, () => {
    const [a] = [new Node('a')]
    const balancer = make(factory, a)
    const picks = [1, 2].map(() => balancer.pick(context, 0, seededRandom(1)))
    assert.equal(balancer.loadOf(a), 2)
    picks[0]?.done(1, 1, false)
    picks[0]?.done(1, 1, false)
    assert.equal(balancer.loadOf(a), 1)
    const [b] = [new Node('b')]
    balancer.update([b, a], 1)
    assert.equal(balancer.loadOf(a), 1) // what is known of it stays
    balancer.update([b], 1)
    picks[1]?.done(2, 1, false) // of one that is gone: harmless
    assert.equal(balancer.loadOf(a), 0)
  })
}

for (const name of ['p2c', 'round-robin', 'random']) {
  test(`${name} follows weights`, () => {
    const nodes = [new Node('a', 3), new Node('b', 1)]
    const counts = shares(make(ALL[name] as BalancerFactory, ...nodes), 4_000)
    assert.ok(Math.abs((counts['a'] ?? 0) - 3_000) < 200, JSON.stringify(counts))
  })
}

test('leastRequest follows weights under load', () => {
  const balancer = make(leastRequest(), new Node('a', 3), new Node('b', 1))
  const counts: Record<string, number> = { a: 0, b: 0 }
  for (let call = 0; call < 40; call++) {
    const { node } = balancer.pick(context, 0, seededRandom(call)) as { node: Node }
    counts[node.name]!++
  }
  assert.deepEqual(counts, { a: 30, b: 10 })
})

test('roundRobin spreads weights smoothly', () => {
  const balancer = make(roundRobin(), new Node('a', 3), new Node('b', 1))
  const names = Array.from({ length: 8 }, () => {
    const pick = balancer.pick(context, 0, seededRandom(1))
    return pick?.node.name
  })
  assert.equal(names.join(''), 'aabaaaba')
})

test('p2c prefers the fast endpoint, and tries the slow one again', () => {
  const balancer = make(p2c(), new Node('fast'), new Node('slow'))
  const counts = shares(balancer, 1_000, (node) => (node.name === 'fast' ? 1 : 50))
  assert.ok((counts['fast'] ?? 0) > 950, JSON.stringify(counts))
  // Its latency fades: after some windows without a call it is as good as any.
  const later = balancer.pick(context, 1e6, seededRandom(1))
  later?.done(1e6, 1, false)
  assert.ok((balancer.latencyOf(later?.node as Node, 1e6) ?? 9) <= 1)
})

test('p2c counts a fast failure as slow', () => {
  const [good, bad] = [new Node('good'), new Node('bad')]
  const balancer = make(p2c(), good, bad)
  const chance = seededRandom(3)
  let failures = 0
  for (let call = 0; call < 1_000; call++) {
    const pick = balancer.pick(context, call, chance)
    const failed = pick?.node === bad
    if (failed) failures++
    pick?.done(call, failed ? 0.1 : 5, failed)
  }
  assert.ok(failures < 20, `${failures} calls to the endpoint that fails`)
})

test('p2c gives an endpoint without any answer yet one call, not all of them', () => {
  const [known, fresh] = [new Node('known'), new Node('fresh')]
  const balancer = make(p2c(), known)
  shares(balancer, 5)
  balancer.update([known, fresh], 10)
  const chance = seededRandom(5)
  const picks = Array.from({ length: 20 }, () => balancer.pick(context, 10, chance))
  assert.equal(picks.filter((pick) => pick?.node === fresh).length, 1)
})

test('p2c learns nothing from a call that tells nothing', () => {
  const node = new Node('a')
  const balancer = make(p2c(), node)
  balancer.pick(context, 0, seededRandom(1))?.done(5, undefined, false)
  assert.equal(balancer.latencyOf(node, 5), undefined)
})

test('PeakEwma rises at once, falls slowly and fades', () => {
  const latency = new PeakEwma(10_000)
  assert.equal(latency.known, false)
  latency.observe(0, 10)
  assert.equal(latency.at(0), 10)
  latency.observe(1, 100)
  assert.equal(latency.at(1), 100)
  latency.observe(2, 10)
  assert.ok(latency.at(2) > 99)
  latency.observe(10_001, 10)
  const between = latency.at(10_001)
  assert.ok(between > 10 && between < 50, String(between))
  assert.ok(latency.at(200_000) < 0.001)
})
