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

export interface Pool<Resource> extends AsyncDisposable {
  /**
   * Without waiting; undefined when none is free.
   * @throws ClosedError when closed
   */
  tryAcquire(context: CallContext): Lease<Resource> | undefined
  /** Waits in a fair, bounded queue; the wait counts against the call's deadline. */
  acquire(context: CallContext): Promise<Lease<Resource>>
  readonly stats: PoolStats
  close(options?: { signal?: AbortSignal }): Promise<void>
}

export interface PoolStats {
  readonly idle: number
  readonly leased: number
  readonly connecting: number
  readonly waiting: number
  readonly max: number
  /** Since the start. */
  readonly created: number
  readonly discarded: number
  readonly timeouts: number
}
