/**
 * Rate limits around a service: each call uses up a share, of its connection, address, principal,
 * operation or of what a function says. Who has none left is refused with `OverloadError
 * ERR_RATE_LIMITED`, whose `detail` says when to come again (core/load-signal.ts), or waits for it.
 *
 * Several limits in one list hold together: what one refuses uses up nothing of the others.
 */
import type { CallContext } from '../../core/context.ts'
import type { RateLimitReport } from '../../core/load-signal.ts'
import type { Classifier } from '../../core/policy.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type CallKey, callKey } from '../call-key.ts'
import { unsent } from '../exchanger.ts'
import { countRefusals, type LoadHost } from '../load-host.ts'
import { type RateLimit, UNKNOWN_DECISION } from '../rate-limit/rate-limit.ts'
import type { RateLimitDecision } from '../rate-limit/rate-limit-store.ts'
import { isPromise, type Settlement, settle } from '../settle.ts'

/** What of a protocol a rate limit needs: the name of an operation, and how to tell what is left. */
export type RateLimitWords<Req, Res> = Pick<Classifier<Req, Res>, 'operation' | 'reportRateLimits'>

/** @param limits in the order they are asked: the one most often reached first */
export function rateLimit<Req, Res>(
  limits: readonly RateLimit<Req>[],
  host: LoadHost,
  words: RateLimitWords<Req, Res>,
): Middleware<Req, Res> {
  const counted = countRefusals(host, 'rate limit')
  const bound = limits.map((limit) => new BoundLimit(limit, words))
  const [only] = bound
  const { reportRateLimits } = words
  return (next) => {
    const proceed = (
      request: Req,
      context: CallContext,
      reports: readonly RateLimitReport[],
    ): MaybePromise<Res> =>
      reportRateLimits === undefined || reports.length === 0
        ? next(request, context)
        : settle(next, request, context, new ReportedCall(reportRateLimits, reports))
    return (request, context) => {
      // Nearly always one limit that decides at once: nothing is to be given back then.
      if (only !== undefined && bound.length === 1) {
        const { limit } = only
        const key = only.keyOf(request, context)
        if (key === undefined) return next(request, context)
        const cost = limit.options.cost?.(request, context) ?? 1
        const decision = limit.take(key, cost, context, counted)
        if (!isPromise(decision)) {
          if (reportRateLimits === undefined) return next(request, context)
          return proceed(request, context, reportsOf(limit, decision))
        }
        const passage = new Passage(bound, request, context, counted)
        const passed = passage.after(decision, limit, key, cost, 0)
        return passed.then((reports) => proceed(request, context, reports))
      }
      const passed = new Passage(bound, request, context, counted).from(0)
      return isPromise(passed)
        ? passed.then((reports) => proceed(request, context, reports))
        : proceed(request, context, passed)
    }
  }
}

class BoundLimit<Req> {
  readonly limit: RateLimit<Req>
  readonly keyOf: CallKey<Req>

  constructor(limit: RateLimit<Req>, words: Pick<Classifier<Req, never>, 'operation'>) {
    this.limit = limit
    this.keyOf = callKey(limit.options.key ?? 'all', words)
  }
}

/** One call on its way through several limits; what was taken before a refusal is given back. */
class Passage<Req> {
  readonly #limits: readonly BoundLimit<Req>[]
  readonly #request: Req
  readonly #context: CallContext
  readonly #host: LoadHost
  readonly #reports: RateLimitReport[] = []
  readonly #undo: (() => void)[] = []

  constructor(
    limits: readonly BoundLimit<Req>[],
    request: Req,
    context: CallContext,
    host: LoadHost,
  ) {
    this.#limits = limits
    this.#request = request
    this.#context = context
    this.#host = host
  }

  from(first: number): MaybePromise<readonly RateLimitReport[]> {
    for (let index = first; index < this.#limits.length; index++) {
      const { limit, keyOf } = this.#limits[index] as BoundLimit<Req>
      const key = keyOf(this.#request, this.#context)
      if (key === undefined) continue
      const cost = limit.options.cost?.(this.#request, this.#context) ?? 1
      let decision: MaybePromise<RateLimitDecision>
      try {
        decision = limit.take(key, cost, this.#context, this.#host)
      } catch (error) {
        return this.#refused(error)
      }
      if (isPromise(decision)) return this.after(decision, limit, key, cost, index)
      this.#took(limit, key, cost, decision)
    }
    return this.#reports
  }

  async after(
    pending: Promise<RateLimitDecision>,
    limit: RateLimit<Req>,
    key: string,
    cost: number,
    index: number,
  ): Promise<readonly RateLimitReport[]> {
    let decision: RateLimitDecision
    try {
      decision = await pending
    } catch (error) {
      return this.#refused(error)
    }
    this.#took(limit, key, cost, decision)
    const { cancelReason } = this.#context
    // It was cancelled between being served and getting here: nothing of it is sent.
    if (cancelReason !== undefined) return this.#refused(unsent(cancelReason))
    return this.from(index + 1)
  }

  #took(limit: RateLimit<Req>, key: string, cost: number, decision: RateLimitDecision): void {
    this.#reports.push(...reportsOf(limit, decision))
    this.#undo.push(() => limit.giveBack(key, cost, this.#host.wheel.clock.now()))
  }

  #refused(error: unknown): never {
    for (const undo of this.#undo) undo()
    throw error
  }
}

/** Tells what is left with the reply. */
class ReportedCall<Res> implements Settlement<Res> {
  readonly #report: (reply: Res, reports: readonly RateLimitReport[]) => void
  readonly #reports: readonly RateLimitReport[]

  constructor(
    report: (reply: Res, reports: readonly RateLimitReport[]) => void,
    reports: readonly RateLimitReport[],
  ) {
    this.#report = report
    this.#reports = reports
  }

  onReply(reply: Res): Res {
    this.#report(reply, this.#reports)
    return reply
  }

  onError(error: unknown): never {
    throw error
  }
}

function reportsOf<Req>(
  limit: RateLimit<Req>,
  decision: RateLimitDecision,
): readonly RateLimitReport[] {
  return decision === UNKNOWN_DECISION ? [] : [limit.report(decision)]
}
