/** A resolver whose answers flap: errors, empty sets, other orders, endpoints that come and go. */
import type { Clock } from '../../../src/core/clock.ts'
import type { Endpoint, Resolver, ResolverListener } from '../../../src/core/policy.ts'

export class SimNames implements Resolver {
  readonly #listeners = new Set<ResolverListener>()
  readonly #clock: Clock
  readonly #losses = new Map<Endpoint, number[]>()
  #endpoints: readonly Endpoint[]

  constructor(endpoints: readonly Endpoint[], clock: Clock) {
    this.#endpoints = endpoints
    this.#clock = clock
  }

  /** Watches that nobody has ended. */
  get watches(): number {
    return this.#listeners.size
  }

  watch(_target: string, listener: ResolverListener): Disposable {
    this.#listeners.add(listener)
    listener.onEndpoints(this.#endpoints)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  answer(endpoints: readonly Endpoint[]): void {
    for (const lost of this.#endpoints.filter((each) => !endpoints.includes(each))) {
      this.#losses.set(lost, [...this.lossesOf(lost), this.#clock.now()])
    }
    this.#endpoints = endpoints
    for (const listener of [...this.#listeners]) listener.onEndpoints(endpoints)
  }

  /** When an endpoint was in the set before and not in the one after. */
  lossesOf(endpoint: Endpoint): readonly number[] {
    return this.#losses.get(endpoint) ?? []
  }

  fail(error: Error): void {
    for (const listener of [...this.#listeners]) listener.onError(error)
  }
}
