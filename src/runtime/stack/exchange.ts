/**
 * The end of the client's stack: takes a connection of the pool and hands it the call.
 *
 * A call that the peer of a connection sent back untouched (HTTP/2: GOAWAY below it, or
 * REFUSED_STREAM) is made again at once, on whatever connection the pool gives then. To the layers
 * above it is still the same attempt: nothing was tried.
 */
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { Classifier } from '../../core/policy.ts'
import type { Lease } from '../../core/pool.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { connectTimeSince } from '../connect-times.ts'
import { type Exchanger, unsent } from '../exchanger.ts'
import type { ConnectionPool } from '../pool.ts'
import { type Settlement, settleReply } from '../settle.ts'

/** The innermost service: takes a connection of the pool and hands it the call. */
export function exchange<Req, Res>(
  pool: ConnectionPool<Exchanger<Req, Res>>,
  clock: Clock,
  classifier: Pick<Classifier<Req, Res>, 'isReplayable'>,
): Service<Req, Res> {
  const exchanges = new Exchanges(pool, clock, classifier)
  return (request, context) => exchanges.call(request, context, 0)
}

class Exchanges<Req, Res> {
  readonly #pool: ConnectionPool<Exchanger<Req, Res>>
  readonly #clock: Clock
  readonly #classifier: Pick<Classifier<Req, Res>, 'isReplayable'>

  constructor(
    pool: ConnectionPool<Exchanger<Req, Res>>,
    clock: Clock,
    classifier: Pick<Classifier<Req, Res>, 'isReplayable'>,
  ) {
    this.#pool = pool
    this.#clock = clock
    this.#classifier = classifier
  }

  /** @param refusals how often it came back */
  call(request: Req, context: CallContext, refusals: number): MaybePromise<Res> {
    const hint = context.freshConnection === true ? FRESH : undefined
    const lease = this.#pool.tryAcquire(context, hint)
    if (lease !== undefined) return this.#hand(lease, request, context, refusals)
    const since = this.#clock.now()
    return this.#pool.acquire(context, hint).then((late) => {
      context.timing?.waitedForConnection(
        this.#clock.now() - since,
        connectTimeSince(late.resource, since),
      )
      const { cancelReason } = context
      if (cancelReason !== undefined) {
        // Cancelled between being served and getting here.
        late.release()
        throw unsent(cancelReason)
      }
      return this.#hand(late, request, context, refusals)
    })
  }

  mayRepeat(error: unknown, request: Req, context: CallContext): boolean {
    if (!(error instanceof HeddleError) || context.cancelled) return false
    if (error.sent !== 'nothing' || error.retryable !== 'yes') return false
    return this.#classifier.isReplayable(request)
  }

  /** From here on the exchanger counts the call itself: the reservation is over. */
  #hand(
    lease: Lease<Exchanger<Req, Res>>,
    request: Req,
    context: CallContext,
    refusals: number,
  ): MaybePromise<Res> {
    const { resource } = lease
    let reply: MaybePromise<Res>
    try {
      reply = resource.call(request, context)
    } finally {
      lease.release()
    }
    if (resource.mayRefuse !== true || refusals === MAX_REFUSALS) return reply
    return settleReply(reply, new Refusable(this, request, context, refusals))
  }
}

class Refusable<Req, Res> implements Settlement<Res> {
  readonly #exchanges: Exchanges<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #refusals: number

  constructor(
    exchanges: Exchanges<Req, Res>,
    request: Req,
    context: CallContext,
    refusals: number,
  ) {
    this.#exchanges = exchanges
    this.#request = request
    this.#context = context
    this.#refusals = refusals
  }

  onReply(reply: Res): Res {
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    if (!this.#exchanges.mayRepeat(error, this.#request, this.#context)) throw error
    return this.#exchanges.call(this.#request, this.#context, this.#refusals + 1)
  }
}

const FRESH = Object.freeze({ fresh: true })
/** A peer that refuses again and again has too much to do: retries, with their waits, decide. */
const MAX_REFUSALS = 3
