/**
 * The endpoint with the fewest calls in flight for its weight; ties by chance. Among idle ones chance
 * follows weight: else the heaviest would get every call as long as calls come one by one. Exact
 * where p2c is nearly so, but each choice looks at every endpoint: for small sets.
 */
import type { Random } from '../../core/clock.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import { type BalancerNode, type Group, isUsable, type Member } from './member.ts'

export function leastRequest(): BalancerFactory {
  return (balancing) =>
    new EndpointBalancer({ name: 'least-request', choose: chooseLeast }, balancing)
}

function chooseLeast<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  random: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  let best: Member<Node> | undefined
  let bestCost = Number.POSITIVE_INFINITY
  let tied = 0
  let idle: Member<Node> | undefined
  let idleWeight = 0
  for (const member of group.members) {
    if (!isUsable(member, now, excluded)) continue
    const { load, weight } = member
    // Each tie replaces the one before with its part of the chance: all are as likely in the end.
    if (load === 0) {
      idleWeight += weight
      if (idle === undefined || random() * idleWeight < weight) idle = member
    }
    const cost = (load + 1) / weight
    if (cost > bestCost) continue
    tied = cost < bestCost ? 1 : tied + 1
    bestCost = cost
    if (tied === 1 || random() * tied < 1) best = member
  }
  return best?.load === 0 ? idle : best
}
