/**
 * Who may do what: the shapes between authentication, authorization, lockout and the audit log, so
 * that each is written, replaced and tested without the others.
 *
 *     request ─▸ Authenticator.read ─▸ LoginGuard.check ─▸ LoginAttempt.verify ─▸ principal
 *                                                                                    │
 *     service ◂── allow ── Authorizer.decide({ principal, level, action, resource }) ◂┘
 *
 * Everything that happens on the way is told to an `AccessObserver`. No credential is in any of
 * these objects but in the authenticator's own closure.
 */
import type { CallContext } from './context.ts'
import type { Principal } from './principal.ts'
import type { MaybePromise } from './service.ts'

/** Finds one kind of credentials in a request: Basic, a bearer token, a client's certificate. */
export interface Authenticator<Req> {
  /** `basic`, `bearer`, `api-key`, `mtls` …: becomes `Principal.method`. */
  readonly method: string
  /** Undefined: the request brings nothing of this kind, and the next authenticator is asked. */
  read(request: Req, context: CallContext): LoginAttempt | undefined
  /** What a caller without credentials is told to bring; undefined: this kind has no challenge. */
  challenge(): string | undefined
  /** The request without what was read. What is not stripped reaches the service. */
  strip(request: Req): Req
}

/** Credentials as found: who they say they are, and how to find out whether that is true. */
export interface LoginAttempt {
  /** Claimed, nothing is proven. For lockout and audit; cut to {@link MAX_LOGIN_NAME}. */
  readonly name: string | undefined
  /** Never throws for wrong credentials; throws (or rejects) when it cannot find out. */
  verify(): MaybePromise<LoginOutcome>
}

export type LoginOutcome =
  | {
      readonly outcome: 'accepted'
      readonly principal: Principal
      /** What the server proves in return (mutual authentication), for the reply. */
      readonly proof?: string | undefined
    }
  /** One more message is needed: the challenge is sent alone, and the next request answers it. */
  | { readonly outcome: 'challenged'; readonly challenge: string }
  | {
      readonly outcome: 'refused'
      /** For the audit log; never a credential, never sent to the caller. */
      readonly reason: string
      /** The challenge that says what was wrong, instead of the general one. */
      readonly challenge?: string | undefined
    }

/** Whom a lockout counts: the name that was claimed, the address it came from, or both. */
export interface LoginKey {
  readonly name: string | undefined
  /** Without port; undefined on a Unix socket. */
  readonly address: string | undefined
}

/** Asked before credentials are checked, told how it went. Pure over `now`, monotonic. */
export interface LoginGuard {
  /** Undefined: try. Otherwise the time at which the caller may try again. */
  check(key: LoginKey, now: number): number | undefined
  failed(key: LoginKey, now: number): void
  succeeded(key: LoginKey, now: number): void
}

export type AccessLevel = 'connection' | 'operation' | 'resource'

/** One question: may this principal do that to it? */
export interface AccessQuestion {
  readonly principal: Principal | undefined
  readonly level: AccessLevel
  /** `connect`, `GET`, `publish` …; case counts. */
  readonly action: string
  /** A path, a topic, a table; the listener's name at connection level. */
  readonly resource: string
  /** Facts for conditions, besides the principal's attributes. */
  readonly context: AccessContext
}

export interface AccessContext {
  /** Address of the caller, without port. */
  readonly address?: string | undefined
  /** Milliseconds since the epoch, for windows of time. */
  readonly wallTime?: number | undefined
  readonly attributes?: Readonly<Record<string, unknown>>
}

export type AccessDecision =
  | { readonly allow: true; readonly reason?: string | undefined }
  /** The reason is for the audit log; a caller learns only that it was refused. */
  | { readonly allow: false; readonly reason: string }

export interface Authorizer {
  /** Never throws: what cannot be decided is a decision too, by default to deny. */
  decide(question: AccessQuestion): MaybePromise<AccessDecision>
}

export type AccessEvent = LoginEvent | DecisionEvent

interface AccessEventBase {
  /** Of the caller, without port; undefined on a Unix socket. */
  readonly address: string | undefined
  readonly correlationId: string | undefined
  /** Of the call's trace, 32 hex digits. */
  readonly traceId?: string | undefined
  readonly connectionId: number | undefined
}

export interface LoginEvent extends AccessEventBase {
  readonly type: 'login'
  readonly outcome: 'accepted' | 'refused' | 'challenged' | 'locked-out' | 'failed'
  readonly method: string
  /** The principal's id once accepted, before that the name that was claimed. */
  readonly name: string | undefined
  readonly reason: string | undefined
}

export interface DecisionEvent extends AccessEventBase {
  readonly type: 'decision'
  readonly outcome: 'allowed' | 'denied'
  readonly level: AccessLevel
  readonly action: string
  readonly resource: string
  /** Id and method of the principal; undefined: anonymous. */
  readonly principal: string | undefined
  readonly method: string | undefined
  readonly reason: string | undefined
}

/** Told of every login and every decision: the audit log. It must not throw. */
export interface AccessObserver {
  onAccess(event: AccessEvent): void
}

/** Most characters of a claimed name that are looked at, kept or logged. */
export const MAX_LOGIN_NAME = 256
