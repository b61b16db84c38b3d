/**
 * The parts of a pool that are made one by one: a resource's slot, a lease on it, a connect under way.
 */
import { UsageError } from '../core/errors.ts'
import type { Lease } from '../core/pool.ts'
import type { Link } from './linked-list.ts'
import type { WheelEntry } from './timer-wheel.ts'

/** One resource and what the pool knows of it. A member of `#available` while it can be lent. */
export class Slot<Resource> implements Link {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
  readonly resource: Resource
  readonly generation: number
  readonly retireAt: number
  leases = 0
  idle = false
  idleSince = 0
  /** It keeps the process alive. */
  held = true
  gone = false

  constructor(resource: Resource, generation: number, retireAt: number) {
    this.resource = resource
    this.generation = generation
    this.retireAt = retireAt
  }
}

/** Who gets leases back. */
export interface LeaseOwner<Resource> {
  giveBack(slot: Slot<Resource>, discard: Error | undefined): void
}

export class PoolLease<Resource> implements Lease<Resource> {
  readonly resource: Resource
  readonly #owner: LeaseOwner<Resource>
  #slot: Slot<Resource> | undefined

  constructor(slot: Slot<Resource>, owner: LeaseOwner<Resource>) {
    this.resource = slot.resource
    this.#slot = slot
    this.#owner = owner
  }

  release(): void {
    this.#owner.giveBack(this.#take(), undefined)
  }

  discard(reason: Error): void {
    this.#owner.giveBack(this.#take(), reason)
  }

  /** Releases, unless that or `discard` was done before. */
  [Symbol.dispose](): void {
    if (this.#slot !== undefined) this.release()
  }

  #take(): Slot<Resource> {
    const slot = this.#slot
    if (slot === undefined) throw new UsageError('ERR_STATE', 'the lease was given back already')
    this.#slot = undefined
    return slot
  }
}

/** One connect under way, and its timeout. */
export class Connecting implements WheelEntry {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
  dueTick = 0
  readonly holdsProcess = true
  readonly controller = new AbortController()
  readonly startedAt: number
  readonly #onTimeout: (connecting: Connecting) => void

  constructor(startedAt: number, onTimeout: (connecting: Connecting) => void) {
    this.startedAt = startedAt
    this.#onTimeout = onTimeout
  }

  expire(): void {
    this.#onTimeout(this)
  }
}
