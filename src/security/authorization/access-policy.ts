/**
 * Role-based access control with inheritance, where a denial always wins.
 *
 *     const policy = new AccessPolicy({
 *       roles: {
 *         reader: { allow: [{ actions: ['GET'], resources: ['/orders/**'] }] },
 *         clerk: { inherits: ['reader'], allow: [{ actions: ['POST'], resources: ['/orders'] }] },
 *       },
 *       deny: [{ actions: ['*'], resources: ['/orders/secret/**'] }],
 *     })
 *
 *     any matching deny    → denied
 *     any matching allow   → allowed
 *     otherwise            → denied
 *
 * So the order of rules means nothing, another deny never allows more, and another role never allows
 * less unless it brings a deny. Roles are checked when the policy is made: one that inherits from
 * itself, or from a role that is not there, is refused.
 */
import type { AccessDecision, AccessLevel, AccessQuestion, Authorizer } from '../../core/access.ts'
import { UsageError } from '../../core/errors.ts'
import { type CompiledCondition, type Condition, compileCondition, every } from './condition.ts'
import { compilePattern, type Pattern } from './pattern.ts'

export interface AccessRule {
  /** For the audit log. @default the place where it stands */
  readonly name?: string
  /** @default 'resource' */
  readonly level?: AccessLevel
  /** Patterns, one of which must match; `*` is any. */
  readonly actions: readonly string[]
  /** Patterns, one of which must match. The level `operation` has no resources. */
  readonly resources?: readonly string[]
  /** All of them must hold. @default none */
  readonly when?: readonly Condition[]
}

export interface Role {
  /** Has all rules of these as well, denials included. */
  readonly inherits?: readonly string[]
  readonly allow?: readonly AccessRule[]
  readonly deny?: readonly AccessRule[]
}

export interface RoleAssignment {
  /** The principal's id. */
  readonly principal: string
  /** As ids are unique only within it, naming it is safer. @default every method */
  readonly method?: string
  readonly roles: readonly string[]
}

export interface AccessPolicyOptions {
  readonly roles?: Readonly<Record<string, Role>>
  /** Rules for everybody who is authenticated, whatever their roles. */
  readonly allow?: readonly AccessRule[]
  /** Rules for everybody, anonymous callers too. */
  readonly deny?: readonly AccessRule[]
  /** Roles by principal, besides those that the identity source says. */
  readonly assignments?: readonly RoleAssignment[]
  /** Roles of callers without a principal. @default none: nothing is allowed to them */
  readonly anonymousRoles?: readonly string[]
  /** Believes the roles that the identity source says. @default true */
  readonly trustPrincipalRoles?: boolean
  /** What stands between the segments of resources. @default '/' */
  readonly separator?: string
}

interface CompiledRule {
  readonly name: string
  readonly level: AccessLevel
  readonly actions: readonly Pattern[]
  readonly resources: readonly Pattern[] | undefined
  readonly when: CompiledCondition | undefined
}

interface CompiledRole {
  readonly allow: readonly CompiledRule[]
  readonly deny: readonly CompiledRule[]
}

export class AccessPolicy implements Authorizer {
  /** Each with everything it inherits. */
  readonly #roles: ReadonlyMap<string, CompiledRole>
  readonly #everybody: CompiledRole
  readonly #assignments: ReadonlyMap<string, readonly RoleAssignment[]>
  readonly #anonymousRoles: readonly string[]
  readonly #trustPrincipalRoles: boolean

  /** @throws UsageError ERR_ARGUMENT for rules, roles and patterns that are wrong */
  constructor(options: AccessPolicyOptions) {
    const { roles = {}, allow = [], deny = [], assignments = [], anonymousRoles = [] } = options
    const { separator = '/', trustPrincipalRoles = true } = options
    const own = new Map<string, CompiledRole>()
    for (const [name, role] of Object.entries(roles)) {
      own.set(name, compileRole(`role ${name}`, role, separator))
    }
    this.#roles = inherit(own, new Map(Object.entries(roles)))
    this.#everybody = compileRole('policy', { allow, deny }, separator)
    for (const name of [...anonymousRoles, ...assignments.flatMap((one) => one.roles)]) {
      if (!this.#roles.has(name)) throw bad(`role ${name} is given to somebody, and is not defined`)
    }
    this.#assignments = Map.groupBy(assignments, ({ principal }) => principal)
    this.#anonymousRoles = anonymousRoles
    this.#trustPrincipalRoles = trustPrincipalRoles
  }

  decide(question: AccessQuestion): AccessDecision {
    if (question.resource.length > MAX_RESOURCE || question.action.length > MAX_RESOURCE) {
      return { allow: false, reason: `a name is longer than ${MAX_RESOURCE} characters` }
    }
    const roles = this.#rolesOf(question)
    let allowedBy: CompiledRule | undefined
    for (const role of roles) {
      const denied = role.deny.find((rule) => applies(rule, question, 'deny'))
      if (denied !== undefined) return { allow: false, reason: `denied by ${denied.name}` }
      // All denials are looked at, whoever allows.
      allowedBy ??= role.allow.find((rule) => applies(rule, question, 'allow'))
    }
    if (allowedBy === undefined) return NOTHING_ALLOWS
    return { allow: true, reason: `allowed by ${allowedBy.name}` }
  }

  /** Roles that nobody defined have no rules. */
  #rolesOf({ principal }: AccessQuestion): CompiledRole[] {
    const names = new Set<string>()
    if (principal === undefined) {
      for (const name of this.#anonymousRoles) names.add(name)
    } else {
      if (this.#trustPrincipalRoles) for (const name of principal.roles) names.add(name)
      for (const { method, roles } of this.#assignments.get(principal.id) ?? []) {
        if (method !== undefined && method !== principal.method) continue
        for (const name of roles) names.add(name)
      }
    }
    const everybody = this.#everybody
    const found = [principal === undefined ? { deny: everybody.deny, allow: [] } : everybody]
    for (const name of names) {
      const role = this.#roles.get(name)
      if (role !== undefined) found.push(role)
    }
    return found
  }
}

/** Every one must allow; the first that does not is the answer. Asked in this order. */
export function allOf(authorizers: readonly Authorizer[]): Authorizer {
  if (authorizers.length === 0) throw bad('allOf has no authorizers: everything would be allowed')
  const ask = (
    question: AccessQuestion,
    from: number,
    last: AccessDecision,
  ): ReturnType<Authorizer['decide']> => {
    let decision = last
    for (let at = from; at < authorizers.length; at++) {
      const answer = (authorizers[at] as Authorizer).decide(question)
      if (answer instanceof Promise) {
        return answer.then((late) => (late.allow ? ask(question, at + 1, late) : late))
      }
      if (!answer.allow) return answer
      decision = answer
    }
    return decision
  }
  return { decide: (question) => ask(question, 0, NOTHING_ALLOWS) }
}

function applies(rule: CompiledRule, question: AccessQuestion, effect: 'allow' | 'deny'): boolean {
  const { level, action, resource, principal } = question
  if (rule.level !== level) return false
  const id = principal?.id
  if (!rule.actions.some((pattern) => pattern(action, id))) return false
  if (rule.resources?.some((pattern) => pattern(resource, id)) === false) return false
  const truth = rule.when?.(question) ?? 'yes'
  // What cannot be known is held against the caller, either way.
  return effect === 'allow' ? truth === 'yes' : truth !== 'no'
}

function compileRole(where: string, role: Role, separator: string): CompiledRole {
  const compile = (effect: 'allow' | 'deny'): CompiledRule[] =>
    (role[effect] ?? []).map((rule, index) => {
      return compileRule(`${where}, ${effect} ${index + 1}`, rule, separator)
    })
  return { allow: compile('allow'), deny: compile('deny') }
}

function compileRule(where: string, rule: AccessRule, separator: string): CompiledRule {
  const { name = where, level = 'resource', actions, resources, when } = rule
  if (actions.length === 0) throw bad(`${where}: has no actions`)
  if (level === 'operation' && resources !== undefined) {
    throw bad(`${where}: the level operation has no resources`)
  }
  if (level !== 'operation' && (resources === undefined || resources.length === 0)) {
    throw bad(`${where}: names no resources; ['**'] is all of them`)
  }
  return {
    name,
    level,
    actions: actions.map((action) => at(where, () => compilePattern(action, { separator: '' }))),
    resources: resources?.map((one) => at(where, () => compilePattern(one, { separator }))),
    when: when && at(where, () => every(when.map((condition) => compileCondition(condition)))),
  }
}

/** Every role with the rules of all roles it inherits from. */
function inherit(
  own: ReadonlyMap<string, CompiledRole>,
  roles: ReadonlyMap<string, Role>,
): ReadonlyMap<string, CompiledRole> {
  const done = new Map<string, ReadonlySet<string>>()
  const ancestors = (name: string, path: readonly string[]): ReadonlySet<string> => {
    const known = done.get(name)
    if (known !== undefined) return known
    if (path.includes(name)) throw bad(`roles inherit in a circle: ${[...path, name].join(' → ')}`)
    const role = roles.get(name)
    if (role === undefined)
      throw bad(`role ${path.at(-1)} inherits from ${name}, which is not defined`)
    const all = new Set([name])
    for (const parent of role.inherits ?? []) {
      for (const one of ancestors(parent, [...path, name])) all.add(one)
    }
    done.set(name, all)
    return all
  }
  const complete = new Map<string, CompiledRole>()
  for (const name of own.keys()) {
    const parts = [...ancestors(name, [])].map((one) => own.get(one) as CompiledRole)
    complete.set(name, {
      allow: parts.flatMap(({ allow }) => allow),
      deny: parts.flatMap(({ deny }) => deny),
    })
  }
  return complete
}

function at<Value>(where: string, compile: () => Value): Value {
  try {
    return compile()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError('ERR_ARGUMENT', `${where}: ${reason}`, { cause: error })
  }
}

function bad(message: string): UsageError {
  return new UsageError('ERR_ARGUMENT', message)
}

const NOTHING_ALLOWS: AccessDecision = Object.freeze({ allow: false, reason: 'no rule allows it' })
const MAX_RESOURCE = 8_192
