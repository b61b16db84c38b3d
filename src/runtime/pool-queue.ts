/**
 * The calls that wait for a resource: first come, first served.
 *
 * Most of them take whatever becomes free. A few are particular (a fresh resource, a whole one) and
 * stand in a line of their own, so that what does not fit them serves those behind them. Whoever
 * came first of the two lines goes first where both fit.
 */
import type { CallContext } from '../core/context.ts'
import type { AcquireHint, Lease } from '../core/pool.ts'
import { LinkedList } from './linked-list.ts'
import type { TimerWheel } from './timer-wheel.ts'
import { type QueuePlace, Waiter } from './waiter.ts'

export class PoolWaiter<Resource> extends Waiter<Lease<Resource>> {
  readonly hint: AcquireHint
  /** Smaller: came earlier. */
  readonly order: number

  constructor(
    hint: AcquireHint,
    order: number,
    context: CallContext,
    wheel: TimerWheel,
    maxWaitMs: number,
    resolve: (lease: Lease<Resource>) => void,
    reject: (reason: Error) => void,
    onLeft: (timedOut: boolean, waiter: Waiter<Lease<Resource>>) => void,
  ) {
    super(context, wheel, maxWaitMs, 'a connection', resolve, reject, onLeft)
    this.hint = hint
    this.order = order
  }

  get isParticular(): boolean {
    return this.hint.fresh === true || this.hint.exclusive === true
  }
}

export class WaitQueue<Resource> {
  readonly #any = new LinkedList<QueuePlace<Lease<Resource>>>()
  readonly #particular = new LinkedList<QueuePlace<Lease<Resource>>>()
  #order = 0
  #size = 0
  #particulars = 0
  #exclusives = 0

  get size(): number {
    return this.#size
  }

  /** Those that take whatever there is. */
  get undemanding(): number {
    return this.#size - this.#particulars
  }

  get particulars(): number {
    return this.#particulars
  }

  /** Those that want a whole resource. */
  get exclusives(): number {
    return this.#exclusives
  }

  nextOrder(): number {
    return ++this.#order
  }

  add(waiter: PoolWaiter<Resource>): void {
    this.#size++
    if (waiter.isParticular) {
      this.#particulars++
      if (waiter.hint.exclusive === true) this.#exclusives++
      this.#particular.addLast(waiter.place)
    } else this.#any.addLast(waiter.place)
  }

  /** It left its list already: only counted. */
  left(waiter: PoolWaiter<Resource>): void {
    this.#size--
    if (!waiter.isParticular) return
    this.#particulars--
    if (waiter.hint.exclusive === true) this.#exclusives--
  }

  /** The first in line whom a resource fits. `fits` is asked for the particular ones. */
  firstFor(fits: (waiter: PoolWaiter<Resource>) => boolean): PoolWaiter<Resource> | undefined {
    const any = this.#any.first?.waiter as PoolWaiter<Resource> | undefined
    if (this.#particulars === 0) return any
    for (const place of this.#particular) {
      const waiter = place.waiter as PoolWaiter<Resource>
      if (any !== undefined && any.order < waiter.order) return any
      if (fits(waiter)) return waiter
    }
    return any
  }

  /** The first of all, fitting or not. */
  get first(): PoolWaiter<Resource> | undefined {
    const any = this.#any.first?.waiter as PoolWaiter<Resource> | undefined
    const particular = this.#particular.first?.waiter as PoolWaiter<Resource> | undefined
    if (any === undefined || particular === undefined) return any ?? particular
    return any.order < particular.order ? any : particular
  }
}
