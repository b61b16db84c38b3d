/**
 * Host names among endpoints, resolved: each of their addresses becomes an endpoint, with a pool and a
 * share of the load of its own.
 *
 *     withNames(fileResolver(), dns())
 *
 * Weight, priority and locality of a name are those of each of its addresses. A name that cannot be
 * resolved keeps the addresses it had and leaves the others alone; only when nothing is known at all
 * is its error told. A set with new names is told when each of them has been answered once, well or
 * not: until then the set before it stays.
 */
import { isIP } from 'node:net'
import { formatAddress } from '../core/address.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'

/** @param names resolves `host:port`, such as `dns()` */
export function withNames(resolver: Resolver, names: Resolver): Resolver {
  return { watch: (target, listener) => new NamedWatch(resolver, target, names, listener) }
}

/** Whether the endpoint is a name that DNS is asked for. */
export function isHostName({ address }: Endpoint): boolean {
  return address.kind === 'ip' && isIP(address.host) === 0
}

interface WatchedName {
  watch: Disposable | undefined
  /** Undefined: not known yet. */
  addresses: readonly Endpoint[] | undefined
  /** It has been answered, well or not. */
  answered: boolean
}

class NamedWatch implements Disposable {
  readonly #names: Resolver
  readonly #listener: ResolverListener
  readonly #watch: Disposable
  readonly #watched = new Map<string, WatchedName>()
  /** Undefined: not known yet. */
  #parts: readonly Endpoint[] | undefined
  #reported = false
  #updating = false
  #ended = false

  constructor(resolver: Resolver, target: string, names: Resolver, listener: ResolverListener) {
    this.#names = names
    this.#listener = listener
    this.#watch = resolver.watch(target, {
      onEndpoints: (parts) => this.#onParts(parts),
      onError: (error) => listener.onError(error),
    })
  }

  [Symbol.dispose](): void {
    this.#ended = true
    this.#watch[Symbol.dispose]()
    for (const { watch } of this.#watched.values()) watch?.[Symbol.dispose]()
    this.#watched.clear()
  }

  #onParts(parts: readonly Endpoint[]): void {
    this.#parts = parts
    // Names may be answered at once, one after the other: they are told together.
    this.#updating = true
    const wanted = new Set(parts.filter(isHostName).map(({ address }) => formatAddress(address)))
    for (const [name, { watch }] of this.#watched) {
      if (wanted.has(name)) continue
      this.#watched.delete(name)
      watch?.[Symbol.dispose]()
    }
    for (const name of wanted) if (!this.#watched.has(name)) this.#follow(name)
    this.#updating = false
    this.#report()
  }

  #follow(name: string): void {
    const watched: WatchedName = { watch: undefined, addresses: undefined, answered: false }
    this.#watched.set(name, watched)
    watched.watch = this.#names.watch(name, {
      onEndpoints: (addresses) => {
        watched.addresses = addresses
        watched.answered = true
        this.#report()
      },
      onError: (error) => {
        const first = !watched.answered
        watched.answered = true
        if (!this.#anyKnown()) this.#listener.onError(error)
        else if (first) this.#report()
      },
    })
  }

  #report(): void {
    const parts = this.#parts
    if (parts === undefined || this.#updating || this.#ended) return
    const pending = [...this.#watched.values()].some(({ answered }) => !answered)
    if (pending && this.#reported) return
    if (parts.length > 0 && !this.#anyKnown()) return
    this.#reported = true
    this.#listener.onEndpoints(parts.flatMap((part) => this.#addressesOf(part) ?? []))
  }

  #anyKnown(): boolean {
    return this.#parts?.some((part) => this.#addressesOf(part) !== undefined) === true
  }

  #addressesOf(part: Endpoint): readonly Endpoint[] | undefined {
    if (!isHostName(part)) return [part]
    const { address, weight, priority, locality } = part
    const hostname = part.hostname ?? (address.kind === 'ip' ? address.host : '')
    return this.#watched.get(formatAddress(address))?.addresses?.map((endpoint) => ({
      ...endpoint,
      hostname,
      ...(weight !== undefined && { weight }),
      ...(priority !== undefined && { priority }),
      ...(locality !== undefined && { locality }),
    }))
  }
}
