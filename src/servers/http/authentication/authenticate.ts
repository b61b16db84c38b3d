/**
 * The authentication of an HTTP server, ready for its option of that name:
 *
 *     httpServer(service, { authentication: authenticate([basic({ users }), apiKey({ keys })]) })
 *
 * A refused caller gets 401 with one `WWW-Authenticate` for each way to log in (RFC 9110 11.6.1),
 * 403 where there is none to tell (client certificates alone), 429 with `Retry-After` when locked
 * out. `context.principal` tells the service who calls; the credentials are taken out of the request.
 */

import type { Middleware } from '../../../core/service.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import type { HttpRequest, HttpResponse } from '../../../protocols/http/messages.ts'
import {
  type AuthenticationOptions,
  authentication,
} from '../../../runtime/middleware/authentication.ts'
import type { HttpAuthenticator } from './authorization-field.ts'

export interface AuthenticateOptions
  extends Omit<
    AuthenticationOptions<HttpRequest, HttpResponse>,
    'authenticators' | 'clock' | 'withProof'
  > {
  /** @default the system clock */
  clock?: AuthenticationOptions<HttpRequest, HttpResponse>['clock']
}

export function authenticate(
  authenticators: readonly HttpAuthenticator[],
  options: AuthenticateOptions = {},
): Middleware<HttpRequest, HttpResponse> {
  return authentication({ clock: systemClock, ...options, authenticators, withProof })
}

/** RFC 7615: what the server proves in return. */
function withProof(response: HttpResponse, proof: string): HttpResponse {
  response.fields.set('authentication-info', proof)
  return response
}
