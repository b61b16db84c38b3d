/**
 * In turn, by weight, spread evenly (nginx's smooth weighted round robin): weights 3 and 1 give
 * A A B A, not A A A B. Each choice looks at every endpoint of the group.
 */
import type { Random } from '../../core/clock.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import { type BalancerNode, type Group, isUsable, type Member } from './member.ts'

export function roundRobin(): BalancerFactory {
  return (balancing) =>
    new EndpointBalancer({ name: 'round-robin', choose: chooseInTurn }, balancing)
}

function chooseInTurn<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  _random: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  let total = 0
  let chosen: Member<Node> | undefined
  for (const member of group.members) {
    if (!isUsable(member, now, excluded)) continue
    total += member.weight
    member.current += member.weight
    if (chosen === undefined || member.current > chosen.current) chosen = member
  }
  if (chosen !== undefined) chosen.current -= total
  return chosen
}
