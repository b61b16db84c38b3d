/**
 * The client's core, the same for every protocol: endpoints from a resolver, and for each a stack
 * of its own; one stack of calls above them all (stack/client-stack.ts has the order).
 *
 *     const client = createClient({
 *       endpoints: [{ address: ip('10.0.0.1', 80) }],
 *       connectEndpoint: (endpoint, context) => …an Exchanger…,
 *       classifier, clock, random,
 *     })
 *
 * A protocol brings `connectEndpoint` and its classifier; nothing else here knows it.
 */
import { formatAddress } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import { Call, type CallContext } from '../core/context.ts'
import { ClosedError, checkRange, toError, UsageError } from '../core/errors.ts'
import { noopMeter } from '../core/metrics.ts'
import type { Resolver, RetryBudget } from '../core/policy.ts'
import type { Lease } from '../core/pool.ts'
import type { Client, ClientCall, ClientStatus, MaybePromise, Service } from '../core/service.ts'
import { backoffDefaults } from './backoff.ts'
import type { EndpointBalancer } from './balancer/balancer.ts'
import { p2c } from './balancer/p2c.ts'
import { clientMetrics } from './client-metrics.ts'
import { combineObservers } from './client-observers.ts'
import { type ClientOptions, clientDefaults } from './client-options.ts'
import { EndpointSet } from './endpoint-set.ts'
import { EndpointStack } from './endpoint-stack.ts'
import { type HedgeOptions, HedgePolicy } from './hedge-policy.ts'
import { loadHost } from './load-host.ts'
import { balance } from './middleware/balancer.ts'
import { pin } from './pin.ts'
import { checkPoolLimits, type PoolLimits, poolDefaults } from './pool-options.ts'
import { staticResolver } from './resolver/static.ts'
import { type RetryBudgetOptions, retryBudgetDefaults, SlidingRetryBudget } from './retry-budget.ts'
import { BackoffRetryPolicy, retryPolicyDefaults } from './retry-policy.ts'
import { type Settlement, settle } from './settle.ts'
import { callLayers } from './stack/client-stack.ts'
import { type Layer, stackLayers } from './stack/layer.ts'
import { TimerWheel } from './timer-wheel.ts'

export function createClient<Req, Res>(options: ClientOptions<Req, Res>): ClientCore<Req, Res> {
  return new ClientCore(options)
}

/** Counts since the start. */
export interface CallCounts {
  readonly started: number
  readonly succeeded: number
  readonly failed: number
  readonly inFlight: number
}

export class ClientCore<Req, Res> implements Client<Req, Res> {
  readonly name: string
  readonly clock: Clock
  readonly layers: readonly Layer<Req, Res>[]
  readonly endpoints: EndpointSet<EndpointStack<Req, Res>>
  readonly balancer: EndpointBalancer<EndpointStack<Req, Res>, Req>
  readonly #service: Service<Req, Res>
  /** As given, but for what `reconfigure` changed: of these new endpoints are made. */
  #options: ClientOptions<Req, Res>
  readonly #wheel: TimerWheel
  readonly #closeTimeoutMs: number
  readonly #tracker: Settlement<Res>
  /** Pools of endpoints that are gone but not empty yet. */
  readonly #retiring = new Map<EndpointStack<Req, Res>, Promise<void>>()
  #started = 0
  #succeeded = 0
  #failed = 0
  #closing: Promise<void> | undefined
  #onDrained: (() => void) | undefined

  constructor(given: ClientOptions<Req, Res>) {
    const options = withMetrics(given)
    const { clock, random, classifier, wheel = new TimerWheel({ clock }) } = options
    const { closeTimeoutMs = clientDefaults.closeTimeoutMs } = options
    const { resolver, target } = chooseResolver(options)
    this.name = options.name ?? target
    this.clock = clock
    this.#wheel = wheel
    this.#closeTimeoutMs = checkRange('closeTimeoutMs', closeTimeoutMs, 0, 0x7fff_ffff)
    const { balancer: makeBalancer = p2c() } = options
    this.balancer = makeBalancer({ ...options.balancing, observer: options.observer ?? {} })
    this.#options = options
    const pool = { ...poolDefaults, ...options.pool }
    this.endpoints = new EndpointSet({
      resolver,
      target,
      wheel,
      maxWaitMs: pool.maxWaitMs,
      maxWaiting: pool.maxWaiting,
      select: (endpoints) => this.balancer.select(endpoints),
      create: (endpoint) =>
        new EndpointStack(endpoint, this.#options, wheel, () => this.balancer.refresh()),
      retire: (stack) => this.#retire(stack),
      onNodes: (stacks) => {
        this.balancer.update(stacks, clock.now())
        options.observer?.onEndpoints?.(stacks.map((stack) => stack.endpoint))
      },
      onError: (error) => options.observer?.onResolveError?.(error),
    })
    this.layers = makeCallLayers(options, wheel)
    const balanced = balance<Req, Res, EndpointStack<Req, Res>>({
      clock,
      random,
      classifier,
      balancer: this.balancer,
      whenReady: (context) =>
        this.endpoints.known ? undefined : this.endpoints.whenKnown(context),
      describe: (now) => this.#whyNone(now),
    })
    this.#service = stackLayers(this.layers, balanced)
    this.#tracker = this.#makeTracker()
  }

  get status(): ClientStatus {
    if (this.#closing !== undefined) return 'closed'
    if (!this.endpoints.known) return 'open'
    const now = this.clock.now()
    for (const stack of this.endpoints.nodes) {
      if (!stack.available(now)) continue
      const { idle, leased, max, waiting } = stack.pool.stats
      if (waiting === 0 && (idle > 0 || leased < max)) return 'open'
    }
    return 'busy'
  }

  get counts(): CallCounts {
    const started = this.#started
    const succeeded = this.#succeeded
    const failed = this.#failed
    return { started, succeeded, failed, inFlight: started - succeeded - failed }
  }

  /** @throws ClosedError ERR_CLOSED after `close`; a cancelled context's own reason */
  readonly call: ClientCall<Req, Res> = (request, context = new Call()) => {
    if (this.#closing !== undefined) throw closedError()
    if (context.cancelled) throw context.cancelReason
    this.#started++
    return settle(this.#service, request, context, this.#tracker)
  }

  /**
   * One connection for calls that belong together: a transaction, a session with state. Nobody
   * else's call gets onto it; calls on it are not retried. Give the lease back, or discard it.
   *
   * The wait for it counts against the deadline of `context`.
   */
  pin(context: CallContext = new Call()): Promise<Lease<Service<Req, Res>>> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    return pin(context, {
      ...this.#options,
      balancer: this.balancer,
      known: () => (this.endpoints.known ? undefined : this.endpoints.whenKnown(context)),
      describe: (now) => this.#whyNone(now),
      layers: this.layers,
    })
  }

  /** Other limits for the pools from now on, without touching a call. See `PoolLimits`. */
  reconfigure(options: { pool: PoolLimits }): void {
    if (this.#options.sharedPools !== undefined) {
      throw new UsageError('ERR_ARGUMENT', 'the pools are shared: reconfigure those')
    }
    const pool = { ...this.#options.pool, ...options.pool }
    checkPoolLimits(pool)
    this.#options = { ...this.#options, pool }
    for (const stack of this.endpoints.nodes) stack.pool.reconfigure(options.pool)
  }

  /** After `closeTimeoutMs`, or when `signal` aborts, what is left is destroyed. */
  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close()
    const { signal } = options
    if (signal === undefined) return this.#closing
    const cut = (): void => this.destroy(toError(signal.reason))
    if (signal.aborted) cut()
    else {
      signal.addEventListener('abort', cut, { once: true })
      const done = (): void => signal.removeEventListener('abort', cut)
      this.#closing.then(done, done)
    }
    return this.#closing
  }

  /** Closes at once: every connection is destroyed, calls on them end with `reason`. */
  destroy(reason: Error = closedError()): void {
    this.#closing ??= this.#close()
    this.endpoints.close()
    for (const stack of this.endpoints.nodes) stack.destroy(reason)
    for (const stack of this.#retiring.keys()) stack.destroy(reason)
    this.#onDrained?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { clock } = this
    const timer = clock.setTimer(clock.now() + this.#closeTimeoutMs, () => {
      this.destroy(new ClosedError('ERR_CLOSED', `not closed within ${this.#closeTimeoutMs} ms`))
    })
    try {
      if (this.counts.inFlight > 0) {
        await new Promise<void>((resolve) => {
          this.#onDrained = resolve
        })
      }
      this.endpoints.close()
      for (const stack of this.endpoints.nodes) this.#retire(stack)
      while (this.#retiring.size > 0) await Promise.all(this.#retiring.values())
    } finally {
      timer.cancel()
      this.#wheel.rest()
    }
  }

  #retire(stack: EndpointStack<Req, Res>): void {
    const closed = stack.close().then(() => void this.#retiring.delete(stack))
    this.#retiring.set(stack, closed)
  }

  #makeTracker(): Settlement<Res> {
    const settled = (): void => {
      if (this.#closing !== undefined && this.counts.inFlight === 0) this.#onDrained?.()
    }
    return {
      onReply: (reply): MaybePromise<Res> => {
        this.#succeeded++
        settled()
        return reply
      },
      onError: (error): MaybePromise<Res> => {
        this.#failed++
        settled()
        throw error
      },
    }
  }

  #whyNone(now: number): string {
    const { size } = this.endpoints
    if (size === 0) return `${this.name} has no endpoints`
    const states: string[] = []
    for (const stack of this.endpoints.nodes) {
      if (states.length === MAX_LISTED) {
        states.push(`and ${size - MAX_LISTED} more`)
        break
      }
      states.push(`${stack.address}: breaker ${stack.breaker?.describe(now) ?? 'off'}`)
    }
    return `none of ${size} endpoints is available (${states.join(', ')})`
  }
}

function makeCallLayers<Req, Res>(
  options: ClientOptions<Req, Res>,
  wheel: TimerWheel,
): Layer<Req, Res>[] {
  const { clock, random, classifier, meter = noopMeter, retry = {} } = options
  const { timeoutMs = clientDefaults.timeoutMs } = options
  const retryOptions = retry === false ? {} : retry
  const retries =
    (retryOptions.maxAttempts ?? retryPolicyDefaults.maxAttempts) > 1 && retry !== false
  const { budget: given, ...policyOptions } = retryOptions
  const budget = isBudget(given) ? given : new SlidingRetryBudget(given)
  const { ratio, minPerSecond } = { ...retryBudgetDefaults, ...(isBudget(given) ? {} : given) }
  return callLayers({
    clock,
    random,
    wheel,
    meter,
    classifier,
    names: options.metricNames ?? {},
    measured: options.metricScope?.calls ?? true,
    timeoutMs,
    retryPolicy: retries ? new BackoffRetryPolicy(policyOptions) : undefined,
    retryFacts: !retries
      ? {}
      : { ...retryPolicyDefaults, ...backoffDefaults, ...policyOptions, ratio, minPerSecond },
    retryBudget: budget,
    hedgePolicy: makeHedgePolicy(options.hedge),
    onHedge: options.observer?.onHedge?.bind(options.observer),
    policies: options,
    host: loadHost(options, wheel),
    onRetry: options.observer?.onRetry?.bind(options.observer),
  })
}

function makeHedgePolicy(hedge: HedgeOptions | boolean = false): HedgePolicy | undefined {
  return hedge === false ? undefined : new HedgePolicy(hedge === true ? {} : hedge)
}

function isBudget(given: RetryBudget | RetryBudgetOptions | undefined): given is RetryBudget {
  return given !== undefined && 'tryWithdraw' in given
}

/** What is counted beside calls is heard of the observer, as the user's own is told. */
function withMetrics<Req, Res>(options: ClientOptions<Req, Res>): ClientOptions<Req, Res> {
  const { meter = noopMeter, name, target = '', observer, metricScope = {} } = options
  if (meter === noopMeter) return options
  const own = metricScope.attributes ?? { 'heddle.client': name ?? target }
  const counted = clientMetrics(meter, own, metricScope.endpoints)
  return { ...options, observer: combineObservers(counted, observer) }
}

function chooseResolver<Req, Res>(
  options: ClientOptions<Req, Res>,
): { resolver: Resolver; target: string } {
  const { endpoints, resolver, target } = options
  if (endpoints !== undefined) {
    if (resolver !== undefined) {
      throw new UsageError('ERR_ARGUMENT', 'give either endpoints or a resolver, not both')
    }
    const names = endpoints.map((endpoint) => formatAddress(endpoint.address))
    return { resolver: staticResolver(endpoints), target: target ?? names.join(',') }
  }
  if (resolver === undefined || target === undefined) {
    throw new UsageError('ERR_ARGUMENT', 'a client needs endpoints, or a target and a resolver')
  }
  return { resolver, target }
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the client is closed')
}

const MAX_LISTED = 5
