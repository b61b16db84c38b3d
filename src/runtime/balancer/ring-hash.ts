/**
 * Consistent hashing on a ring (Karger 1997, ketama): every endpoint stands at many points of it, a
 * call goes to the first point at or after its hash. When an endpoint comes or goes, only the calls
 * next to its points move: about 1 in n.
 *
 *     0 ──b──a───a──c──b────c───a──b──c── 2^32
 *              ▴ hash of the key ▸ a
 *
 * An endpoint that is out keeps its points: its calls go to the next ones, and come back with it.
 */
import type { Random } from '../../core/clock.ts'
import { checkInteger } from '../../core/errors.ts'
import type { HashKey } from '../../core/policy.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import {
  type ConsistentOptions,
  checkBoundedLoad,
  rendezvous,
  tableOf,
  takesMore,
} from './consistent.ts'
import { hashText, rehash } from './hash.ts'
import type { BalancerNode, Choose, Group, Member } from './member.ts'

export interface RingHashOptions<Req> extends ConsistentOptions {
  /** What a call is hashed by; a call without a key goes anywhere. */
  key: HashKey<Req>
  /**
   * Points of an endpoint of average weight; others have more or fewer, at least one. Shares differ
   * by about 1 / √points.
   *
   * @default 160, as ketama: 8 %. On more than 6,553 endpoints fewer, so that the ring has at most
   *   1,048,576 points
   */
  pointsPerEndpoint?: number
}

export const ringHashDefaults: Readonly<{ pointsPerEndpoint: number }> = Object.freeze({
  pointsPerEndpoint: 160,
})

/** @throws UsageError ERR_OPTION_RANGE */
export function ringHash<Req>(options: RingHashOptions<Req>): BalancerFactory<Req> {
  const { key, pointsPerEndpoint = ringHashDefaults.pointsPerEndpoint } = options
  const points = checkInteger('pointsPerEndpoint', pointsPerEndpoint, 1, 10_000)
  const bound = checkBoundedLoad(options)
  const choose = chooseOnRing(points, bound)
  const parameters = { pointsPerEndpoint: points, boundedLoad: options.boundedLoad }
  const strategy = { name: 'ring-hash', choose, consistent: true, parameters }
  return <Node extends BalancerNode>(balancing = {}) =>
    new EndpointBalancer<Node, Req>(strategy, balancing, key)
}

/** Points in order, and whose each is. */
export interface Ring {
  readonly points: Uint32Array
  /** Index of a member. */
  readonly owners: Uint32Array
}

export function makeRing<Node>(members: readonly Member<Node>[], pointsPerEndpoint: number): Ring {
  const total = members.reduce((sum, { baseWeight }) => sum + baseWeight, 0)
  const average = Math.max(1, Math.min(pointsPerEndpoint, Math.floor(MAX_POINTS / members.length)))
  const counts = members.map(({ baseWeight }) =>
    Math.max(1, Math.round((average * baseWeight * members.length) / total)),
  )
  const size = counts.reduce((sum, count) => sum + count, 0)
  // Point and owner in one number sorts without a callback: both fit into 53 bits.
  const places = new Float64Array(size)
  let at = 0
  members.forEach(({ key }, owner) => {
    const hash = hashText(key)
    for (let turn = 1; turn <= (counts[owner] as number); turn++) {
      places[at++] = rehash(hash, turn) * MAX_POINTS + owner
    }
  })
  places.sort()
  const points = new Uint32Array(size)
  const owners = new Uint32Array(size)
  places.forEach((place, index) => {
    points[index] = Math.floor(place / MAX_POINTS)
    owners[index] = place % MAX_POINTS
  })
  return { points, owners }
}

function chooseOnRing(pointsPerEndpoint: number, bound: number): Choose {
  return <Node extends BalancerNode>(
    group: Group<Node>,
    now: number,
    _random: Random,
    excluded: ReadonlySet<Node> | undefined,
    hash: number,
  ): Member<Node> | undefined => {
    const { members } = group
    if (members.length === 0) return undefined
    const ring = tableOf(group, (list) => makeRing(list, pointsPerEndpoint))
    const { points, owners } = ring
    const start = firstAtOrAfter(points, hash)
    const steps = Math.min(points.length, MAX_STEPS)
    for (let step = 0; step < steps; step++) {
      const owner = owners[(start + step) % points.length] as number
      const member = members[owner] as Member<Node>
      if (takesMore(member, group, now, excluded, bound)) return member
    }
    return rendezvous(group, now, excluded, hash)
  }
}

/** Index of the first point that is not below `hash`; 0 past the end, where the ring closes. */
function firstAtOrAfter(points: Uint32Array, hash: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((points[middle] as number) < hash) low = middle + 1
    else high = middle
  }
  return low === points.length ? 0 : low
}

const MAX_POINTS = 1_048_576
/** When most are out, a walk along the whole ring would cost more than looking at each endpoint. */
const MAX_STEPS = 128
