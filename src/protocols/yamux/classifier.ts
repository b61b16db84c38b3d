/**
 * What yamux says about an outcome. Its only call is to open a stream, and that is harmless: what
 * went over the stream is judged by the classifier of the protocol that it carries.
 */
import type { CallContext } from '../../core/context.ts'
import { HeddleError, InternalError, toError } from '../../core/errors.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import { SUCCEEDED, verdictOfError } from '../../core/verdicts.ts'
import type { YamuxOpen, YamuxStreamClosed } from './messages.ts'

export const yamuxClassifier: Classifier<YamuxOpen, YamuxStreamClosed> = Object.freeze({
  protocol: 'yamux',

  isIdempotent: (_request: YamuxOpen) => true,

  isReplayable: (_request: YamuxOpen) => true,

  /** A refused stream is an OverloadError with `sent: 'nothing'`: the session saw no acknowledgement. */
  classifyResponse: (_request: YamuxOpen, { error }: YamuxStreamClosed, context: CallContext) =>
    error === undefined ? SUCCEEDED : verdictOfError(error, context),

  classifyError: (_request: YamuxOpen, error: unknown, context: CallContext): Verdict =>
    verdictOfError(error, context),

  /** A reset says no more than that. */
  errorResponse(thrown: unknown): YamuxStreamClosed {
    const cause = toError(thrown)
    const error =
      cause instanceof HeddleError
        ? cause
        : new InternalError('ERR_INVARIANT', cause.message, { cause })
    return { type: 'stream-closed', stream: 0, error }
  },

  operation: (_request: YamuxOpen) => 'open',
})
