/**
 * Sends a call that is slow a second time, and takes whichever answer is first.
 *
 *     original ──────────────────────────────x cancelled
 *        └─ delay ─▸ hedge ──────────▸ answer
 *
 * - **Safe.** Only what is idempotent and can be under way twice; never because nobody said no.
 * - **Afforded.** A hedge is a retry that did not wait: it comes out of the same budget.
 * - **Elsewhere.** The balancer avoids the endpoints at which the others are.
 * - **Tidy.** The losers are cancelled, down to the wire; an answer that comes all the same is
 *   discarded. Permits and leases come back as for any call that was given up.
 *
 * An attempt that fails while another is under way is no answer: the other is waited for. When all
 * failed, the last real failure goes to the retry, which stands outside: a retry may be hedged, a
 * hedge is not retried by itself.
 */
import type { CallContext } from '../../core/context.ts'
import { ClosedError, HeddleError } from '../../core/errors.ts'
import type { Classifier, RetryBudget, Verdict } from '../../core/policy.ts'
import type { MaybePromise, Middleware, Service } from '../../core/service.ts'
import type { HedgePolicy } from '../hedge-policy.ts'
import { isPromise, PendingReply, type Settlement, settle, settleReply } from '../settle.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'
import { AttemptCall } from './retry.ts'

export interface HedgeMiddlewareOptions<Req, Res> {
  wheel: TimerWheel
  policy: HedgePolicy
  budget: RetryBudget
  classifier: Classifier<Req, Res>
  /** No retry stands outside, which pays for its calls into the budget. @default false */
  deposits?: boolean
  /** Told when a hedge is sent, from 1. */
  onHedge?(hedge: number, delayMs: number, context: CallContext): void
}

/** Counts since the start. */
export interface HedgeCounts {
  sent: number
  /** Hedges that answered before the original. */
  won: number
}

/** Why a loser was cancelled. The balancer takes the time until then as its latency. */
export const OVERTAKEN: Error = new ClosedError(
  'ERR_ABORTED',
  'another attempt of the call was faster',
)

/** One of several attempts that are under way together. */
export class HedgeCall extends AttemptCall {
  /** All of them, this one included. */
  readonly siblings: readonly HedgeCall[]
  /** The attempt that they are, for the retry. */
  readonly parent: CallContext
  /** Where it is; the balancer's. */
  node: unknown = undefined

  constructor(hedge: number, parent: CallContext, siblings: readonly HedgeCall[]) {
    super(parent.attempt + hedge, parent, parent)
    this.parent = parent
    this.siblings = siblings
  }
}

export function hedge<Req, Res>(
  options: HedgeMiddlewareOptions<Req, Res>,
  counts: HedgeCounts = { sent: 0, won: 0 },
): Middleware<Req, Res> {
  const { wheel, policy, budget, classifier, deposits = false } = options
  const { clock } = wheel
  return (next) => (request, context) => {
    const now = clock.now()
    if (deposits) budget.deposit(now)
    if (!mayHedge(classifier, request, context)) return next(request, context)
    const operation = classifier.operation(request)
    const delayMs = policy.delay(operation, now)
    if (delayMs === undefined) {
      const sample = new Sample<Res>(policy, operation, () => clock.now(), now)
      return settle(next, request, context, sample)
    }
    const call = new HedgedCall(options, counts, next, request, context, operation, delayMs, now)
    return call.start()
  }
}

function mayHedge<Req, Res>(
  classifier: Classifier<Req, Res>,
  request: Req,
  context: CallContext,
): boolean {
  if (!(context.idempotent ?? classifier.isIdempotent(request))) return false
  return classifier.isRepeatable?.(request) ?? classifier.isReplayable(request)
}

class HedgedCall<Req, Res> implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly #options: HedgeMiddlewareOptions<Req, Res>
  readonly #counts: HedgeCounts
  readonly #service: Service<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #operation: string
  readonly #delayMs: number
  readonly #startedAt: number
  readonly #attempts: HedgeCall[] = []
  readonly #reply = new PendingReply<Res>()
  #underWay = 0
  #over = false
  /** Of an attempt that failed while another went on. */
  #failure: { readonly reply: Res } | { readonly error: unknown } | undefined

  constructor(
    options: HedgeMiddlewareOptions<Req, Res>,
    counts: HedgeCounts,
    service: Service<Req, Res>,
    request: Req,
    context: CallContext,
    operation: string,
    delayMs: number,
    startedAt: number,
  ) {
    this.#options = options
    this.#counts = counts
    this.#service = service
    this.#request = request
    this.#context = context
    this.#operation = operation
    this.#delayMs = delayMs
    this.#startedAt = startedAt
  }

  /** A reply that is there at once needs no hedge and stays without a promise. */
  start(): MaybePromise<Res> {
    const original = new HedgeCall(0, this.#context, this.#attempts)
    this.#attempts.push(original)
    let reply: MaybePromise<Res>
    try {
      reply = this.#service(this.#request, original)
    } catch (error) {
      original.finish()
      throw error
    }
    if (!isPromise(reply)) {
      this.#sample()
      original.finish()
      return reply
    }
    this.#underWay++
    this.#arm()
    settleReply(reply, new HedgeAttempt(this, original))
    return this.#reply.promise
  }

  /** Time for a hedge. */
  expire(now: number): void {
    const { budget, onHedge, policy, classifier } = this.#options
    const { deadline, cancelled } = this.#context
    if (this.#over || cancelled || (deadline !== undefined && now >= deadline)) return
    // It may have been a stream that nobody had opened yet.
    if (!mayHedge(classifier, this.#request, this.#context)) return
    if (!budget.tryWithdraw(now)) return
    const number = this.#attempts.length
    const attempt = new HedgeCall(number, this.#context, this.#attempts)
    this.#attempts.push(attempt)
    this.#counts.sent++
    onHedge?.(number, this.#delayMs, this.#context)
    this.#underWay++
    if (number < policy.options.maxHedges) this.#arm()
    settle(this.#service, this.#request, attempt, new HedgeAttempt(this, attempt))
  }

  onReply(attempt: HedgeCall, reply: Res): void {
    this.#underWay--
    const { classifier } = this.#options
    if (this.#over) return classifier.discardResponse?.(reply)
    const verdict = classifier.classifyResponse(this.#request, reply, attempt)
    if (verdict.failed && this.#goesOn(verdict)) {
      attempt.finish()
      if (classifier.isComplete?.(reply) === true) this.#failure = { reply }
      else classifier.discardResponse?.(reply)
      return
    }
    this.#end(attempt)
    this.#reply.resolve(reply)
  }

  onError(attempt: HedgeCall, error: unknown): void {
    this.#underWay--
    if (this.#over) return
    const { classifier } = this.#options
    if (!this.#context.cancelled) {
      const verdict = classifier.classifyError(this.#request, error, attempt)
      if (this.#goesOn(verdict)) {
        attempt.finish()
        if (!isLocalRefusal(error)) this.#failure = { error }
        return
      }
    }
    this.#end(attempt)
    const failure = isLocalRefusal(error) ? this.#failure : undefined
    if (failure === undefined) this.#reply.reject(error)
    else if ('error' in failure) this.#reply.reject(failure.error)
    else this.#reply.resolve(failure.reply)
  }

  #arm(): void {
    const { wheel } = this.#options
    wheel.arm(this, wheel.clock.now() + this.#delayMs)
  }

  /** After a failure: another attempt may make it good. */
  #goesOn(verdict: Verdict): boolean {
    // The peer says when, or that never, it wants to be asked again.
    if (verdict.pushbackMs !== undefined) this.#options.wheel.cancel(this)
    return this.#underWay > 0
  }

  #end(winner: HedgeCall): void {
    this.#over = true
    this.#options.wheel.cancel(this)
    this.#sample()
    const [original] = this.#attempts
    if (winner !== original) this.#counts.won++
    winner.finish()
    for (const attempt of this.#attempts) if (attempt !== winner) attempt.cancel(OVERTAKEN)
  }

  #sample(): void {
    const { policy, wheel } = this.#options
    const now = wheel.clock.now()
    policy.observe(this.#operation, now, now - this.#startedAt)
  }
}

function isLocalRefusal(error: unknown): boolean {
  return error instanceof HeddleError && error.blame === 'load'
}

/** The end of one of the attempts. Its own promise is nobody's: it never rejects. */
class HedgeAttempt<Req, Res> implements Settlement<Res> {
  readonly #call: HedgedCall<Req, Res>
  readonly #attempt: HedgeCall

  constructor(call: HedgedCall<Req, Res>, attempt: HedgeCall) {
    this.#call = call
    this.#attempt = attempt
  }

  onReply(reply: Res): Res {
    this.#call.onReply(this.#attempt, reply)
    return reply
  }

  onError(error: unknown): Res {
    this.#call.onError(this.#attempt, error)
    return undefined as Res
  }
}

/** A call that is only looked at, because too little is known yet. */
class Sample<Res> implements Settlement<Res> {
  readonly #policy: HedgePolicy
  readonly #operation: string
  readonly #now: () => number
  readonly #startedAt: number

  constructor(policy: HedgePolicy, operation: string, now: () => number, startedAt: number) {
    this.#policy = policy
    this.#operation = operation
    this.#now = now
    this.#startedAt = startedAt
  }

  onReply(reply: Res): Res {
    const now = this.#now()
    this.#policy.observe(this.#operation, now, now - this.#startedAt)
    return reply
  }

  onError(error: unknown): never {
    throw error
  }
}
