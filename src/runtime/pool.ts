/**
 * A pool of connections: one state machine, one list of what is free, one queue of who waits.
 *
 *     state       paused ⇄ ready → closed          `clear` starts a new generation: what is older
 *                                                   is destroyed when it comes back
 *     resource    connecting → available ⇄ busy → draining → gone
 *                                  ⇅
 *                               probing                 asked whether it still lives
 *     waiter      queued → served | refused | timed out | cancelled     exactly one of them
 *
 * - **Fair.** Waiters are served first come, first served; a resource that becomes free goes to the
 *   oldest waiter it fits, never to a newcomer. The queue is bounded in length and in time.
 * - **Last in, first out** for free resources: those that are not needed grow old and are closed.
 * - **Bounded connecting.** A burst does not become a storm of handshakes; a waiter is served by
 *   whichever comes first, a new connection or one that was given back.
 * - **Overload is not failure.** A call that waits too long leaves the queue and changes nothing.
 * - **Coarse time.** One entry in the timer wheel sweeps the whole pool. A resource that is too old
 *   is never lent, because its age is looked at again then.
 *
 * A resource is either *exclusive* (one lease at a time) or *counts itself* (`occupancy`): then it
 * says how many calls it takes and a lease is only a reservation until the call was handed to it.
 * Pipelining and multiplexing need nothing else.
 */
// size: one state machine; lending, making and ending change the same few counts, and every public
// method has to leave them right.
import type { CallContext } from '../core/context.ts'
import {
  ClosedError,
  type HeddleError,
  OverloadError,
  TransportError,
  toError,
  UsageError,
} from '../core/errors.ts'
import type { AcquireHint, Lease, Pool, PoolStats } from '../core/pool.ts'
import { DemandWindow } from './demand-window.ts'
import { LinkedList, unlink } from './linked-list.ts'
import { type ConnectorOwner, connectTimeout, PoolConnector } from './pool-connector.ts'
import {
  checkPoolLimits,
  type PoolLimits,
  type PoolObserver,
  type PoolOptions,
} from './pool-options.ts'
import { PoolProbes, type ProbesOwner } from './pool-probes.ts'
import { PoolWaiter, WaitQueue } from './pool-queue.ts'
import { PoolRules } from './pool-rules.ts'
import { type LeaseOwner, PoolLease, Slot, Timeout } from './pool-slot.ts'
import type { TimerWheel, WheelEntry } from './timer-wheel.ts'
import { connectFailure, type Waiter } from './waiter.ts'

export type PoolState = 'paused' | 'ready' | 'closed'

export class ConnectionPool<Resource>
  implements
    Pool<Resource>,
    LeaseOwner<Resource>,
    ConnectorOwner<Resource>,
    ProbesOwner<Resource>,
    WheelEntry
{
  wheelPlace = 0
  readonly holdsProcess = false
  readonly #options: PoolOptions<Resource>
  readonly #wheel: TimerWheel
  readonly #observer: PoolObserver | undefined
  readonly #rules: PoolRules<Resource>
  readonly #connector: PoolConnector<Resource>
  readonly #probes: PoolProbes<Resource>
  /** Slots that can take a lease, the last used first. */
  readonly #available = new LinkedList<Slot<Resource>>()
  readonly #slots = new Map<Resource, Slot<Resource>>()
  readonly #queue = new WaitQueue<Resource>()
  readonly #demand = new DemandWindow()
  readonly #unwatchQuota: (() => void) | undefined
  #limitsGiven: PoolLimits
  #state: PoolState = 'ready'
  #generation = 1
  /** Counts of slots by what they are; one may be in several. */
  #idle = 0
  #opening = 0
  #draining = 0
  #reserved = 0
  #created = 0
  #discarded = 0
  #timeouts = 0
  /** Calls that the last connection which said so takes at once. */
  #capacity: number | undefined
  #wantsPermit = false
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(options: PoolOptions<Resource>) {
    this.#options = options
    this.#wheel = options.wheel
    this.#observer = options.observer
    this.#limitsGiven = options
    this.#rules = new PoolRules(options, checkLimits(options, options))
    this.#connector = new PoolConnector(options, this)
    this.#probes = new PoolProbes(options, this)
    this.#unwatchQuota = options.quota?.watch(() => this.#onQuota())
  }

  /** Connects the first `min` resources. Without it they come with the first call. */
  start(): void {
    this.#fill()
  }

  get state(): PoolState {
    return this.#state
  }

  get limits(): Readonly<Required<PoolLimits>> {
    return this.#rules.limits
  }

  get stats(): PoolStats {
    return {
      idle: this.#idle - this.#probes.size,
      leased: this.#slots.size - this.#idle,
      connecting: this.#connector.size,
      waiting: this.#queue.size,
      probing: this.#probes.size,
      draining: this.#draining,
      oldestWaitMs: this.#queue.first?.waitedMs ?? 0,
      max: this.limits.max,
      created: this.#created,
      discarded: this.#discarded,
      timeouts: this.#timeouts,
    }
  }

  /** Calls of each connection that counts them itself: open streams, bodies that are read. */
  get inFlight(): readonly number[] {
    const { occupancy } = this.#options
    if (occupancy === undefined) return []
    return Array.from(this.#slots.keys(), (resource) => occupancy.inFlight(resource))
  }

  tryAcquire(_context?: CallContext, hint: AcquireHint = NO_HINT): Lease<Resource> | undefined {
    if (this.#state !== 'ready') return this.#notReady()
    // What is free now was made or used before this call: none of it is fresh.
    if (hint.fresh === true) return undefined
    // Nobody is overtaken: what is available while calls wait does not fit them.
    return this.#tryLend(hint.exclusive === true)
  }

  acquire(context: CallContext, hint: AcquireHint = NO_HINT): Promise<Lease<Resource>> {
    if (context.cancelled) return Promise.reject(context.cancelReason)
    if (this.#state === 'closed') return Promise.reject(closedError())
    if (this.#state === 'paused') return Promise.reject(pausedError())
    const lease = this.tryAcquire(context, hint)
    if (lease !== undefined) return Promise.resolve(lease)
    const { maxWaiting, maxWaitMs } = this.limits
    if (this.#queue.size >= maxWaiting) {
      const message = `${this.#queue.size} calls wait for a connection, maxWaiting ${maxWaiting}`
      return Promise.reject(new OverloadError('ERR_POOL_FULL', message))
    }
    return new Promise((resolve, reject) => {
      const order = this.#queue.nextOrder()
      const left = this.#onWaiterLeft
      const waiter = new PoolWaiter(
        hint,
        order,
        context,
        this.#wheel,
        maxWaitMs,
        resolve,
        reject,
        left,
      )
      this.#queue.add(waiter)
      this.#observer?.changed?.()
      waiter.start()
      this.#fill()
    })
  }

  /** Asked by the owner of a resource that counts itself when its occupancy changed. */
  update(resource: Resource): void {
    const slot = this.#slots.get(resource)
    if (slot === undefined) return
    const { occupancy } = this.#options
    if (slot.opening !== undefined && occupancy?.opening?.(resource) !== true) {
      this.#connector.succeeded(slot.opening)
      slot.opening = undefined
      this.#opening--
    }
    if (!slot.draining && occupancy?.draining?.(resource) === true) {
      slot.draining = true
      this.#draining++
    }
    this.#settle(slot, true)
    // It takes less than it did, or nothing more: those who wait need another one.
    if (slot.draining || this.#queue.size > 0) this.#fill()
  }

  /** The resource is gone by itself: the peer closed it. It is not destroyed again. */
  remove(resource: Resource): void {
    const slot = this.#slots.get(resource)
    if (slot === undefined) return
    this.#forget(slot)
    this.#fill()
  }

  /**
   * Other limits from now on; those not named stay as they are. Nothing that is lent is touched:
   * what is too much is closed when it is free, and calls that wait go on waiting.
   */
  reconfigure(limits: PoolLimits): void {
    const given = { ...this.#limitsGiven, ...limits }
    this.#rules.limits = checkLimits(given, this.#options)
    this.#limitsGiven = given
    this.#observer?.reconfigured?.(this.limits)
    this.#observer?.changed?.()
    if (this.#state === 'closed') return
    this.#retireIdle(this.#surplus())
    this.#fill()
    this.#scheduleSweep(this.#wheel.clock.now())
  }

  /** Refuses calls and connects nothing until `ready`; calls that wait are refused with `reason`. */
  pause(reason: Error = pausedError()): void {
    if (this.#state !== 'ready') return
    this.#state = 'paused'
    this.refuseWaiters(0, () => reason)
  }

  ready(): void {
    if (this.#state !== 'paused') return
    this.#state = 'ready'
    this.#fill()
  }

  /** Starts a new generation: free resources are destroyed now, others when they come back. */
  clear(reason: Error): void {
    this.#generation++
    for (const slot of [...this.#slots.values()]) {
      if (slot.idle) this.#drop(slot, reason)
      else unlink(slot)
    }
    this.#fill()
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

  /** The sweep: closes what is free for too long or too many, and looks whether the rest lives. */
  expire(now: number): void {
    this.#lookAtClock(now)
    for (const slot of this.#available) {
      if (!slot.idle) continue
      if (this.#rules.isStale(slot, now, this.#slots.size)) this.#drop(slot, unfit())
      else if (this.#rules.isDueForHealthCheck(slot, now)) this.#probes.start(slot, now)
    }
    this.#shrink(now)
    this.#fill()
    this.#scheduleSweep(now)
  }

  /** For leases: one came back. */
  giveBack(slot: Slot<Resource>, discard: Error | undefined): void {
    slot.leases--
    if (slot.exclusive === 'lent') slot.exclusive = 'no'
    if (slot.gone) return
    // That a call was handed over to a resource which counts itself proves nothing.
    if (discard === undefined) return this.#settle(slot, this.#options.occupancy === undefined)
    this.#drop(slot, discard)
    this.#fill()
  }

  // ---- lending

  #tryLend(exclusive: boolean): Lease<Resource> | undefined {
    const { first } = this.#available
    if (first === undefined) return undefined
    if (!first.idle && !exclusive) return this.#lend(first, false, 0)
    const now = this.#wheel.clock.now()
    this.#lookAtClock(now)
    for (let slot = this.#available.first; slot !== undefined; ) {
      const after = this.#available.after(slot)
      if (!slot.idle) {
        if (!exclusive) return this.#lend(slot, false, now)
      } else if (!this.#rules.isUsable(slot, now, this.#slots.size)) this.#drop(slot, unfit())
      else if (!this.#rules.needsPing(slot, now)) return this.#lend(slot, exclusive, now)
      slot = after
    }
    return undefined
  }

  #lend(slot: Slot<Resource>, exclusive: boolean, now: number): Lease<Resource> {
    slot.leases++
    slot.wasLent = true
    if (exclusive) slot.exclusive = 'lent'
    if (slot.idle) {
      slot.idle = false
      slot.busySince = now
      this.#idle--
      this.#demand.saw(this.#slots.size - this.#idle)
      if (!slot.held) this.hold(slot, true)
    }
    if (this.#rules.free(slot) <= 0) unlink(slot)
    this.#observer?.changed?.()
    return new PoolLease(slot, this)
  }

  /**
   * Puts a slot where it belongs after anything about it changed, and serves who waits.
   *
   * @param proven the resource has just shown that it lives
   */
  #settle(slot: Slot<Resource>, proven: boolean): void {
    // Its ping is a call of its own. What comes of it is seen when it is over.
    if (slot.probe !== undefined) return
    const outdated = this.#isOutdated(slot)
    if (!slot.idle && slot.opening === undefined && this.#rules.isUnused(slot)) {
      const now = this.#wheel.clock.now()
      if (slot.wasLent) this.#observer?.used?.(now - slot.busySince)
      slot.wasLent = false
      if (proven) slot.provenAt = now
      if (outdated || this.#surplus() > 0 || this.#rules.isTooOld(slot, now) || this.#owes()) {
        this.#retire(slot)
        return this.#fill()
      }
      slot.idle = true
      slot.idleSince = now
      this.#idle++
    } else if (proven && this.#queue.particulars > 0) slot.provenAt = this.#wheel.clock.now()
    this.#learnCapacity(slot)
    if (slot.exclusive === 'reserved' && slot.idle) this.#unreserve(slot)
    if (outdated || this.#rules.free(slot) <= 0) unlink(slot)
    else {
      if (slot.next === undefined) this.#available.addFirst(slot)
      this.#serve(slot, proven)
    }
    if (slot.idle) {
      if (this.#idle === this.#slots.size) this.#letGo()
      if (!this.#wheel.isArmed(this)) this.#scheduleSweep(slot.idleSince)
    }
    this.#observer?.changed?.()
  }

  /** It is not lent again. */
  #isOutdated(slot: Slot<Resource>): boolean {
    return this.#state === 'closed' || slot.generation !== this.#generation || slot.draining
  }

  /** Another pool waits for a permit that this one does not need. */
  #owes(): boolean {
    const { quota } = this.#options
    return quota?.contended === true && this.#queue.size === 0 && this.#slots.size > this.limits.min
  }

  #learnCapacity(slot: Slot<Resource>): void {
    if (slot.opening !== undefined || slot.draining || slot.exclusive !== 'no') return
    this.#capacity = Math.max(1, this.#rules.capacity(slot))
  }

  /** Nothing is in use: free connections do not keep the process alive. */
  #letGo(): void {
    // Those used since the last time stand in front.
    for (const slot of this.#available) {
      if (!slot.held) return
      this.hold(slot, false)
    }
  }

  hold(slot: Slot<Resource>, hold: boolean): void {
    slot.held = hold
    this.#options.hold?.(slot.resource, hold)
  }

  /** @param proven it has just shown that it lives: it is not asked again, however strict the limit */
  #serve(slot: Slot<Resource>, proven: boolean): void {
    while (this.#queue.size > 0 && !slot.gone && this.#rules.free(slot) > 0) {
      const waiter = this.#queue.firstFor((one) => this.#rules.fits(slot, one))
      if (waiter === undefined) return
      const now = this.#wheel.clock.now()
      if (slot.idle) {
        if (!this.#rules.isUsable(slot, now, this.#slots.size)) {
          this.#drop(slot, unfit())
          return this.#fill()
        }
        if (!proven && this.#rules.needsPing(slot, now)) return this.#fill()
      }
      const lease = this.#lend(slot, waiter.hint.exclusive === true, now)
      this.#observer?.waited?.(waiter.waitedMs)
      waiter.serve(lease)
    }
  }

  /** Calls that wait, but for the last `keep`, get `reason()`, each its own. Later ones wait again. */
  refuseWaiters(keep: number, reason: () => Error): void {
    while (this.#queue.size > keep) this.#queue.first?.refuse(reason())
  }

  readonly #onWaiterLeft = (timedOut: boolean, waiter: Waiter<Lease<Resource>>): void => {
    this.#queue.left(waiter as PoolWaiter<Resource>)
    if (timedOut) {
      this.#timeouts++
      this.#observer?.timedOut?.()
    }
    if (this.#queue.size === 0) this.#wantPermit(false)
    if (this.#reserved > this.#queue.exclusives) this.#unreserveOne()
    this.#observer?.changed?.()
  }

  // ---- making

  /** Brings what is there to what is needed: pings, connects, room, permits. */
  #fill(): void {
    if (this.#state !== 'ready') return
    if (this.#queue.size > 0) this.#probeForWaiters()
    let refused = false
    while (!refused && this.#wantsConnect() && this.#hasRoom()) {
      refused = !this.#takePermit()
      if (!refused) this.#connector.begin()
    }
    this.#wantPermit(refused && this.#queue.size > 0)
    if (this.#queue.exclusives > this.#reserved) this.#reserve()
  }

  #wantsConnect(): boolean {
    const { size: connecting, notBefore } = this.#connector
    if (connecting >= this.limits.maxConnecting) return false
    const coming = connecting + this.#opening + this.#probes.size
    const wanted = this.#needed() > coming
    if (!wanted && this.#size() >= this.limits.min) return false
    // After a failure, whoever waits is served by what is there; if nothing is, it is tried anew.
    const mustWait = this.#slots.size > this.#draining || !wanted
    const now = this.#wheel.clock.now()
    if (!mustWait || now >= notBefore) return true
    this.#scheduleSweep(now)
    return false
  }

  /** Resources that would serve everybody who waits. */
  #needed(): number {
    const { size, exclusives } = this.#queue
    if (size === 0) return 0
    return exclusives + Math.ceil((size - exclusives) / this.#expectedCapacity())
  }

  #expectedCapacity(): number {
    return this.#capacity ?? this.limits.expectedCapacity
  }

  /** What counts against `max`. Those with streams that drain do not: their calls may take long. */
  #size(): number {
    const apart = this.#expectedCapacity() > 1 ? this.#draining : 0
    return this.#slots.size - apart + this.#connector.size
  }

  /** What drains apart has as much room again: then even it must end first. */
  #hasRoom(): boolean {
    const { max } = this.limits
    if (this.#slots.size + this.#connector.size >= 2 * max) return false
    return this.#size() < max || (this.#queue.particulars > 0 && this.#dropOldestIdle())
  }

  #takePermit(): boolean {
    const { quota } = this.#options
    if (quota === undefined || quota.tryTake()) return true
    return this.#queue.particulars > 0 && this.#dropOldestIdle() && quota.tryTake()
  }

  #wantPermit(wants: boolean): void {
    if (wants === this.#wantsPermit) return
    this.#wantsPermit = wants
    this.#options.quota?.want(wants)
  }

  /** Room for a call that no idle one fits: they are as stale as the one that failed. */
  #dropOldestIdle(): boolean {
    for (let slot = this.#available.last; slot !== undefined; slot = this.#available.before(slot)) {
      if (!slot.idle) continue
      this.#drop(slot, unfit())
      return true
    }
    return false
  }

  #onQuota(): void {
    if (this.#state !== 'ready') return
    this.#fill()
    if (this.#owes()) this.#retireIdle(1)
  }

  onConnected(resource: Resource, timeout: Timeout): void {
    const now = this.#wheel.clock.now()
    const { validate, destroy, occupancy, random } = this.#options
    this.#created++
    if (validate?.(resource, 0) === false) {
      // It closed while its promise was on the way.
      this.#wheel.cancel(timeout)
      const message = 'the new connection closed at once'
      const error = new TransportError('ERR_DISCONNECTED', message, SENT_NOTHING)
      destroy(resource, error)
      return this.#connector.failed(error)
    }
    this.#observer?.connected?.(now - timeout.startedAt)
    const slot = new Slot(resource, this.#generation, now, 1 - LIFETIME_JITTER * random())
    this.#slots.set(resource, slot)
    this.#watchAge(slot)
    this.#demand.saw(this.#slots.size - this.#idle)
    if (occupancy?.opening?.(resource) === true) this.#open(slot, timeout)
    else this.#connector.succeeded(timeout)
    this.#settle(slot, true)
    this.#fill()
  }

  /**
   * One that takes many calls may never be free: when it is too old it drains, and is replaced.
   * Those that take one are looked at when they are free.
   */
  #watchAge(slot: Slot<Resource>): void {
    const lifetimeMs = this.limits.maxLifetimeMs * slot.lifetimeFactor
    if (this.#expectedCapacity() <= 1 || lifetimeMs === Number.POSITIVE_INFINITY) return
    slot.age = new Timeout(slot.createdAt, false, () => {
      const busy = !slot.idle && !slot.draining && slot.opening === undefined
      if (busy && this.#rules.capacity(slot) > 1) this.#options.close?.(slot.resource)
    })
    this.#wheel.arm(slot.age, slot.createdAt + lifetimeMs)
  }

  /** Not ready for calls: its time limit goes on. */
  #open(slot: Slot<Resource>, connecting: Timeout): void {
    this.#wheel.cancel(connecting)
    const { startedAt } = connecting
    slot.opening = new Timeout(startedAt, true, () => {
      const error = connectTimeout(this.limits.connectTimeoutMs)
      this.#forget(slot, false)
      this.#options.destroy(slot.resource, error)
      this.#connector.failed(error)
    })
    this.#opening++
    this.#wheel.arm(slot.opening, startedAt + this.limits.connectTimeoutMs)
  }

  onConnectFailed(error: Error): void {
    // When nothing is busy that may come back, waiters that no connect under way can serve hear it
    // now, and may turn to another endpoint.
    if (this.#slots.size - this.#draining === this.#idle - this.#probes.size) {
      this.refuseWaiters(this.#connector.size * this.#expectedCapacity(), () =>
        connectFailure(error),
      )
    }
    this.#observer?.changed?.()
    this.#fill()
  }

  // ---- whole resources

  /** Calls wait for a whole one and no more can be made: some are not lent again until empty. */
  #reserve(): void {
    const coming = this.#connector.size + this.#opening
    let missing = this.#queue.exclusives - this.#reserved - coming
    for (const slot of this.#slots.values()) {
      if (missing <= 0) return
      if (slot.idle || slot.exclusive !== 'no' || slot.draining) continue
      slot.exclusive = 'reserved'
      this.#reserved++
      missing--
      unlink(slot)
    }
  }

  #unreserve(slot: Slot<Resource>): void {
    slot.exclusive = 'no'
    this.#reserved--
  }

  #unreserveOne(): void {
    for (const slot of this.#slots.values()) {
      if (slot.exclusive !== 'reserved') continue
      this.#unreserve(slot)
      return this.#settle(slot, false)
    }
  }

  // ---- whether it lives

  /** Calls wait, and idle ones that were silent for long may do: one is asked for each call. */
  #probeForWaiters(): void {
    const { ping } = this.#options
    if (ping === undefined) return
    const now = this.#wheel.clock.now()
    const wanted = this.#queue.undemanding + this.#queue.exclusives
    for (const slot of this.#available) {
      if (this.#probes.size >= wanted) return
      if (slot.idle && this.#rules.needsPing(slot, now)) this.#probes.start(slot, now)
    }
  }

  onProbed(slot: Slot<Resource>, error: Error | undefined): void {
    if (error !== undefined) this.#drop(slot, error)
    else if (this.#isOutdated(slot)) this.#retire(slot)
    else if (this.#rules.free(slot) > 0) {
      this.#available.addLast(slot)
      this.#serve(slot, true)
    }
    this.#fill()
    this.#observer?.changed?.()
  }

  #lookAtClock(now: number): void {
    if (!this.#probes.lostTime(now)) return
    let suspects = 0
    for (const slot of this.#available) {
      if (!slot.idle) continue
      suspects++
      if (this.limits.suspects === 'drop') this.#drop(slot, frozen())
      else slot.suspect = true
    }
    if (suspects > 0) this.#observer?.clockJumped?.(suspects)
  }

  // ---- ending

  async #close(): Promise<void> {
    this.#state = 'closed'
    this.#wheel.cancel(this)
    this.#unwatchQuota?.()
    const draining = (): Error => new ClosedError('ERR_DRAINING', 'the pool is closing')
    this.refuseWaiters(0, draining)
    this.#connector.abort(draining)
    for (const slot of [...this.#slots.values()]) {
      if (slot.idle || slot.opening !== undefined) this.#retire(slot)
      else unlink(slot)
    }
    this.#observer?.changed?.()
    if (this.#slots.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
  }

  #notReady(): undefined {
    if (this.#state === 'closed') throw closedError()
    return undefined
  }

  /** More than `max`, since it was lowered. */
  #surplus(): number {
    return this.#size() - this.limits.max
  }

  #retireIdle(most: number): void {
    let left = most
    for (let slot = this.#available.last; slot !== undefined && left > 0; ) {
      const before = this.#available.before(slot)
      if (slot.idle) {
        this.#retire(slot)
        left--
      }
      slot = before
    }
  }

  /** What nobody needed at any moment of the last window is too much. */
  #shrink(now: number): void {
    const { shrinkDelayMs, min } = this.limits
    const peak = this.#demand.end(now, shrinkDelayMs, this.#slots.size - this.#idle)
    if (peak !== undefined) this.#retireIdle(this.#slots.size - Math.max(min, peak))
  }

  #retire(slot: Slot<Resource>): void {
    this.#forget(slot)
    const { close, destroy } = this.#options
    if (close !== undefined) close(slot.resource)
    else destroy(slot.resource, new ClosedError('ERR_CLOSED', 'the pool does not need it any more'))
  }

  #drop(slot: Slot<Resource>, reason: Error): void {
    if (slot.gone) return
    this.#forget(slot)
    this.#options.destroy(slot.resource, reason)
  }

  #forget(slot: Slot<Resource>, givesPermitBack = true): void {
    slot.gone = true
    unlink(slot)
    if (slot.age !== undefined) this.#wheel.cancel(slot.age)
    this.#slots.delete(slot.resource)
    if (slot.idle) this.#idle--
    slot.idle = false
    this.#probes.cancel(slot, unfit())
    if (slot.draining) this.#draining--
    if (slot.exclusive === 'reserved') this.#unreserve(slot)
    if (slot.opening !== undefined) {
      this.#wheel.cancel(slot.opening)
      slot.opening = undefined
      this.#opening--
    }
    if (givesPermitBack) this.#options.quota?.giveBack()
    this.#discarded++
    this.#observer?.changed?.()
    if (this.#slots.size === 0) this.#onEmpty?.()
  }

  #scheduleSweep(now: number): void {
    if (this.#state === 'closed') return
    let at = Number.POSITIVE_INFINITY
    if (this.#idle > 0) {
      at = now + this.#rules.sweepIntervalMs()
      this.#demand.begin(now, this.limits.shrinkDelayMs)
    }
    const { notBefore } = this.#connector
    if (notBefore > now) at = Math.min(at, notBefore)
    this.#probes.expectAt(at)
    if (at < Number.POSITIVE_INFINITY) this.#wheel.arm(this, at)
  }
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED for pings where the protocol has none */
function checkLimits<Resource>(
  limits: PoolLimits,
  options: PoolOptions<Resource>,
): Readonly<Required<PoolLimits>> {
  const checked = checkPoolLimits(limits)
  const { pingAfterMs, healthIntervalMs, suspects } = checked
  const pings = Math.min(pingAfterMs, healthIntervalMs) < Infinity || suspects === 'ping'
  if (options.ping === undefined && pings) {
    const message = 'pingAfterMs, healthIntervalMs and suspects: ping need a ping of the protocol'
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }
  return checked
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the pool is closed')
}

function pausedError(): OverloadError {
  return new OverloadError('ERR_POOL_PAUSED', 'the pool is paused')
}

function unfit(): HeddleError {
  return new ClosedError('ERR_CLOSED', 'the connection was idle, old or not fit to be used again')
}

function frozen(): HeddleError {
  return new ClosedError('ERR_CLOSED', 'the connection was idle while this process did not run')
}

const NO_HINT: AcquireHint = Object.freeze({})
const SENT_NOTHING = Object.freeze({ sent: 'nothing' } as const)
const LIFETIME_JITTER = 0.1
