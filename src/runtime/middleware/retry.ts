/**
 * Tries again, when that may help, is safe, and can be afforded.
 *
 * - **May help**: the protocol's classifier says so, and the policy has a delay for it.
 * - **Safe**: the caller has not cancelled, the request can be sent again, and either nothing of it
 *   had left, or the peer asked for another attempt, or doing it twice is the same as once.
 * - **Afforded**: the budget has a retry left. It is taken before the wait and given back if the
 *   wait is cut short. A wait that would end after the deadline is not begun.
 *
 * When it gives up the caller gets the last real outcome itself, untouched, be it a response or an
 * error; a refusal of our own that came after it does not hide it. `attemptsOf` tells the history.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import {
  type Classifier,
  NEVER_AGAIN,
  type RetryBudget,
  type RetryPolicy,
  type Verdict,
} from '../../core/policy.ts'
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
  /** The last response that came, where it holds nothing: it may be the last real answer. */
  #kept: Res | undefined
  #attemptAt: number
  #delayMs: number | undefined

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
    this.#attemptAt = startedAt
    this.#attempt = context
  }

  onReply(reply: Res): MaybePromise<Res> {
    const { classifier } = this.#options
    const verdict = classifier.classifyResponse(this.#request, reply, this.#attempt)
    if (verdict.retry) {
      const delayMs = this.#mayRetry(verdict, undefined)
      if (delayMs !== undefined) {
        if (classifier.isComplete?.(reply) === true) this.#kept = reply
        else classifier.discardResponse?.(reply)
        return this.#again(verdict, undefined, delayMs)
      }
    }
    const { clock, policy } = this.#options
    if (policy.observe !== undefined && !verdict.failed) {
      const now = clock.now()
      policy.observe(now, now - this.#attemptAt)
    }
    this.#finish(reply)
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const verdict = this.#options.classifier.classifyError(this.#request, error, this.#attempt)
    const delayMs = verdict.retry ? this.#mayRetry(verdict, error) : undefined
    if (delayMs !== undefined) {
      if (!isLocalRefusal(error)) this.#kept = undefined
      return this.#again(verdict, error, delayMs)
    }
    if (isLocalRefusal(error)) {
      // A refusal of our own tells less than what it hides: "the breaker is open", but why?
      if (this.#kept !== undefined) {
        this.#finish(this.#kept)
        return this.#kept
      }
      error = this.#lastRealError() ?? error
    }
    this.#finish(error)
    throw error
  }

  /** Milliseconds to wait, with a retry taken from the budget; undefined: it is over. */
  #mayRetry(verdict: Verdict, error: unknown): number | undefined {
    if (this.#context.cancelled || !this.#isSafe(verdict, error)) return undefined
    const { policy, budget, clock, random } = this.#options
    const now = clock.now()
    const elapsedMs = now - this.#startedAt
    const delayMs = policy.delay(
      { attempt: this.#number, elapsedMs, verdict, previousDelayMs: this.#delayMs },
      random,
    )
    if (delayMs === undefined) return undefined
    const { deadline } = this.#context
    if (deadline !== undefined && now + delayMs >= deadline) return undefined
    return budget.tryWithdraw(now) ? delayMs : undefined
  }

  #isSafe(verdict: Verdict, error: unknown): boolean {
    const { classifier } = this.#options
    if (!classifier.isReplayable(this.#request)) return false
    if (verdict.pushbackMs !== undefined && verdict.pushbackMs !== NEVER_AGAIN) return true
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
    this.#delayMs = delayMs
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
    const { timing } = this.#context
    if (timing !== undefined) timing.backoffMs += this.#delayMs ?? 0
    if (this.#options.policy.observe !== undefined) this.#attemptAt = this.#options.clock.now()
    const fresh = brokeConnection(this.#history?.at(-1)?.error) || undefined
    this.#attempt = new AttemptCall(this.#number, this.#context, this.#attempt, fresh)
    return settle(this.#next, this.#request, this.#attempt, this)
  }

  #lastRealError(): unknown {
    const isReal = ({ error }: PastAttempt): boolean =>
      error !== undefined && !isLocalRefusal(error)
    return this.#history?.findLast(isReal)?.error
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
