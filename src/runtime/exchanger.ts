/**
 * One connection that can do calls: what a protocol's client glue gives to the runtime.
 *
 * The runtime never sees a session or a connection; pool, breaker and balancer work on exchangers.
 * An exchanger counts its own calls: a call is in flight until its last byte has been read, which
 * for a streamed body is long after the reply was given. The pool follows `available`.
 *
 * **Contract of `call`.**
 * - It is taken or refused at once; an exchanger never queues beyond `available`. Refused:
 *   OverloadError ERR_BUSY.
 * - It settles exactly once. When the context is cancelled it settles promptly, with
 *   `context.cancelReason` untouched, or with `unsent(reason)` when nothing had been sent.
 * - Every error says what was sent: retries rely on it.
 */
import type { ConnectionState } from '../core/connection-state.ts'
import type { CallContext } from '../core/context.ts'
import { checkInteger, type HeddleError, TimeoutError } from '../core/errors.ts'
import type { MaybePromise } from '../core/service.ts'

export interface Exchanger<Req, Res> {
  readonly state: ConnectionState
  /** Calls that would be taken now. 0 unless `ready`. */
  readonly available: number
  /** Calls not over yet, unread bodies included. */
  readonly inFlight: number
  /** The peer said that it closes an idle connection after about this long (`Keep-Alive`). */
  readonly idleTimeoutMs: number | undefined
  /**
   * How long it is kept idle here, instead of the pool's own limit: one connection that takes every
   * call is worth more than one that takes one.
   */
  readonly maxIdleMs?: number | undefined
  /** Idle for longer it is pinged before it is lent, whatever the pool's own limit. */
  readonly pingAfterMs?: number | undefined
  /**
   * The peer may send calls back untouched (an error with `sent: 'nothing'` that is `retryable`),
   * when it closes or has enough: they are made again on another connection at once, and are no
   * retries.
   */
  readonly mayRefuse?: boolean | undefined
  /**
   * Asks the peer for an answer that is no call of its own. Rejects when it is dead. Without it the
   * pool makes a call.
   */
  readonly ping?: ((context: ConnectContext) => Promise<void>) | undefined
  /**
   * Set by the pool. Called, synchronously, whenever `state` changed, and when `available` or
   * `inFlight` changed other than by `call`.
   */
  onChange: (() => void) | undefined
  call(request: Req, context: CallContext): MaybePromise<Res>
  /** Takes no more calls, closes when those in flight are over. */
  close(): void
  /** Closes at once; calls in flight end with `reason`. */
  destroy(reason: Error): void
  /** Whether the connection keeps the process alive. The pool lets idle connections go. */
  ref(): void
  unref(): void
}

/** What connecting gets from the pool. It is no call's: the connection outlives the first call. */
export interface ConnectContext {
  /** Aborted when the client closes. */
  readonly signal: AbortSignal
  /** Absolute, a value of the monotonic clock. */
  readonly deadline: number
}

/**
 * Lets at most `maxConcurrent` calls at a time into one exchanger: the limiter below the pool,
 * which sees the smaller `available` and takes another connection instead of a refusal.
 */
export function limitExchanger<Req, Res>(
  exchanger: Exchanger<Req, Res>,
  maxConcurrent: number,
): Exchanger<Req, Res> {
  checkInteger('maxConcurrent', maxConcurrent, 1, 0x7fff_ffff)
  return new LimitedExchanger(exchanger, maxConcurrent)
}

class LimitedExchanger<Req, Res> implements Exchanger<Req, Res> {
  readonly #inner: Exchanger<Req, Res>
  readonly #max: number

  constructor(inner: Exchanger<Req, Res>, max: number) {
    this.#inner = inner
    this.#max = max
  }

  get state(): ConnectionState {
    return this.#inner.state
  }

  get available(): number {
    return Math.max(0, Math.min(this.#inner.available, this.#max - this.#inner.inFlight))
  }

  get inFlight(): number {
    return this.#inner.inFlight
  }

  get idleTimeoutMs(): number | undefined {
    return this.#inner.idleTimeoutMs
  }

  get maxIdleMs(): number | undefined {
    return this.#inner.maxIdleMs
  }

  get pingAfterMs(): number | undefined {
    return this.#inner.pingAfterMs
  }

  get mayRefuse(): boolean | undefined {
    return this.#inner.mayRefuse
  }

  get ping(): Exchanger<Req, Res>['ping'] {
    return this.#inner.ping
  }

  get onChange(): (() => void) | undefined {
    return this.#inner.onChange
  }

  set onChange(callback: (() => void) | undefined) {
    this.#inner.onChange = callback
  }

  call(request: Req, context: CallContext): MaybePromise<Res> {
    return this.#inner.call(request, context)
  }

  close(): void {
    this.#inner.close()
  }

  destroy(reason: Error): void {
    this.#inner.destroy(reason)
  }

  ref(): void {
    this.#inner.ref()
  }

  unref(): void {
    this.#inner.unref()
  }
}

/**
 * The reason of a cancelled call of which nothing has left yet. Timeouts of ours are told so, which
 * makes any request safe to send again; the caller's own reason passes through untouched.
 */
export function unsent(reason: Error, doing = 'before anything was sent'): Error {
  if (!(reason instanceof TimeoutError) || (reason as HeddleError).sent === 'nothing') return reason
  const { code, message, detail } = reason
  if (code !== 'ERR_ATTEMPT_TIMEOUT' && code !== 'ERR_DEADLINE') return reason
  return new TimeoutError(code, `${message}, ${doing}`, {
    cause: reason,
    sent: 'nothing',
    ...(detail !== undefined && { detail }),
  })
}
