/**
 * Who makes a call, once authentication has said so. What rate limits, authorization, the audit log
 * and services look at; no credential is ever part of it.
 */
export interface Principal {
  /** Stable and unique within `method` and issuer: a user name, a subject, a certificate's name. */
  readonly id: string
  /** How it was authenticated: `basic`, `bearer`, `api-key`, `mtls`, `scram`, … */
  readonly method: string
  /** As the identity source names them. Authorization gives them meaning. */
  readonly roles: readonly string[]
  /** What else the identity source said (claims, certificate fields), for conditions. */
  readonly attributes: Readonly<Record<string, unknown>>
}
