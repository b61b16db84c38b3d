/**
 * One pool for several clients of a process: those that say the same key for an endpoint draw on the
 * same connections, and the bound holds for all of them together.
 *
 *     const pools = new SharedPools({ max: 20 })
 *     const orders = httpClient('http://api', { sharedPools: pools })
 *     const users = httpClient('http://api', { sharedPools: pools })
 *
 * A pool lives as long as somebody uses it; the last one to close closes it. Whoever destroys its
 * client lets go of the pool: others' calls are on it.
 */
import type { ConnectionPool } from './pool.ts'
import { checkPoolLimits, type PoolLimits } from './pool-options.ts'

/** One user's hold on a pool. */
export interface PoolUse<Resource> {
  readonly pool: ConnectionPool<Resource>
  /** Resolves when the pool is closed, or at once when others use it. */
  close(): Promise<void>
  destroy(reason: Error): void
}

/** Told of what concerns everybody who uses a pool. */
export interface PoolListener {
  connectFailed(error: Error): void
}

interface SharedPool {
  readonly pool: ConnectionPool<unknown>
  readonly users: Set<PoolListener>
}

export class SharedPools {
  readonly #pools = new Map<string, SharedPool>()
  readonly #identities = new WeakMap<object, number>()
  #limits: PoolLimits
  #lastIdentity = 0

  /** @param limits of each pool */
  constructor(limits: PoolLimits = {}) {
    checkPoolLimits(limits)
    this.#limits = limits
  }

  get limits(): PoolLimits {
    return this.#limits
  }

  get size(): number {
    return this.#pools.size
  }

  /** Other limits for every pool, those that are there included. */
  reconfigure(limits: PoolLimits): void {
    const merged = { ...this.#limits, ...limits }
    checkPoolLimits(merged)
    this.#limits = merged
    for (const { pool } of this.#pools.values()) pool.reconfigure(limits)
  }

  /** The pool of `key`, made when nobody uses one yet. What it tells goes to every listener. */
  use<Resource>(
    key: string,
    listener: PoolListener,
    make: (limits: PoolLimits, listener: PoolListener) => ConnectionPool<Resource>,
  ): PoolUse<Resource> {
    let shared = this.#pools.get(key)
    if (shared === undefined) {
      const users = new Set<PoolListener>()
      const everybody: PoolListener = {
        connectFailed(error) {
          for (const user of users) user.connectFailed(error)
        },
      }
      shared = { pool: make(this.#limits, everybody) as ConnectionPool<unknown>, users }
      this.#pools.set(key, shared)
    }
    const { pool, users } = shared
    users.add(listener)
    /** @returns whether it was the last */
    const leave = (): boolean => {
      if (!users.delete(listener) || users.size > 0) return false
      this.#pools.delete(key)
      return true
    }
    return {
      pool: pool as ConnectionPool<Resource>,
      close: () => (leave() ? pool.close() : Promise.resolve()),
      destroy(reason) {
        // The last one may be waiting for it to close.
        if (leave() || users.size === 0) pool.destroy(reason)
      },
    }
  }

  /**
   * Part of a key: the same for the same objects (a transport, TLS options), so that clients which
   * connect in different ways never share.
   */
  identity(...parts: readonly (object | string | number | undefined)[]): string {
    return JSON.stringify(
      parts.map((part) => (isObject(part) ? [this.#identityOf(part)] : (part ?? null))),
    )
  }

  #identityOf(object: object): number {
    let identity = this.#identities.get(object)
    if (identity === undefined) {
      identity = ++this.#lastIdentity
      this.#identities.set(object, identity)
    }
    return identity
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' || typeof value === 'function'
}
