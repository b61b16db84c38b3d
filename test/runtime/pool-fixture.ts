/**
 * A pool over a manual clock whose connects and resources a test plays by hand.
 */
import { Call } from '../../src/core/context.ts'
import { HeddleError, TransportError } from '../../src/core/errors.ts'
import type { AcquireHint, Lease } from '../../src/core/pool.ts'
import type { ConnectContext } from '../../src/runtime/exchanger.ts'
import { ConnectionPool } from '../../src/runtime/pool.ts'
import type { PoolOptions } from '../../src/runtime/pool-options.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

export class Resource {
  readonly id: number
  ends: string[] = []
  alive = true
  held = true
  capacity = 1
  inFlight = 0
  idleTimeoutMs: number | undefined

  constructor(id: number) {
    this.id = id
  }
}

export interface Connect {
  readonly signal: AbortSignal
  succeed(): Resource
  fail(error?: Error): void
}

export interface Ping {
  readonly resource: Resource
  readonly signal: AbortSignal
  answer(): void
  fail(error: Error): void
}

/** A call that knows whether somebody still listens to it. */
export class WatchedCall extends Call {
  listeners = 0

  override onCancel(callback: (reason: Error) => void): () => void {
    this.listeners++
    const remove = super.onCancel(callback)
    let removed = false
    return () => {
      if (!removed) this.listeners--
      removed = true
      remove()
    }
  }
}

export interface Fixture {
  readonly clock: ManualClock
  readonly wheel: TimerWheel
  readonly pool: ConnectionPool<Resource>
  readonly resources: Resource[]
  readonly connects: Connect[]
  /** Pings that wait for an answer, oldest first. */
  readonly pings: Ping[]
  acquire(context?: Call, hint?: AcquireHint): Promise<Lease<Resource>>
}

/** @param options `manual`: the test ends each connect; otherwise all succeed at once */
export function fixture(
  options: Partial<PoolOptions<Resource>> & { manual?: boolean; pingable?: boolean } = {},
): Fixture {
  const { manual = false, pingable = false, ...rest } = options
  const pings: Ping[] = []
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const resources: Resource[] = []
  const connects: Connect[] = []
  const pool = new ConnectionPool<Resource>({
    wheel,
    random: () => 0.5,
    connect({ signal }) {
      return new Promise((resolve, reject) => {
        const connect: Connect = {
          signal,
          succeed() {
            const resource = new Resource(resources.length + 1)
            resources.push(resource)
            resolve(resource)
            return resource
          },
          fail: (error = new TransportError('ERR_CONNECT_REFUSED', 'refused')) => reject(error),
        }
        if (manual) connects.push(connect)
        else connect.succeed()
      })
    },
    destroy: (resource, reason) => void resource.ends.push(reason.message),
    close: (resource) => void resource.ends.push('closed'),
    validate: (resource) => resource.alive,
    hold: (resource, hold) => void (resource.held = hold),
    ...(pingable && {
      ping: (resource: Resource, { signal }: ConnectContext) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        pings.push({ resource, signal, answer: resolve, fail: reject })
        return promise
      },
    }),
    ...rest,
  })
  const acquire = (context: Call = new Call(), hint?: AcquireHint): Promise<Lease<Resource>> =>
    pool.acquire(context, hint)
  return { clock, wheel, pool, resources, connects, pings, acquire }
}

/** A promise that may still be open, and how it ended if it did. */
export class Outcome<Value> {
  value: Value | undefined
  error: HeddleError | undefined
  pending = true

  constructor(promise: Promise<Value>) {
    promise.then(
      (value) => {
        this.value = value
        this.pending = false
      },
      (error) => {
        this.error = error
        this.pending = false
      },
    )
  }

  /** Code of the error that was the cause. */
  get causeCode(): string | undefined {
    const cause = this.error?.cause
    return cause instanceof HeddleError ? cause.code : undefined
  }
}

export function watch<Value>(promise: Promise<Value>): Outcome<Value> {
  return new Outcome(promise)
}
