/**
 * Slow calls as lines of the log:
 *
 *     {"ts":"…","level":"warn","msg":"slow call","name":"orders","operation":"GET","duration_ms":812.4,
 *      "threshold_ms":500,"queue_ms":3.1,"connect_ms":0,"backoff_ms":50,"resolve_ms":0,"attempts":[
 *        {"endpoint":"10.0.0.7:80","ms":700.2,"failed":true},{"endpoint":"10.0.0.8:80","ms":58.9}],
 *      "trace_id":"…","span_id":"…","correlation_id":"…"}
 */
import type { CallTiming } from '../core/call-timing.ts'
import type { CallContext } from '../core/context.ts'
import type { LogFields, Logger } from './log.ts'
import { contextFields } from './log-fields.ts'

/** What of a slow call is written. */
export interface LoggedSlowCall {
  readonly operation: string
  readonly errorType: string | undefined
  readonly tookMs: number
  readonly thresholdMs: number
  readonly suppressed: number
  readonly timing: CallTiming
  readonly context: CallContext
}

/** @param name of the client or server */
export function slowCallLog(
  logger: Logger,
  name: string,
  msg = 'slow call',
): (call: LoggedSlowCall, more?: LogFields) => void {
  return (call, more) => {
    if (!logger.isEnabled('warn')) return
    logger.warn(msg, {
      name,
      operation: call.operation,
      duration_ms: rounded(call.tookMs),
      threshold_ms: rounded(call.thresholdMs),
      suppressed: call.suppressed === 0 ? undefined : call.suppressed,
      error: call.errorType,
      ...timingFields(call.timing),
      ...contextFields(call.context),
      ...more,
    })
  }
}

export function timingFields(timing: CallTiming): LogFields {
  const { resolveMs, queueMs, connectMs, backoffMs, attempts, attemptCount } = timing
  return {
    resolve_ms: rounded(resolveMs),
    queue_ms: rounded(queueMs),
    connect_ms: rounded(connectMs),
    backoff_ms: rounded(backoffMs),
    attempts: attempts.map(({ endpoint, tookMs, failed }) => ({
      endpoint,
      ms: rounded(tookMs),
      failed: failed ? true : undefined,
    })),
    attempt_count: attemptCount > attempts.length ? attemptCount : undefined,
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}
