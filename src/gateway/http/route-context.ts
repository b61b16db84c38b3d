/**
 * The context of a request on its way upstream: the client's cancellation, the route's
 * deadline and priority.
 *
 * A view, not a child: a child `Call` would add a callback to the client's call for each request,
 * and the client stack below makes one of its own anyway.
 */
import type { CallTiming } from '../../core/call-timing.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallContext, TraceContext } from '../../core/context.ts'
import type { Principal } from '../../core/principal.ts'

export class RouteContext implements CallContext {
  readonly deadline: number | undefined
  readonly priority: number
  readonly #client: CallContext
  readonly #requestId: string

  constructor(
    client: CallContext,
    deadline: number | undefined,
    priority: number,
    requestId: string,
  ) {
    this.#client = client
    this.#requestId = requestId
    this.priority = priority
    const { deadline: earlier } = client
    this.deadline =
      earlier !== undefined && (deadline === undefined || earlier < deadline) ? earlier : deadline
  }

  get signal(): AbortSignal {
    return this.#client.signal
  }

  get cancelled(): boolean {
    return this.#client.cancelled
  }

  get cancelReason(): Error | undefined {
    return this.#client.cancelReason
  }

  get attempt(): number {
    return this.#client.attempt
  }

  get idempotent(): boolean | undefined {
    return this.#client.idempotent
  }

  get trace(): TraceContext | undefined {
    return this.#client.trace
  }

  get timing(): CallTiming | undefined {
    return this.#client.timing
  }

  get correlationId(): string | undefined {
    return this.#client.correlationId ?? this.#requestId
  }

  get principal(): Principal | undefined {
    return this.#client.principal
  }

  get connection(): Connection | undefined {
    return this.#client.connection
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#client.metadata
  }

  onCancel(callback: (reason: Error) => void): () => void {
    return this.#client.onCancel(callback)
  }
}
