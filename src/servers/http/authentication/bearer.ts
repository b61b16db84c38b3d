/**
 * Bearer tokens (RFC 6750) that are JSON Web Tokens.
 *
 *     const keys = remoteKeys(httpClient('https://login.example'), '/.well-known/jwks.json')
 *     bearer({ keys, issuer: 'https://login.example/', audience: 'orders' })
 *
 * Tokens are taken from `Authorization` only: in a query or a form they end in logs (RFC 6750 5.3).
 */
import type { Clock } from '../../../core/clock.ts'
import type { Principal } from '../../../core/principal.ts'
import type { MaybePromise } from '../../../core/service.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import { formatChallenge, isToken68 } from '../../../protocols/http/credentials.ts'
import {
  type JwtOutcome,
  JwtVerifier,
  type JwtVerifierOptions,
} from '../../../security/identity/jwt-verifier.ts'
import {
  type HttpAuthenticator,
  refusedAttempt,
  schemeAuthenticator,
} from './authorization-field.ts'

export interface BearerOptions extends Omit<JwtVerifierOptions, 'clock'> {
  /** @default 'heddle' */
  realm?: string
  /** @default the system clock */
  clock?: Pick<Clock, 'wallNow'>
}

export function bearer(options: BearerOptions): HttpAuthenticator {
  const { realm = 'heddle', clock = systemClock, ...rest } = options
  const verifier = new JwtVerifier({ ...rest, clock })
  return bearerScheme(realm, (token) => verifier.verify(token))
}

/** Bearer tokens of another kind: a function says whose they are; undefined: nobody's. */
export function opaqueBearer(options: {
  verify(token: string): MaybePromise<Principal | undefined>
  /** @default 'heddle' */
  realm?: string
}): HttpAuthenticator {
  const { verify, realm = 'heddle' } = options
  return bearerScheme(realm, async (token) => {
    const principal = await verify(token)
    return principal === undefined
      ? { outcome: 'refused', reason: 'the token is not known', told: undefined }
      : { outcome: 'accepted', principal }
  })
}

function bearerScheme(
  realm: string,
  verify: (token: string) => Promise<JwtOutcome>,
): HttpAuthenticator {
  const challenge = formatChallenge('Bearer', { realm })
  const invalid = (description?: string): string =>
    formatChallenge('Bearer', {
      realm,
      error: 'invalid_token',
      error_description: description ?? 'the token is not accepted',
    })
  return schemeAuthenticator({
    method: 'bearer',
    scheme: 'bearer',
    challenge: () => challenge,
    attempt: (token) => {
      if (!isToken68(token)) return refusedAttempt('not a bearer token', undefined, invalid())
      return {
        // What an unproven token says of itself must not lock out whom it names.
        name: undefined,
        verify: async () => {
          const outcome = await verify(token)
          if (outcome.outcome === 'accepted') return outcome
          const { reason, told } = outcome
          return { outcome: 'refused', reason, challenge: invalid(told) }
        },
      }
    },
  })
}
