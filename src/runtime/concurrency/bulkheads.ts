/**
 * Separate places for separate kinds of calls: one tenant, route or operation that is slow fills its
 * own compartment, and no other's.
 *
 * Compartments come into being with their first call. Those that nobody is in are kept for the next
 * one as long as there are few, and let go, the longest unused first, when there are many: nothing
 * is lost by that. Only compartments with calls in them count against `maxCompartments` for good.
 */
import { checkInteger, OverloadError } from '../../core/errors.ts'
import { boundedKey, ownText } from '../bounded-key.ts'
import { type Link, LinkedList, unlink } from '../linked-list.ts'
import type { LoadHost } from '../load-host.ts'
import { ConcurrencyGate, type QueueOptions } from './concurrency-gate.ts'

export interface BulkheadLimits extends QueueOptions {
  /** Calls at a time in one compartment. */
  maxConcurrent: number
  /**
   * Compartments at a time. A call that would need one more is refused while all have calls in them.
   *
   * @default 10_000
   */
  maxCompartments?: number
  /** For messages and metrics. @default 'bulkhead' */
  name?: string
}

export const bulkheadDefaults: Readonly<{ maxCompartments: number }> = Object.freeze({
  maxCompartments: 10_000,
})

export class Bulkheads {
  readonly name: string
  readonly limits: BulkheadLimits
  readonly #host: LoadHost
  readonly #maxCompartments: number
  readonly #compartments = new Map<string, Compartment>()
  readonly #idle = new LinkedList<Compartment>()
  #refused = 0

  constructor(limits: BulkheadLimits, host: LoadHost) {
    const { maxCompartments = bulkheadDefaults.maxCompartments, name = 'bulkhead' } = limits
    this.name = name
    this.limits = limits
    this.#host = host
    this.#maxCompartments = checkInteger('maxCompartments', maxCompartments, 1, 10_000_000)
    // What is wrong with the options is said now, not with the first call.
    this.#make('')
  }

  get size(): number {
    return this.#compartments.size
  }

  get refused(): number {
    let refused = this.#refused
    for (const one of this.#compartments.values()) refused += one.refused
    return refused
  }

  /** @throws OverloadError ERR_LIMITED when there are too many compartments */
  of(key: string): ConcurrencyGate {
    const short = boundedKey(key)
    const known = this.#compartments.get(short)
    if (known !== undefined) {
      unlink(known)
      return known
    }
    if (this.#compartments.size >= this.#maxCompartments) this.#letGo(short)
    const made = this.#make(ownText(short))
    this.#compartments.set(made.key, made)
    return made
  }

  /** A call has left its compartment, or was refused there. */
  left(gate: ConcurrencyGate): void {
    const compartment = gate as Compartment
    if (compartment.idle && compartment.next === undefined) this.#idle.addLast(compartment)
  }

  #make(key: string): Compartment {
    const { maxConcurrent } = this.limits
    return new Compartment(
      { ...this.limits, policy: 'bulkhead', name: this.name, key, limit: maxConcurrent },
      this.#host,
    )
  }

  #letGo(key: string): void {
    const unused = this.#idle.removeFirst()
    if (unused !== undefined) {
      this.#refused += unused.refused
      this.#compartments.delete(unused.key)
      return
    }
    this.#refused++
    const retryAfterMs = 100
    this.#host.onRefused?.({ policy: 'bulkhead', limit: this.name, key, retryAfterMs })
    const message = `${this.name}: all of ${this.#maxCompartments} compartments have calls in them`
    throw new OverloadError('ERR_LIMITED', message, { detail: { retryAfterMs } })
  }
}

class Compartment extends ConcurrencyGate implements Link {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
}
