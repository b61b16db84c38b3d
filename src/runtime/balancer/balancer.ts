/**
 * What all balancers share: the set of nodes, who of them may be chosen, and the load each has now.
 * A balancer is that and a way to choose (p2c.ts, round-robin.ts, random.ts, least-request.ts,
 * ring-hash.ts, maglev.ts).
 *
 *     (subset →) nodes → priorities → own zone or others → not ejected, not unhealthy → strategy
 *
 * A node that the call has tried already is chosen only when there is no other. When the level that
 * a call falls to has nothing to choose, the others are asked, best first.
 *
 * Who serves is counted when something changed, not for each call: `refresh` says that something
 * may have. Only a breaker's time passes without a word, so where shares depend on it (several
 * priorities or zones, or somebody is out) it is counted every 100 ms as well.
 */
import type { Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { checkRange } from '../../core/errors.ts'
import type { Balancer, Endpoint, HashKey, Pick } from '../../core/policy.ts'
import { endpointKey } from '../endpoint-set.ts'
import { type Balancing, type BalancingOptions, checkBalancing } from './balancing-options.ts'
import { hashFraction, hashText, rehash } from './hash.ts'
import { type Level, makeLevels } from './level.ts'
import { type BalancerNode, Group, Member, type Strategy } from './member.ts'
import { type Ejection, OutlierDetector, type OutlierRecord } from './outlier-detector.ts'
import { priorityLoads } from './priority-load.ts'
import { slowStartShare } from './slow-start.ts'
import { subsetOfEndpoints } from './subset.ts'

export type { BalancerNode } from './member.ts'

/** Makes a balancer for one client. */
export type BalancerFactory<Req = unknown> = <Node extends BalancerNode>(
  balancing?: BalancingOptions,
) => EndpointBalancer<Node, Req>

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

/** What `explain` says of one node. */
export interface NodeBalance {
  readonly ejectedForMs: number | undefined
  /** Ejections that still count. */
  readonly ejections: number
  readonly healthy: boolean
  /** Share of its weight that it has; undefined: all of it. */
  readonly slowStartShare: number | undefined
}

export class EndpointBalancer<Node extends BalancerNode, Req = unknown>
  implements Balancer<Node, Req>
{
  readonly name: string
  readonly strategy: Strategy
  readonly balancing: Balancing
  readonly outliers: OutlierDetector | undefined
  readonly failurePenaltyMs: number
  readonly #latencyWindowMs: number
  readonly #keyOf: HashKey<Req> | undefined
  #members = new Map<Node, Member<Node>>()
  #byRecord = new Map<OutlierRecord, Member<Node>>()
  #records: readonly OutlierRecord[] = []
  #levels: readonly Level<Node>[] = []
  /** When who serves must be counted again. */
  #refreshAt = Number.NEGATIVE_INFINITY

  constructor(
    strategy: Strategy,
    options: EndpointBalancerOptions & BalancingOptions = {},
    keyOf?: HashKey<Req>,
  ) {
    const {
      latencyWindowMs = balancerDefaults.latencyWindowMs,
      failurePenaltyMs = balancerDefaults.failurePenaltyMs,
      outlierEjection,
    } = options
    this.name = strategy.name
    this.strategy = strategy
    this.balancing = checkBalancing(options, strategy.consistent ? strategy.name : undefined)
    this.outliers = outlierEjection && new OutlierDetector(outlierEjection)
    this.#latencyWindowMs = checkRange('latencyWindowMs', latencyWindowMs, 1, 3_600_000)
    this.failurePenaltyMs = checkRange('failurePenaltyMs', failurePenaltyMs, 0, 3_600_000)
    this.#keyOf = keyOf
  }

  /** Of all that there are, the endpoints to make nodes of. */
  select(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const { subset } = this.balancing
    return subset === undefined ? endpoints : subsetOfEndpoints(endpoints, subset)
  }

  /** Nodes that stay keep what is known of them; those that come to a known set start slowly. */
  update(nodes: readonly Node[], now: number): void {
    const isFirst = this.#members.size === 0
    const before = this.#levels
    const members = new Map<Node, Member<Node>>()
    for (const node of nodes) {
      const weight = node.endpoint.weight ?? 1
      let member = this.#members.get(node)
      if (member === undefined) {
        const key = endpointKey(node.endpoint)
        member = new Member(node, key, weight, this.#latencyWindowMs, new Group())
        if (!isFirst) member.since = now
      }
      member.baseWeight = weight
      members.set(node, member)
    }
    this.#members = members
    // What has no weight cannot be ejected and is no part of any share.
    const weighty = [...members.values()].filter((member) => member.baseWeight > 0)
    this.#byRecord = new Map(weighty.map((member) => [member.outlier, member]))
    this.#records = weighty.map((member) => member.outlier)
    this.#levels = makeLevels(members.values(), this.balancing)
    keepTables(before, this.#levels)
    this.refresh()
  }

  /** What `available` of a node says may have changed. */
  refresh(): void {
    this.#refreshAt = Number.NEGATIVE_INFINITY
  }

  /** Says what somebody who checks a node has found. New nodes count as healthy. */
  setHealthy(node: Node, healthy: boolean, now: number): void {
    const member = this.#members.get(node)
    if (member === undefined || member.healthy === healthy) return
    member.healthy = healthy
    if (healthy) member.since = now
    this.refresh()
  }

  pick(
    context: CallContext,
    now: number,
    random: Random,
    excluded?: ReadonlySet<Node>,
    request?: Req,
  ): Pick<Node> | undefined {
    if (now >= this.#refreshAt) this.#refresh(now)
    const hash = this.#hashOf(request, context, random)
    const member =
      this.#choose(now, random, excluded, hash) ??
      (excluded === undefined ? undefined : this.#choose(now, random, undefined, hash))
    if (member === undefined) return undefined
    member.load++
    member.group.load++
    return new MemberPick(member, this)
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

  /** Monotonic; undefined: it is not ejected. */
  ejectedUntil(node: Node, now: number): number | undefined {
    const until = this.#members.get(node)?.outlier.ejectedUntil
    return until === undefined || until <= now ? undefined : until
  }

  balanceOf(node: Node, now: number): NodeBalance {
    const member = this.#members.get(node)
    const until = this.ejectedUntil(node, now)
    const { slowStart } = this.balancing
    const share = member && slowStart ? slowStartShare(now - member.since, slowStart) : 1
    return {
      ejectedForMs: until === undefined ? undefined : Math.ceil(until - now),
      ejections: member?.outlier.ejections ?? 0,
      healthy: member?.healthy ?? true,
      slowStartShare: share < 1 ? share : undefined,
    }
  }

  /** By priority, best first. */
  levels(now: number): readonly Level<Node>[] {
    if (now >= this.#refreshAt) this.#refresh(now)
    return this.#levels
  }

  /** An attempt has ended. */
  settle(member: Member<Node>, now: number, latencyMs: number | undefined, failed: boolean): void {
    member.load--
    member.group.load--
    if (failed) member.latency.observe(now, Math.max(latencyMs ?? 0, this.failurePenaltyMs))
    else if (latencyMs !== undefined) member.latency.observe(now, latencyMs)
    const { observer } = this.balancing
    observer.onAttempt?.(member.node.endpoint, now, latencyMs, failed)
    // A call that was refused or cancelled here neither breaks a row of failures nor adds to it.
    if (this.outliers === undefined || (!failed && latencyMs === undefined)) return
    if (!this.#byRecord.has(member.outlier)) return
    const ejection = this.outliers.record(member.outlier, this.#records, failed, now)
    if (ejection !== undefined) this.#onEjection(ejection, now)
  }

  #choose(
    now: number,
    random: Random,
    excluded: ReadonlySet<Node> | undefined,
    hash: number,
  ): Member<Node> | undefined {
    const levels = this.#levels
    const { choose, consistent } = this.strategy
    const maxLoad = this.balancing.locality?.maxLoad ?? Number.POSITIVE_INFINITY
    const [only] = levels
    if (levels.length === 1) {
      return (only as Level<Node>).choose(choose, now, random, excluded, hash, maxLoad)
    }
    // The same key stays in the same level, as long as the shares are the same.
    const draw =
      only === undefined || only.upTo >= 1
        ? 0
        : consistent
          ? hashFraction(rehash(hash, 1))
          : random()
    const drawn = levels.find(({ upTo }) => draw < upTo)
    const member = drawn?.choose(choose, now, random, excluded, hash, maxLoad)
    if (member !== undefined) return member
    for (const level of levels) {
      if (level === drawn) continue
      const other = level.choose(choose, now, random, excluded, hash, maxLoad)
      if (other !== undefined) return other
    }
    return undefined
  }

  #hashOf(request: Req | undefined, context: CallContext, random: Random): number {
    if (!this.strategy.consistent) return 0
    const key = this.#keyOf?.(request as Req, context)
    return key === undefined ? Math.floor(random() * 0x1_0000_0000) : hashText(key)
  }

  #refresh(now: number): void {
    this.#judge(now)
    const levels = this.#levels
    const { panicThreshold, overprovisioning, observer } = this.balancing
    for (const level of levels) level.count(now)
    const { shares, short } = priorityLoads(levels, overprovisioning)
    let upTo = 0
    levels.forEach((level, index) => {
      const before = level.panicking
      const panicking = short && level.isBelow(panicThreshold)
      level.arrange(now, panicking, this.balancing, this.strategy.consistent === true)
      if (panicking !== before) observer.onPanic?.(level.priority, panicking)
      upTo += shares[index] as number
      level.upTo = index === levels.length - 1 ? 1 : upTo
    })
    this.#refreshAt = this.#nextRefresh(now)
  }

  /** Takes back whose time is over; compares at the end of an interval. */
  #judge(now: number): void {
    const { outliers } = this
    if (outliers === undefined) return
    for (const [record, member] of this.#byRecord) {
      const until = record.ejectedUntil
      if (!outliers.returns(record, now)) continue
      member.since = until as number
      this.balancing.observer.onReturned?.(member.node.endpoint)
    }
    if (now < outliers.sweepAt) return
    for (const ejection of outliers.sweep(this.#records, now)) this.#onEjection(ejection, now)
  }

  #onEjection({ record, reason, until }: Ejection, now: number): void {
    const member = this.#byRecord.get(record) as Member<Node>
    this.balancing.observer.onEjected?.(member.node.endpoint, reason, until - now)
    this.refresh()
  }

  #nextRefresh(now: number): number {
    const { locality, slowStart } = this.balancing
    let next = this.outliers?.sweepAt ?? Number.POSITIVE_INFINITY
    if (this.#levels.length > 1 || locality !== undefined) next = Math.min(next, now + POLL_MS)
    if (slowStart !== undefined && this.#levels.some(({ warming }) => warming)) {
      next = Math.min(next, now + Math.max(1, slowStart.windowMs / SLOW_START_STEPS))
    }
    for (const { ejectedUntil } of this.#records) {
      if (ejectedUntil !== undefined) next = Math.min(next, ejectedUntil)
    }
    if (this.#levels.some(({ anyOut }) => anyOut)) next = Math.min(next, now + POLL_MS)
    return next
  }
}

class MemberPick<Node extends BalancerNode> implements Pick<Node> {
  readonly node: Node
  readonly #balancer: EndpointBalancer<Node, never>
  #member: Member<Node> | undefined

  constructor(member: Member<Node>, balancer: EndpointBalancer<Node, never>) {
    this.node = member.node
    this.#member = member
    this.#balancer = balancer
  }

  done(now: number, latencyMs: number | undefined, endpointFailure: boolean): void {
    const member = this.#member
    if (member === undefined) return
    this.#member = undefined
    this.#balancer.settle(member, now, latencyMs, endpointFailure)
  }
}

/** A table costs: one that would come out the same is kept, which whoever made it finds out. */
function keepTables<Node extends BalancerNode>(
  before: readonly Level<Node>[],
  after: readonly Level<Node>[],
): void {
  for (const level of after) {
    level.near.table = before.find(({ priority }) => priority === level.priority)?.near.table
  }
}

/** How old may be what is known of breakers, where shares depend on it. */
const POLL_MS = 100
const SLOW_START_STEPS = 100
