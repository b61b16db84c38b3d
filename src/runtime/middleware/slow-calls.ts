/**
 * Reports calls that took too long, with where their time went. Within the span, whose ids it tells;
 * around everything else. A call that is fast enough costs an object and two looks at the clock.
 */
import { CallTiming } from '../../core/call-timing.ts'
import type { Clock } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'
import { SlowCallDetector, type SlowCallThresholds } from '../slow-call-detector.ts'
import { errorType } from './metrics.ts'

export interface SlowCallOptions<Req, Res> extends SlowCallThresholds {
  /** Told of a slow call. `slowCallLog(logger)` of heddle/telemetry writes a line. */
  onSlow(call: SlowCall<Req, Res>): void
}

export interface SlowCall<Req = unknown, Res = unknown> {
  readonly request: Req
  /** What the classifier calls it. */
  readonly operation: string
  /** Undefined: it failed. */
  readonly reply: Res | undefined
  readonly error: unknown
  /** The code of the error; undefined: there is a reply. */
  readonly errorType: string | undefined
  readonly tookMs: number
  /** What it was compared with: the fixed one, or the one that recent calls gave. */
  readonly thresholdMs: number
  /** Slow calls since the last report that were not reported. */
  readonly suppressed: number
  readonly timing: CallTiming
  readonly context: CallContext
}

export interface SlowCallMiddlewareOptions<Req, Res> extends SlowCallOptions<Req, Res> {
  clock: Clock
  operation(request: Req): string
}

export function slowCalls<Req, Res>(
  options: SlowCallMiddlewareOptions<Req, Res>,
): Middleware<Req, Res> {
  const detector = new SlowCallDetector(options)
  return (next) => (request, context) => {
    const call = new TimedCall(context, request, detector, options)
    return settle(next, request, call, call)
  }
}

class TimedCall<Req, Res> extends Call implements Settlement<Res> {
  readonly #parent: CallContext
  readonly #request: Req
  readonly #detector: SlowCallDetector
  readonly #options: SlowCallMiddlewareOptions<Req, Res>
  readonly #startedAt: number

  constructor(
    parent: CallContext,
    request: Req,
    detector: SlowCallDetector,
    options: SlowCallMiddlewareOptions<Req, Res>,
  ) {
    super({ timing: new CallTiming() }, parent)
    this.#parent = parent
    this.#request = request
    this.#detector = detector
    this.#options = options
    this.#startedAt = options.clock.now()
  }

  onReply(reply: Res): MaybePromise<Res> {
    this.#end(reply, undefined)
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    this.#end(undefined, error)
    throw error
  }

  #end(reply: Res | undefined, error: unknown): void {
    const { clock, operation, onSlow } = this.#options
    const timing = this.timing as CallTiming
    const now = clock.now()
    const tookMs = now - this.#startedAt
    this.#parent.timing?.add(timing)
    const verdict = this.#detector.judge(now, tookMs)
    if (verdict !== undefined) {
      onSlow({
        request: this.#request,
        operation: operation(this.#request),
        reply,
        error,
        errorType: error === undefined ? undefined : errorType(error),
        tookMs,
        ...verdict,
        timing,
        context: this.#parent,
      })
    }
    this.finish()
  }
}
