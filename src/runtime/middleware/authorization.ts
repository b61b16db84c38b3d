/**
 * Asks whether the principal of a call may make it: at the level of the operation, and of the
 * resource it names. Everything that is not allowed is refused, and a caller never learns why.
 *
 * The connection's level is asked where connections are admitted: see {@link connectionAdmission}.
 */
import type {
  AccessContext,
  AccessDecision,
  AccessLevel,
  AccessObserver,
  AccessQuestion,
  Authorizer,
  DecisionEvent,
} from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallContext } from '../../core/context.ts'
import { AccessError, UsageError } from '../../core/errors.ts'
import type { Principal } from '../../core/principal.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { isPromise } from '../settle.ts'
import { addressOfCall } from './authentication.ts'

export interface AuthorizationOptions<Req> {
  clock: Pick<Clock, 'wallNow'>
  authorizer: Authorizer
  /**
   * Levels that are asked, in this order; all of them must allow.
   *
   * @default ['resource']: its question names the operation as well
   */
  levels?: readonly ('operation' | 'resource')[]
  /** What is to be done: a method, a command. Low in number. */
  action(request: Req): string
  /**
   * To what: a path, a topic, a key. Asked at the level of the resource only. Undefined: it has no
   * one name, so nobody may.
   */
  resource(request: Req): string | undefined
  /** Facts for conditions. @default none */
  attributes?(request: Req, context: CallContext): Readonly<Record<string, unknown>>
  /** Told of every decision, for the audit log. @default nobody */
  observer?: AccessObserver
  /** @default the connection's peer */
  addressOf?(request: Req, context: CallContext): string | undefined
}

/** @throws AccessError ERR_FORBIDDEN, without the reason */
export function authorization<Req, Res>(options: AuthorizationOptions<Req>): Middleware<Req, Res> {
  const { levels = ['resource'], authorizer, observer } = options
  if (levels.length === 0) {
    throw new UsageError('ERR_ARGUMENT', 'authorization asks at no level: everything would pass')
  }
  return (next) => (request, context) => {
    const ask = (at: number): MaybePromise<Res> => {
      for (let index = at; index < levels.length; index++) {
        const level = levels[index] as AccessLevel
        const resource = level === 'resource' ? options.resource(request) : ''
        const question = questionOf(options, level, resource ?? '', request, context)
        const decision = resource === undefined ? NAMELESS : askSafely(authorizer, question)
        if (isPromise(decision)) {
          return decision.then((late) => {
            const { cancelReason } = context
            if (cancelReason !== undefined) throw cancelReason
            settleDecision(late, question, context, observer)
            return ask(index + 1)
          })
        }
        settleDecision(decision, question, context, observer)
      }
      return next(request, context)
    }
    return ask(0)
  }
}

/**
 * The connection's level, for a server's `admit`: before a byte is read, so that the only facts are
 * the address and, above TLS, the certificate. It must decide at once: an authorizer that answers
 * later refuses the connection.
 */
export function connectionAdmission(options: {
  authorizer: Authorizer
  clock: Pick<Clock, 'wallNow'>
  /** The listener's name, as policies call it. */
  resource: string
  /** Who the connection itself proves to be: by a client certificate. @default nobody */
  principalOf?(connection: Connection): Principal | undefined
  observer?: AccessObserver
  /** Facts for conditions. @default none */
  attributes?(connection: Connection): Readonly<Record<string, unknown>>
}): (connection: Connection) => Error | undefined {
  const { authorizer, clock, resource, observer, attributes, principalOf } = options
  return (connection) => {
    const { remote } = connection.facts
    const facts = attributes?.(connection)
    const question: AccessQuestion = {
      principal: principalOf?.(connection),
      level: 'connection',
      action: 'connect',
      resource,
      context: {
        address: remote.kind === 'ip' ? remote.host : undefined,
        wallTime: clock.wallNow(),
        ...(facts && { attributes: facts }),
      },
    }
    const answer = askSafely(authorizer, question)
    const decision = isPromise(answer) ? TOO_LATE : answer
    if (isPromise(answer)) answer.catch(() => {})
    tell(decision, question, undefined, connection.id, observer)
    return decision.allow ? undefined : forbidden()
  }
}

function questionOf<Req>(
  options: AuthorizationOptions<Req>,
  level: AccessLevel,
  resource: string,
  request: Req,
  context: CallContext,
): AccessQuestion {
  const { clock, action, attributes, addressOf = addressOfCall } = options
  const facts: AccessContext = {
    address: addressOf(request, context),
    wallTime: clock.wallNow(),
    ...(attributes && { attributes: attributes(request, context) }),
  }
  return {
    principal: context.principal,
    level,
    action: action(request),
    resource,
    context: facts,
  }
}

/** An authorizer that breaks its promise never to throw lets nobody in. */
function askSafely(authorizer: Authorizer, question: AccessQuestion): MaybePromise<AccessDecision> {
  try {
    const decision = authorizer.decide(question)
    return isPromise(decision) ? decision.catch(failed) : decision
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): AccessDecision {
  const message = error instanceof Error ? error.message : String(error)
  return { allow: false, reason: `the authorizer failed: ${message}` }
}

function settleDecision(
  decision: AccessDecision,
  question: AccessQuestion,
  context: CallContext,
  observer: AccessObserver | undefined,
): void {
  tell(decision, question, context, context.connection?.id, observer)
  if (!decision.allow) throw forbidden()
}

function tell(
  decision: AccessDecision,
  question: AccessQuestion,
  call: Pick<CallContext, 'correlationId' | 'trace'> | undefined,
  connectionId: number | undefined,
  observer: AccessObserver | undefined,
): void {
  if (observer === undefined) return
  const { level, action, resource, principal, context } = question
  const event: DecisionEvent = {
    type: 'decision',
    outcome: decision.allow ? 'allowed' : 'denied',
    level,
    action,
    resource,
    principal: principal?.id,
    method: principal?.method,
    reason: decision.reason,
    address: context.address,
    correlationId: call?.correlationId,
    traceId: call?.trace?.traceId,
    connectionId,
  }
  observer.onAccess(event)
}

function forbidden(): AccessError {
  return new AccessError('ERR_FORBIDDEN', 'the principal may not do this')
}

const NAMELESS: AccessDecision = { allow: false, reason: 'the resource has no one name' }
const TOO_LATE: AccessDecision = {
  allow: false,
  reason: 'the authorizer did not decide at once, and a connection cannot wait',
}
