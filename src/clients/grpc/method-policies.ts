/**
 * The policies of one method, of its service config, around the calls of a channel:
 *
 *     wait for ready → retry | hedge → previous-attempts field → channel
 *
 * They are the runtime's own middleware, told what gRFC A6 says. The channel below leaves the retries
 * of such a call to them, but for what never left the process (A6, "transparent retries").
 */
import type { Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import {
  type Classifier,
  NEVER_AGAIN,
  type Outcome,
  type RetryBudget,
  type RetryPolicy,
  type Verdict,
} from '../../core/policy.ts'
import type { Service } from '../../core/service.ts'
import { FAILED, FAILED_RETRY, pushbackOf, SUCCEEDED } from '../../core/verdicts.ts'
import {
  grpcClassifier,
  grpcStatusOfResponse,
  OWN_RETRIES,
} from '../../protocols/grpc/classifier.ts'
import { grpcStatusOf } from '../../protocols/grpc/error-status.ts'
import type {
  GrpcRetrySettings,
  MethodConfig,
  RetryThrottling,
} from '../../protocols/grpc/service-config.ts'
import { GrpcStatus, type GrpcStatusCode } from '../../protocols/grpc/status.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { HedgePolicy } from '../../runtime/hedge-policy.ts'
import { hedge } from '../../runtime/middleware/hedge.ts'
import { retry } from '../../runtime/middleware/retry.ts'
import type { TimerWheel } from '../../runtime/timer-wheel.ts'

export interface MethodPolicyOptions {
  readonly config: MethodConfig | undefined
  readonly throttle: RetryThrottle
  readonly wheel: TimerWheel
  readonly random: Random
}

type Call = Service<HttpRequest, HttpResponse>

/** The call with what its service config wants around it. */
export function withRetries(call: Call, options: MethodPolicyOptions): Call {
  const { config, throttle, wheel, random } = options
  const { retry: retrying, hedging } = config ?? {}
  if (retrying === undefined && hedging === undefined) return call
  const counted: Call = (request, context) => call(attemptOf(request, context), context)
  const budget = throttle
  if (retrying !== undefined) {
    const policy = new GrpcRetryPolicy(retrying)
    const classifier = classifierOf(retrying.retryable, throttle, true)
    return retry({ clock: wheel.clock, random, policy, budget, classifier })(counted)
  }
  if (hedging === undefined) return counted
  const policy = new HedgePolicy({
    delayMs: hedging.hedgingDelayMs,
    maxHedges: hedging.maxAttempts - 1,
  })
  const classifier = classifierOf(hedging.nonFatal, throttle, false)
  return hedge({ wheel, policy, budget, classifier, afterFailure: true })(counted)
}

/** Until an endpoint can be reached, or the call's time is over. */
export function waitingForReady(call: Call, { wheel, random }: MethodPolicyOptions): Call {
  const classifier: Classifier<HttpRequest, HttpResponse> = {
    ...grpcClassifier,
    classifyResponse: () => SUCCEEDED,
    classifyError: (_request, error) => (isNotReady(error) ? FAILED_RETRY : FAILED),
  }
  return retry({ clock: wheel.clock, random, policy: READY, budget: UNLIMITED, classifier })(call)
}

/** A6: initial × multiplier^(n-1), at most the maximum, 20 % more or less; a pushback as it says. */
export class GrpcRetryPolicy implements RetryPolicy {
  readonly maxAttempts: number
  readonly observe = undefined
  readonly #settings: GrpcRetrySettings

  constructor(settings: GrpcRetrySettings) {
    this.maxAttempts = settings.maxAttempts
    this.#settings = settings
  }

  delay({ attempt, verdict }: Outcome, random: Random): number | undefined {
    if (!verdict.retry || attempt >= this.maxAttempts) return undefined
    const { pushbackMs } = verdict
    if (pushbackMs !== undefined) return pushbackMs === NEVER_AGAIN ? undefined : pushbackMs
    const { initialBackoffMs, maxBackoffMs, backoffMultiplier } = this.#settings
    const grown = initialBackoffMs * backoffMultiplier ** (attempt - 1)
    return Math.min(grown, maxBackoffMs) * (1 - JITTER + 2 * JITTER * random())
  }
}

/**
 * Tokens of all calls to one server (A6, "Throttling Retry Attempts and Hedged RPCs"): a failure
 * takes one, a success brings a part of one, and below half of them nothing is sent again.
 */
export class RetryThrottle implements RetryBudget {
  readonly #settings: RetryThrottling | undefined
  #tokens: number

  constructor(settings: RetryThrottling | undefined) {
    this.#settings = settings
    this.#tokens = settings?.maxTokens ?? 0
  }

  get balance(): number {
    return this.#settings === undefined ? Number.POSITIVE_INFINITY : this.#tokens
  }

  deposit(): void {}

  tryWithdraw(): boolean {
    return this.#settings === undefined || this.#tokens > this.#settings.maxTokens / 2
  }

  giveBack(): void {}

  onSuccess(): void {
    if (this.#settings === undefined) return
    const { maxTokens, tokenRatio } = this.#settings
    this.#tokens = Math.min(maxTokens, this.#tokens + tokenRatio)
  }

  onFailure(): void {
    this.#tokens = Math.max(0, this.#tokens - 1)
  }
}

/** The config, not the protocol, says what is worth another attempt, and that it is safe. */
function classifierOf(
  again: ReadonlySet<GrpcStatusCode>,
  throttle: RetryThrottle,
  retries: boolean,
): Classifier<HttpRequest, HttpResponse> {
  const judge = (status: GrpcStatusCode, pushback: string | undefined): Verdict => {
    const worth = again.has(status)
    const pushbackMs = pushbackOf(pushback)
    if (worth || pushbackMs === NEVER_AGAIN) throttle.onFailure()
    // A status that ends a hedged call is its answer, whatever else is under way.
    if (!worth) return retries ? FAILED : SUCCEEDED
    return pushbackMs === undefined ? FAILED_RETRY : { ...FAILED_RETRY, pushbackMs }
  }
  return {
    ...grpcClassifier,
    isIdempotent: () => true,
    classifyResponse(_request, response) {
      const status = grpcStatusOfResponse(response)
      if (status === undefined || status === GrpcStatus.OK) {
        throttle.onSuccess()
        return SUCCEEDED
      }
      const end = response.body.trailers ?? response.fields
      return judge(status as GrpcStatusCode, end.get('grpc-retry-pushback-ms'))
    },
    classifyError(request, error, { cancelled }) {
      if (request.body.failure !== undefined || cancelled) return FAILED
      return judge(grpcStatusOf(error), undefined)
    },
  }
}

/** Each attempt is a request of its own: the server is told how many there were before. */
function attemptOf(request: HttpRequest, { attempt }: CallContext): HttpRequest {
  request.note = OWN_RETRIES
  if (attempt <= 1) return request
  const fields = new HttpFields(request.fields)
  fields.set('grpc-previous-rpc-attempts', String(attempt - 1))
  const { method, target, scheme, authority, body, route } = request
  const again = new HttpRequest({ method, target, scheme, authority, fields, body, route })
  again.note = OWN_RETRIES
  return again
}

function isNotReady(error: unknown): boolean {
  if (!(error instanceof HeddleError) || error.sent !== 'nothing') return false
  return error.blame === 'network' || error.blame === 'load' || error.code === 'ERR_CONNECT_TIMEOUT'
}

const JITTER = 0.2

/** As grpc's connection backoff, but never longer than a few seconds: the breaker is in between. */
const READY: RetryPolicy = Object.freeze({
  maxAttempts: Number.POSITIVE_INFINITY,
  delay: ({ attempt, verdict }: Outcome, random: Random): number | undefined =>
    verdict.retry ? Math.min(5_000, 50 * 1.6 ** (attempt - 1)) * (0.8 + 0.4 * random()) : undefined,
})

const UNLIMITED: RetryBudget = Object.freeze({
  balance: Number.POSITIVE_INFINITY,
  deposit: () => {},
  tryWithdraw: () => true,
  giveBack: () => {},
})
