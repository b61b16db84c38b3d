/**
 * The endpoints of one client: follows the resolver, keeps a node for each endpoint that stays,
 * makes and retires the others, and lets calls wait while nothing is known yet.
 *
 * An error of the resolver never empties a known set. It fails the calls that wait for a first one.
 */
import { formatAddress } from '../core/address.ts'
import type { CallContext } from '../core/context.ts'
import { ClosedError, HeddleError, OverloadError, TransportError } from '../core/errors.ts'
import type { Endpoint, Resolver } from '../core/policy.ts'
import { LinkedList } from './linked-list.ts'
import type { TimerWheel } from './timer-wheel.ts'
import { type QueuePlace, Waiter } from './waiter.ts'

/** A node whose endpoint may get another weight or priority. */
export interface EndpointNode {
  endpoint: Endpoint
}

export interface EndpointSetOptions<Node extends EndpointNode> {
  resolver: Resolver
  target: string
  wheel: TimerWheel
  /** Longest wait for the first set, in milliseconds. */
  maxWaitMs: number
  /** Most calls that wait for it. */
  maxWaiting: number
  /** Which of all endpoints are used. @default all */
  select?(endpoints: readonly Endpoint[]): readonly Endpoint[]
  create(endpoint: Endpoint): Node
  /** The endpoint is gone: the node finishes what it has. */
  retire(node: Node): void
  onNodes(nodes: readonly Node[]): void
  onError?(error: Error): void
}

export class EndpointSet<Node extends EndpointNode> {
  readonly target: string
  readonly #options: EndpointSetOptions<Node>
  readonly #waiters = new LinkedList<QueuePlace<void>>()
  #nodes = new Map<string, Node>()
  #offered = 0
  #known = false
  #lastError: Error | undefined
  #waiting = 0
  #watch: Disposable | undefined
  #closed = false

  constructor(options: EndpointSetOptions<Node>) {
    this.#options = options
    this.target = options.target
  }

  /** Whether the resolver has ever reported a set. */
  get known(): boolean {
    return this.#known
  }

  get nodes(): Iterable<Node> {
    return this.#nodes.values()
  }

  get size(): number {
    return this.#nodes.size
  }

  /** Endpoints that the resolver has reported, used or not. */
  get offered(): number {
    return this.#offered
  }

  /** The resolver's last error, until it reports a set again. */
  get lastError(): Error | undefined {
    return this.#lastError
  }

  /** Begins to watch, at the first call: a client that is not used resolves nothing. */
  start(): void {
    if (this.#watch !== undefined || this.#closed) return
    const watch = this.#options.resolver.watch(this.target, {
      onEndpoints: (endpoints) => this.#onEndpoints(endpoints),
      onError: (error) => this.#onError(error),
    })
    this.#watch = watch
    if (this.#closed) watch[Symbol.dispose]()
  }

  /** Resolves with the first set; rejects when there is an error instead. */
  whenKnown(context: CallContext): Promise<void> {
    this.start()
    if (this.#known) return Promise.resolve()
    if (this.#closed) return Promise.reject(closedError())
    if (context.cancelled) return Promise.reject(context.cancelReason)
    // The resolver asks again by itself: until then its last word is the answer, without a wait.
    if (this.#lastError !== undefined) return Promise.reject(this.#resolveError(this.#lastError))
    const { wheel, maxWaitMs, maxWaiting } = this.#options
    if (this.#waiting >= maxWaiting) {
      const message = `${this.#waiting} calls wait for the addresses of ${this.target}`
      return Promise.reject(new OverloadError('ERR_POOL_FULL', message))
    }
    return new Promise((resolve, reject) => {
      const what = `the addresses of ${this.target}`
      const left = (): void => void this.#waiting--
      const waiter = new Waiter<void>(context, wheel, maxWaitMs, what, resolve, reject, left)
      this.#waiters.addLast(waiter.place)
      this.#waiting++
      waiter.start()
    })
  }

  close(): void {
    this.#closed = true
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
    this.#refuseWaiters(closedError)
  }

  #onEndpoints(endpoints: readonly Endpoint[]): void {
    if (this.#closed) return
    const before = this.#nodes
    const nodes = new Map<string, Node>()
    const unique = withoutTwins(endpoints)
    this.#offered = unique.length
    for (const endpoint of this.#options.select?.(unique) ?? unique) {
      const key = endpointKey(endpoint)
      const node = before.get(key) ?? this.#options.create(endpoint)
      node.endpoint = endpoint
      nodes.set(key, node)
    }
    this.#nodes = nodes
    this.#known = true
    this.#lastError = undefined
    // The balancer forgets a node before it is retired, so that none is picked that closes.
    this.#options.onNodes([...nodes.values()])
    for (const [key, node] of before) if (!nodes.has(key)) this.#options.retire(node)
    for (let place = this.#waiters.first; place !== undefined; place = this.#waiters.first) {
      place.waiter.serve()
    }
  }

  #onError(error: Error): void {
    if (this.#closed) return
    this.#lastError = error
    this.#options.onError?.(error)
    this.#refuseWaiters(() => this.#resolveError(error))
  }

  #resolveError(error: Error): TransportError {
    const message = `cannot resolve ${this.target}: ${error.message}`
    const retryable = error instanceof HeddleError ? error.retryable : 'yes'
    return new TransportError('ERR_RESOLVE', message, { cause: error, sent: 'nothing', retryable })
  }

  #refuseWaiters(reason: () => Error): void {
    for (let place = this.#waiters.first; place !== undefined; place = this.#waiters.first) {
      place.waiter.refuse(reason())
    }
  }
}

/** Endpoints with the same key are the same: only weight and priority may differ. */
export function endpointKey(endpoint: Endpoint): string {
  const address = formatAddress(endpoint.address)
  return endpoint.hostname === undefined ? address : `${endpoint.hostname}/${address}`
}

/** The first of those with the same key counts. */
function withoutTwins(endpoints: readonly Endpoint[]): Endpoint[] {
  const byKey = new Map<string, Endpoint>()
  for (const endpoint of endpoints) {
    const key = endpointKey(endpoint)
    if (!byKey.has(key)) byKey.set(key, endpoint)
  }
  return [...byKey.values()]
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the client is closed')
}
