/**
 * The life of a protocol connection: the eight states of seed 001 and `draining`.
 *
 *     disconnected → connecting → connected → authenticating → ready → draining → closing → closed
 *                         │            │              │           │         │          │
 *                         └────────────┴──────────────┴───────────┴─────────┴──────────┴→ error
 *
 * A protocol without authentication goes from `connected` straight to `ready`. `closed` and `error`
 * may start over with `connecting` when a client reconnects.
 */
import { InternalError } from './errors.ts'

export type ConnectionState =
  | 'disconnected'
  | 'connecting'
  | 'connected'
  | 'authenticating'
  | 'ready'
  | 'draining'
  | 'closing'
  | 'closed'
  | 'error'

/** Every legal transition. What is not listed is a bug of ours. */
export const CONNECTION_TRANSITIONS: Readonly<Record<ConnectionState, readonly ConnectionState[]>> =
  Object.freeze({
    disconnected: ['connecting', 'connected', 'closed'],
    connecting: ['connected', 'closing', 'closed', 'error'],
    connected: ['authenticating', 'ready', 'draining', 'closing', 'closed', 'error'],
    authenticating: ['ready', 'draining', 'closing', 'closed', 'error'],
    ready: ['authenticating', 'draining', 'closing', 'closed', 'error'],
    draining: ['closing', 'closed', 'error'],
    closing: ['closed', 'error'],
    closed: ['connecting'],
    error: ['connecting', 'closed'],
  })

export type StateObserver = (
  next: ConnectionState,
  previous: ConnectionState,
  reason: Error | undefined,
) => void

/** Holds one connection's state; tells its observer after each change, synchronously. */
export class ConnectionStateMachine {
  #state: ConnectionState
  readonly #observer: StateObserver | undefined

  constructor(observer?: StateObserver, initial: ConnectionState = 'disconnected') {
    this.#observer = observer
    this.#state = initial
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Moves on. Asking for the current state again is not a transition and is not reported. */
  to(next: ConnectionState, reason?: Error): void {
    const previous = this.#state
    if (next === previous) return
    if (!CONNECTION_TRANSITIONS[previous].includes(next)) {
      throw new InternalError('ERR_INVARIANT', `connection state ${previous} cannot become ${next}`)
    }
    this.#state = next
    this.#observer?.(next, previous, reason)
  }

  can(next: ConnectionState): boolean {
    return CONNECTION_TRANSITIONS[this.#state].includes(next)
  }
}
