/**
 * The rules of `authorization` as the library takes them.
 */
import type { AccessPolicyOptions, AccessRule } from '../../security/authorization/access-policy.ts'
import type { Condition } from '../../security/authorization/condition.ts'
import type { AccessRuleConfig, AuthorizationConfig } from '../config/schema/access.ts'

export function accessPolicyOptions(config: AuthorizationConfig): AccessPolicyOptions {
  const { roles, allow, deny, assignments, anonymous_roles, trust_login_roles } = config
  return {
    roles: Object.fromEntries(
      Object.entries(roles).map(([name, role]) => [
        name,
        {
          inherits: role.inherits,
          allow: role.allow.map(toRule),
          deny: role.deny.map(toRule),
        },
      ]),
    ),
    allow: allow.map(toRule),
    deny: deny.map(toRule),
    assignments: assignments.map(({ principal, method, roles: given }) => ({
      principal,
      roles: given,
      ...(method !== undefined && { method }),
    })),
    anonymousRoles: anonymous_roles,
    trustPrincipalRoles: trust_login_roles,
  }
}

function toRule({ name, level, actions, resources, when }: AccessRuleConfig): AccessRule {
  return {
    level,
    actions,
    ...(name !== undefined && { name }),
    ...(resources !== undefined && { resources }),
    ...(when !== undefined && { when: when.map(toCondition) }),
  }
}

function toCondition(config: NonNullable<AccessRuleConfig['when']>[number]): Condition {
  const { at_least: atLeast, at_most: atMost, ...rest } = config
  const set = Object.entries({ ...rest, atLeast, atMost }).filter(
    ([, value]) => value !== undefined,
  )
  return Object.fromEntries(set) as unknown as Condition
}
