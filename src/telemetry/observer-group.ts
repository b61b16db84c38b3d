/**
 * Observers that come and go together: of one service, one client, one pool.
 *
 *     const group = new ObserverGroup(registry)
 *     group.gauge('heddle.pool.size', { unit: '{connection}' }, (report) => report(pool.size))
 *     group[Symbol.dispose]()
 */
import type { InstrumentOptions } from '../core/metrics.ts'
import type { Observer, Registry } from './registry.ts'

export class ObserverGroup implements Disposable {
  readonly #registry: Registry
  #members: Disposable[] = []

  constructor(registry: Registry) {
    this.#registry = registry
  }

  counter(name: string, options: InstrumentOptions, observer: Observer): void {
    this.#members.push(this.#registry.observe('counter', name, options, observer))
  }

  gauge(name: string, options: InstrumentOptions, observer: Observer): void {
    this.#members.push(this.#registry.observe('gauge', name, options, observer))
  }

  /** None of them is read any more. Idempotent. */
  [Symbol.dispose](): void {
    const members = this.#members
    this.#members = []
    for (const member of members) member[Symbol.dispose]()
  }
}
