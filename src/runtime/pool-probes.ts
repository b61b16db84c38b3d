/**
 * Asks idle resources of a pool whether they still live, by a ping of their protocol; and notices
 * when this process did not run for a while, after which every idle one is suspect.
 *
 * While it is being asked a resource is lent to nobody. An answer is proof of life; an error, or no
 * answer within `pingTimeoutMs`, is the end of it.
 */
import { type HeddleError, TransportError, toError } from '../core/errors.ts'
import { ClockJump } from './clock-jump.ts'
import { unlink } from './linked-list.ts'
import type { PoolLimits, PoolOptions } from './pool-options.ts'
import { type Slot, Timeout } from './pool-slot.ts'

export interface ProbesOwner<Resource> {
  readonly limits: Readonly<Required<PoolLimits>>
  /** It answered, or it is to be dropped. It is in no list. */
  onProbed(slot: Slot<Resource>, error: Error | undefined): void
  hold(slot: Slot<Resource>, hold: boolean): void
}

export class PoolProbes<Resource> {
  readonly #options: PoolOptions<Resource>
  readonly #owner: ProbesOwner<Resource>
  #jump: ClockJump
  #toleranceMs: number
  #size = 0
  /** When the pool expects to be swept: its being late is a sign. */
  #expectedAt = Number.POSITIVE_INFINITY

  constructor(options: PoolOptions<Resource>, owner: ProbesOwner<Resource>) {
    this.#options = options
    this.#owner = owner
    this.#toleranceMs = owner.limits.clockJumpMs
    this.#jump = this.#makeJump()
  }

  /** Resources that are being asked. */
  get size(): number {
    return this.#size
  }

  /** The pool has a timer for then, or none. */
  expectAt(at: number): void {
    this.#expectedAt = at
  }

  /** Whether time was lost since the last look. Told once. */
  lostTime(now: number): boolean {
    if (this.#toleranceMs !== this.#owner.limits.clockJumpMs) {
      this.#toleranceMs = this.#owner.limits.clockJumpMs
      this.#jump = this.#makeJump()
    }
    if (this.#toleranceMs === Number.POSITIVE_INFINITY) return false
    const diverged = this.#jump.diverged(now, this.#options.wheel.clock.wallNow())
    const isGap = this.#jump.isGap(this.#expectedAt, now)
    if (isGap) this.#expectedAt = now
    return diverged || isGap
  }

  start(slot: Slot<Resource>, now: number): void {
    const { ping, wheel } = this.#options
    if (ping === undefined) return
    const { pingTimeoutMs } = this.#owner.limits
    const probe = new Timeout(now, false, () => {
      const message = `no answer to a ping within ${pingTimeoutMs} ms`
      this.#onEnd(slot, probe, new TransportError('ERR_DISCONNECTED', message))
    })
    unlink(slot)
    slot.probe = probe
    this.#size++
    // Whoever waits for the answer keeps the process alive; nobody else has to.
    if (slot.held) this.#owner.hold(slot, false)
    const deadline = now + pingTimeoutMs
    wheel.arm(probe, deadline)
    let answer: Promise<unknown>
    try {
      answer = ping(slot.resource, { signal: probe.controller.signal, deadline })
    } catch (error) {
      answer = Promise.reject(error)
    }
    answer.then(
      () => this.#onEnd(slot, probe, undefined),
      (error: unknown) => this.#onEnd(slot, probe, toError(error)),
    )
  }

  /** The resource is gone, or the pool: nobody waits for the answer. */
  cancel(slot: Slot<Resource>, reason: HeddleError): void {
    if (slot.probe !== undefined) this.#end(slot, slot.probe, reason)
  }

  #onEnd(slot: Slot<Resource>, probe: Timeout, error: Error | undefined): void {
    if (slot.probe !== probe) return
    this.#end(slot, probe, error)
    if (error === undefined) {
      slot.provenAt = this.#options.wheel.clock.now()
      slot.suspect = false
    }
    this.#options.observer?.pinged?.(error)
    this.#owner.onProbed(slot, error)
  }

  #end(slot: Slot<Resource>, probe: Timeout, error: Error | undefined): void {
    slot.probe = undefined
    this.#size--
    this.#options.wheel.cancel(probe)
    if (error !== undefined) probe.controller.abort(error)
  }

  #makeJump(): ClockJump {
    const { clock } = this.#options.wheel
    return new ClockJump(this.#toleranceMs, clock.now(), clock.wallNow())
  }
}
