/**
 * A pool of connections: one state machine, one list of what is free, one queue of who waits.
 *
 *     state       paused ⇄ ready → closed          `clear` starts a new generation: what is older
 *                                                   is destroyed when it comes back
 *     resource    connecting → available ⇄ busy → gone
 *     waiter      queued → served | refused | timed out | cancelled     exactly one of them
 *
 * - **Fair.** Waiters are served first come, first served; a resource that becomes free goes to the
 *   oldest waiter, never to a newcomer. The queue is bounded in length and in time.
 * - **Last in, first out** for free resources: those that are not needed grow old and are closed.
 * - **Bounded connecting.** A burst does not become a storm of handshakes; a waiter is served by
 *   whichever comes first, a new connection or one that was given back.
 * - **Coarse time.** One entry in the timer wheel sweeps the whole pool. A resource that is too old
 *   is never lent, because its age is looked at again then.
 *
 * A resource is either *exclusive* (one lease at a time) or *counts itself* (`occupancy`): then it
 * says how many calls it takes and a lease is only a reservation until the call was handed to it.
 * Pipelining and multiplexing need nothing else.
 */
import type { CallContext } from '../core/context.ts'
import {
  ClosedError,
  OverloadError,
  TimeoutError,
  TransportError,
  toError,
} from '../core/errors.ts'
import type { Lease, Pool, PoolStats } from '../core/pool.ts'
import { type Link, LinkedList, unlink } from './linked-list.ts'
import {
  checkPoolLimits,
  type PoolLimits,
  type PoolObserver,
  type PoolOptions,
} from './pool-options.ts'
import { Connecting, type LeaseOwner, PoolLease, Slot } from './pool-slot.ts'
import type { TimerWheel, WheelEntry } from './timer-wheel.ts'
import { connectFailure, type QueuePlace, Waiter } from './waiter.ts'

export type PoolState = 'paused' | 'ready' | 'closed'

export class ConnectionPool<Resource> implements Pool<Resource>, LeaseOwner<Resource>, WheelEntry {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
  dueTick = 0
  readonly holdsProcess = false
  readonly limits: Readonly<Required<PoolLimits>>
  readonly #options: PoolOptions<Resource>
  readonly #wheel: TimerWheel
  readonly #observer: PoolObserver | undefined
  /** Slots that can take a lease, the last used first. */
  readonly #available = new LinkedList<Slot<Resource>>()
  readonly #slots = new Map<Resource, Slot<Resource>>()
  readonly #waiters = new LinkedList<QueuePlace<Lease<Resource>>>()
  readonly #connects = new Set<Connecting>()
  #state: PoolState = 'ready'
  #generation = 1
  #idle = 0
  #waiting = 0
  #created = 0
  #discarded = 0
  #timeouts = 0
  #connectFailures = 0
  #connectNotBefore = 0
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(options: PoolOptions<Resource>) {
    this.#options = options
    this.#wheel = options.wheel
    this.#observer = options.observer
    this.limits = checkPoolLimits(options)
  }

  /** Connects the first `min` resources. Without it they come with the first call. */
  start(): void {
    this.#connectAsNeeded()
  }

  get state(): PoolState {
    return this.#state
  }

  get stats(): PoolStats {
    return {
      idle: this.#idle,
      leased: this.#slots.size - this.#idle,
      connecting: this.#connects.size,
      waiting: this.#waiting,
      max: this.limits.max,
      created: this.#created,
      discarded: this.#discarded,
      timeouts: this.#timeouts,
    }
  }

  tryAcquire(_context?: CallContext): Lease<Resource> | undefined {
    if (this.#state !== 'ready') return this.#notReady()
    // Nobody is overtaken: while calls wait nothing is available, for it was given to them.
    return this.#tryLend()
  }

  acquire(context: CallContext): Promise<Lease<Resource>> {
    if (context.cancelled) return Promise.reject(context.cancelReason)
    if (this.#state === 'closed') return Promise.reject(closedError())
    if (this.#state === 'paused') return Promise.reject(pausedError())
    const lease = this.tryAcquire()
    if (lease !== undefined) return Promise.resolve(lease)
    const { maxWaiting, maxWaitMs } = this.limits
    if (this.#waiting >= maxWaiting) {
      const message = `${this.#waiting} calls wait for a connection, maxWaiting ${maxWaiting}`
      return Promise.reject(new OverloadError('ERR_POOL_FULL', message))
    }
    return new Promise((resolve, reject) => {
      const left = this.#onWaiterLeft
      const waiter = new Waiter(
        context,
        this.#wheel,
        maxWaitMs,
        'a connection',
        resolve,
        reject,
        left,
      )
      this.#waiters.addLast(waiter.place)
      this.#waiting++
      this.#observer?.changed?.()
      waiter.start()
      this.#connectAsNeeded()
    })
  }

  /** Asked by the owner of a resource that counts itself when its occupancy changed. */
  update(resource: Resource): void {
    const slot = this.#slots.get(resource)
    if (slot !== undefined) this.#settle(slot)
  }

  /** The resource is gone by itself: the peer closed it. It is not destroyed again. */
  remove(resource: Resource): void {
    const slot = this.#slots.get(resource)
    if (slot === undefined) return
    this.#forget(slot)
    this.#connectAsNeeded()
  }

  /** Refuses calls and connects nothing until `ready`; calls that wait are refused with `reason`. */
  pause(reason: Error = pausedError()): void {
    if (this.#state !== 'ready') return
    this.#state = 'paused'
    this.#refuseWaiters(0, () => reason)
  }

  ready(): void {
    if (this.#state !== 'paused') return
    this.#state = 'ready'
    this.#connectAsNeeded()
  }

  /** Starts a new generation: free resources are destroyed now, others when they come back. */
  clear(reason: Error): void {
    this.#generation++
    for (const slot of [...this.#slots.values()]) {
      if (slot.idle) this.#drop(slot, reason)
      else unlink(slot)
    }
    this.#connectAsNeeded()
  }

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

  /** Closes at once; what is lent is destroyed. */
  destroy(reason: Error): void {
    this.#closing ??= this.#close()
    for (const slot of [...this.#slots.values()]) this.#drop(slot, reason)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The sweep: closes what has been free for too long or lives for too long. */
  expire(now: number): void {
    const reason = new ClosedError(
      'ERR_CLOSED',
      'the connection was idle or old enough to be closed',
    )
    for (const slot of this.#available) {
      if (slot.idle && this.#isStale(slot, now)) this.#drop(slot, reason)
    }
    this.#connectAsNeeded()
    this.#scheduleSweep(now)
  }

  /** For leases: one came back. */
  giveBack(slot: Slot<Resource>, discard: Error | undefined): void {
    slot.leases--
    if (slot.gone) return
    if (discard === undefined) return this.#settle(slot)
    this.#drop(slot, discard)
    this.#connectAsNeeded()
  }

  // ---- lending

  #tryLend(): Lease<Resource> | undefined {
    for (let slot = this.#available.first; slot !== undefined; slot = this.#available.first) {
      if (!slot.idle || this.#isUsable(slot)) return this.#lend(slot)
      this.#drop(slot, new ClosedError('ERR_CLOSED', 'the connection was not fit to be used again'))
    }
    return undefined
  }

  #isUsable(slot: Slot<Resource>): boolean {
    const now = this.#wheel.clock.now()
    if (this.#isStale(slot, now)) return false
    return this.#options.validate?.(slot.resource, now - slot.idleSince) ?? true
  }

  #isStale(slot: Slot<Resource>, now: number): boolean {
    if (now >= slot.retireAt) return true
    const idleMs = now - slot.idleSince
    const told = this.#options.idleTimeoutOf?.(slot.resource)
    if (told !== undefined && idleMs >= Math.max(told - this.limits.idleMarginMs, told / 2))
      return true
    return idleMs >= this.limits.idleTimeoutMs && this.#slots.size > this.limits.min
  }

  #lend(slot: Slot<Resource>): Lease<Resource> {
    slot.leases++
    if (slot.idle) {
      slot.idle = false
      this.#idle--
      if (!slot.held) {
        slot.held = true
        this.#options.hold?.(slot.resource, true)
      }
    }
    if (this.#free(slot) <= 0) unlink(slot)
    this.#observer?.changed?.()
    return new PoolLease(slot, this)
  }

  /** Leases that `slot` could still take. */
  #free(slot: Slot<Resource>): number {
    const { occupancy } = this.#options
    return (occupancy === undefined ? 1 : occupancy.available(slot.resource)) - slot.leases
  }

  #isUnused(slot: Slot<Resource>): boolean {
    if (slot.leases > 0) return false
    const { occupancy } = this.#options
    return occupancy === undefined || occupancy.inFlight(slot.resource) === 0
  }

  /** Puts a slot where it belongs after anything about it changed, and serves who waits. */
  #settle(slot: Slot<Resource>): void {
    const outdated = this.#state === 'closed' || slot.generation !== this.#generation
    if (!slot.idle && this.#isUnused(slot)) {
      const now = this.#wheel.clock.now()
      if (outdated || now >= slot.retireAt) return this.#retire(slot)
      slot.idle = true
      slot.idleSince = now
      this.#idle++
    }
    if (outdated || this.#free(slot) <= 0) unlink(slot)
    else {
      if (slot.next === undefined) this.#available.addFirst(slot)
      this.#serveWaiters()
    }
    if (slot.idle) {
      if (this.#idle === this.#slots.size) this.#letGo()
      if (!this.#wheel.isArmed(this)) this.#scheduleSweep(slot.idleSince)
    }
    this.#observer?.changed?.()
  }

  /** Nothing is in use: free connections do not keep the process alive. */
  #letGo(): void {
    // Those used since the last time stand in front.
    for (const slot of this.#available) {
      if (!slot.held) return
      slot.held = false
      this.#options.hold?.(slot.resource, false)
    }
  }

  #serveWaiters(): void {
    while (this.#waiting > 0) {
      const lease = this.#tryLend()
      if (lease === undefined) return
      const { waiter } = this.#waiters.first as QueuePlace<Lease<Resource>>
      this.#observer?.waited?.(waiter.waitedMs)
      waiter.serve(lease)
    }
  }

  #refuseWaiters(keep: number, reason: () => Error): void {
    while (this.#waiting > keep) {
      const { waiter } = this.#waiters.first as QueuePlace<Lease<Resource>>
      waiter.refuse(reason())
    }
  }

  readonly #onWaiterLeft = (timedOut: boolean): void => {
    this.#waiting--
    if (timedOut) {
      this.#timeouts++
      this.#observer?.timedOut?.()
    }
    this.#observer?.changed?.()
  }

  // ---- connecting

  #connectAsNeeded(): void {
    if (this.#state !== 'ready') return
    const { max, min, maxConnecting, expectedCapacity } = this.limits
    for (;;) {
      const connecting = this.#connects.size
      const total = this.#slots.size + connecting
      if (connecting >= maxConnecting || total >= max) return
      const wanted = this.#waiting > connecting * expectedCapacity
      if (!wanted && total >= min) return
      // After a failure, whoever waits is served by what is there; if nothing is, it is tried anew.
      const mustWait = this.#slots.size > 0 || !wanted
      if (mustWait && this.#wheel.clock.now() < this.#connectNotBefore) {
        return this.#scheduleSweep(this.#wheel.clock.now())
      }
      this.#connect()
    }
  }

  #connect(): void {
    const { clock } = this.#wheel
    const connecting = new Connecting(clock.now(), this.#onConnectTimeout)
    this.#connects.add(connecting)
    this.#observer?.changed?.()
    const deadline = connecting.startedAt + this.limits.connectTimeoutMs
    this.#wheel.arm(connecting, deadline)
    let promise: Promise<Resource>
    try {
      promise = this.#options.connect({ signal: connecting.controller.signal, deadline })
    } catch (error) {
      promise = Promise.reject(error)
    }
    promise.then(
      (resource) => this.#onConnected(connecting, resource),
      (error: unknown) => this.#onConnectFailed(connecting, toError(error)),
    )
  }

  #onConnected(connecting: Connecting, resource: Resource): void {
    const now = this.#wheel.clock.now()
    if (!this.#connects.delete(connecting)) {
      this.#options.destroy(resource, new ClosedError('ERR_CLOSED', 'it was connected too late'))
      return
    }
    this.#created++
    if (this.#options.validate?.(resource, 0) === false) {
      // It closed while its promise was on the way.
      this.#connects.add(connecting)
      const error = new TransportError(
        'ERR_DISCONNECTED',
        'the new connection closed at once',
        SENT_NOTHING,
      )
      this.#options.destroy(resource, error)
      return this.#onConnectFailed(connecting, error)
    }
    this.#wheel.cancel(connecting)
    this.#connectFailures = 0
    this.#connectNotBefore = 0
    this.#observer?.connected?.(now - connecting.startedAt)
    const lifetime = this.limits.maxLifetimeMs * (1 - LIFETIME_JITTER * this.#options.random())
    const slot = new Slot(resource, this.#generation, now + lifetime)
    this.#slots.set(resource, slot)
    this.#settle(slot)
    this.#connectAsNeeded()
  }

  #onConnectFailed(connecting: Connecting, error: Error): void {
    if (!this.#connects.delete(connecting)) return
    this.#wheel.cancel(connecting)
    const { clock } = this.#wheel
    const most = Math.min(CONNECT_BACKOFF_MS * 2 ** this.#connectFailures++, MAX_CONNECT_BACKOFF_MS)
    this.#connectNotBefore = clock.now() + (most / 2) * (1 + this.#options.random())
    this.#observer?.connectFailed?.(error)
    // With nothing alive, waiters that no connect under way can serve hear it now, and may turn to
    // another endpoint. With something alive they are still served when it comes back.
    if (this.#slots.size === 0) {
      this.#refuseWaiters(this.#connects.size * this.limits.expectedCapacity, () =>
        connectFailure(error),
      )
    }
    this.#observer?.changed?.()
    this.#connectAsNeeded()
  }

  readonly #onConnectTimeout = (connecting: Connecting): void => {
    const message = `connecting took longer than ${this.limits.connectTimeoutMs} ms`
    const error = new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' })
    this.#onConnectFailed(connecting, error)
    connecting.controller.abort(error)
  }

  // ---- ending

  async #close(): Promise<void> {
    this.#state = 'closed'
    this.#wheel.cancel(this)
    const draining = (): Error => new ClosedError('ERR_DRAINING', 'the pool is closing')
    this.#refuseWaiters(0, draining)
    // What still gets connected in spite of the abort is destroyed when it comes.
    const connects = [...this.#connects]
    this.#connects.clear()
    for (const connecting of connects) {
      this.#wheel.cancel(connecting)
      connecting.controller.abort(draining())
    }
    for (const slot of [...this.#slots.values()]) {
      if (slot.idle) this.#retire(slot)
      else unlink(slot)
    }
    if (this.#slots.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
  }

  #notReady(): undefined {
    if (this.#state === 'closed') throw closedError()
    return undefined
  }

  #retire(slot: Slot<Resource>): void {
    this.#forget(slot)
    const { close, destroy } = this.#options
    if (close !== undefined) close(slot.resource)
    else destroy(slot.resource, new ClosedError('ERR_CLOSED', 'the pool does not need it any more'))
  }

  #drop(slot: Slot<Resource>, reason: Error): void {
    this.#forget(slot)
    this.#options.destroy(slot.resource, reason)
  }

  #forget(slot: Slot<Resource>): void {
    slot.gone = true
    unlink(slot)
    this.#slots.delete(slot.resource)
    if (slot.idle) this.#idle--
    slot.idle = false
    this.#discarded++
    this.#observer?.changed?.()
    if (this.#slots.size === 0) this.#onEmpty?.()
  }

  #scheduleSweep(now: number): void {
    if (this.#state === 'closed') return
    const { idleTimeoutMs, maxLifetimeMs } = this.limits
    let at = Number.POSITIVE_INFINITY
    if (this.#idle > 0) {
      const interval = Math.min(idleTimeoutMs, maxLifetimeMs) / 4
      at = now + Math.min(Math.max(interval, MIN_SWEEP_MS), MAX_SWEEP_MS)
    }
    if (this.#connectNotBefore > now) at = Math.min(at, this.#connectNotBefore)
    if (at < Number.POSITIVE_INFINITY) this.#wheel.arm(this, at)
  }
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the pool is closed')
}

function pausedError(): OverloadError {
  return new OverloadError('ERR_POOL_PAUSED', 'the pool is paused')
}

const SENT_NOTHING = Object.freeze({ sent: 'nothing' } as const)
const LIFETIME_JITTER = 0.1
const CONNECT_BACKOFF_MS = 100
const MAX_CONNECT_BACKOFF_MS = 5_000
const MIN_SWEEP_MS = 25
const MAX_SWEEP_MS = 5_000
