/**
 * Tries again, when that may help, is safe, and can be afforded.
 *
 * - **May help**: the protocol's classifier says so, and the policy has a delay for it.
 * - **Safe**: the caller has not cancelled, the request can be sent again, and either nothing of it
 *   had left, or the peer asked for another attempt, or doing it twice is the same as once.
 * - **Afforded**: the budget has a retry left. It is taken before the wait and given back if the
 *   wait is cut short. A wait that would end after the deadline is not begun.
 *
 * When it gives up the caller gets the last outcome itself, untouched, be it a response or an error;
 * `attemptsOf` tells the history.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { Classifier, RetryBudget, RetryPolicy, Verdict } from '../../core/policy.ts'
import type { MaybePromise, Middleware, Service } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface RetryOptions<Req, Res> {
  clock: Clock
  random: Random
  policy: RetryPolicy
  budget: RetryBudget
  classifier: Classifier<Req, Res>
  /** Told before each further attempt: for logs, spans and counters. */
  onRetry?(attempt: PastAttempt, delayMs: number, context: CallContext): void
}

/** One attempt that was not the last. */
export interface PastAttempt {
  /** From 1. */
  readonly attempt: number
  /** Milliseconds from the start of the first attempt to the end of this one. */
  readonly elapsedMs: number
  readonly verdict: Verdict
  /** The error; undefined: it was a response, which nobody has any more. */
  readonly error: unknown
}

/** The attempts before the one that gave this response or error, oldest first. */
export function attemptsOf(outcome: object): readonly PastAttempt[] {
  return HISTORIES.get(outcome) ?? NO_ATTEMPTS
}

/** The context of a second or later attempt; it knows those before. */
export class AttemptCall extends Call {
  readonly #previous: CallContext

  constructor(
    attempt: number,
    parent: CallContext,
    previous: CallContext,
    freshConnection?: boolean,
  ) {
    super({ attempt, freshConnection }, parent)
    this.#previous = previous
  }

  /** The attempt before this one; undefined for a context that is a first attempt. */
  static previousOf(context: CallContext): CallContext | undefined {
    return #previous in context ? context.#previous : undefined
  }
}

export function retry<Req, Res>(options: RetryOptions<Req, Res>): Middleware<Req, Res> {
  if (options.policy.maxAttempts <= 1) return (next) => next
  const { clock, budget } = options
  return (next) => (request, context) => {
    const now = clock.now()
    budget.deposit(now)
    return settle(next, request, context, new RetryingCall(options, next, request, context, now))
  }
}

class RetryingCall<Req, Res> implements Settlement<Res> {
  readonly #options: RetryOptions<Req, Res>
  readonly #next: Service<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #startedAt: number
  /** The context of the attempt under way: the call's own for the first. */
  #attempt: CallContext
  #history: PastAttempt[] | undefined

  constructor(
    options: RetryOptions<Req, Res>,
    next: Service<Req, Res>,
    request: Req,
    context: CallContext,
    startedAt: number,
  ) {
    this.#options = options
    this.#next = next
    this.#request = request
    this.#context = context
    this.#startedAt = startedAt
    this.#attempt = context
  }

  onReply(reply: Res): MaybePromise<Res> {
    const { classifier } = this.#options
    const verdict = classifier.classifyResponse(this.#request, reply, this.#attempt)
    if (verdict.retry) {
      const delayMs = this.#mayRetry(verdict, undefined)
      if (delayMs !== undefined) {
        classifier.discardResponse?.(reply)
        return this.#again(verdict, undefined, delayMs)
      }
    }
    this.#finish(reply)
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const verdict = this.#options.classifier.classifyError(this.#request, error, this.#attempt)
    const delayMs = verdict.retry ? this.#mayRetry(verdict, error) : undefined
    if (delayMs !== undefined) return this.#again(verdict, error, delayMs)
    const last = this.#lastRealError(error)
    this.#finish(last)
    throw last
  }

  /** Milliseconds to wait, with a retry taken from the budget; undefined: it is over. */
  #mayRetry(verdict: Verdict, error: unknown): number | undefined {
    if (this.#context.cancelled || !this.#isSafe(verdict, error)) return undefined
    const { policy, budget, clock, random } = this.#options
    const now = clock.now()
    const elapsedMs = now - this.#startedAt
    const delayMs = policy.delay({ attempt: this.#number, elapsedMs, verdict }, random)
    if (delayMs === undefined) return undefined
    const { deadline } = this.#context
    if (deadline !== undefined && now + delayMs >= deadline) return undefined
    return budget.tryWithdraw(now) ? delayMs : undefined
  }

  #isSafe(verdict: Verdict, error: unknown): boolean {
    const { classifier } = this.#options
    if (!classifier.isReplayable(this.#request)) return false
    if (verdict.pushbackMs !== undefined) return true
    if (error instanceof HeddleError && (error.sent === 'nothing' || error.retryable === 'yes')) {
      return true
    }
    return this.#context.idempotent ?? classifier.isIdempotent(this.#request)
  }

  get #number(): number {
    return (this.#history?.length ?? 0) + 1
  }

  #again(verdict: Verdict, error: unknown, delayMs: number): MaybePromise<Res> {
    const { clock, budget, onRetry } = this.#options
    const elapsedMs = clock.now() - this.#startedAt
    const past: PastAttempt = { attempt: this.#number, elapsedMs, verdict, error }
    this.#history ??= []
    this.#history.push(past)
    this.#finishAttempt()
    onRetry?.(past, delayMs, this.#context)
    return sleep(clock, delayMs, this.#context).then(
      () => this.#send(),
      (reason: unknown) => {
        budget.giveBack(clock.now())
        throw reason
      },
    )
  }

  #send(): MaybePromise<Res> {
    const fresh = brokeConnection(this.#history?.at(-1)?.error) || undefined
    this.#attempt = new AttemptCall(this.#number, this.#context, this.#attempt, fresh)
    return settle(this.#next, this.#request, this.#attempt, this)
  }

  /**
   * A refusal of our own after a real failure tells less than the failure: "the breaker is open"
   * hides why. The last error that the network or the peer gave is the answer.
   */
  #lastRealError(error: unknown): unknown {
    if (!isLocalRefusal(error)) return error
    const real = this.#history?.findLast(
      (past) => past.error !== undefined && !isLocalRefusal(past.error),
    )
    return real === undefined ? error : real.error
  }

  #finishAttempt(): void {
    if (this.#attempt !== this.#context) (this.#attempt as AttemptCall).finish()
  }

  #finish(outcome: unknown): void {
    this.#finishAttempt()
    const history = this.#history
    if (history === undefined || typeof outcome !== 'object' || outcome === null) return
    HISTORIES.set(outcome, history)
    if (outcome instanceof HeddleError) {
      outcome.attempts = history.filter((past) => past.error !== outcome).map((past) => past.error)
    }
  }
}

/** A connection that existed broke: others that were idle as long may be as dead. */
function brokeConnection(error: unknown): boolean {
  return (
    error instanceof HeddleError &&
    (error.code === 'ERR_RESET' || error.code === 'ERR_DISCONNECTED')
  )
}

function isLocalRefusal(error: unknown): boolean {
  return error instanceof HeddleError && error.blame === 'load'
}

/** Rejects with the reason when the call is cancelled first. Leaves nothing behind either way. */
function sleep(clock: Clock, ms: number, context: CallContext): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    const remove = context.onCancel((reason) => {
      timer?.cancel()
      reject(reason)
    })
    if (context.cancelled) return
    timer = clock.setTimer(clock.now() + ms, () => {
      remove()
      resolve()
    })
  })
}

const HISTORIES = new WeakMap<object, readonly PastAttempt[]>()
const NO_ATTEMPTS: readonly PastAttempt[] = Object.freeze([])
