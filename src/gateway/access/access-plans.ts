/**
 * Everything about access that a configuration asks for. What did not change with a reload is kept,
 * with the keys it has fetched, the logins it remembers and the failures it has counted.
 */
import { toError, UsageError } from '../../core/errors.ts'
import type {
  AccessConfig,
  AuthenticationConfig,
  AuthorizationConfig,
} from '../config/schema/access.ts'
import type { GatewayFiles } from '../gateway-files.ts'
import type { RouteAccess } from '../http/route-policies.ts'
import {
  type AccessSources,
  AuthenticationPlan,
  filesOfAuthentication,
} from './authentication-plan.ts'
import { AuthorizationPlan, filesOfAuthorization } from './authorization-plan.ts'

export class AccessPlans {
  readonly #plans = new Map<string, AuthenticationPlan | AuthorizationPlan>()
  readonly #before: AccessPlans | undefined
  readonly #files: GatewayFiles
  readonly #sources: AccessSources

  constructor(
    files: GatewayFiles,
    sources: Omit<AccessSources, 'fileText'>,
    before: AccessPlans | undefined,
  ) {
    this.#files = files
    this.#sources = { ...sources, fileText: (name) => files.text(name) }
    this.#before = before
  }

  /** Of a route, whose own settings replace those of its listener. Undefined: open to all. */
  ofRoute(where: string, route: AccessConfig, listener: AccessConfig): RouteAccess | undefined {
    const authentication = this.authentication(
      where,
      route.authentication ?? listener.authentication,
    )
    const authorization = this.authorization(where, route.authorization ?? listener.authorization)
    const may = authorization?.middleware
    if (authentication === undefined && may === undefined) return undefined
    return {
      principalFields: (principal) => authentication?.principalFields(principal) ?? [],
      guard: (service) => {
        const allowed = may === undefined ? service : may(service)
        return authentication === undefined ? allowed : authentication.middleware(allowed)
      },
    }
  }

  authentication(
    where: string,
    config: AuthenticationConfig | undefined,
  ): AuthenticationPlan | undefined {
    if (config === undefined) return undefined
    const key = `n${JSON.stringify(config)}${this.#files.fingerprint(filesOfAuthentication(config))}`
    return this.#keep(key, where, () => new AuthenticationPlan(config, this.#sources))
  }

  authorization(
    where: string,
    config: AuthorizationConfig | undefined,
  ): AuthorizationPlan | undefined {
    if (config === undefined) return undefined
    const key = `z${JSON.stringify(config)}${this.#files.fingerprint(filesOfAuthorization(config))}`
    return this.#keep(key, where, () => new AuthorizationPlan(config, this.#sources))
  }

  /** Closes what `kept` does not have. */
  closeUnless(kept: AccessPlans | undefined): void {
    for (const [key, plan] of this.#plans) {
      if (kept === undefined || kept.#plans.get(key) !== plan) plan.close()
    }
  }

  #keep<Plan extends AuthenticationPlan | AuthorizationPlan>(
    key: string,
    where: string,
    make: () => Plan,
  ): Plan {
    const before = this.#before === undefined ? undefined : this.#before.#plans.get(key)
    const known = this.#plans.get(key) ?? before
    const plan = (known as Plan | undefined) ?? named(where, make)
    this.#plans.set(key, plan)
    return plan
  }
}

/** What is wrong in a file is a problem of the configuration, with the place that names the file. */
function named<Value>(where: string, make: () => Value): Value {
  try {
    return make()
  } catch (error) {
    const { message } = toError(error)
    throw new UsageError('ERR_CONFIG', `${where}: ${message}`, { cause: error })
  }
}
