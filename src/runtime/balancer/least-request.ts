/**
 * The endpoint with the fewest calls in flight for its weight; ties in turn, from a random start.
 * Exact where p2c is nearly so, but each choice looks at every endpoint: for small sets.
 */
import type { Random } from '../../core/clock.ts'
import {
  type BalancerFactory,
  type BalancerNode,
  EndpointBalancer,
  type Group,
  isUsable,
  type Member,
} from './balancer.ts'

export function leastRequest(): BalancerFactory {
  return () => new EndpointBalancer('least-request', chooseLeast)
}

function chooseLeast<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  random: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  const { members } = group
  const start = Math.floor(random() * members.length)
  let best: Member<Node> | undefined
  for (let step = 0; step < members.length; step++) {
    const member = members[(start + step) % members.length] as Member<Node>
    if (!isUsable(member, now, excluded)) continue
    if (best === undefined || (member.load + 1) / member.weight < (best.load + 1) / best.weight) {
      best = member
    }
  }
  return best
}
