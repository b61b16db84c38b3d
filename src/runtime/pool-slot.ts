/**
 * The parts of a pool that are made one by one: a resource's slot, a lease on it, a connect or a
 * ping under way.
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
  readonly createdAt: number
  /** Its share of the longest lifetime, so that those made together do not go together. */
  readonly lifetimeFactor: number
  leases = 0
  idle = false
  idleSince = 0
  busySince: number
  /** Lent since it was last free: a new one is not, and its first moment is no use. */
  wasLent = false
  /** When it was last seen to live: made, answered, given back in a good state. */
  provenAt: number
  /** The process did not run since it was last used. */
  suspect = false
  /** Lent as a whole, or kept free for a call that waits for all of it. */
  exclusive: 'no' | 'reserved' | 'lent' = 'no'
  opening: Timeout | undefined
  /** Ends one that takes many calls and may never be free. */
  age: Timeout | undefined
  probe: Timeout | undefined
  draining = false
  /** It keeps the process alive. */
  held = true
  gone = false

  constructor(resource: Resource, generation: number, now: number, lifetimeFactor: number) {
    this.resource = resource
    this.generation = generation
    this.createdAt = now
    this.busySince = now
    this.provenAt = now
    this.lifetimeFactor = lifetimeFactor
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

/** Something under way at the peer, a connect or a ping, and its time limit. */
export class Timeout implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess: boolean
  readonly controller = new AbortController()
  readonly startedAt: number
  readonly #onTimeout: (timeout: Timeout) => void

  constructor(startedAt: number, holdsProcess: boolean, onTimeout: (timeout: Timeout) => void) {
    this.startedAt = startedAt
    this.holdsProcess = holdsProcess
    this.#onTimeout = onTimeout
  }

  expire(): void {
    this.#onTimeout(this)
  }
}
