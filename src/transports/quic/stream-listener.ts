/**
 * A listener whose connections are the streams of QUIC connections.
 *
 * A stream exists for this side when its first bytes arrive. With `announce`, that is a byte of our
 * own, taken off here, so that protocols in which the server speaks first work as well.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { ClosedError, OverloadError, ProtocolError, toError } from '../../core/errors.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import type { ConnectionKeeper } from '../node-stream/node-connection.ts'
import type { DrivenConnection, DrivenStream } from './quic-driver.ts'
import { quicCodes } from './quic-errors.ts'

/** The first byte of an announced stream. */
export const ANNOUNCEMENT = 0

export interface StreamListenerOptions {
  readonly announce: boolean
  readonly maxPausedConnections: number
}

export class StreamListener implements Listener, ConnectionKeeper {
  readonly #callbacks: ListenOptions
  readonly #options: StreamListenerOptions
  #inner!: Listener
  readonly #carriers = new Set<DrivenConnection>()
  readonly #streams = new Set<Connection>()
  #waiting: DrivenStream[] = []
  #paused = false
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  private constructor(callbacks: ListenOptions, options: StreamListenerOptions) {
    this.#callbacks = callbacks
    this.#options = options
  }

  /** @param open listens for QUIC connections */
  static async open(
    callbacks: ListenOptions,
    options: StreamListenerOptions,
    open: (onConnection: (connection: DrivenConnection) => void) => Promise<Listener>,
  ): Promise<StreamListener> {
    const listener = new StreamListener(callbacks, options)
    listener.#inner = await open((connection) => listener.#adopt(connection))
    return listener
  }

  get address(): Address {
    return this.#inner.address
  }

  get connectionCount(): number {
    return this.#streams.size
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    while (!this.#paused && this.#waiting.length > 0) {
      this.#callbacks.onConnection(this.#waiting.shift() as DrivenStream)
    }
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close()
    const { signal } = options
    if (signal !== undefined) {
      const destroyAll = () => {
        const reason = toError(signal.reason)
        for (const stream of [...this.#streams]) stream.destroy(reason)
        for (const carrier of [...this.#carriers]) void carrier.close({ signal })
      }
      if (signal.aborted) destroyAll()
      else {
        signal.addEventListener('abort', destroyAll, { once: true })
        const forget = () => signal.removeEventListener('abort', destroyAll)
        this.#closing.then(forget, forget)
      }
    }
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.#inner.ref()
  }

  unref(): void {
    this.#inner.unref()
  }

  onConnectionClosed(connection: Connection): void {
    this.#streams.delete(connection)
    const at = this.#waiting.indexOf(connection as DrivenStream)
    if (at >= 0) this.#waiting.splice(at, 1)
    if (this.#streams.size === 0) this.#onEmpty?.()
  }

  #adopt(carrier: DrivenConnection): void {
    if (this.#closing !== undefined) return carrier.destroy(CLOSED)
    this.#carriers.add(carrier)
    // The listener keeps the process alive, and so do streams.
    carrier.referenced = false
    carrier.open({
      onStream: (stream) => this.#incoming(stream as DrivenStream),
      onStreamsAvailable() {},
      onClose: () => void this.#carriers.delete(carrier),
    })
  }

  #incoming(stream: DrivenStream): void {
    if (this.#closing !== undefined) return stream.destroy(CLOSED)
    if (stream.direction === 'unidirectional') {
      const message = 'a stream of one direction is no connection'
      return stream.destroy(new ProtocolError('ERR_PROTOCOL', message))
    }
    if (!this.#options.announce) return this.#accept(stream)
    stream.open({
      onData: (chunk) => {
        if (chunk[0] !== ANNOUNCEMENT) {
          const message = `a stream begins with ${chunk[0]}, not with its announcement`
          const error = new ProtocolError('ERR_WRONG_PROTOCOL', message)
          stream.destroy(error)
          return this.#callbacks.onError?.(error)
        }
        stream.detach(chunk.subarray(1))
        this.#accept(stream)
      },
      onDrain() {},
      onEnd: () => stream.end(), // opened and given up
      onClose() {},
    })
  }

  #accept(stream: DrivenStream): void {
    if (this.#closing !== undefined) return stream.destroy(CLOSED)
    stream.keeper = this
    this.#streams.add(stream)
    if (!this.#paused) return this.#callbacks.onConnection(stream)
    const { maxPausedConnections } = this.#options
    if (this.#waiting.length < maxPausedConnections) {
      this.#waiting.push(stream)
      return
    }
    const message = `more than ${maxPausedConnections} connections came while the listener was paused`
    const error = new OverloadError('ERR_LIMITED', message)
    stream.destroy(error)
    this.#callbacks.onError?.(error)
  }

  async #close(): Promise<void> {
    // Refuses newcomers at once; resolves when the last QUIC connection has gone.
    const closed = this.#inner.close()
    for (const stream of this.#waiting) stream.destroy(CLOSED)
    this.#waiting = []
    if (this.#streams.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    for (const carrier of [...this.#carriers]) {
      void carrier.close({ code: quicCodes.shuttingDown, reason: 'shutting down' })
    }
    await closed
  }
}

const CLOSED = new ClosedError('ERR_CLOSED', 'the listener is closed')
