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
import { type Classifier, NEVER_AGAIN, type RetryBudget, type Verdict } from '../../core/policy.ts'
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
  /**
   * An attempt that failed and is worth another has the next one sent at once, or when the peer's
   * pushback is over (gRFC A6). An error whose verdict is no failure ends the call.
   *
   * @default false: failures are left to a retry outside
   */
  afterFailure?: boolean
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
  #failure: Failure<Res> | undefined
  /** By a pushback: nothing is sent before. */
  #notBefore = 0
  /** Lets go of the context; listened to only while no attempt is under way. */
  #unlisten: (() => void) | undefined

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

  /** A reply that is there at once needs no hedge and stays without a promise, failures aside. */
  start(): MaybePromise<Res> {
    const original = new HedgeCall(0, this.#context, this.#attempts)
    this.#attempts.push(original)
    let reply: MaybePromise<Res>
    try {
      reply = this.#service(this.#request, original)
    } catch (error) {
      if (this.#options.afterFailure !== true) {
        original.finish()
        throw error
      }
      reply = Promise.reject(error)
    }
    if (!isPromise(reply)) {
      if (this.#options.afterFailure !== true) {
        this.#sample()
        original.finish()
        return reply
      }
      reply = Promise.resolve(reply)
    }
    this.#underWay++
    this.#arm()
    settleReply(reply, new HedgeAttempt(this, original))
    return this.#reply.promise
  }

  /** Time for a hedge, or the end of a pushback. */
  expire(now: number): void {
    if (this.#over || this.#sendNext(now) || this.#underWay > 0) return
    this.#stopWaiting()
    this.#sample()
    this.#giveUp()
  }

  onReply(attempt: HedgeCall, reply: Res): void {
    this.#underWay--
    const { classifier } = this.#options
    if (this.#over) return classifier.discardResponse?.(reply)
    const verdict = classifier.classifyResponse(this.#request, reply, attempt)
    if (verdict.failed) {
      // What is still on its way cannot be kept while others are waited for.
      const kept = classifier.isComplete?.(reply) === true
      const before = this.#failure
      if (kept) this.#failure = { reply }
      if (this.#goesOn(verdict, kept)) {
        attempt.finish()
        if (!kept) classifier.discardResponse?.(reply)
        return
      }
      this.#failure = before
    }
    this.#end(attempt)
    this.#reply.resolve(reply)
  }

  onError(attempt: HedgeCall, error: unknown): void {
    this.#underWay--
    if (this.#over) return
    const { classifier, afterFailure } = this.#options
    if (!this.#context.cancelled) {
      const verdict = classifier.classifyError(this.#request, error, attempt)
      const answers = afterFailure === true && !verdict.failed
      const before = this.#failure
      if (!isLocalRefusal(error) || before === undefined) this.#failure = { error }
      if (!answers && this.#goesOn(verdict, true)) return attempt.finish()
      this.#failure = before
    }
    this.#end(attempt)
    if (isLocalRefusal(error) && this.#failure !== undefined) this.#giveUp()
    else this.#reply.reject(error)
  }

  #arm(): void {
    const { wheel } = this.#options
    wheel.arm(this, wheel.clock.now() + this.#delayMs)
  }

  /** @returns whether another attempt was sent */
  #sendNext(now: number): boolean {
    const { budget, onHedge, policy, classifier } = this.#options
    const { deadline, cancelled } = this.#context
    const number = this.#attempts.length
    if (number > policy.options.maxHedges || now < this.#notBefore) return false
    if (cancelled || (deadline !== undefined && now >= deadline)) return false
    // It may have been a stream that nobody had opened yet.
    if (!mayHedge(classifier, this.#request, this.#context)) return false
    if (!budget.tryWithdraw(now)) return false
    this.#stopWaiting()
    const attempt = new HedgeCall(number, this.#context, this.#attempts)
    this.#attempts.push(attempt)
    this.#counts.sent++
    onHedge?.(number, this.#delayMs, this.#context)
    this.#underWay++
    if (number < policy.options.maxHedges) this.#arm()
    settle(this.#service, this.#request, attempt, new HedgeAttempt(this, attempt))
    return true
  }

  /** After a failure: another attempt may make it good, one that is under way or the next. */
  #goesOn({ pushbackMs, retry }: Verdict, mayWait: boolean): boolean {
    const { wheel, afterFailure, policy } = this.#options
    const now = wheel.clock.now()
    if (pushbackMs !== undefined) {
      // The peer says when, or that never, it wants to be asked again.
      wheel.cancel(this)
      this.#notBefore = Math.max(this.#notBefore, now + pushbackMs)
    }
    if (afterFailure !== true || !retry) return this.#underWay > 0
    if (this.#sendNext(now)) return true
    const { deadline = NEVER_AGAIN } = this.#context
    const waits = this.#notBefore > now && this.#notBefore < deadline
    if (!waits || this.#attempts.length > policy.options.maxHedges) return this.#underWay > 0
    wheel.arm(this, this.#notBefore)
    if (this.#underWay > 0) return true
    if (mayWait) this.#unlisten = this.#context.onCancel((reason) => this.#cancelled(reason))
    else wheel.cancel(this)
    return mayWait
  }

  #cancelled(reason: Error): void {
    this.#over = true
    this.#options.wheel.cancel(this)
    this.#reply.reject(reason)
  }

  #stopWaiting(): void {
    this.#unlisten?.()
    this.#unlisten = undefined
  }

  /** With the last real failure: nothing is under way, and nothing more is sent. */
  #giveUp(): void {
    this.#over = true
    const failure = this.#failure as Failure<Res>
    if ('error' in failure) this.#reply.reject(failure.error)
    else this.#reply.resolve(failure.reply)
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

type Failure<Res> = { readonly reply: Res } | { readonly error: unknown }

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
