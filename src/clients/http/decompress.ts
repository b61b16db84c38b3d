/**
 * Asks for compressed answers and gives them decoded: `Accept-Encoding` is sent unless the request
 * has one, and what comes back loses its coding, `Content-Encoding` and `Content-Length`.
 *
 * Within limits of expansion, in all and by ratio (protocols/http/content-encoding.ts): a bomb fails
 * the body with ERR_EXPANSION. A coding that the host does not know is passed on as it came.
 */
import { HeddleError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { type DecodeContentOptions, decodeResponse } from '../../protocols/http/content-encoding.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { type Settlement, settle } from '../../runtime/settle.ts'

export interface DecompressOptions extends DecodeContentOptions {
  /** Where the codecs come from. @default Node's */
  host?: Pick<Host, 'compression'>
}

export function decompress(options: DecompressOptions = {}): Middleware<HttpRequest, HttpResponse> {
  const { host = nodeHost, ...limits } = options
  const accepted = CODINGS.filter((coding) => Object.hasOwn(host.compression, coding)).join(', ')
  const decoding: Settlement<HttpResponse> = {
    onReply: (response): MaybePromise<HttpResponse> => decode(response, host, limits),
    onError(error): never {
      throw error
    },
  }
  return (next) => (request, context) => settle(next, accept(request, accepted), context, decoding)
}

/** A part of a representation cannot be decoded alone, so none is asked for with `Range`. */
function accept(request: HttpRequest, codings: string): HttpRequest {
  const { fields } = request
  if (codings === '' || fields.has('accept-encoding') || fields.has('range')) return request
  const asking = new HttpRequest({ ...request, fields: new HttpFields(fields) })
  asking.fields.append('accept-encoding', codings)
  asking.connection = request.connection
  asking.inform = request.inform
  return asking
}

function decode(
  response: HttpResponse,
  host: Pick<Host, 'compression'>,
  limits: DecodeContentOptions,
): HttpResponse {
  try {
    const decoded = decodeResponse(response, host, limits)
    decoded.exchange = response.exchange
    return decoded
  } catch (error) {
    if (error instanceof HeddleError && error.code === 'ERR_ENCODING') return response
    response.body.discard()
    throw error
  }
}

/** By work per byte saved. */
const CODINGS = ['zstd', 'br', 'gzip', 'deflate']
