/**
 * How HTTP looks in spans, by OpenTelemetry's conventions for HTTP, which are stable
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
 *
 * The query is never part of a span: it holds tokens. A path is, as the conventions demand for
 * servers; a client's `url.full` is without query, fragment and credentials.
 */
import type { CallContext } from '../../core/context.ts'
import type { Attributes } from '../../core/metrics.ts'
import type { CallSemantics, Side } from '../../core/tracing.ts'
import type { HttpRequest, HttpResponse } from './messages.ts'
import { knownMethod } from './methods.ts'

export const httpSemantics: CallSemantics<HttpRequest, HttpResponse> = Object.freeze({
  spanName(request: HttpRequest): string {
    const method = knownMethod(request.method)
    const name = method === OTHER ? 'HTTP' : method
    return request.route === undefined ? name : `${name} ${request.route}`
  },

  startAttributes(request: HttpRequest, side: Side, context: CallContext): Attributes {
    const { method, scheme, authority, route } = request
    const known = knownMethod(method)
    const attributes: Record<string, string | number> = { 'http.request.method': known }
    if (known === OTHER) attributes['http.request.method_original'] = method.slice(0, MAX_METHOD)
    addServer(attributes, authority, scheme)
    if (side === 'server') {
      attributes['url.scheme'] = scheme
      attributes['url.path'] = request.path
      attributes['network.protocol.version'] = request.version
      const remote = context.connection?.facts.remote
      if (remote?.kind === 'ip') {
        attributes['client.address'] = remote.host
        attributes['network.peer.address'] = remote.host
        attributes['network.peer.port'] = remote.port
      }
      return attributes
    }
    attributes['url.full'] = fullUrl(request)
    if (route !== undefined) attributes['url.template'] = route
    if (side === 'attempt' && context.attempt > 1) {
      attributes['http.request.resend_count'] = context.attempt - 1
    }
    return attributes
  },

  replyAttributes(response: HttpResponse, request: HttpRequest, side: Side): Attributes {
    const attributes: Record<string, string | number> = {
      'http.response.status_code': response.status,
    }
    if (side === 'attempt') attributes['network.protocol.version'] = response.version
    if (side === 'server' && request.route !== undefined) attributes['http.route'] = request.route
    return attributes
  },

  // What the client did wrong is no error of the server's.
  replyErrorType(response: HttpResponse, _request: HttpRequest, side: Side): string | undefined {
    return response.status >= (side === 'server' ? 500 : 400) ? String(response.status) : undefined
  },
})

/** Without the query. A target may be a whole URL, on its way through a proxy, or no path at all. */
function fullUrl({ scheme, authority, path }: HttpRequest): string {
  if (path.startsWith('/')) return `${scheme}://${authority}${path}`
  return path.includes('://') ? path : `${scheme}://${authority}`
}

/** `server.address` and `server.port` of an authority; the scheme's port where it names none. */
function addServer(
  attributes: Record<string, string | number>,
  authority: string,
  scheme: 'http' | 'https',
): void {
  if (authority === '') return
  const colon = authority.lastIndexOf(':')
  const hasPort = colon >= 0 && colon > authority.lastIndexOf(']')
  const host = hasPort ? authority.slice(0, colon) : authority
  attributes['server.address'] = host.startsWith('[') ? host.slice(1, -1) : host
  const port = hasPort ? Number(authority.slice(colon + 1)) : scheme === 'https' ? 443 : 80
  if (Number.isInteger(port)) attributes['server.port'] = port
}

const OTHER = '_OTHER'
const MAX_METHOD = 32
