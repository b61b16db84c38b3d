/**
 * What WebSocket says about an outcome. It has messages and no calls: what went in a message is
 * judged by the classifier of the protocol that it carries. Here it is only whether sending worked.
 */
import type { CallContext } from '../../core/context.ts'
import { toError } from '../../core/errors.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import { SUCCEEDED, verdictOfError } from '../../core/verdicts.ts'
import { closeError } from './close-frame.ts'
import { CloseCode, type WebSocketSend } from './messages.ts'

/** How a connection ended: the peer's close frame. */
export interface WebSocketClosed {
  readonly code: number
  readonly reason: string
}

export const webSocketClassifier: Classifier<WebSocketSend, WebSocketClosed> = Object.freeze({
  protocol: 'websocket',

  /** Nobody answers a message: whether it was taken is not known. */
  isIdempotent: (_request: WebSocketSend) => false,

  isReplayable: (_request: WebSocketSend) => true,

  classifyResponse(_request: WebSocketSend, closed: WebSocketClosed, context: CallContext) {
    const error = closeError(closed)
    return error === undefined ? SUCCEEDED : verdictOfError(error, context)
  },

  classifyError: (_request: WebSocketSend, error: unknown, context: CallContext): Verdict =>
    verdictOfError(error, context),

  errorResponse: (thrown: unknown): WebSocketClosed => ({
    code: CloseCode.INTERNAL_ERROR,
    reason: toError(thrown).name,
  }),

  operation: (_request: WebSocketSend) => 'message',
})
