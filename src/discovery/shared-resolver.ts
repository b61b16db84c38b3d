/**
 * What all resolvers that follow a registry have in common: one feed per target, however many watch
 * it, and the rules for what its listeners hear.
 *
 * - Whole sets. The same set twice is told once; a newcomer gets the known set at once.
 * - An error never empties a known set. The next answer ends it, even when nothing else changed.
 * - An empty answer is an answer: registries may truly say that nobody is there. `whenEmpty: 'keep'`
 *   takes it for an error instead.
 * - A set over `maxEndpoints` is refused whole: a part of it would be an arbitrary choice.
 * - The feed ends with its last listener.
 */
import { formatAddress } from '../core/address.ts'
import { checkInteger, OverloadError, ProtocolError, TransportError } from '../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'

export interface SharedResolverOptions {
  /**
   * Endpoints of one target. Each has a pool and a breaker.
   *
   * @default 10_000
   */
  maxEndpoints?: number
  /** Targets watched at a time. @default 1_000 */
  maxTargets?: number
  /**
   * What an empty answer means. `accept`: nobody is there. `keep`: not believed; the known set stays
   * and an error is told.
   *
   * @default 'accept'
   */
  whenEmpty?: 'accept' | 'keep'
}

export const sharedResolverDefaults: Readonly<Required<SharedResolverOptions>> = Object.freeze({
  maxEndpoints: 10_000, // above it a client should see a subset
  maxTargets: 1_000,
  whenEmpty: 'accept',
})

/** Follows one target until it is disposed. Never calls the sink after that. */
export type OpenFeed = (target: string, sink: ResolverListener) => Disposable

export class SharedResolver implements Resolver {
  readonly #open: OpenFeed
  readonly #limits: Required<SharedResolverOptions>
  readonly #feeds = new Map<string, SharedFeed>()

  constructor(open: OpenFeed, options: SharedResolverOptions = {}) {
    const {
      maxEndpoints = sharedResolverDefaults.maxEndpoints,
      maxTargets = sharedResolverDefaults.maxTargets,
      whenEmpty = sharedResolverDefaults.whenEmpty,
    } = options
    this.#open = open
    this.#limits = {
      maxEndpoints: checkInteger('maxEndpoints', maxEndpoints, 1, 1_000_000),
      maxTargets: checkInteger('maxTargets', maxTargets, 1, 1_000_000),
      whenEmpty,
    }
  }

  /** Targets that are followed now. */
  get size(): number {
    return this.#feeds.size
  }

  /** @throws OverloadError ERR_LIMITED over `maxTargets`; UsageError for a target it cannot read */
  watch(target: string, listener: ResolverListener): Disposable {
    let feed = this.#feeds.get(target)
    if (feed !== undefined) return feed.add(listener)
    const { maxTargets } = this.#limits
    if (this.#feeds.size >= maxTargets) {
      const message = `${this.#feeds.size} targets are watched, maxTargets is ${maxTargets}`
      throw new OverloadError('ERR_LIMITED', message)
    }
    feed = new SharedFeed(target, this.#limits, () => this.#feeds.delete(target))
    this.#feeds.set(target, feed)
    const watching = feed.add(listener)
    try {
      feed.start(this.#open)
    } catch (error) {
      watching[Symbol.dispose]()
      throw error
    }
    return watching
  }
}

class SharedFeed implements ResolverListener {
  readonly #target: string
  readonly #limits: Required<SharedResolverOptions>
  readonly #onIdle: () => void
  readonly #listeners = new Set<ResolverListener>()
  #known: readonly Endpoint[] | undefined
  #texts: ReadonlySet<string> = new Set()
  #error: Error | undefined
  #feed: Disposable | undefined
  #ended = false

  constructor(target: string, limits: Required<SharedResolverOptions>, onIdle: () => void) {
    this.#target = target
    this.#limits = limits
    this.#onIdle = onIdle
  }

  start(open: OpenFeed): void {
    const feed = open(this.#target, this)
    // A listener may have left in answer to the first set.
    if (this.#ended) feed[Symbol.dispose]()
    else this.#feed = feed
  }

  add(listener: ResolverListener): Disposable {
    // A listener added twice is two watches: each has its own object here.
    const entry: ResolverListener = {
      onEndpoints: (endpoints) => listener.onEndpoints(endpoints),
      onError: (error) => listener.onError(error),
    }
    this.#listeners.add(entry)
    if (this.#known !== undefined) entry.onEndpoints(this.#known)
    if (this.#error !== undefined) entry.onError(this.#error)
    return { [Symbol.dispose]: () => this.#remove(entry) }
  }

  onEndpoints(endpoints: readonly Endpoint[]): void {
    if (this.#ended) return
    const { maxEndpoints, whenEmpty } = this.#limits
    if (endpoints.length > maxEndpoints) {
      const message = `${endpoints.length} endpoints of ${this.#target} are over maxEndpoints ${maxEndpoints}`
      return this.onError(new ProtocolError('ERR_LIMIT', message))
    }
    if (endpoints.length === 0 && whenEmpty === 'keep') {
      const message = `${this.#target} has no endpoints; the known set is kept`
      return this.onError(new TransportError('ERR_RESOLVE', message, { sent: 'nothing' }))
    }
    const texts = new Set(endpoints.map(textOf))
    const same = this.#known !== undefined && sameTexts(texts, this.#texts)
    if (same && this.#error === undefined) return
    this.#texts = texts
    if (!same || this.#known === undefined) this.#known = Object.freeze([...endpoints])
    this.#error = undefined
    const known = this.#known
    for (const listener of [...this.#listeners]) listener.onEndpoints(known)
  }

  onError(error: Error): void {
    if (this.#ended) return
    this.#error = error
    for (const listener of [...this.#listeners]) listener.onError(error)
  }

  #remove(entry: ResolverListener): void {
    if (!this.#listeners.delete(entry) || this.#listeners.size > 0) return
    this.#ended = true
    this.#onIdle()
    this.#feed?.[Symbol.dispose]()
  }
}

/** Everything of an endpoint that a listener may act on. */
function textOf(endpoint: Endpoint): string {
  const { address, hostname = '', weight = 1, priority = 0, locality = '' } = endpoint
  return `${formatAddress(address)} ${hostname} ${weight} ${priority} ${locality}`
}

function sameTexts(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false
  for (const text of a) if (!b.has(text)) return false
  return true
}
