/**
 * The pool of one endpoint, with exchangers as resources: its own, or one that clients share.
 */
import { Call } from '../core/context.ts'
import { UsageError } from '../core/errors.ts'
import { noopMeter } from '../core/metrics.ts'
import type { Endpoint } from '../core/policy.ts'
import type { ClientOptions } from './client-options.ts'
import { noteConnect } from './connect-times.ts'
import { endpointKey } from './endpoint-set.ts'
import { type ConnectContext, type Exchanger, limitExchanger } from './exchanger.ts'
import { ConnectionPool } from './pool.ts'
import { poolMetrics } from './pool-metrics.ts'
import type { PoolLimits } from './pool-options.ts'
import type { PoolListener, PoolUse } from './shared-pools.ts'
import type { TimerWheel } from './timer-wheel.ts'

/** @param endpoint asked for at each connect: its weight may have changed, its address cannot */
export function useEndpointPool<Req, Res>(
  endpoint: () => Endpoint,
  address: string,
  options: ClientOptions<Req, Res>,
  wheel: TimerWheel,
): PoolUse<Exchanger<Req, Res>> {
  const { sharedPools, observer, maxConcurrentPerConnection } = options
  const listener: PoolListener = {
    connectFailed: (error) => observer?.onConnectError?.(endpoint(), error),
  }
  const make = (
    poolLimits: PoolLimits,
    listeners: PoolListener,
  ): ConnectionPool<Exchanger<Req, Res>> =>
    makePool(endpoint, address, poolLimits, options, wheel, listeners)
  if (sharedPools === undefined) {
    const pool = make(options.pool ?? {}, listener)
    return { pool, close: () => pool.close(), destroy: (reason) => pool.destroy(reason) }
  }
  if (options.pool !== undefined) {
    throw new UsageError('ERR_ARGUMENT', 'shared pools have their own limits: give them none here')
  }
  const { protocol } = options.classifier
  const key = sharedPools.identity(
    options.poolKey ?? '',
    protocol,
    endpointKey(endpoint()),
    maxConcurrentPerConnection,
    // Without a key nothing is known of how it connects: only the same function is the same.
    options.poolKey === undefined ? options.connectEndpoint : undefined,
  )
  return sharedPools.use(key, listener, make)
}

// size: one object, what the pool asks of an exchanger and tells about it.
function makePool<Req, Res>(
  endpoint: () => Endpoint,
  address: string,
  limits: PoolLimits,
  options: ClientOptions<Req, Res>,
  wheel: TimerWheel,
  listener: PoolListener,
): ConnectionPool<Exchanger<Req, Res>> {
  const { connectEndpoint, maxConcurrentPerConnection: most, meter = noopMeter } = options
  const { connectionQuota: quota, ping, classifier, observer } = options
  const apart = options.metricScope?.endpoints ?? true
  const name = `${options.name ?? options.target ?? ''} ${apart ? address : ''}`.trim()
  const observed = poolMetrics(meter, name, () => ({
    stats: pool.stats,
    limits: pool.limits,
    closed: pool.state === 'closed',
  }))
  /** Why the pool ends them. */
  const reasons = new WeakMap<Exchanger<Req, Res>, Error>()
  const expectedCapacity = limits.expectedCapacity ?? options.expectedCapacity
  const pool: ConnectionPool<Exchanger<Req, Res>> = new ConnectionPool({
    ...limits,
    ...(expectedCapacity !== undefined && { expectedCapacity }),
    wheel,
    random: options.random,
    async connect(context) {
      const startedAt = wheel.clock.now()
      const connected = await connectEndpoint(endpoint(), context)
      const exchanger = most === undefined ? connected : limitExchanger(connected, most)
      noteConnect(exchanger, startedAt, wheel.clock.now())
      let told = exchanger.state
      exchanger.onChange = () => {
        const { state } = exchanger
        if (state !== told) {
          told = state
          observer?.onConnection?.(endpoint(), state, reasons.get(exchanger))
        }
        if (state === 'closed' || state === 'error') pool.remove(exchanger)
        else pool.update(exchanger)
      }
      observer?.onConnection?.(endpoint(), told, undefined)
      return exchanger
    },
    destroy(exchanger, reason) {
      reasons.set(exchanger, reason)
      exchanger.destroy(reason)
    },
    close: (exchanger) => exchanger.close(),
    validate: (exchanger) => exchanger.state === 'ready' || isOpening(exchanger),
    idleTimeoutOf: (exchanger) => exchanger.idleTimeoutMs,
    maxIdleOf: (exchanger) => exchanger.maxIdleMs,
    pingAfterOf: (exchanger) => exchanger.pingAfterMs,
    occupancy: {
      available: (exchanger) => exchanger.available,
      inFlight: (exchanger) => exchanger.inFlight,
      opening: isOpening,
      draining: (exchanger) => exchanger.state === 'draining' || exchanger.state === 'closing',
    },
    hold: (exchanger, hold) => (hold ? exchanger.ref() : exchanger.unref()),
    ...(quota !== undefined && { quota }),
    ...(ping !== undefined && {
      ping: async (exchanger: Exchanger<Req, Res>, context: ConnectContext) => {
        if (exchanger.ping !== undefined) return exchanger.ping(context)
        const { signal, deadline } = context
        const call = new Call({ signal, deadline })
        try {
          // Whatever the answer says: it is one.
          const answer = await exchanger.call(ping(), call)
          classifier.discardResponse?.(answer)
        } finally {
          call.finish()
        }
      },
    }),
    observer: {
      ...observed,
      connectFailed(error) {
        observed?.connectFailed?.(error)
        listener.connectFailed(error)
      },
      clockJumped: (suspects) => observer?.onClockJump?.(endpoint(), suspects),
    },
  })
  return pool
}

/** Connected, and not ready for calls: it does not know yet how many its peer takes. */
function isOpening<Req, Res>(exchanger: Exchanger<Req, Res>): boolean {
  const { state } = exchanger
  return state === 'connecting' || state === 'connected' || state === 'authenticating'
}
