/**
 * What stands around the action of a route, in the order of the server's stack (server-stack.ts),
 * whatever the order it is configured in.
 */
import type { CallContext } from '../../core/context.ts'
import type { Principal } from '../../core/principal.ts'
import type { Middleware } from '../../core/service.ts'
import type { HttpRequest, HttpResponse, HttpService } from '../../protocols/http/messages.ts'

/** Who may use a route. */
export interface RouteAccess {
  /** `service` for those who may. */
  guard(service: HttpService): HttpService
  /** Name and value of what the upstream is told of who calls. */
  principalFields(principal: Principal): readonly (readonly [string, string])[]
}

/** How much of a route is taken. */
export interface RouteLimits {
  readonly rateLimit?: Middleware<HttpRequest, HttpResponse> | undefined
  readonly bulkhead?: Middleware<HttpRequest, HttpResponse> | undefined
  readonly limiter?: Middleware<HttpRequest, HttpResponse> | undefined
  /** Of all routes of the listener together. */
  readonly listenerLimiter?: Middleware<HttpRequest, HttpResponse> | undefined
}

/** The action with its policies around it; undefined: there are none, and nothing is to be paid. */
export function guardedAction(
  access: RouteAccess | undefined,
  limits: RouteLimits,
): HttpService | undefined {
  const { rateLimit, bulkhead, limiter, listenerLimiter } = limits
  const inOrder = [rateLimit, bulkhead, limiter, listenerLimiter]
  const given = inOrder.filter((one) => one !== undefined)
  if (access === undefined && given.length === 0) return undefined
  const limited = given.reduceRight<HttpService>((inner, wrap) => wrap(inner), actOn)
  const known: HttpService = (request, context) => {
    const guarded = request.note as Guardable
    guarded.principal = context.principal
    guarded.known = true
    return limited(request, context)
  }
  return access === undefined ? known : access.guard(known)
}

/** A request on its way hangs on itself as its note (http-proxy.ts): services are made once. */
export interface Guardable {
  /** Who calls, once known. */
  principal: Principal | undefined
  /** It is known who calls, and that they may; or nobody asks. */
  known: boolean
  /** Its route's action. @param request as the route's bridges made it */
  act(context: CallContext, request: HttpRequest): ReturnType<HttpService>
}

/** The action of the route that a request has found. */
export const actOn: HttpService = (request, context) =>
  (request.note as Guardable).act(context, request)
