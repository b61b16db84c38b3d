/**
 * Reads the first bytes of a connection until somebody knows what they are, then lets go of it with
 * those bytes in front again.
 *
 * Bounded in time and in bytes: a client that says nothing, or too much of nothing, is decided about
 * by `onTimeout` or refused.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { Connection, ConnectionHandler } from '../core/connection.ts'
import { ClosedError, ProtocolError, toError } from '../core/errors.ts'
import type { ServerConnection } from './server.ts'

export interface FirstBytesOptions {
  readonly clock: Clock
  readonly connection: Connection
  readonly timeoutMs: number
  /** More bytes than this without a decision refuse the connection. */
  readonly maxBytes: number
  /**
   * All bytes so far. Returns how many of them are used up when it knows, undefined for more.
   * Throws what is wrong.
   */
  readonly judge: (bytes: Uint8Array, ended: boolean) => number | undefined
  /** It knows, and the connection is unopened again: who serves it from here on. */
  readonly onDecided: () => ServerConnection
  /** Undecided when time is up: true to go on with what is there, an error to refuse. */
  readonly onTimeout: () => true | Error
  /** As `onTimeout`, when the server drains before. @default refuses it */
  readonly onDrain?: () => true | Error
  /** The connection is gone, before or because of a decision that could not be made. */
  readonly onGone: (reason: Error | undefined) => void
}

export class FirstBytes implements ServerConnection, ConnectionHandler {
  readonly #options: FirstBytesOptions
  readonly #timer: Timer
  #held: Uint8Array = EMPTY
  #done = false
  /** Who serves the connection after the decision; what is asked of us is theirs then. */
  #next: ServerConnection | undefined

  constructor(options: FirstBytesOptions) {
    this.#options = options
    const { clock, timeoutMs } = options
    this.#timer = clock.setTimer(clock.now() + timeoutMs, () => this.#onTimeout())
    this.#timer.unref()
  }

  start(): void {
    this.#options.connection.open(this)
  }

  get idle(): boolean {
    return this.#next?.idle ?? true
  }

  /** Nobody has asked for anything yet: nothing to finish. */
  drain(): void {
    if (this.#next === undefined && !this.#done) {
      const { onDrain = refuse } = this.#options
      this.#decideAnyhow(onDrain())
    }
    this.#next?.drain()
  }

  destroy(reason: Error): void {
    if (this.#next !== undefined) this.#next.destroy(reason)
    else this.#options.connection.destroy(reason)
  }

  onData(chunk: Uint8Array): void {
    if (this.#done) return
    // The first chunk nearly always decides: then nothing is copied here.
    if (this.#held.length === 0) return this.#judge(chunk, false)
    const joined = new Uint8Array(this.#held.length + chunk.length)
    joined.set(this.#held)
    joined.set(chunk, this.#held.length)
    this.#judge(joined, false)
  }

  onDrain(): void {}

  onEnd(): void {
    if (this.#done) return
    this.#judge(this.#held, true)
    if (!this.#done) this.#options.connection.end()
  }

  onClose(reason: Error | undefined): void {
    this.#timer.cancel()
    if (this.#done) return
    this.#done = true
    this.#options.onGone(reason)
  }

  #judge(bytes: Uint8Array, ended: boolean): void {
    const { judge, maxBytes, connection } = this.#options
    try {
      const used = judge(bytes, ended)
      if (used !== undefined) return this.#decide(bytes.subarray(used))
      if (bytes.length > maxBytes) {
        const message = `${bytes.length} bytes without a decision, over ${maxBytes}`
        throw new ProtocolError('ERR_LIMIT', message)
      }
      if (bytes !== this.#held) this.#held = bytes.slice()
    } catch (error) {
      connection.destroy(toError(error))
    }
  }

  #decide(unread: Uint8Array): void {
    this.#done = true
    this.#timer.cancel()
    this.#options.connection.detach(unread)
    this.#next = this.#options.onDecided()
  }

  #onTimeout(): void {
    if (!this.#done) this.#decideAnyhow(this.#options.onTimeout())
  }

  #decideAnyhow(verdict: true | Error): void {
    if (verdict === true) this.#decide(this.#held)
    else this.#options.connection.destroy(verdict)
  }
}

function refuse(): Error {
  return new ClosedError('ERR_DRAINING', 'the listener is draining')
}

const EMPTY = new Uint8Array(0)
