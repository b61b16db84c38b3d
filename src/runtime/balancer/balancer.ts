/**
 * What all balancers share: the set of nodes, priorities, and the load each node has now. A balancer
 * is that and a way to choose (p2c.ts, round-robin.ts, random.ts, least-request.ts).
 *
 * Only the endpoints of the best priority that has one available are chosen from. A node that the
 * call has tried already is chosen only when there is no other.
 */
import type { Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { Balancer, Endpoint, Pick } from '../../core/policy.ts'
import { PeakEwma } from './peak-ewma.ts'

/** What a balancer must know of a node. */
export interface BalancerNode {
  readonly endpoint: Endpoint
  /** False while its breaker is open or it is known to be down. */
  available(now: number): boolean
}

/** Makes a balancer for one client. */
export type BalancerFactory = <Node extends BalancerNode>() => EndpointBalancer<Node>

/** Chooses from nodes of one priority. Must not choose what {@link isUsable} refuses. */
export type Choose = <Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  random: Random,
  excluded: ReadonlySet<Node> | undefined,
) => Member<Node> | undefined

export interface Group<Node> {
  readonly priority: number
  readonly members: readonly Member<Node>[]
  /** All weights are the same. */
  readonly uniform: boolean
  readonly totalWeight: number
}

export class Member<Node> {
  readonly node: Node
  weight: number
  /** Calls in flight. */
  load = 0
  readonly latency: PeakEwma
  /** For smooth round robin. */
  current = 0

  constructor(node: Node, weight: number, latencyWindowMs: number) {
    this.node = node
    this.weight = weight
    this.latency = new PeakEwma(latencyWindowMs)
  }
}

export interface EndpointBalancerOptions {
  /** Over which time latency is remembered. @default 10_000, as Finagle */
  latencyWindowMs?: number
  /**
   * A failed call counts as if it had taken at least so long: one that fails fast must not look
   * like the fastest.
   *
   * @default 1_000
   */
  failurePenaltyMs?: number
}

export const balancerDefaults: Readonly<Required<EndpointBalancerOptions>> = Object.freeze({
  latencyWindowMs: 10_000,
  failurePenaltyMs: 1_000,
})

export class EndpointBalancer<Node extends BalancerNode> implements Balancer<Node> {
  readonly name: string
  readonly #choose: Choose
  readonly #latencyWindowMs: number
  readonly #failurePenaltyMs: number
  #members = new Map<Node, Member<Node>>()
  #groups: readonly Group<Node>[] = []

  constructor(name: string, choose: Choose, options: EndpointBalancerOptions = {}) {
    const {
      latencyWindowMs = balancerDefaults.latencyWindowMs,
      failurePenaltyMs = balancerDefaults.failurePenaltyMs,
    } = options
    this.name = name
    this.#choose = choose
    this.#latencyWindowMs = latencyWindowMs
    this.#failurePenaltyMs = failurePenaltyMs
  }

  /** Nodes that stay keep what is known of them. */
  update(nodes: readonly Node[]): void {
    const members = new Map<Node, Member<Node>>()
    for (const node of nodes) {
      const weight = node.endpoint.weight ?? 1
      const member = this.#members.get(node) ?? new Member(node, weight, this.#latencyWindowMs)
      member.weight = weight
      members.set(node, member)
    }
    this.#members = members
    this.#groups = groupByPriority([...members.values()])
  }

  pick(
    _context: CallContext,
    now: number,
    random: Random,
    excluded?: ReadonlySet<Node>,
  ): Pick<Node> | undefined {
    const member =
      this.#pickMember(now, random, excluded) ??
      (excluded === undefined ? undefined : this.#pickMember(now, random, undefined))
    if (member === undefined) return undefined
    member.load++
    return new MemberPick(member, this.#failurePenaltyMs)
  }

  /** Calls in flight to a node. */
  loadOf(node: Node): number {
    return this.#members.get(node)?.load ?? 0
  }

  /** Remembered latency in milliseconds; undefined: no call ended yet. */
  latencyOf(node: Node, now: number): number | undefined {
    const latency = this.#members.get(node)?.latency
    return latency === undefined || !latency.known ? undefined : latency.at(now)
  }

  #pickMember(
    now: number,
    random: Random,
    excluded: ReadonlySet<Node> | undefined,
  ): Member<Node> | undefined {
    for (const group of this.#groups) {
      const member = this.#choose(group, now, random, excluded)
      if (member !== undefined) return member
    }
    return undefined
  }
}

export function isUsable<Node extends BalancerNode>(
  member: Member<Node>,
  now: number,
  excluded: ReadonlySet<Node> | undefined,
): boolean {
  if (excluded?.has(member.node)) return false
  return member.weight > 0 && member.node.available(now)
}

class MemberPick<Node> implements Pick<Node> {
  readonly node: Node
  readonly #failurePenaltyMs: number
  #member: Member<Node> | undefined

  constructor(member: Member<Node>, failurePenaltyMs: number) {
    this.node = member.node
    this.#member = member
    this.#failurePenaltyMs = failurePenaltyMs
  }

  done(now: number, latencyMs: number | undefined, endpointFailure: boolean): void {
    const member = this.#member
    if (member === undefined) return
    this.#member = undefined
    member.load--
    if (endpointFailure) {
      member.latency.observe(now, Math.max(latencyMs ?? 0, this.#failurePenaltyMs))
    } else if (latencyMs !== undefined) member.latency.observe(now, latencyMs)
  }
}

function groupByPriority<Node extends BalancerNode>(members: Member<Node>[]): Group<Node>[] {
  const byPriority = new Map<number, Member<Node>[]>()
  for (const member of members) {
    const priority = member.node.endpoint.priority ?? 0
    const group = byPriority.get(priority)
    if (group === undefined) byPriority.set(priority, [member])
    else group.push(member)
  }
  return [...byPriority]
    .sort(([a], [b]) => a - b)
    .map(([priority, group]) => ({
      priority,
      members: group,
      uniform: group.every((member) => member.weight === group[0]?.weight),
      totalWeight: group.reduce((sum, member) => sum + member.weight, 0),
    }))
}
