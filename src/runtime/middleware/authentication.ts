/**
 * Says who calls. Authenticators are tried in the order they are given; the first that accepts makes
 * the principal of the context. The caller of a refused request learns every way to log in at once.
 *
 *     read ─▸ guard: locked out? ─▸ verify ─▸ accepted: next, with the principal
 *                                        └──▸ refused:  the next authenticator that reads something
 *
 * - Nothing is read by any of them: refused, unless `anonymous` lets such callers in. Wrong
 *   credentials are refused even then.
 * - An authenticator that cannot find out (its keys are out of reach) is passed over; its error is
 *   thrown when no other one accepts. It never lets anybody in, and nobody is counted as failed.
 * - What authenticators verify without waiting stays synchronous.
 */
import type {
  AccessObserver,
  Authenticator,
  LoginAttempt,
  LoginEvent,
  LoginGuard,
  LoginKey,
  LoginOutcome,
} from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { PrincipalContext } from '../../core/context-view.ts'
import { AccessError, UsageError } from '../../core/errors.ts'
import type { MaybePromise, Middleware, Service } from '../../core/service.ts'
import { isPromise, type Settlement, settle } from '../settle.ts'

export interface AuthenticationOptions<Req, Res> {
  clock: Pick<Clock, 'now'>
  /** Tried in this order. */
  authenticators: readonly Authenticator<Req>[]
  /**
   * Lets callers in that bring no credentials; they have no principal.
   *
   * @default false: who forgets it must not serve the world
   */
  anonymous?: boolean
  /** Lockout after failures: asked before credentials are checked. @default none */
  guard?: LoginGuard
  /** Told of every login, for the audit log. @default nobody */
  observer?: AccessObserver
  /**
   * Leaves the credentials in the request for the service.
   *
   * @default false: a service that needs to know who calls has `context.principal`
   */
  keepCredentials?: boolean
  /** Where a call comes from, without port. @default the connection's peer */
  addressOf?(request: Req, context: CallContext): string | undefined
  /** Puts what the server proves in return into the reply. @default it is dropped */
  withProof?(reply: Res, proof: string): Res
}

/**
 * @throws AccessError ERR_UNAUTHENTICATED with `detail.challenges`, or ERR_LOCKED_OUT with
 *   `detail.retryAfterMs`
 */
export function authentication<Req, Res>(
  options: AuthenticationOptions<Req, Res>,
): Middleware<Req, Res> {
  const { authenticators, anonymous = false } = options
  if (authenticators.length === 0 && !anonymous) {
    const message = 'authentication has no authenticators and is not anonymous: nobody could call'
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return (next) => (request, context) => new Login(options, next, request, context).begin()
}

/** Address of the caller's connection, without port. */
export function addressOfCall(_request: unknown, context: CallContext): string | undefined {
  const remote = context.connection?.facts.remote
  return remote?.kind === 'ip' ? remote.host : undefined
}

/** One request on its way through the authenticators. */
class Login<Req, Res> {
  readonly #options: AuthenticationOptions<Req, Res>
  readonly #next: Service<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #address: string | undefined
  /** Of those that refused: what they say instead of their general challenge. */
  #challenges: Map<Authenticator<Req>, string> | undefined
  /** Keys that failed, each counted once however many authenticators saw it. */
  #failed: LoginKey[] | undefined
  /** An authenticator could not find out. */
  #error: unknown
  #broken = false

  constructor(
    options: AuthenticationOptions<Req, Res>,
    next: Service<Req, Res>,
    request: Req,
    context: CallContext,
  ) {
    this.#options = options
    this.#next = next
    this.#request = request
    this.#context = context
    this.#address = (options.addressOf ?? addressOfCall)(request, context)
  }

  begin(): MaybePromise<Res> {
    return this.#from(0)
  }

  #from(start: number): MaybePromise<Res> {
    const { authenticators } = this.#options
    for (let at = start; at < authenticators.length; at++) {
      const authenticator = authenticators[at] as Authenticator<Req>
      const attempt = authenticator.read(this.#request, this.#context)
      if (attempt === undefined) continue
      this.#checkGuard(authenticator, attempt)
      let outcome: MaybePromise<LoginOutcome>
      try {
        outcome = attempt.verify()
      } catch (error) {
        this.#unknown(authenticator, attempt, error)
        continue
      }
      if (isPromise(outcome)) return this.#later(outcome, authenticator, attempt, at)
      if (outcome.outcome === 'accepted') return this.#accept(authenticator, attempt, outcome)
      this.#refused(authenticator, attempt, outcome)
    }
    return this.#nobody()
  }

  #later(
    pending: Promise<LoginOutcome>,
    authenticator: Authenticator<Req>,
    attempt: LoginAttempt,
    at: number,
  ): Promise<Res> {
    return pending.then(
      (outcome) => {
        const { cancelReason } = this.#context
        if (cancelReason !== undefined) throw cancelReason
        // Guesses made at once must not all be answered: others may have failed meanwhile.
        this.#checkGuard(authenticator, attempt)
        if (outcome.outcome === 'accepted') return this.#accept(authenticator, attempt, outcome)
        this.#refused(authenticator, attempt, outcome)
        return this.#from(at + 1)
      },
      (error: unknown) => {
        this.#unknown(authenticator, attempt, error)
        return this.#from(at + 1)
      },
    )
  }

  #checkGuard({ method }: Authenticator<Req>, { name }: LoginAttempt): void {
    const { guard, clock } = this.#options
    const now = clock.now()
    const retryAt = guard?.check({ name, address: this.#address }, now)
    if (retryAt === undefined) return
    this.#tell('locked-out', method, name, undefined)
    const retryAfterMs = Math.max(0, Math.ceil(retryAt - now))
    const message = `too many failed logins, try again in ${retryAfterMs} ms`
    throw new AccessError('ERR_LOCKED_OUT', message, { detail: { retryAfterMs } })
  }

  #accept(
    authenticator: Authenticator<Req>,
    { name }: LoginAttempt,
    accepted: LoginOutcome & { outcome: 'accepted' },
  ): MaybePromise<Res> {
    const { guard, clock, withProof } = this.#options
    const { principal, proof } = accepted
    guard?.succeeded({ name, address: this.#address }, clock.now())
    this.#tell('accepted', authenticator.method, principal.id, undefined)
    const request = this.#stripped()
    const context = new PrincipalContext(this.#context, principal)
    if (proof === undefined || withProof === undefined) return this.#next(request, context)
    const proving: Settlement<Res> = {
      onReply: (reply) => withProof(reply, proof),
      onError(error): never {
        throw error
      },
    }
    return settle(this.#next, request, context, proving)
  }

  #refused(
    authenticator: Authenticator<Req>,
    { name }: LoginAttempt,
    refused: Exclude<LoginOutcome, { outcome: 'accepted' }>,
  ): void {
    const { method } = authenticator
    if (refused.outcome === 'challenged') {
      this.#tell('challenged', method, name, undefined)
      // The dialogue goes on with this one alone (RFC 9110 11.6.1 allows no answer to two).
      throw unauthenticated('the login goes on', [refused.challenge])
    }
    this.#tell('refused', method, name, refused.reason)
    this.#failed ??= []
    if (!this.#failed.some((key) => key.name === name)) {
      this.#failed.push({ name, address: this.#address })
    }
    if (refused.challenge !== undefined) {
      this.#challenges ??= new Map()
      this.#challenges.set(authenticator, refused.challenge)
    }
  }

  #unknown({ method }: Authenticator<Req>, { name }: LoginAttempt, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#tell('failed', method, name, reason)
    if (this.#broken) return
    this.#broken = true
    this.#error = error
  }

  /** Every authenticator was asked, and none accepted. */
  #nobody(): MaybePromise<Res> {
    const { anonymous = false, guard, clock } = this.#options
    if (this.#broken) throw this.#error
    if (this.#failed !== undefined) {
      const now = clock.now()
      for (const key of this.#failed) guard?.failed(key, now)
      throw unauthenticated('the credentials are not accepted', this.#allChallenges())
    }
    if (anonymous) return this.#next(this.#stripped(), this.#context)
    this.#tell('refused', 'none', undefined, 'no credentials')
    throw unauthenticated('there are no credentials', this.#allChallenges())
  }

  #allChallenges(): string[] {
    const all = new Set<string>()
    for (const authenticator of this.#options.authenticators) {
      const challenge = this.#challenges?.get(authenticator) ?? authenticator.challenge()
      if (challenge !== undefined) all.add(challenge)
    }
    return [...all]
  }

  /** Also what was not looked at: a second kind of credentials is as secret as the first. */
  #stripped(): Req {
    const { authenticators, keepCredentials = false } = this.#options
    if (keepCredentials) return this.#request
    return authenticators.reduce((request, one) => one.strip(request), this.#request)
  }

  #tell(
    outcome: LoginEvent['outcome'],
    method: string,
    name: string | undefined,
    reason: string | undefined,
  ): void {
    this.#options.observer?.onAccess({
      type: 'login',
      outcome,
      method,
      name,
      reason,
      address: this.#address,
      correlationId: this.#context.correlationId,
      traceId: this.#context.trace?.traceId,
      connectionId: this.#context.connection?.id,
    })
  }
}

function unauthenticated(message: string, challenges: readonly string[]): AccessError {
  return new AccessError('ERR_UNAUTHENTICATED', message, { detail: { challenges } })
}
