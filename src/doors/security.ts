/** `heddle/security`: who calls (passwords, keys, tokens, certificates), who may, and certificates for development. */

export * from '../runtime/lockout.ts'
export * from '../security/address-list.ts'
export {
  type AuditCheckpoint,
  readCheckpoint,
  readPublicKey,
} from '../security/audit/audit-checkpoint.ts'
export type { AuditFileSystem, AuditHandle } from '../security/audit/audit-file.ts'
export * from '../security/audit/audit-log.ts'
export type { AuditAlgorithm, AuditEvent, AuditRecord } from '../security/audit/audit-record.ts'
export * from '../security/audit/audit-verify.ts'
export * from '../security/authorization/access-policy.ts'
export * from '../security/authorization/condition.ts'
export * from '../security/authorization/external-authorizer.ts'
export * from '../security/authorization/time-window.ts'
export * from '../security/dev-certificate.ts'
export * from '../security/identity/api-keys.ts'
export * from '../security/identity/certificate-identity.ts'
export * from '../security/identity/json-web-keys.ts'
export * from '../security/identity/jwt-verifier.ts'
export * from '../security/identity/password-hash.ts'
export * from '../security/identity/password-verifier.ts'
export * from '../security/oauth/client-assertion.ts'
