/**
 * Asks the breaker before a call and tells it how the call went. One breaker per endpoint, below
 * retry and balancer, so that a refusal is an attempt that another endpoint can make good.
 */
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { HeddleError, OverloadError } from '../../core/errors.ts'
import type { Breaker, Classifier, Permit, Verdict } from '../../core/policy.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface BreakerMiddlewareOptions<Req, Res> {
  clock: Clock
  breaker: Breaker
  classifier: Classifier<Req, Res>
}

export function breaker<Req, Res>(
  options: BreakerMiddlewareOptions<Req, Res>,
): Middleware<Req, Res> {
  const { clock, breaker, classifier } = options
  return (next) => (request, context) => {
    const now = clock.now()
    const permit = breaker.tryAcquire(now)
    if (permit === undefined) throw refusal(breaker, now)
    return settle(
      next,
      request,
      context,
      new BreakerCall(permit, clock, classifier, request, context),
    )
  }
}

class BreakerCall<Req, Res> implements Settlement<Res> {
  readonly #permit: Permit
  readonly #clock: Clock
  readonly #classifier: Classifier<Req, Res>
  readonly #request: Req
  readonly #context: CallContext

  constructor(
    permit: Permit,
    clock: Clock,
    classifier: Classifier<Req, Res>,
    request: Req,
    context: CallContext,
  ) {
    this.#permit = permit
    this.#clock = clock
    this.#classifier = classifier
    this.#request = request
    this.#context = context
  }

  onReply(reply: Res): MaybePromise<Res> {
    const verdict = this.#classifier.classifyResponse(this.#request, reply, this.#context)
    const now = this.#clock.now()
    if (verdict.endpointFailure) this.#permit.failure(now, reply)
    else if (this.#classifier.watchOutcome !== undefined) return this.#watch(reply, now)
    else this.#permit.success(now)
    return reply
  }

  /** What has begun well may end badly: the permit waits for it, and holds nobody up. */
  #watch(reply: Res, now: number): Res {
    const permit = this.#permit
    const onOutcome = (end: Verdict | undefined): void => {
      const endedAt = this.#clock.now()
      if (end === undefined) permit.cancel(endedAt)
      else if (end.endpointFailure) permit.failure(endedAt, reply)
      else permit.success(endedAt)
    }
    const classifier = this.#classifier
    const watched = classifier.watchOutcome?.(this.#request, reply, this.#context, onOutcome)
    if (watched === undefined) permit.success(now)
    else permit.answered?.(now)
    return watched ?? reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const now = this.#clock.now()
    const verdict = this.#classifier.classifyError(this.#request, error, this.#context)
    if (verdict.endpointFailure) this.#permit.failure(now, error)
    // An answer of the peer, even a refusal, shows that it is there; anything else tells nothing.
    else if (error instanceof HeddleError && error.code === 'ERR_REMOTE') this.#permit.success(now)
    else this.#permit.cancel(now)
    throw error
  }
}

function refusal(breaker: Breaker, now: number): OverloadError {
  return new OverloadError('ERR_BREAKER_OPEN', `the circuit breaker is ${why(breaker, now)}`)
}

function why(breaker: Breaker, now: number): string {
  const { retryAt, state } = breaker
  if (retryAt !== undefined) return `open for another ${Math.max(0, Math.ceil(retryAt - now))} ms`
  if (state === 'half-open') return 'half-open, and its probes are under way'
  return 'closed again, and lets calls in by and by'
}
