/**
 * A listener of streams: what it accepts, counts and waits for are the streams of all connections that
 * were made to its address.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import type { YamuxConnection } from './yamux-connection.ts'
import type { YamuxStreamConnection } from './yamux-stream.ts'

export class StreamListener implements Listener {
  listener!: Listener
  readonly #options: ListenOptions
  readonly #connections = new Set<YamuxConnection>()
  /** Accepted while paused. The peer's limits bound them: they are open streams. */
  #held: YamuxStreamConnection[] = []
  #streams = 0
  #paused = false
  #closing = false

  constructor(options: ListenOptions) {
    this.#options = options
  }

  get address(): Address {
    return this.listener.address
  }

  get connectionCount(): number {
    return this.#streams
  }

  admit(connection: YamuxConnection): void {
    this.#connections.add(connection)
    connection.open({
      onStream: (stream) => this.#onStream(stream as YamuxStreamConnection),
      onStreamsAvailable() {},
      onClose: () => void this.#connections.delete(connection),
    })
    if (this.#closing) void connection.close()
  }

  pause(): void {
    this.#paused = true
    this.listener.pause()
  }

  resume(): void {
    this.#paused = false
    this.listener.resume()
    for (const stream of this.#held.splice(0)) this.#handOn(stream)
  }

  /** Connections take no more streams, and end with their last one. */
  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing = true
    for (const stream of this.#held.splice(0)) stream.destroy()
    for (const connection of this.#connections) void connection.close()
    return this.listener.close(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.listener.ref()
  }

  unref(): void {
    this.listener.unref()
  }

  #onStream(stream: YamuxStreamConnection): void {
    if (this.#closing) return stream.destroy()
    if (this.#paused) this.#held.push(stream)
    else this.#handOn(stream)
  }

  #handOn(stream: YamuxStreamConnection): void {
    if (stream.finished) return // it went while it was held
    this.#streams += 1
    stream.onClosed = () => {
      this.#streams -= 1
    }
    const accepted: Connection = stream
    this.#options.onConnection(accepted)
  }
}
