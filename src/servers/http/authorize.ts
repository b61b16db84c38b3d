/**
 * The authorization of an HTTP server, ready for its option of that name:
 *
 *     const policy = new AccessPolicy({ roles: { reader: { allow: [{ actions: ['GET'] }] } } })
 *     httpServer(service, { authentication, authorization: authorize(policy) })
 *
 * The action is the method, the resource the decoded path without its query. A path that two readers
 * could understand differently (`/a/../b`, `/a//b`, `%2F`) is refused, whatever the policy says. A
 * refused caller gets 403 and no reason.
 */
import type { Authorizer } from '../../core/access.ts'
import type { Middleware } from '../../core/service.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { type AuthorizationOptions, authorization } from '../../runtime/middleware/authorization.ts'

export interface AuthorizeOptions
  extends Partial<Omit<AuthorizationOptions<HttpRequest>, 'authorizer'>> {}

export function authorize(
  authorizer: Authorizer,
  options: AuthorizeOptions = {},
): Middleware<HttpRequest, HttpResponse> {
  return authorization({
    clock: systemClock,
    action: (request) => request.method,
    resource: (request) => plainPath(request.path),
    ...options,
    authorizer,
  })
}

/** The path decoded, undefined when it has more than one meaning. */
export function plainPath(path: string): string | undefined {
  if (!path.startsWith('/') || AMBIGUOUS.test(path)) return undefined
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined
  }
  return decoded.split('/').some((segment) => segment === '.' || segment === '..')
    ? undefined
    : decoded
}

/** An encoded slash, a backslash in either form, NUL, an empty segment, parameters, a fragment. */
const AMBIGUOUS = /%2f|%5c|%00|\\|\/\/|[;#]/i
