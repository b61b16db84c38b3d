/**
 * The accepting end of a name: a bounded accept queue, counted connections, a graceful close.
 */
import type { MemoryAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { ClosedError, checkInteger, toError } from '../../core/errors.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import type { MemoryConnection } from './memory-connection.ts'

export class MemoryListener implements Listener {
  readonly address: MemoryAddress
  readonly backlog: number
  readonly #options: ListenOptions
  readonly #onClosing: (listener: MemoryListener) => void
  /** Connections whose other end exists already, as in a kernel's accept queue. */
  #queue: MemoryConnection[] = []
  readonly #accepted = new Set<MemoryConnection>()
  #paused = false
  #clock: Clock | undefined
  #closing: Promise<void> | undefined
  #resolveClosed: (() => void) | undefined

  /** @param onClosing frees the name */
  constructor(
    address: MemoryAddress,
    options: ListenOptions,
    onClosing: (listener: MemoryListener) => void,
  ) {
    this.address = address
    this.backlog = checkInteger('backlog', options.backlog ?? DEFAULT_BACKLOG, 1, 65_535)
    this.#options = options
    this.#onClosing = onClosing
  }

  get connectionCount(): number {
    return this.#accepted.size
  }

  /** One connection more would be refused. */
  get full(): boolean {
    return this.#queue.length >= this.backlog
  }

  /** A connection from the transport; accepted in a turn of its own. */
  offer(connection: MemoryConnection, clock: Clock): void {
    this.#clock = clock
    this.#queue.push(connection)
    this.#schedule()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = new Promise((resolve) => {
        this.#resolveClosed = resolve
      })
      this.#onClosing(this)
      const queued = this.#queue
      this.#queue = []
      for (const connection of queued) connection.destroy(closedError())
      this.#settle()
    }
    const { signal } = options
    if (signal === undefined) return this.#closing
    const destroyAll = (): void => {
      for (const connection of [...this.#accepted]) connection.destroy(closedError())
    }
    if (signal.aborted) destroyAll()
    else {
      signal.addEventListener('abort', destroyAll, { once: true })
      void this.#closing.then(() => signal.removeEventListener('abort', destroyAll))
    }
    return this.#closing
  }

  /** There is nothing outside the process to wait for. */
  ref(): void {}
  unref(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #schedule(): void {
    if (this.#queue.length > 0) this.#clock?.defer(() => this.#accept())
  }

  #accept(): void {
    while (!this.#paused) {
      const connection = this.#queue.shift()
      if (connection === undefined) return
      if (connection.closed) continue // reset while it waited
      const refusal = this.#options.admitAddress?.(connection.facts.remote)
      if (refusal !== undefined) {
        connection.destroy()
        continue
      }
      this.#accepted.add(connection)
      connection.onClosed = () => {
        this.#accepted.delete(connection)
        this.#settle()
      }
      try {
        this.#options.onConnection(connection)
      } catch (error) {
        connection.destroy(toError(error))
        this.#options.onError?.(toError(error))
      }
    }
  }

  #settle(): void {
    if (this.#accepted.size === 0) this.#resolveClosed?.()
  }
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the listener was closed')
}

/** As Node and nginx. */
const DEFAULT_BACKLOG = 511
