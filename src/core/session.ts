/**
 * One side of one stream connection, sans-I/O: bytes in, events out; commands in, bytes out.
 *
 * The driver (runtime/driver.ts) is the only code that knows both a session and a connection. Its
 * loop, which every method here is written for:
 *
 *     receive(chunk, now)
 *     while ((event = pollEvent()) !== undefined) owner.onEvent(event)   // commands may be submitted
 *     pollTransmit(room).flushTo(connection)                            // one write for the batch
 *     if (!wantsRead) connection.pause()
 *
 * Rules:
 * - **No exception for a peer's input.** A violation sets `failure`, puts what the protocol says to
 *   answer into the output and moves to `closed`; the driver flushes, then closes the connection.
 * - **Borrowed views.** What an event points to (a body chunk) is valid until the next `pollEvent`
 *   or `receive`. The driver polls until undefined, always; then the session holds no view of the
 *   chunk any more: what it needs of the tail it has copied.
 * - **Bounded by demand.** A session that must not produce more (a consumer without credit, too
 *   many calls in flight) returns undefined from `pollEvent` and false from `wantsRead`. Credit is
 *   given per stream by a command.
 * - **Time is an argument.** `now` is a value of the monotonic clock in milliseconds.
 * - **Asynchronous help** (an injected inflate, a signature): the session stops at that message,
 *   keeps order, and calls `onWake` when it can go on. There is no await between a byte and its
 *   message.
 */
import type { ByteWriter } from './byte-writer.ts'
import type { HeddleError } from './errors.ts'

export type SessionState =
  /** Preface, version negotiation, authentication: commands may queue, within bounds. */
  | 'opening'
  | 'open'
  /** What is in flight is finished; nothing new is taken. */
  | 'closing'
  /** Nothing more will be read or written: flush the output, end the connection. */
  | 'closed'
  /** The protocol handed the connection over (upgrade, CONNECT): detach with `takeUnread()`. */
  | 'detached'

export interface Session<Command, Event> {
  readonly state: SessionState
  /** Why the session ended early. Sticky. */
  readonly failure: HeddleError | undefined
  /** False: give no more bytes until a command or `onWake` changes it. */
  readonly wantsRead: boolean
  /**
   * True once closed with a message of which the peer could not tell that its end is missing (it
   * would be ended by the end of the connection): the driver destroys the connection instead of
   * ending it.
   */
  readonly cut?: boolean
  /** Set by the driver; called when events or output may be available without new input. */
  onWake: (() => void) | undefined

  receive(chunk: Uint8Array, now: number): void
  /** The peer sends no more. */
  receiveEnd(now: number): void
  /** The connection is gone: every call in flight gets its last event. */
  receiveClose(reason: Error | undefined, now: number): void
  pollEvent(): Event | undefined

  /** @throws UsageError for a command that is not legal in this state */
  submit(command: Command, now: number): void
  /**
   * Encodes what may leave now, urgent first, taking at most about `maxBytes` from stream queues,
   * and returns the writer that holds it. Sessions without stream queues just return the writer.
   */
  pollTransmit(maxBytes: number): ByteWriter

  /** When `handleTimeout` wants to be called; undefined: never. May move earlier or later. */
  pollTimeout(): number | undefined
  handleTimeout(now: number): void

  /** After `detached`: bytes that arrived and belong to whatever comes next. A copy. */
  takeUnread(): Uint8Array
}

/** Credit of one stream, as a command of multiplexed sessions: `bytes` more may be delivered. */
export interface CreditCommand {
  readonly type: 'credit'
  readonly stream: number
  readonly bytes: number
}

/** Urgency of one stream, as a command: 0 (first) to 7 (last), RFC 9218's scale. */
export interface PriorityCommand {
  readonly type: 'priority'
  readonly stream: number
  readonly urgency: number
}
