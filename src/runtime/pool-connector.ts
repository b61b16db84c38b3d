/**
 * The connects of one pool that are under way: their time limits, the wait after a failure, and the
 * permit that each holds of a quota over several pools.
 *
 * A connect belongs to the pool and not to a call. When it comes too late it is destroyed.
 */
import { ClosedError, TimeoutError, toError } from '../core/errors.ts'
import type { PoolLimits, PoolOptions } from './pool-options.ts'
import { Timeout } from './pool-slot.ts'

export interface ConnectorOwner<Resource> {
  readonly limits: Readonly<Required<PoolLimits>>
  onConnected(resource: Resource, timeout: Timeout): void
  onConnectFailed(error: Error): void
}

export class PoolConnector<Resource> {
  readonly #options: PoolOptions<Resource>
  readonly #owner: ConnectorOwner<Resource>
  readonly #connects = new Set<Timeout>()
  #failures = 0
  #notBefore = 0

  constructor(options: PoolOptions<Resource>, owner: ConnectorOwner<Resource>) {
    this.#options = options
    this.#owner = owner
  }

  /** Connects under way. */
  get size(): number {
    return this.#connects.size
  }

  /** After a failure: when to try again while there is something alive. */
  get notBefore(): number {
    return this.#notBefore
  }

  /** The owner took the permit already. */
  begin(): void {
    const { wheel, observer, connect } = this.#options
    const timeout = new Timeout(wheel.clock.now(), true, this.#onTimeout)
    this.#connects.add(timeout)
    observer?.changed?.()
    const deadline = timeout.startedAt + this.#owner.limits.connectTimeoutMs
    wheel.arm(timeout, deadline)
    let promise: Promise<Resource>
    try {
      promise = connect({ signal: timeout.controller.signal, deadline })
    } catch (error) {
      promise = Promise.reject(error)
    }
    promise.then(
      (resource) => this.#onConnected(timeout, resource),
      (error: unknown) => this.#onFailed(timeout, toError(error)),
    )
  }

  /** A connection is of use: whatever failed before is forgotten. */
  succeeded(timeout: Timeout): void {
    this.#options.wheel.cancel(timeout)
    this.#failures = 0
    this.#notBefore = 0
  }

  /** A connect failed, or what it gave was of no use: the next waits longer. Its permit goes back. */
  failed(error: Error): void {
    const { wheel, random, observer, quota } = this.#options
    const most = Math.min(BACKOFF_MS * 2 ** this.#failures++, MAX_BACKOFF_MS)
    this.#notBefore = wheel.clock.now() + (most / 2) * (1 + random())
    observer?.connectFailed?.(error)
    quota?.giveBack()
    this.#owner.onConnectFailed(error)
  }

  /** What still gets connected in spite of the abort is destroyed when it comes. */
  abort(reason: () => Error): void {
    const connects = [...this.#connects]
    this.#connects.clear()
    for (const timeout of connects) {
      this.#options.wheel.cancel(timeout)
      this.#options.quota?.giveBack()
      timeout.controller.abort(reason())
    }
  }

  #onConnected(timeout: Timeout, resource: Resource): void {
    if (this.#connects.delete(timeout)) return this.#owner.onConnected(resource, timeout)
    const late = new ClosedError('ERR_CLOSED', 'it was connected too late')
    this.#options.destroy(resource, late)
  }

  #onFailed(timeout: Timeout, error: Error): void {
    if (!this.#connects.delete(timeout)) return
    this.#options.wheel.cancel(timeout)
    this.failed(error)
  }

  readonly #onTimeout = (timeout: Timeout): void => {
    const error = connectTimeout(this.#owner.limits.connectTimeoutMs)
    this.#onFailed(timeout, error)
    timeout.controller.abort(error)
  }
}

export function connectTimeout(connectTimeoutMs: number): TimeoutError {
  const message = `connecting took longer than ${connectTimeoutMs} ms`
  return new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' })
}

const BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000
