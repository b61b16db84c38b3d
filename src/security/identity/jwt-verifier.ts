/**
 * Verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725) by the `jose` library.
 *
 * Issuer, audience and expiry are always checked: a token for another service, or without an end, is
 * no login here. Algorithms are a list of what is allowed; `none` is on no list, and a list never
 * has signatures and HMAC together, so that a public key cannot be taken for a shared secret.
 */
import {
  errors,
  type JWTHeaderParameters,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import type { Clock } from '../../core/clock.ts'
import {
  checkInteger,
  checkRange,
  HeddleError,
  ProtocolError,
  UsageError,
} from '../../core/errors.ts'
import type { Principal } from '../../core/principal.ts'
import type { JwtKey, JwtKeys } from './json-web-keys.ts'

export interface JwtVerifierOptions {
  /** Times in tokens are dates: the wall clock. */
  clock: Pick<Clock, 'wallNow'>
  keys: JwtKeys
  /** `iss`, one of these. */
  issuer: string | readonly string[]
  /** `aud` must name one of these: this service. */
  audience: string | readonly string[]
  /**
   * Algorithms that are accepted.
   *
   * @default for public keys RS256, PS256, ES256, EdDSA and their longer forms; for a secret HS256
   */
  algorithms?: readonly string[]
  /** How far the clocks of issuer and server may be apart, in milliseconds. @default 30_000 */
  clockToleranceMs?: number
  /** Refuses tokens older than this by `iat`, in milliseconds. @default Infinity: `exp` says */
  maxTokenAgeMs?: number
  /** Claims that must be there, besides `iss`, `aud` and `exp`. @default ['sub'] */
  requiredClaims?: readonly string[]
  /** `typ` of the header must be this: `at+jwt` for access tokens of RFC 9068. @default any */
  type?: string
  /** The claim that names the principal. @default 'sub' */
  idClaim?: string
  /**
   * Puts the issuer before the name: `https://a.example|alice`. Subjects are unique for one issuer
   * only (RFC 7519, 4.1.2): with several, one's `alice` would have the rights of another's.
   *
   * @default true when `issuer` names several, else false
   */
  qualifyId?: boolean
  /**
   * The claim with the roles: a list, or names with spaces between; `realm_access.roles` looks
   * inside of objects.
   *
   * @default 'roles'
   */
  rolesClaim?: string
  /** Longest token, in characters. @default 8_192: what fits a head of 16 KiB twice */
  maxTokenLength?: number
}

export const jwtVerifierDefaults: Readonly<{
  clockToleranceMs: number
  maxTokenAgeMs: number
  requiredClaims: readonly string[]
  idClaim: string
  rolesClaim: string
  maxTokenLength: number
}> = Object.freeze({
  clockToleranceMs: 30_000,
  maxTokenAgeMs: Number.POSITIVE_INFINITY,
  requiredClaims: Object.freeze(['sub']),
  idClaim: 'sub',
  rolesClaim: 'roles',
  maxTokenLength: 8_192,
})

export type JwtOutcome =
  | { readonly outcome: 'accepted'; readonly principal: Principal }
  | {
      readonly outcome: 'refused'
      /** For the audit log. */
      readonly reason: string
      /** What the caller may know besides that the token is not accepted. */
      readonly told: string | undefined
    }

export class JwtVerifier {
  readonly #keys: JwtKeys
  readonly #clock: Pick<Clock, 'wallNow'>
  readonly #verify: JWTVerifyOptions
  readonly #idClaim: string
  readonly #qualifyId: boolean
  readonly #rolesClaim: readonly string[]
  readonly #maxTokenLength: number

  constructor(options: JwtVerifierOptions) {
    const given = { ...jwtVerifierDefaults, ...options }
    const { keys, clock, issuer, audience, requiredClaims, idClaim, type } = given
    const { clockToleranceMs, maxTokenAgeMs, maxTokenLength } = given
    checkRange('clockToleranceMs', clockToleranceMs, 0, 3_600_000)
    checkRange('maxTokenAgeMs', maxTokenAgeMs, 1, Number.POSITIVE_INFINITY)
    this.#keys = keys
    this.#clock = clock
    this.#idClaim = idClaim
    this.#qualifyId = options.qualifyId ?? nonEmpty('issuer', issuer).length > 1
    this.#rolesClaim = given.rolesClaim.split('.')
    this.#maxTokenLength = checkInteger('maxTokenLength', maxTokenLength, 64, 65_536)
    this.#verify = {
      issuer: nonEmpty('issuer', issuer),
      audience: nonEmpty('audience', audience),
      algorithms: algorithmsFor(keys.kind, options.algorithms),
      clockTolerance: clockToleranceMs / 1_000,
      requiredClaims: [...new Set(['exp', idClaim, ...requiredClaims])],
      ...(type !== undefined && { typ: type }),
      ...(maxTokenAgeMs !== Number.POSITIVE_INFINITY && { maxTokenAge: maxTokenAgeMs / 1_000 }),
    }
  }

  /** @throws when the keys are out of reach: then nothing is known of the token */
  async verify(token: string): Promise<JwtOutcome> {
    if (token.length > this.#maxTokenLength) {
      return refused(`the token has ${token.length} characters, limit ${this.#maxTokenLength}`)
    }
    try {
      return this.#accept(await this.#payloadOf(token))
    } catch (error) {
      if (error instanceof HeddleError) throw error
      if (error instanceof errors.JWTExpired) {
        return refused('the token has expired', 'the token has expired')
      }
      if (error instanceof errors.JOSEError) return refused(`${error.code}: ${error.message}`)
      // A key of the set that cannot be used is the issuer's mistake, not the caller's.
      const message = 'a key of the key set cannot be used'
      throw new ProtocolError('ERR_MALFORMED', message, { cause: error })
    }
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    const options = { ...this.#verify, currentDate: new Date(this.#clock.wallNow()) }
    const rest: JwtKey[] = []
    const first = async (header: JWTHeaderParameters): Promise<JwtKey> => {
      const [key, ...others] = await this.#keys.find(header)
      if (key === undefined) throw new errors.JWKSNoMatchingKey()
      rest.push(...others)
      return key
    }
    try {
      return (await jwtVerify(token, first, options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed) || rest.length === 0)
        throw error
      return this.#tryOthers(token, rest, options, error)
    }
  }

  /** Keys that fit as well as the first, when the token does not say which. */
  async #tryOthers(
    token: string,
    keys: readonly JwtKey[],
    options: JWTVerifyOptions,
    failure: Error,
  ): Promise<JWTPayload> {
    for (const key of keys) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
      }
    }
    throw failure
  }

  #accept(claims: JWTPayload): JwtOutcome {
    const name = claims[this.#idClaim]
    if (typeof name !== 'string' || name === '' || name.length > MAX_ID) {
      return refused(`the claim ${this.#idClaim} names nobody`)
    }
    // The issuer was compared with those that are accepted, and none of these is long.
    const id = this.#qualifyId ? `${claims.iss}|${name}` : name
    const roles = rolesOf(claims, this.#rolesClaim)
    if (roles === undefined) return refused(`the claim ${this.#rolesClaim.join('.')} is no list`)
    const attributes = Object.freeze({ ...claims })
    return { outcome: 'accepted', principal: { id, method: 'bearer', roles, attributes } }
  }
}

/** @returns undefined when the claim is there and is not names */
function rolesOf(claims: JWTPayload, path: readonly string[]): readonly string[] | undefined {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return NO_ROLES
    value = (value as Record<string, unknown>)[name]
  }
  if (typeof value === 'string') return value.split(' ').filter((role) => role !== '')
  if (!Array.isArray(value) || value.length > MAX_ROLES) return undefined
  return value.every((role) => typeof role === 'string') ? value : undefined
}

function algorithmsFor(kind: JwtKeys['kind'], given: readonly string[] | undefined): string[] {
  const fit = kind === 'secret' ? SECRET_ALGORITHMS : PUBLIC_ALGORITHMS
  if (given === undefined) return kind === 'secret' ? ['HS256'] : [...PUBLIC_ALGORITHMS]
  if (given.length === 0) throw new UsageError('ERR_ARGUMENT', 'algorithms is empty')
  for (const algorithm of given) {
    if (fit.includes(algorithm)) continue
    const message = `algorithm ${algorithm} does not fit a ${kind} key; one of ${fit.join(', ')} does`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return [...given]
}

function nonEmpty(name: string, value: string | readonly string[]): string[] {
  const list = typeof value === 'string' ? [value] : [...value]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) return list
  throw new UsageError('ERR_ARGUMENT', `${name} must name at least one`)
}

function refused(reason: string, told?: string): JwtOutcome {
  return { outcome: 'refused', reason, told }
}

const PUBLIC_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]
const SECRET_ALGORITHMS: readonly string[] = ['HS256', 'HS384', 'HS512']
const NO_ROLES: readonly string[] = Object.freeze([])
const MAX_ROLES = 256
const MAX_ID = 512
