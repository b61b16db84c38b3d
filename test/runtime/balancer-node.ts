/** Nodes for tests of balancers, and what to do with many picks. */
import assert from 'node:assert/strict'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import type { Endpoint } from '../../src/core/policy.ts'
import type { BalancerNode, EndpointBalancer } from '../../src/runtime/balancer/balancer.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'

export class TestNode implements BalancerNode {
  endpoint: Endpoint
  readonly name: string
  up = true

  constructor(name: string, more: Omit<Endpoint, 'address'> = {}) {
    this.name = name
    this.endpoint = { address: ip(name, 80), ...more }
  }

  available(): boolean {
    return this.up
  }
}

export function nodesOf(count: number, more: Omit<Endpoint, 'address'> = {}): TestNode[] {
  return Array.from({ length: count }, (_, index) => new TestNode(`10.0.0.${index}`, more))
}

export const anyCall = new Call()

/** Picks and ends `count` calls one after the other at `now`; says how many each node got. */
export function sharesOf(
  balancer: EndpointBalancer<TestNode>,
  count: number,
  now: number,
  seed = 1,
): Record<string, number> {
  const chance = seededRandom(seed)
  const counts: Record<string, number> = {}
  for (let call = 0; call < count; call++) {
    const pick = balancer.pick(anyCall, now, chance)
    assert.ok(pick)
    counts[pick.node.name] = (counts[pick.node.name] ?? 0) + 1
    pick.done(now, 1, false)
  }
  return counts
}

/** Fails so many calls of one node. */
export function failNode(
  balancer: EndpointBalancer<TestNode>,
  node: TestNode,
  times: number,
  now: number,
  others: readonly TestNode[],
): void {
  const excluded = new Set(others.filter((other) => other !== node))
  for (let time = 0; time < times; time++) {
    const pick = balancer.pick(anyCall, now, seededRandom(1), excluded)
    assert.equal(pick?.node, node)
    pick?.done(now, 1, true)
  }
}
