/**
 * `authorization` made ready: rules compiled, the policy service within reach.
 */
import { type HttpClient, httpClient } from '../../clients/http/http-client.ts'
import { policyService } from '../../clients/http/json-request.ts'
import type { AccessLevel, Authorizer } from '../../core/access.ts'
import type { Connection } from '../../core/connection.ts'
import type { Principal } from '../../core/principal.ts'
import type { Middleware } from '../../core/service.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { connectionAdmission } from '../../runtime/middleware/authorization.ts'
import { AccessPolicy, allOf } from '../../security/authorization/access-policy.ts'
import { authorize, plainPath } from '../../servers/http/authorize.ts'
import { durationMs } from '../config/quantity.ts'
import type { AuthorizationConfig } from '../config/schema/access.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'
import { accessPolicyOptions } from './access-policy-options.ts'
import { type AccessSources, addressOf } from './authentication-plan.ts'

export class AuthorizationPlan {
  /** Undefined: only connections are asked about. */
  readonly middleware: Middleware<HttpRequest, HttpResponse> | undefined
  readonly #authorizer: Authorizer
  readonly #sources: AccessSources
  readonly #asksConnections: boolean
  readonly #client: HttpClient | undefined

  constructor(config: AuthorizationConfig, sources: AccessSources) {
    const { external } = config
    const { clock, observer } = sources
    this.#sources = sources
    const used = levelsOf(config)
    this.#asksConnections = used.has('connection')
    const authorizers: Authorizer[] = []
    if (used.size > 0) {
      authorizers.push(aboutLevels(new AccessPolicy(accessPolicyOptions(config)), used))
    }
    // The policy service is asked about requests: a connection cannot wait for it.
    this.#authorizer = authorizers[0] ?? NOBODY
    if (external !== undefined) {
      const url = new URL(external.url)
      const ca = external.ca_file === undefined ? undefined : sources.fileText(external.ca_file)
      this.#client = httpClient(url.origin, { clock, ...(ca !== undefined && { tls: { ca } }) })
      authorizers.push(
        policyService(this.#client, `${url.pathname}${url.search}`, {
          clock,
          timeoutMs: durationMs(external.timeout),
          allowTtlMs: durationMs(external.allow_ttl),
          denyTtlMs: durationMs(external.deny_ttl),
          maxCached: external.max_cached,
          onFailure: external.on_failure,
        }),
      )
    }
    const levels: ('operation' | 'resource')[] = []
    if (used.has('operation')) levels.push('operation')
    if (used.has('resource') || external !== undefined) levels.push('resource')
    this.middleware =
      levels.length === 0
        ? undefined
        : authorize(allOf(authorizers), {
            clock,
            levels,
            addressOf,
            resource: resourceOf,
            attributes: (request) => ({ host: hostOf(request) }),
            ...(observer && { observer }),
          })
  }

  /** For a listener's connections; undefined: no rule is about them. */
  admission(
    listener: string,
    principalOf: ((connection: Connection) => Principal | undefined) | undefined,
  ): ((connection: Connection) => Error | undefined) | undefined {
    if (!this.#asksConnections) return undefined
    const { clock, observer } = this.#sources
    return connectionAdmission({
      authorizer: this.#authorizer,
      clock,
      resource: listener,
      ...(observer && { observer }),
      ...(principalOf && { principalOf }),
    })
  }

  close(): void {
    void this.#client?.close()
  }
}

/** Files that it names. */
export function filesOfAuthorization(config: AuthorizationConfig | undefined): string[] {
  const file = config?.external?.ca_file
  return file === undefined ? [] : [file]
}

/** Where no rule speaks of a level, it is the policy service that decides there. */
function aboutLevels(policy: AccessPolicy, levels: ReadonlySet<AccessLevel>): Authorizer {
  return {
    decide: (question) =>
      levels.has(question.level) ? policy.decide(question) : { allow: true, reason: 'no rules' },
  }
}

/** Levels that rules speak of. */
function levelsOf({ roles, allow, deny }: AuthorizationConfig): ReadonlySet<AccessLevel> {
  const rules = [...allow, ...deny]
  for (const role of Object.values(roles)) rules.push(...role.allow, ...role.deny)
  return new Set(rules.map(({ level }) => level))
}

/** The path that routes saw and the upstream gets, decoded. */
function resourceOf(request: HttpRequest): string | undefined {
  const path = request.note instanceof ProxiedRequest ? request.note.path : request.path
  return plainPath(path)
}

/** One path may mean something else at each name that the listener serves. */
function hostOf(request: HttpRequest): string {
  return request.authority.toLowerCase()
}

const NOBODY: Authorizer = { decide: () => ({ allow: false, reason: 'no rule allows it' }) }
