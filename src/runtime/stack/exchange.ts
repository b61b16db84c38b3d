/**
 * The end of the client's stack: takes a connection of the pool and hands it the call.
 */
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { Service } from '../../core/service.ts'
import { connectTimeSince } from '../connect-times.ts'
import { type Exchanger, unsent } from '../exchanger.ts'
import type { ConnectionPool } from '../pool.ts'

/** The innermost service: takes a connection of the pool and hands it the call. */
export function exchange<Req, Res>(
  pool: ConnectionPool<Exchanger<Req, Res>>,
  clock: Clock,
): Service<Req, Res> {
  return (request, context) => {
    const hint = context.freshConnection === true ? FRESH : undefined
    const lease = pool.tryAcquire(context, hint)
    if (lease === undefined) {
      const since = clock.now()
      return pool.acquire(context, hint).then((late) => {
        context.timing?.waitedForConnection(
          clock.now() - since,
          connectTimeSince(late.resource, since),
        )
        const { cancelReason } = context
        if (cancelReason !== undefined) {
          // Cancelled between being served and getting here.
          late.release()
          throw unsent(cancelReason)
        }
        return hand(late, request, context)
      })
    }
    return hand(lease, request, context)
  }
}

/** From here on the exchanger counts the call itself: the reservation is over. */
function hand<Req, Res>(
  lease: { readonly resource: Exchanger<Req, Res>; release(): void },
  request: Req,
  context: CallContext,
): Res | Promise<Res> {
  try {
    return lease.resource.call(request, context)
  } finally {
    lease.release()
  }
}

const FRESH = Object.freeze({ fresh: true })
