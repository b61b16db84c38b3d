/**
 * A balancer that knows health: the one inside chooses among the endpoints that serve, and every
 * attempt is counted for its endpoint.
 *
 * When none serves, all are offered (fail open): checks may be wrong, refusing everything is
 * certainly an outage, and the breakers below still hold back what does not answer.
 */
import type { Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { Pick } from '../../core/policy.ts'
import {
  type BalancerFactory,
  type BalancerNode,
  EndpointBalancer,
} from '../../runtime/balancer/balancer.ts'
import { endpointKey } from '../../runtime/endpoint-set.ts'
import type { ClusterHealth, EndpointRecord } from './endpoint-health.ts'

/** What a cluster asks of its balancer. */
export interface HealthAware {
  /** Which endpoints serve has changed. */
  refresh(): void
}

/** @param onMade the client makes the balancer; the cluster needs to reach it */
export function observedBalancer(
  inner: BalancerFactory,
  health: ClusterHealth,
  onMade: (balancer: HealthAware) => void,
): BalancerFactory {
  return <Node extends BalancerNode>() => {
    const balancer = new ObservedBalancer<Node>(inner<Node>(), health)
    onMade(balancer)
    return balancer
  }
}

class ObservedBalancer<Node extends BalancerNode> extends EndpointBalancer<Node> {
  readonly #inner: EndpointBalancer<Node>
  readonly #health: ClusterHealth
  #nodes: readonly Node[] = []
  #places = new Map<Node, Place>()

  constructor(inner: EndpointBalancer<Node>, health: ClusterHealth) {
    super(inner.name, () => undefined)
    this.#inner = inner
    this.#health = health
  }

  override update(nodes: readonly Node[]): void {
    this.#nodes = nodes
    const places = new Map<Node, Place>()
    for (const node of nodes) {
      const key = endpointKey(node.endpoint)
      places.set(node, { key, record: this.#health.of(key) })
    }
    this.#places = places
    this.#health.keepOnly(new Set([...places.values()].map(({ key }) => key)))
    this.refresh()
  }

  refresh(): void {
    const serving = this.#nodes.filter((node) => this.#places.get(node)?.record.serving)
    this.#inner.update(serving.length > 0 ? serving : this.#nodes)
  }

  override pick(
    context: CallContext,
    now: number,
    random: Random,
    excluded?: ReadonlySet<Node>,
  ): Pick<Node> | undefined {
    const picked = this.#inner.pick(context, now, random, excluded)
    if (picked === undefined) return undefined
    return new ObservedPick(picked, this.#places.get(picked.node) as Place, this.#health)
  }

  override loadOf(node: Node): number {
    return this.#inner.loadOf(node)
  }

  override latencyOf(node: Node, now: number): number | undefined {
    return this.#inner.latencyOf(node, now)
  }
}

interface Place {
  readonly key: string
  readonly record: EndpointRecord
}

class ObservedPick<Node> implements Pick<Node> {
  readonly node: Node
  readonly #picked: Pick<Node>
  readonly #place: Place
  readonly #health: ClusterHealth

  constructor(picked: Pick<Node>, place: Place, health: ClusterHealth) {
    this.node = picked.node
    this.#picked = picked
    this.#place = place
    this.#health = health
  }

  done(now: number, latencyMs: number | undefined, endpointFailure: boolean): void {
    this.#picked.done(now, latencyMs, endpointFailure)
    const { key, record } = this.#place
    this.#health.onAttempt(key, record, now, latencyMs, endpointFailure)
  }
}
