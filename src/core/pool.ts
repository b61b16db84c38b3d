/**
 * Something to borrow and give back, and who decides how many there are.
 */
import type { CallContext } from './context.ts'

export interface Lease<Resource> extends Disposable {
  readonly resource: Resource
  /** Gives the resource back in a usable state. Exactly one of `release` and `discard`, once. */
  release(): void
  /** The resource must not be used again. */
  discard(reason: Error): void
}

/** What a call wants of the resource it gets. */
export interface AcquireHint {
  /**
   * One that was made, or has done something, after the call asked: a retry after a failure of the
   * connection must not take another one that went stale in the same way.
   */
  readonly fresh?: boolean
  /** The whole resource, also of one that takes several calls: a transaction. */
  readonly exclusive?: boolean
}

export interface Pool<Resource> extends AsyncDisposable {
  /**
   * Without waiting; undefined when none is free.
   * @throws ClosedError when closed
   */
  tryAcquire(context: CallContext, hint?: AcquireHint): Lease<Resource> | undefined
  /** Waits in a fair, bounded queue; the wait counts against the call's deadline. */
  acquire(context: CallContext, hint?: AcquireHint): Promise<Lease<Resource>>
  readonly stats: PoolStats
  close(options?: { signal?: AbortSignal }): Promise<void>
}

export interface PoolStats {
  readonly idle: number
  readonly leased: number
  readonly connecting: number
  readonly waiting: number
  /** Idle ones that are being asked whether they still live. */
  readonly probing: number
  /** Those that finish what they have and take no more; they do not count against `max`. */
  readonly draining: number
  /** How long the call that waits longest has waited, in milliseconds; 0 when none waits. */
  readonly oldestWaitMs: number
  readonly max: number
  /** Since the start. */
  readonly created: number
  readonly discarded: number
  readonly timeouts: number
}
