/**
 * What every scheme of `Authorization` has in common, for authenticators that stand on it.
 */
import type { Authenticator, LoginAttempt } from '../../../core/access.ts'
import type { CallContext } from '../../../core/context.ts'
import { readCredentials, withoutField } from '../../../protocols/http/credentials.ts'
import type { HttpRequest } from '../../../protocols/http/messages.ts'

export type HttpAuthenticator = Authenticator<HttpRequest>

/** A scheme of HTTP authentication, to be plugged into {@link schemeAuthenticator}. */
export interface HttpScheme {
  /** Becomes the principal's method. */
  readonly method: string
  /** Lower case, as in `Authorization: <scheme> …`. */
  readonly scheme: string
  /** The whole value of `WWW-Authenticate`, without credentials. */
  challenge(): string | undefined
  /** @param rest what follows the scheme: token68 or parameters, not yet looked at */
  attempt(rest: string, request: HttpRequest, context: CallContext): LoginAttempt
}

/**
 * An authenticator for one scheme: the hook for schemes of your own, with as many steps as they
 * need. A step that answers `challenged` is sent as 401 with that challenge alone; the next request
 * of the dialogue comes as a new attempt, and what joins them (a nonce, the connection) is the
 * scheme's to keep, and to bound.
 */
export function schemeAuthenticator(scheme: HttpScheme): HttpAuthenticator {
  return {
    method: scheme.method,
    challenge: () => scheme.challenge(),
    strip: (request) => withoutField(request, 'authorization'),
    read: (request, context) => {
      const credentials = readCredentials(request.fields)
      if (credentials === undefined) return undefined
      if (credentials === 'malformed') return MALFORMED
      if (credentials.scheme !== scheme.scheme) return undefined
      return scheme.attempt(credentials.rest, request, context)
    },
  }
}

/** An attempt that fails before anything is verified. */
export function refusedAttempt(reason: string, name?: string, challenge?: string): LoginAttempt {
  const outcome = { outcome: 'refused', reason, challenge } as const
  return { name, verify: () => outcome }
}

const MALFORMED = refusedAttempt('the Authorization field is malformed')
