/**
 * The first endpoint that can be used, in the order of the resolver: everything goes to one, and to the
 * next while that one is out. For few calls, or where the resolver has sorted them.
 */
import type { Random } from '../../core/clock.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import { type BalancerNode, type Group, isUsable, type Member } from './member.ts'

export function pickFirst(): BalancerFactory {
  return (balancing) => new EndpointBalancer({ name: 'pick-first', choose: chooseFirst }, balancing)
}

function chooseFirst<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  _random: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  for (const member of group.members) if (isUsable(member, now, excluded)) return member
  return undefined
}
