/**
 * Answers for a service that throws: the protocol's classifier turns the error into a response, so
 * that every caller gets one and none gets the inside of the server.
 *
 * A caller that is gone gets nothing; the error goes on to whoever looks after the connection.
 */
import type { CallContext } from '../../core/context.ts'
import { TimeoutError } from '../../core/errors.ts'
import type { Classifier } from '../../core/policy.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface ErrorsOptions<Req, Res> {
  classifier: Pick<Classifier<Req, Res>, 'errorResponse'>
  /** Told of each error before it is answered: for logs. */
  onError?(error: unknown, request: Req, context: CallContext): void
}

export function errors<Req, Res>(options: ErrorsOptions<Req, Res>): Middleware<Req, Res> {
  return (next) => (request, context) =>
    settle(next, request, context, new AnsweredCall(options, request, context))
}

class AnsweredCall<Req, Res> implements Settlement<Res> {
  readonly #options: ErrorsOptions<Req, Res>
  readonly #request: Req
  readonly #context: CallContext

  constructor(options: ErrorsOptions<Req, Res>, request: Req, context: CallContext) {
    this.#options = options
    this.#request = request
    this.#context = context
  }

  onReply(reply: Res): MaybePromise<Res> {
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const { classifier, onError } = this.#options
    onError?.(error, this.#request, this.#context)
    const { cancelReason } = this.#context
    if (cancelReason !== undefined && !(cancelReason instanceof TimeoutError)) throw error
    return classifier.errorResponse(error)
  }
}
