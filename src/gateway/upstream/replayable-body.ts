/**
 * Keeps small bodies of idempotent requests, so that a retry can send them again.
 *
 * A body is a stream that is read once; without this, a PUT whose endpoint dies in the middle could
 * not be tried elsewhere, although the method allows it. Only a body whose announced length is
 * within the bound is collected, so nothing is held back that would have to be streamed.
 */
import type { CallContext } from '../../core/context.ts'
import { Body } from '../../protocols/http/body.ts'
import { httpClassifier } from '../../protocols/http/classifier.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../../protocols/http/messages.ts'

/** @param maxBytes longest body that is kept; 0: none */
export function keepSmallBodies(maxBytes: number, next: HttpService): HttpService {
  if (maxBytes === 0) return next
  return (request, context) => {
    const { body } = request
    if (body.replayable && body.content !== undefined) return next(request, context)
    const worthIt =
      body.length !== undefined &&
      body.length > 0 &&
      body.length <= maxBytes &&
      httpClassifier.isIdempotent(request)
    return worthIt ? collectThenCall(request, context, maxBytes, next) : next(request, context)
  }
}

async function collectThenCall(
  request: HttpRequest,
  context: CallContext,
  maxBytes: number,
  next: HttpService,
): Promise<HttpResponse> {
  const bytes = await request.body.bytes(maxBytes)
  const { method, target, scheme, authority, fields, inform, note } = request
  const kept = new HttpRequest({
    method,
    target,
    scheme,
    authority,
    fields,
    body: Body.from(bytes),
  })
  kept.inform = inform
  kept.note = note
  return next(kept, context)
}
