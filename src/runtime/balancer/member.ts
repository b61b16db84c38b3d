/**
 * An endpoint as its balancer sees it, the groups that strategies choose from, and what a strategy
 * is.
 */
import type { Random } from '../../core/clock.ts'
import type { Endpoint } from '../../core/policy.ts'
import { OutlierRecord } from './outlier-detector.ts'
import { PeakEwma } from './peak-ewma.ts'

/** What a balancer must know of a node. */
export interface BalancerNode {
  readonly endpoint: Endpoint
  /** False while its breaker is open or it is known to be down. */
  available(now: number): boolean
}

/** A way to choose; everything else about balancing is the same for all of them. */
export interface Strategy {
  readonly name: string
  readonly choose: Choose
  /**
   * The same key gives the same endpoint. Then a group has all its members, those that are out as
   * well, so that they keep their place; and neither slow start, locality nor subsets apply, which
   * would all move keys.
   */
  readonly consistent?: boolean
  /** What it was told, for `explain`. */
  readonly parameters?: Readonly<Record<string, string | number | boolean | undefined>>
}

/** Chooses from one group. Must not choose what {@link isUsable} refuses. */
export type Choose = <Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  random: Random,
  excluded: ReadonlySet<Node> | undefined,
  /** Of the call's key, for consistent strategies. */
  hash: number,
) => Member<Node> | undefined

/** Endpoints of one priority, and with locality of one side: the own zone, or the others. */
export class Group<Node> {
  /** To choose from. Replaced, never changed. */
  members: readonly Member<Node>[] = NO_MEMBERS
  /** All weights are the same. */
  uniform = true
  totalWeight = 0
  /** Without those that are out. */
  servingWeight = 0
  /** Calls in flight to all of it. */
  load = 0
  /** What a consistent strategy has made of the members; its own. */
  table: unknown = undefined

  choices(members: readonly Member<Node>[]): void {
    this.members = members
    const first = members[0]?.weight
    this.uniform = true
    this.totalWeight = 0
    this.servingWeight = 0
    for (const { weight, out } of members) {
      if (weight !== first) this.uniform = false
      this.totalWeight += weight
      if (!out) this.servingWeight += weight
    }
  }
}

export class Member<Node> {
  readonly node: Node
  /** Stable name: consistent strategies place it by this. */
  readonly key: string
  /** As configured. */
  baseWeight: number
  /** What counts now: less while it starts slowly. */
  weight: number
  /** Calls in flight. */
  load = 0
  readonly latency: PeakEwma
  readonly outlier = new OutlierRecord()
  /** False: somebody who checks it says that it is down. */
  healthy = true
  /** Ejected or unhealthy, and there is no panic: not to be chosen. */
  out = false
  /** When it came into service; -Infinity: it was there from the beginning. */
  since = Number.NEGATIVE_INFINITY
  group: Group<Node>
  /** For smooth round robin. */
  current = 0

  constructor(
    node: Node,
    key: string,
    weight: number,
    latencyWindowMs: number,
    group: Group<Node>,
  ) {
    this.node = node
    this.key = key
    this.baseWeight = weight
    this.weight = weight
    this.latency = new PeakEwma(latencyWindowMs)
    this.group = group
  }
}

export function isUsable<Node extends BalancerNode>(
  member: Member<Node>,
  now: number,
  excluded: ReadonlySet<Node> | undefined,
): boolean {
  if (member.out || excluded?.has(member.node)) return false
  return member.weight > 0 && member.node.available(now)
}

const NO_MEMBERS: readonly never[] = Object.freeze([])
