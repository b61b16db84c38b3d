/** A resolver whose answers flap: errors, empty sets, other orders, endpoints that come and go. */
import type { Endpoint, Resolver, ResolverListener } from '../../../src/core/policy.ts'

export class SimNames implements Resolver {
  readonly #listeners = new Set<ResolverListener>()
  #endpoints: readonly Endpoint[]

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints
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
    this.#endpoints = endpoints
    for (const listener of [...this.#listeners]) listener.onEndpoints(endpoints)
  }

  fail(error: Error): void {
    for (const listener of [...this.#listeners]) listener.onError(error)
  }
}
