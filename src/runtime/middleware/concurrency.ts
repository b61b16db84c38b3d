/**
 * A limit on calls at a time around a service: fixed or adaptive, with a queue by priority or
 * without. A call's place is its own until its reply is there, and comes back however it ends.
 *
 * An adaptive limit learns from what the classifier says of an outcome, and from nothing else: a
 * success tells how long it took; a failure that another attempt may cure (refused for load, timed
 * out, broken) tells of too much work; any other failure, and what the caller gave up, tells nothing.
 */
import type { CallContext } from '../../core/context.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import type { MaybePromise, Middleware, Service } from '../../core/service.ts'
import type { ConcurrencyGate } from '../concurrency/concurrency-gate.ts'
import { unsent } from '../exchanger.ts'
import { type Settlement, settle } from '../settle.ts'
import type { TimerWheel } from '../timer-wheel.ts'

export interface ConcurrencyMiddlewareOptions<Req, Res> {
  wheel: TimerWheel
  classifier: Pick<Classifier<Req, Res>, 'classifyResponse' | 'classifyError'>
  /** 0 is shed last, 7 first. @default the context's */
  priority?(request: Req, context: CallContext): number
}

export function concurrency<Req, Res>(
  gate: ConcurrencyGate,
  options: ConcurrencyMiddlewareOptions<Req, Res>,
): Middleware<Req, Res> {
  return gated(() => gate, options)
}

/**
 * @param gateOf the gate of a call; asked once for each
 * @param onLeft a call has left its gate
 */
export function gated<Req, Res>(
  gateOf: (request: Req, context: CallContext) => ConcurrencyGate | undefined,
  options: ConcurrencyMiddlewareOptions<Req, Res>,
  onLeft?: (gate: ConcurrencyGate) => void,
): Middleware<Req, Res> {
  const { priority } = options
  return (next) => {
    const enter = entrance(next, options, onLeft)
    return (request, context) => {
      const gate = gateOf(request, context)
      if (gate === undefined) return next(request, context)
      if (gate.tryEnter()) return enter(gate, request, context)
      const rank = priority?.(request, context) ?? context.priority
      return gate.enter(context, rank).then(
        () => {
          const { cancelReason } = context
          if (cancelReason === undefined) return enter(gate, request, context)
          // Cancelled between being served and getting here: nothing of it was sent.
          gate.leave()
          onLeft?.(gate)
          throw unsent(cancelReason)
        },
        (error: unknown) => {
          onLeft?.(gate)
          throw error
        },
      )
    }
  }
}

/** Tells with each answer how full the gate is once its call has left; refusals tell themselves. */
export function reportLoad<Req, Res>(
  gate: ConcurrencyGate,
  { reportLoad: tell }: Pick<Classifier<Req, Res>, 'reportLoad'>,
  next: Service<Req, Res>,
): Service<Req, Res> {
  if (tell === undefined) return next
  const telling: Settlement<Res> = {
    onReply(reply) {
      tell(reply, gate.report)
      return reply
    },
    onError(error) {
      throw error
    },
  }
  return (request, context) => settle(next, request, context, telling)
}

function entrance<Req, Res>(
  next: Service<Req, Res>,
  options: ConcurrencyMiddlewareOptions<Req, Res>,
  onLeft: ((gate: ConcurrencyGate) => void) | undefined,
): (gate: ConcurrencyGate, request: Req, context: CallContext) => MaybePromise<Res> {
  // Every call of one fixed gate ends in the same way: they share what sees the end.
  let shared: PlacedCall<Res> | undefined
  return (gate, request, context) => {
    if (gate.adaptive !== undefined) {
      return settle(next, request, context, new SampledCall(gate, options, request, context))
    }
    if (shared?.gate !== gate) shared = new PlacedCall<Res>(gate, onLeft)
    return settle(next, request, context, shared)
  }
}

class PlacedCall<Res> implements Settlement<Res> {
  readonly gate: ConcurrencyGate
  readonly #onLeft: ((gate: ConcurrencyGate) => void) | undefined

  constructor(gate: ConcurrencyGate, onLeft: ((gate: ConcurrencyGate) => void) | undefined) {
    this.gate = gate
    this.#onLeft = onLeft
  }

  onReply(reply: Res): Res {
    this.gate.leave()
    this.#onLeft?.(this.gate)
    return reply
  }

  onError(error: unknown): never {
    this.gate.leave()
    this.#onLeft?.(this.gate)
    throw error
  }
}

class SampledCall<Req, Res> implements Settlement<Res> {
  readonly #gate: ConcurrencyGate
  readonly #options: ConcurrencyMiddlewareOptions<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #startedAt: number

  constructor(
    gate: ConcurrencyGate,
    options: ConcurrencyMiddlewareOptions<Req, Res>,
    request: Req,
    context: CallContext,
  ) {
    this.#gate = gate
    this.#options = options
    this.#request = request
    this.#context = context
    this.#startedAt = options.wheel.clock.now()
  }

  onReply(reply: Res): Res {
    const { classifier } = this.#options
    this.#end(classifier.classifyResponse(this.#request, reply, this.#context))
    return reply
  }

  onError(error: unknown): never {
    const { classifier } = this.#options
    this.#end(classifier.classifyError(this.#request, error, this.#context))
    throw error
  }

  #end(verdict: Verdict): void {
    const { adaptive, inFlight } = this.#gate
    const { failed, retry } = verdict
    if (!failed || retry) {
      const now = this.#options.wheel.clock.now()
      adaptive?.record({ now, startedAt: this.#startedAt, inFlight, overloaded: failed })
    }
    this.#gate.leave()
  }
}
