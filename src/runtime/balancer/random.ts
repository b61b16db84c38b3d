/** By chance, in proportion to weight. The least state, and no herd. */
import type { Random } from '../../core/clock.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import { type BalancerNode, type Group, isUsable, type Member } from './member.ts'

export function random(): BalancerFactory {
  return (balancing) => new EndpointBalancer({ name: 'random', choose: chooseAtRandom }, balancing)
}

function chooseAtRandom<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  chance: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  let total = 0
  for (const member of group.members) if (isUsable(member, now, excluded)) total += member.weight
  if (total === 0) return undefined
  let rest = chance() * total
  let chosen: Member<Node> | undefined
  for (const member of group.members) {
    if (!isUsable(member, now, excluded)) continue
    chosen = member
    rest -= member.weight
    if (rest < 0) break
  }
  return chosen
}

/** Index of a member drawn by weight, usable or not. */
export function weightedIndex<Node>(group: Group<Node>, chance: Random): number {
  let rest = chance() * group.totalWeight
  for (let index = 0; index < group.members.length; index++) {
    rest -= group.members[index]!.weight
    if (rest < 0) return index
  }
  return group.members.length - 1
}
