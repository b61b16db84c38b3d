/**
 * Follows redirects (RFC 9110 15.4) the way browsers do (Fetch, HTTP-redirect fetch):
 *
 * | status   | next method | body |
 * |----------|-------------|------|
 * | 301, 302 | POST becomes GET | dropped with it |
 * | 303      | GET, HEAD stays HEAD | dropped |
 * | 307, 308 | unchanged | sent again: it must be replayable |
 *
 * Credentials never follow to another origin, and nothing follows from https to http unless allowed.
 */
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'
import type { Middleware } from '../../core/service.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'

export interface RedirectOptions {
  /**
   * Most redirects of one call; one more is a ProtocolError ERR_LIMIT.
   *
   * @default 20, as the Fetch standard
   */
  maxRedirects?: number
  /**
   * Whether https may lead to http.
   *
   * @default false: what was asked for in secret must not be answered in the open
   */
  allowDowngrade?: boolean
}

export const redirectDefaults: Readonly<Required<RedirectOptions>> = Object.freeze({
  maxRedirects: 20,
  allowDowngrade: false,
})

export function followRedirects(
  options: RedirectOptions = {},
): Middleware<HttpRequest, HttpResponse> {
  const {
    maxRedirects = redirectDefaults.maxRedirects,
    allowDowngrade = redirectDefaults.allowDowngrade,
  } = options
  checkInteger('maxRedirects', maxRedirects, 0, 1_000)
  return (next) => async (request, context) => {
    let current = request
    for (let count = 0; ; count++) {
      const response = await next(current, context)
      const target = redirectTarget(current, response)
      if (target === undefined) return response
      response.body.discard()
      if (count === maxRedirects) {
        throw new ProtocolError('ERR_LIMIT', `more than ${maxRedirects} redirects`)
      }
      if (current.scheme === 'https' && target.protocol === 'http:' && !allowDowngrade) {
        throw new ProtocolError('ERR_PROTOCOL', `redirect from https to ${target.origin}`)
      }
      current = nextRequest(current, response.status, target)
    }
  }
}

function redirectTarget(request: HttpRequest, response: HttpResponse): URL | undefined {
  if (!REDIRECTS.has(response.status)) return undefined
  const location = response.fields.get('location')
  if (location === undefined) return undefined
  const target = URL.parse(location, request.url)
  if (target === null) {
    throw new ProtocolError('ERR_MALFORMED', `redirect to ${JSON.stringify(location)}`)
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw new ProtocolError('ERR_PROTOCOL', `redirect to unsupported scheme ${target.protocol}`)
  }
  return target
}

function nextRequest(request: HttpRequest, status: number, target: URL): HttpRequest {
  const { method } = request
  const toGet =
    (status === 303 && method !== 'HEAD') ||
    ((status === 301 || status === 302) && method === 'POST')
  if (!toGet && !request.body.replayable) {
    const message = `redirect ${status} asks for the body again, and a stream can be sent only once`
    throw new UsageError('ERR_BODY_USED', message)
  }
  const fields = new HttpFields(request.fields)
  fields.delete('host')
  if (toGet) for (const name of CONTENT_FIELDS) fields.delete(name)
  if (target.origin !== request.url.origin) for (const name of CREDENTIALS) fields.delete(name)
  return new HttpRequest({
    method: toGet ? 'GET' : method,
    scheme: target.protocol === 'https:' ? 'https' : 'http',
    authority: target.host,
    target: target.pathname + target.search,
    fields,
    body: toGet ? undefined : request.body,
  })
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const CONTENT_FIELDS = [
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-location',
  'transfer-encoding',
  'expect',
]
const CREDENTIALS = ['authorization', 'cookie', 'proxy-authorization']
