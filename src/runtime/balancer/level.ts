/**
 * The endpoints of one priority, in two groups: those of the own zone, and the others. Without
 * locality all are in the first. A level knows which of its members serve and how much of the load
 * each group gets; it is looked at again when something changed.
 */
import type { Random } from '../../core/clock.ts'
import type { Balancing } from './balancing-options.ts'
import { type BalancerNode, type Choose, Group, type Member } from './member.ts'
import { capacity, type PriorityHealth } from './priority-load.ts'
import { slowStartShare } from './slow-start.ts'

export class Level<Node extends BalancerNode> implements PriorityHealth {
  readonly priority: number
  /** The own zone, or everything. */
  readonly near: Group<Node>
  readonly far: Group<Node>
  /** All, the weightless as well. */
  readonly members: readonly Member<Node>[]
  healthy = 0
  total = 0
  /** Some are ejected or unhealthy. */
  anyOut = false
  panicking = false
  /** Up to where of [0, 1) calls are this level's. */
  upTo = 1
  /** Share of this level's calls that stay in the own zone. */
  nearShare = 1
  /** Some start slowly: weights change with time. */
  warming = false

  constructor(
    priority: number,
    members: readonly Member<Node>[],
    near: Group<Node>,
    far: Group<Node>,
  ) {
    this.priority = priority
    this.members = members
    this.near = near
    this.far = far
  }

  /** Counts who serves. */
  count(now: number): void {
    this.healthy = 0
    this.total = 0
    this.anyOut = false
    for (const member of this.members) {
      this.total += member.baseWeight
      if (isOut(member)) this.anyOut = true
      else if (member.node.available(now)) this.healthy += member.baseWeight
    }
  }

  /** So few serve that it is better to use all; false when that would bring nobody back. */
  isBelow(panicThreshold: number): boolean {
    const { healthy, total, anyOut } = this
    return anyOut && (healthy === 0 || healthy / total < panicThreshold)
  }

  /** Says anew who may be chosen, by which weight. */
  arrange(now: number, panicking: boolean, balancing: Balancing, keepAll: boolean): void {
    this.panicking = panicking
    this.warming = false
    const near: Member<Node>[] = []
    const far: Member<Node>[] = []
    for (const member of this.members) {
      member.out = !panicking && isOut(member)
      member.weight = this.#weightOf(member, now, balancing)
      if (member.weight === 0 || (member.out && !keepAll)) continue
      if (member.group === this.near) near.push(member)
      else far.push(member)
    }
    this.near.choices(near)
    this.far.choices(far)
    this.nearShare = this.#shareOfNear(now, balancing)
  }

  choose(
    choose: Choose,
    now: number,
    random: Random,
    excluded: ReadonlySet<Node> | undefined,
    hash: number,
    maxLoad: number,
  ): Member<Node> | undefined {
    const { near, far, nearShare } = this
    if (far.members.length === 0) return choose(near, now, random, excluded, hash)
    const stays = nearShare === 1 || (nearShare > 0 && random() < nearShare)
    const [first, second] = stays && !overloaded(near, far, maxLoad) ? [near, far] : [far, near]
    return choose(first, now, random, excluded, hash) ?? choose(second, now, random, excluded, hash)
  }

  #weightOf(member: Member<Node>, now: number, { slowStart }: Balancing): number {
    if (slowStart === undefined) return member.baseWeight
    const share = slowStartShare(now - member.since, slowStart)
    if (share < 1) this.warming = true
    return member.baseWeight * share
  }

  #shareOfNear(now: number, { locality, overprovisioning }: Balancing): number {
    if (locality === undefined || this.far.members.length === 0) return 1
    let healthy = 0
    let total = 0
    for (const member of this.members) {
      if (member.group !== this.near) continue
      total += member.baseWeight
      if (!isOut(member) && member.node.available(now)) healthy += member.baseWeight
    }
    return capacity({ healthy, total }, overprovisioning)
  }
}

function isOut<Node>({ healthy, outlier }: Member<Node>): boolean {
  return !healthy || outlier.ejectedUntil !== undefined
}

function overloaded<Node>(near: Group<Node>, far: Group<Node>, maxLoad: number): boolean {
  return near.load >= maxLoad * near.totalWeight && far.load < maxLoad * far.totalWeight
}

/** Sorts members into levels, best first, and into the groups of their zones. */
export function makeLevels<Node extends BalancerNode>(
  members: Iterable<Member<Node>>,
  { locality }: Balancing,
): Level<Node>[] {
  const byPriority = new Map<number, Member<Node>[]>()
  for (const member of members) {
    const priority = member.node.endpoint.priority ?? 0
    const list = byPriority.get(priority)
    if (list === undefined) byPriority.set(priority, [member])
    else list.push(member)
  }
  return [...byPriority]
    .sort(([a], [b]) => a - b)
    .map(([priority, list]) => {
      const near = new Group<Node>()
      const far = new Group<Node>()
      for (const member of list) {
        const isNear = locality === undefined || member.node.endpoint.locality === locality.zone
        member.group = isNear ? near : far
        member.group.load += member.load
      }
      return new Level(priority, list, near, far)
    })
}
