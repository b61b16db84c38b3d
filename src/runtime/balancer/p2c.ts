/**
 * Power of two choices: of two random endpoints, the one that costs less (Mitzenmacher 2001). Close
 * to always taking the best, without the herd that runs to it and without looking at all of them.
 *
 *     cost = remembered latency × (calls in flight, by weight, + 1)
 */
import type { Random } from '../../core/clock.ts'
import { type BalancerFactory, EndpointBalancer, type EndpointBalancerOptions } from './balancer.ts'
import { type BalancerNode, type Group, isUsable, type Member, type Strategy } from './member.ts'
import { weightedIndex } from './random.ts'

export function p2c(options: EndpointBalancerOptions = {}): BalancerFactory {
  return (balancing) => new EndpointBalancer(P2C, { ...options, ...balancing })
}

function chooseOfTwo<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  random: Random,
  excluded: ReadonlySet<Node> | undefined,
): Member<Node> | undefined {
  const { members } = group
  const count = members.length
  if (count === 0) return undefined
  for (let tries = 0; tries < TRIES; tries++) {
    const first = drawIndex(group, random)
    const second =
      count > 1 && group.uniform ? otherIndex(first, count, random) : drawIndex(group, random)
    const a = members[first] as Member<Node>
    const b = members[second] as Member<Node>
    const aUsable = isUsable(a, now, excluded)
    const bUsable = a === b ? aUsable : isUsable(b, now, excluded)
    if (aUsable && bUsable) {
      // A small difference is noise: then the first draw decides, which follows weight and chance.
      return cost(group, b, now) < cost(group, a, now) * CLEARLY ? b : a
    }
    if (aUsable) return a
    if (bUsable) return b
  }
  // Most are down: the cheapest of all that are not.
  let best: Member<Node> | undefined
  for (const member of members) {
    if (!isUsable(member, now, excluded)) continue
    if (best === undefined || cost(group, member, now) < cost(group, best, now)) best = member
  }
  return best
}

function cost<Node>(group: Group<Node>, member: Member<Node>, now: number): number {
  const { load, latency } = member
  // Of an endpoint that has not answered yet, one answer is awaited before it gets more.
  if (!latency.known) return load === 0 ? 0 : UNKNOWN + load
  const share = group.uniform ? 1 : (member.weight * group.members.length) / group.totalWeight
  return latency.at(now) * (load / share + 1)
}

function drawIndex<Node>(group: Group<Node>, random: Random): number {
  if (group.uniform) return Math.floor(random() * group.members.length)
  return weightedIndex(group, random)
}

function otherIndex(first: number, count: number, random: Random): number {
  const index = Math.floor(random() * (count - 1))
  return index >= first ? index + 1 : index
}

const P2C: Strategy = { name: 'p2c', choose: chooseOfTwo }
const TRIES = 3
const CLEARLY = 0.9
const UNKNOWN = 1e9
