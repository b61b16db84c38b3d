/**
 * What travels with a call: one absolute deadline, cancellation, attempt, idempotence, priority,
 * trace, correlation, principal and metadata. Crosses queueing, pooling, retries, threads and protocols.
 */
import type { CallTiming } from './call-timing.ts'
import type { Connection } from './connection.ts'
import { ClosedError } from './errors.ts'
import type { Principal } from './principal.ts'

export interface CallContext {
  /** Absolute, a value of the monotonic clock; undefined: no deadline. */
  readonly deadline: number | undefined
  /** When this attempt is given up, for another one perhaps; the deadline may be earlier. */
  readonly attemptDeadline?: number | undefined
  /** Made when first asked for: an `AbortSignal` costs more than a small call. */
  readonly signal: AbortSignal
  readonly cancelled: boolean
  /** Why, once `cancelled`. */
  readonly cancelReason: Error | undefined
  /** 1 for the first attempt. */
  readonly attempt: number
  /** True: doing it twice is the same as once. Undefined: the protocol's classifier decides. */
  readonly idempotent: boolean | undefined
  /**
   * An attempt before this one failed on a connection that had been kept: others that were kept for
   * as long are no better, so it wants one that was made, or used, since.
   */
  readonly freshConnection?: boolean | undefined
  /** 0 is shed last, 7 first (RFC 9218's scale of urgency). */
  readonly priority: number
  readonly trace: TraceContext | undefined
  /** Collects where the call's time goes; undefined: nobody will read it. */
  readonly timing?: CallTiming | undefined
  /** Joins what belongs to one piece of work over all hops: the request id. Made by whoever began. */
  readonly correlationId: string | undefined
  /** Server side: who calls, once authentication has said so. */
  readonly principal: Principal | undefined
  /** Server side: the connection the call came on, for its facts. Its bytes are the session's. */
  readonly connection: Connection | undefined
  /** Lower-case keys. What the protocol carries as headers or metadata. */
  readonly metadata: ReadonlyMap<string, string>
  /**
   * Cheaper than `signal`. Called at most once, at once when already cancelled. Returns removal,
   * after which it is not called, not even while others are.
   */
  onCancel(callback: (reason: Error) => void): () => void
}

/** W3C Trace Context (https://www.w3.org/TR/trace-context-2/). */
export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 lower-case hex digits. */
  readonly spanId: string
  /** Bit 0 sampled, bit 1 random. */
  readonly flags: number
  readonly state: string | undefined
  readonly baggage: string | undefined
}

export interface CallInit {
  deadline?: number | undefined
  attemptDeadline?: number | undefined
  /** The caller's own signal. Its reason passes through untouched. */
  signal?: AbortSignal | undefined
  attempt?: number | undefined
  idempotent?: boolean | undefined
  freshConnection?: boolean | undefined
  priority?: number | undefined
  trace?: TraceContext | undefined
  timing?: CallTiming | undefined
  correlationId?: string | undefined
  /** Makes the id of a call that came without one, when somebody first asks for it. */
  newCorrelationId?: (() => string) | undefined
  principal?: Principal | undefined
  connection?: Connection | undefined
  metadata?: ReadonlyMap<string, string> | undefined
}

/** @default priority 3, the middle: as RFC 9218 */
export const callDefaults: Readonly<{ priority: number; attempt: number }> = Object.freeze({
  priority: 3,
  attempt: 1,
})

/**
 * A call that its owner can cancel. A child (an attempt, a branch) is cancelled with its parent and
 * takes the earlier of both deadlines. `finish` lets go of parent and signal: always call it, once
 * the reply is there. A reply that is a stream goes on: as long as it listens by `onCancel`, parent
 * and signal still reach it.
 */
export class Call implements CallContext {
  readonly deadline: number | undefined
  readonly attemptDeadline: number | undefined
  readonly attempt: number
  readonly idempotent: boolean | undefined
  readonly freshConnection: boolean | undefined
  readonly priority: number
  readonly trace: TraceContext | undefined
  readonly timing: CallTiming | undefined
  readonly principal: Principal | undefined
  readonly connection: Connection | undefined
  readonly metadata: ReadonlyMap<string, string>
  #correlationId: string | undefined
  #newCorrelationId: (() => string) | undefined
  #reason: Error | undefined
  #controller: AbortController | undefined
  #callback: ((reason: Error) => void) | undefined
  #more: (((reason: Error) => void) | undefined)[] | undefined
  #release: (() => void) | undefined
  #finished = false

  constructor(init: CallInit = NO_INIT, parent?: CallContext) {
    this.deadline = earlier(init.deadline, parent?.deadline)
    this.attemptDeadline = init.attemptDeadline ?? parent?.attemptDeadline
    this.attempt = init.attempt ?? parent?.attempt ?? callDefaults.attempt
    this.idempotent = init.idempotent ?? parent?.idempotent
    this.freshConnection = init.freshConnection ?? parent?.freshConnection
    this.priority = init.priority ?? parent?.priority ?? callDefaults.priority
    this.trace = init.trace ?? parent?.trace
    this.timing = init.timing ?? parent?.timing
    this.#correlationId = init.correlationId ?? parent?.correlationId
    this.#newCorrelationId = init.newCorrelationId
    this.principal = init.principal ?? parent?.principal
    this.connection = init.connection ?? parent?.connection
    this.metadata = init.metadata ?? parent?.metadata ?? NO_METADATA
    if (parent !== undefined) this.#release = parent.onCancel((reason) => this.cancel(reason))
    if (init.signal !== undefined) this.#follow(init.signal)
  }

  get correlationId(): string | undefined {
    if (this.#correlationId === undefined && this.#newCorrelationId !== undefined) {
      this.#correlationId = this.#newCorrelationId()
    }
    return this.#correlationId
  }

  get cancelled(): boolean {
    return this.#reason !== undefined
  }

  get cancelReason(): Error | undefined {
    return this.#reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  onCancel(callback: (reason: Error) => void): () => void {
    if (this.#reason !== undefined) {
      callback(this.#reason)
      return NOTHING
    }
    // Most calls have one callback at a time: it needs no list.
    if (this.#callback === undefined && this.#more === undefined) {
      this.#callback = callback
      return () => {
        if (this.#callback !== callback) return
        this.#callback = undefined
        this.#unlisten()
      }
    }
    const more: (((reason: Error) => void) | undefined)[] = (this.#more ??= [])
    more.push(callback)
    return () => {
      const at = more.indexOf(callback)
      if (at < 0) return
      // While they are being called, the list keeps its places.
      if (this.#reason === undefined) more.splice(at, 1)
      else more[at] = undefined
      if (more.length > 0) return
      this.#more = undefined
      this.#unlisten()
    }
  }

  /** Idempotent: the first reason stays. */
  cancel(reason: Error = new ClosedError('ERR_ABORTED', 'the call was cancelled')): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#letGo()
    this.#controller?.abort(reason)
    const callback = this.#callback
    this.#callback = undefined
    callback?.(reason)
    const more = this.#more
    this.#more = undefined
    if (more !== undefined) for (const each of more) each?.(reason)
  }

  /** The reply is there: stops following parent and signal as soon as nobody listens any more. */
  finish(): void {
    this.#finished = true
    if (!this.listened) this.#letGo()
  }

  /** Somebody is to be told when it is cancelled. */
  get listened(): boolean {
    return this.#callback !== undefined || this.#more !== undefined
  }

  /** For subclasses: the call is over, or cancelled. May be called more than once. */
  released(): void {}

  #unlisten(): void {
    if (this.#finished && !this.listened) this.#letGo()
  }

  #letGo(): void {
    const release = this.#release
    this.#release = undefined
    release?.()
    this.released()
  }

  #follow(signal: AbortSignal): void {
    const abort = (): void => this.cancel(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    const before = this.#release
    this.#release = () => {
      signal.removeEventListener('abort', abort)
      before?.()
    }
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b
  return b === undefined || a < b ? a : b
}

const NO_INIT: CallInit = Object.freeze({})
const NO_METADATA: ReadonlyMap<string, string> = new Map()
const NOTHING = (): void => {}
