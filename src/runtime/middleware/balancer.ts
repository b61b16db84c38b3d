/**
 * Sends each attempt to one endpoint's own stack, and reports back how it went. The end of the
 * call's part of the stack, so it is a service and wraps nothing.
 *
 * Endpoints at which earlier attempts of the same call failed, or others of it are, are avoided where
 * there are more.
 */
import type { Clock, Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { OverloadError } from '../../core/errors.ts'
import type { Balancer, Classifier, Pick } from '../../core/policy.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'
import { HedgeCall, OVERTAKEN } from './hedge.ts'
import { AttemptCall } from './retry.ts'

/** An endpoint and the service that reaches it. */
export interface ServiceNode<Req, Res> {
  readonly service: Service<Req, Res>
  /** For people who ask where the time went. */
  readonly address?: string
}

export interface BalanceOptions<Req, Res, Node extends ServiceNode<Req, Res>> {
  clock: Clock
  random: Random
  balancer: Balancer<Node, Req>
  classifier: Classifier<Req, Res>
  /** Undefined: the endpoints are known. Otherwise the call waits for them. */
  whenReady(context: CallContext): Promise<void> | undefined
  /** Says why nothing can be picked. */
  describe(now: number): string
}

export function balance<Req, Res, Node extends ServiceNode<Req, Res>>(
  options: BalanceOptions<Req, Res, Node>,
): Service<Req, Res> {
  const { clock, random, balancer, classifier, whenReady, describe } = options
  const failedAt = new WeakMap<CallContext, Node>()

  function call(request: Req, context: CallContext): MaybePromise<Res> {
    const now = clock.now()
    const pick = balancer.pick(context, now, random, triedBefore(context, failedAt), request)
    if (context instanceof HedgeCall) context.node = pick?.node
    if (pick === undefined) throw new OverloadError('ERR_NO_ENDPOINT', describe(now))
    const balanced = new BalancedCall(pick, now, clock, classifier, request, context, failedAt)
    return settle(pick.node.service, request, context, balanced)
  }

  return (request, context) => {
    const waiting = whenReady(context)
    if (waiting === undefined) return call(request, context)
    const since = clock.now()
    return waiting.then(() => {
      const { timing } = context
      if (timing !== undefined) timing.resolveMs += clock.now() - since
      return call(request, context)
    })
  }
}

class BalancedCall<Req, Res, Node extends ServiceNode<Req, Res>> implements Settlement<Res> {
  readonly #pick: Pick<Node>
  readonly #startedAt: number
  readonly #clock: Clock
  readonly #classifier: Classifier<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #failedAt: WeakMap<CallContext, Node>

  constructor(
    pick: Pick<Node>,
    startedAt: number,
    clock: Clock,
    classifier: Classifier<Req, Res>,
    request: Req,
    context: CallContext,
    failedAt: WeakMap<CallContext, Node>,
  ) {
    this.#pick = pick
    this.#startedAt = startedAt
    this.#clock = clock
    this.#classifier = classifier
    this.#request = request
    this.#context = context
    this.#failedAt = failedAt
  }

  onReply(reply: Res): MaybePromise<Res> {
    const now = this.#clock.now()
    const verdict = this.#classifier.classifyResponse(this.#request, reply, this.#context)
    if (verdict.failed) this.#rememberFailure()
    this.#tell(now, verdict.failed)
    this.#pick.done(now, now - this.#startedAt, verdict.endpointFailure)
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const now = this.#clock.now()
    const { endpointFailure } = this.#classifier.classifyError(this.#request, error, this.#context)
    this.#rememberFailure()
    this.#tell(now, true)
    // A call that was cancelled or refused here tells nothing about how fast the endpoint is, unless
    // another was faster: it takes at least so long.
    const tells = endpointFailure || this.#context.cancelReason === OVERTAKEN
    this.#pick.done(now, tells ? now - this.#startedAt : undefined, endpointFailure)
    throw error
  }

  #tell(now: number, failed: boolean): void {
    const { address = '' } = this.#pick.node
    this.#context.timing?.attempted(address, now - this.#startedAt, failed)
  }

  #rememberFailure(): void {
    const context = this.#context
    const attempt = context instanceof HedgeCall ? context.parent : context
    this.#failedAt.set(attempt, this.#pick.node)
  }
}

function triedBefore<Node>(
  context: CallContext,
  failedAt: WeakMap<CallContext, Node>,
): ReadonlySet<Node> | undefined {
  let attempt = AttemptCall.previousOf(context)
  if (attempt === undefined) return undefined
  const tried = new Set<Node>()
  if (context instanceof HedgeCall) {
    for (const { node } of context.siblings) if (node !== undefined) tried.add(node as Node)
  }
  for (; attempt !== undefined; attempt = AttemptCall.previousOf(attempt)) {
    const node = failedAt.get(attempt)
    if (node !== undefined) tried.add(node)
  }
  return tried
}
