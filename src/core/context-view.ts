/**
 * A context seen with something else in it: a view, not a child. A child `Call` adds a callback to
 * its parent and must be finished; a view costs one object and has no life of its own.
 *
 * For middleware that says more about a call and changes nothing about how it ends.
 */
import type { Connection } from './connection.ts'
import type { CallContext, TraceContext } from './context.ts'
import type { Principal } from './principal.ts'

export class ContextView implements CallContext {
  readonly #inner: CallContext

  constructor(inner: CallContext) {
    this.#inner = inner
  }

  get deadline(): number | undefined {
    return this.#inner.deadline
  }

  get attemptDeadline(): number | undefined {
    return this.#inner.attemptDeadline
  }

  get signal(): AbortSignal {
    return this.#inner.signal
  }

  get cancelled(): boolean {
    return this.#inner.cancelled
  }

  get cancelReason(): Error | undefined {
    return this.#inner.cancelReason
  }

  get attempt(): number {
    return this.#inner.attempt
  }

  get idempotent(): boolean | undefined {
    return this.#inner.idempotent
  }

  get priority(): number {
    return this.#inner.priority
  }

  get trace(): TraceContext | undefined {
    return this.#inner.trace
  }

  get correlationId(): string | undefined {
    return this.#inner.correlationId
  }

  get principal(): Principal | undefined {
    return this.#inner.principal
  }

  get connection(): Connection | undefined {
    return this.#inner.connection
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#inner.metadata
  }

  onCancel(callback: (reason: Error) => void): () => void {
    return this.#inner.onCancel(callback)
  }
}

/** The same call, by whoever authentication found. */
export class PrincipalContext extends ContextView {
  readonly #principal: Principal | undefined

  constructor(inner: CallContext, principal: Principal | undefined) {
    super(inner)
    this.#principal = principal
  }

  override get principal(): Principal | undefined {
    return this.#principal
  }
}
