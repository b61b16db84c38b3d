/**
 * `authentication` made ready: authenticators with their files read and their keys within reach.
 */

import { type HttpClient, httpClient } from '../../clients/http/http-client.ts'
import { remoteKeys } from '../../clients/http/json-request.ts'
import type { AccessObserver, LoginGuard } from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { Principal } from '../../core/principal.ts'
import type { Middleware } from '../../core/service.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { type LockoutOptions, lockout } from '../../runtime/lockout.ts'
import { CertificateIdentity } from '../../security/identity/certificate-identity.ts'
import { type JwtKeys, localKeySet } from '../../security/identity/json-web-keys.ts'
import { apiKey } from '../../servers/http/authentication/api-key.ts'
import { authenticate } from '../../servers/http/authentication/authenticate.ts'
import type { HttpAuthenticator } from '../../servers/http/authentication/authorization-field.ts'
import { basic } from '../../servers/http/authentication/basic.ts'
import { bearer } from '../../servers/http/authentication/bearer.ts'
import { mutualTls } from '../../servers/http/authentication/mutual-tls.ts'
import { durationMs } from '../config/quantity.ts'
import type { AuthenticationConfig } from '../config/schema/access.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

/** What access needs from outside. */
export interface AccessSources {
  readonly clock: Clock
  /** Content of a file that was read beforehand. */
  fileText(name: string): string
  /** The audit log. */
  readonly observer: (AccessObserver & Pick<LockoutOptions, 'onLockout'>) | undefined
}

export class AuthenticationPlan {
  readonly middleware: Middleware<HttpRequest, HttpResponse>
  readonly #identity: CertificateIdentity | undefined
  readonly #headers: AuthenticationConfig['principal_headers']
  readonly #clients: HttpClient[] = []

  constructor(config: AuthenticationConfig, sources: AccessSources) {
    const { mtls, principal_headers } = config
    const { clock, observer } = sources
    this.#headers = principal_headers
    this.#identity = mtls && new CertificateIdentity(certificateOptions(mtls))
    const guard = guardOf(config, observer?.onLockout)
    this.middleware = authenticate(this.#authenticators(config, sources), {
      clock,
      anonymous: config.anonymous,
      keepCredentials: config.keep_credentials,
      addressOf,
      ...(observer && { observer }),
      ...(guard && { guard }),
    })
  }

  /** Who a connection proves to be by itself. */
  readonly principalOf = (connection: Connection): Principal | undefined => {
    const outcome = this.#identity?.identify(connection.facts.tls)
    return outcome?.outcome === 'accepted' ? outcome.principal : undefined
  }

  /** Name and value of what the upstream is told. */
  principalFields(principal: Principal): [string, string][] {
    const { id, roles, method } = this.#headers
    const fields: [string, string][] = []
    if (id !== undefined) fields.push([id, fieldValue(principal.id)])
    if (roles !== undefined) fields.push([roles, principal.roles.map(fieldValue).join(',')])
    if (method !== undefined) fields.push([method, fieldValue(principal.method)])
    return fields
  }

  close(): void {
    for (const client of this.#clients) void client.close()
  }

  #authenticators(config: AuthenticationConfig, sources: AccessSources): HttpAuthenticator[] {
    const { realm, mtls, api_keys: keys, basic: passwords } = config
    const { clock, fileText } = sources
    const list: HttpAuthenticator[] = []
    if (mtls !== undefined) list.push(mutualTls(certificateOptions(mtls)))
    for (const jwt of config.jwt) {
      list.push(
        bearer({
          realm,
          clock,
          keys: this.#keysOf(jwt, sources),
          issuer: jwt.issuer,
          audience: jwt.audiences,
          clockToleranceMs: durationMs(jwt.clock_tolerance),
          requiredClaims: jwt.required_claims,
          idClaim: jwt.id_claim,
          // Two issuers may each have an alice.
          ...(config.jwt.length > 1 && { qualifyId: true }),
          rolesClaim: jwt.roles_claim,
          ...(jwt.algorithms !== undefined && { algorithms: jwt.algorithms }),
          ...(jwt.type !== undefined && { type: jwt.type }),
          ...(jwt.max_token_age !== undefined && { maxTokenAgeMs: durationMs(jwt.max_token_age) }),
        }),
      )
    }
    if (keys !== undefined) {
      list.push(apiKey({ realm, clock, keys: fileText(keys.file), header: keys.header }))
    }
    if (passwords !== undefined) {
      const rememberMs = durationMs(passwords.remember)
      list.push(basic({ realm, clock, users: fileText(passwords.users_file), rememberMs }))
    }
    return list
  }

  #keysOf(jwt: AuthenticationConfig['jwt'][number], { clock, fileText }: AccessSources): JwtKeys {
    if (jwt.jwks_file !== undefined) return localKeySet(fileText(jwt.jwks_file))
    const url = new URL(jwt.jwks_url ?? '')
    const ca = jwt.ca_file === undefined ? undefined : fileText(jwt.ca_file)
    const client = httpClient(url.origin, { clock, ...(ca !== undefined && { tls: { ca } }) })
    this.#clients.push(client)
    return remoteKeys(client, `${url.pathname}${url.search}`, {
      clock,
      maxAgeMs: durationMs(jwt.jwks_max_age),
      maxStaleMs: durationMs(jwt.jwks_max_stale),
      cooldownMs: durationMs(jwt.jwks_cooldown),
      timeoutMs: durationMs(jwt.jwks_timeout),
    })
  }
}

/** Files that it names. */
export function filesOfAuthentication(config: AuthenticationConfig | undefined): string[] {
  if (config === undefined) return []
  const files = [config.basic?.users_file, config.api_keys?.file]
  for (const { jwks_file, ca_file } of config.jwt) files.push(jwks_file, ca_file)
  return files.filter((name) => name !== undefined)
}

/** Names of headers that only the gateway may say, in lower case, with hyphens for underscores. */
export function principalHeaders(config: AuthenticationConfig | undefined): string[] {
  return Object.values(config?.principal_headers ?? {})
    .filter((name) => name !== undefined)
    .map((name) => name.toLowerCase().replaceAll('_', '-'))
}

/** Where a request comes from, as far as hops are trusted. */
export function addressOf(request: HttpRequest): string | undefined {
  return request.note instanceof ProxiedRequest ? request.note.clientAddress : undefined
}

function certificateOptions(
  mtls: NonNullable<AuthenticationConfig['mtls']>,
): ConstructorParameters<typeof CertificateIdentity>[0] {
  const { sources, trust_domains, roles, known_only } = mtls
  return {
    sources,
    roles,
    knownOnly: known_only,
    ...(trust_domains !== undefined && { trustDomains: trust_domains }),
  }
}

function guardOf(
  { lockout: config }: AuthenticationConfig,
  onLockout: LockoutOptions['onLockout'],
): LoginGuard | undefined {
  if (config === undefined) return undefined
  return lockout({
    maxFailures: config.max_failures,
    maxFailuresPerAddress: config.max_failures_per_address,
    windowMs: durationMs(config.window),
    lockMs: durationMs(config.lock),
    maxLockMs: durationMs(config.max_lock),
    ...(onLockout && { onLockout }),
  })
}

/** Visible ASCII as it is, everything else percent-encoded: a name must not become another field. */
function fieldValue(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu, encodeURIComponent)
}
