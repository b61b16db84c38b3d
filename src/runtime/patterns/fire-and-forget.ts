/**
 * Sends and does not wait: best effort, bounded, and never an unhandled rejection. What must not be
 * lost goes into an outbox (outbox.ts).
 *
 * A message outlives the call that sent it, and has a time limit of its own.
 */
import { Call, type CallContext } from '../../core/context.ts'
import { checkInteger, checkRange, TimeoutError, toError } from '../../core/errors.ts'
import type { Service } from '../../core/service.ts'
import { isPromise } from '../settle.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'
import { detached } from './detached.ts'

export interface FireAndForgetOptions<Req> {
  wheel: TimerWheel
  /** Messages on their way; one more is dropped. @default 1_000 */
  maxPending?: number
  /** Of one message, in milliseconds. @default 10_000 */
  timeoutMs?: number
  /** It did not arrive, or that is not known. For logs. */
  onError?(error: Error, request: Req): void
  /** There was no room for it. */
  onDropped?(request: Req): void
}

export const fireAndForgetDefaults: Readonly<{ maxPending: number; timeoutMs: number }> =
  Object.freeze({ maxPending: 1_000, timeoutMs: 10_000 })

export interface FireAndForgetStats {
  readonly pending: number
  readonly sent: number
  readonly failed: number
  readonly dropped: number
}

export class FireAndForget<Req> implements AsyncDisposable {
  readonly #service: Service<Req, unknown>
  readonly #options: FireAndForgetOptions<Req>
  readonly #maxPending: number
  readonly #timeoutMs: number
  #pending = 0
  #sent = 0
  #failed = 0
  #dropped = 0
  #closed = false
  #onIdle: (() => void) | undefined

  constructor(service: Service<Req, unknown>, options: FireAndForgetOptions<Req>) {
    const {
      maxPending = fireAndForgetDefaults.maxPending,
      timeoutMs = fireAndForgetDefaults.timeoutMs,
    } = options
    this.#service = service
    this.#options = options
    this.#maxPending = checkInteger('maxPending', maxPending, 1, 10_000_000)
    this.#timeoutMs = checkRange('timeoutMs', timeoutMs, 1, 0x7fff_ffff)
  }

  get stats(): FireAndForgetStats {
    return {
      pending: this.#pending,
      sent: this.#sent,
      failed: this.#failed,
      dropped: this.#dropped,
    }
  }

  /** False: dropped, for want of room or because it is closed. Never throws, never rejects. */
  send(request: Req, context: CallContext = new Call()): boolean {
    if (this.#closed || this.#pending >= this.#maxPending) {
      this.#dropped++
      this.#options.onDropped?.(request)
      return false
    }
    this.#pending++
    const { wheel } = this.#options
    const call = new Message(wheel, detached(context), wheel.clock.now() + this.#timeoutMs)
    const over = (error: unknown): void => {
      if (!call.end()) return
      this.#pending--
      if (error === undefined) this.#sent++
      else {
        this.#failed++
        this.#options.onError?.(toError(error), request)
      }
      if (this.#pending === 0) this.#onIdle?.()
    }
    // One that does not listen to its cancellation must not keep its place.
    call.onTimeout = over
    try {
      const reply = this.#service(request, call)
      if (isPromise(reply)) reply.then(() => over(undefined), over)
      else over(undefined)
    } catch (error) {
      over(error)
    }
    return true
  }

  /** Takes no more; resolves when what is on its way has arrived, failed or timed out. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#pending === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

export function fireAndForget<Req>(
  service: Service<Req, unknown>,
  options: FireAndForgetOptions<Req>,
): FireAndForget<Req> {
  return new FireAndForget(service, options)
}

class Message extends Call implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  onTimeout: ((error: Error) => void) | undefined
  readonly #wheel: TimerWheel
  #over = false

  constructor(wheel: TimerWheel, parent: CallContext, deadline: number) {
    super({ deadline }, parent)
    this.#wheel = wheel
    wheel.arm(this, deadline)
  }

  expire(): void {
    const error = new TimeoutError('ERR_DEADLINE', 'the message took longer than its timeoutMs')
    this.cancel(error)
    this.onTimeout?.(error)
  }

  /** False: it is over already. */
  end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#wheel.cancel(this)
    this.finish()
    return true
  }
}
