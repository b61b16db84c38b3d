/**
 * Asks a policy service elsewhere: a POST of `{ "input": … }` that is answered by `{ "result": … }`,
 * as Open Policy Agent does (https://www.openpolicyagent.org/docs/rest-api).
 *
 *     result: true | { allow: true, reason?: "…" }       everything else denies
 *
 * - **Fails closed.** No answer in time, no connection, an answer that is none: denied. `onFailure:
 *   'allow'` turns that round, for policies that protect less than an outage of theirs would cost.
 * - Answers are remembered, bounded in number and time, denials shorter than permissions. What is
 *   remembered is keyed by a digest of the question, so that nothing of a principal can be read from it.
 * - The same question by many at once is one request.
 */
import { createHash } from 'node:crypto'
import type { AccessDecision, AccessQuestion, Authorizer } from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import { checkInteger, checkRange, TimeoutError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'

export interface ExternalAuthorizerOptions {
  clock: Clock
  /** Sends the input and gives the parsed answer; `signal` says that nobody waits any more. */
  ask(input: unknown, signal: AbortSignal): Promise<unknown>
  /** How long a question may take, in milliseconds. @default 500: callers wait for it */
  timeoutMs?: number
  /** How long a permission is remembered, in milliseconds; 0: never. @default 5_000 */
  allowTtlMs?: number
  /** How long a denial is remembered: whoever was just given a right must not wait. @default 1_000 */
  denyTtlMs?: number
  /** Answers that are remembered; the oldest goes first. @default 10_000 */
  maxCached?: number
  /** Questions under way; more are answered as a failure. @default 256 */
  maxPending?: number
  /** What a question is answered that could not be asked. @default 'deny' */
  onFailure?: 'deny' | 'allow'
  /** Told of each failure. */
  onError?(error: unknown): void
}

export const externalAuthorizerDefaults: Readonly<{
  timeoutMs: number
  allowTtlMs: number
  denyTtlMs: number
  maxCached: number
  maxPending: number
  onFailure: 'deny' | 'allow'
}> = Object.freeze({
  timeoutMs: 500,
  allowTtlMs: 5_000,
  denyTtlMs: 1_000,
  maxCached: 10_000,
  maxPending: 256,
  onFailure: 'deny',
})

export class ExternalAuthorizer implements Authorizer {
  readonly #options: ExternalAuthorizerOptions & typeof externalAuthorizerDefaults
  /** By digest, oldest first. */
  readonly #cache = new Map<string, { readonly decision: AccessDecision; readonly until: number }>()
  readonly #pending = new Map<string, Promise<AccessDecision>>()

  constructor(options: ExternalAuthorizerOptions) {
    this.#options = { ...externalAuthorizerDefaults, ...options }
    const { timeoutMs, allowTtlMs, denyTtlMs, maxCached, maxPending } = this.#options
    checkRange('timeoutMs', timeoutMs, 1, 60_000)
    checkRange('allowTtlMs', allowTtlMs, 0, 86_400_000)
    checkRange('denyTtlMs', denyTtlMs, 0, 86_400_000)
    checkInteger('maxCached', maxCached, 0, 10_000_000)
    checkInteger('maxPending', maxPending, 1, 1_000_000)
  }

  /** For `explain` and tests. */
  get stats(): { readonly cached: number; readonly pending: number } {
    return { cached: this.#cache.size, pending: this.#pending.size }
  }

  decide(question: AccessQuestion): MaybePromise<AccessDecision> {
    const input = inputOf(question)
    const key = createHash('sha256').update(JSON.stringify(input)).digest('base64')
    const known = this.#recall(key)
    if (known !== undefined) return known
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending
    const { maxPending } = this.#options
    if (this.#pending.size >= maxPending) {
      return this.#failed(`${this.#pending.size} questions are under way, maxPending ${maxPending}`)
    }
    const asked = this.#ask(input, key).finally(() => this.#pending.delete(key))
    this.#pending.set(key, asked)
    return asked
  }

  async #ask(input: unknown, key: string): Promise<AccessDecision> {
    const { clock, timeoutMs, ask, onError } = this.#options
    const abort = new AbortController()
    const late = Promise.withResolvers<never>()
    const timer = clock.setTimer(clock.now() + timeoutMs, () => {
      const message = `the policy service did not answer in ${timeoutMs} ms`
      const error = new TimeoutError('ERR_DEADLINE', message)
      abort.abort(error)
      late.reject(error)
    })
    try {
      const answer = await Promise.race([ask({ input }, abort.signal), late.promise])
      const decision = decisionOf(answer)
      if (decision === undefined) return this.#failed('the policy service gave no decision')
      this.#remember(key, decision)
      return decision
    } catch (error) {
      onError?.(error)
      return this.#failed(error instanceof Error ? error.message : String(error))
    } finally {
      timer.cancel()
    }
  }

  #failed(why: string): AccessDecision {
    const allow = this.#options.onFailure === 'allow'
    return { allow, reason: `${allow ? 'allowed' : 'denied'} without the policy service: ${why}` }
  }

  #recall(key: string): AccessDecision | undefined {
    const found = this.#cache.get(key)
    if (found === undefined) return undefined
    if (this.#options.clock.now() < found.until) return found.decision
    this.#cache.delete(key)
    return undefined
  }

  #remember(key: string, decision: AccessDecision): void {
    const { clock, allowTtlMs, denyTtlMs, maxCached } = this.#options
    const ttlMs = decision.allow ? allowTtlMs : denyTtlMs
    if (ttlMs === 0 || maxCached === 0) return
    this.#cache.delete(key)
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size < maxCached) break
      this.#cache.delete(oldest)
    }
    this.#cache.set(key, { decision, until: clock.now() + ttlMs })
  }
}

/** Without the time: the service has its own clock, and no two questions would be the same. */
function inputOf({ principal, level, action, resource, context }: AccessQuestion): unknown {
  const { address, attributes } = context
  return {
    principal: principal && {
      id: principal.id,
      method: principal.method,
      roles: principal.roles,
      attributes: principal.attributes,
    },
    level,
    action,
    resource,
    context: { address, attributes },
  }
}

/** Undefined: neither a yes nor a no. */
function decisionOf(answer: unknown): AccessDecision | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  // OPA leaves `result` out when the policy does not exist, or is undefined for the input.
  const { result } = answer as { result?: unknown }
  if (typeof result === 'boolean') return verdict(result, undefined)
  if (typeof result !== 'object' || result === null) return undefined
  const { allow, reason } = result as { allow?: unknown; reason?: unknown }
  return typeof allow === 'boolean' ? verdict(allow, reason) : undefined
}

function verdict(allow: boolean, reason: unknown): AccessDecision {
  const said = typeof reason === 'string' ? reason.slice(0, MAX_REASON) : undefined
  if (allow) return { allow, reason: said ?? 'the policy service allows it' }
  return { allow, reason: said ?? 'the policy service denies it' }
}

const MAX_REASON = 256
