/**
 * A listener whose connections are WebSockets: what its carrier accepts goes through the handshake
 * first. A newcomer that fails it is reported to `onError` and never seen by `onConnection`.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { ClosedError } from '../../core/errors.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import type { UpgradeAccepted } from '../../protocols/websocket/handshake.ts'
import {
  ServerHandshake,
  type ServerHandshakeOptions,
  type ServerHandshakeOwner,
} from './server-handshake.ts'
import { WebSocketConnection } from './websocket-connection.ts'

export class WebSocketListener implements Listener, ServerHandshakeOwner {
  readonly #settings: ServerHandshakeOptions
  readonly #listening: ListenOptions<WebSocketConnection>
  /** As many as the carrier's listener accepts: its limits bound them. */
  readonly #handshakes = new Set<ServerHandshake>()
  #carrier: Listener | undefined
  #address: Address | undefined
  #closing = false

  constructor(settings: ServerHandshakeOptions, listening: ListenOptions<WebSocketConnection>) {
    this.#settings = settings
    this.#listening = listening
  }

  /** Once, when its carrier listens. */
  start(carrier: Listener, address: Address): this {
    this.#carrier = carrier
    this.#address = address
    return this
  }

  get address(): Address {
    return this.#address as Address
  }
  get connectionCount(): number {
    return this.#carrier?.connectionCount ?? 0
  }

  /** From the carrier. */
  accept(connection: Connection): void {
    const handshake = new ServerHandshake(connection, this.#settings, this)
    this.#handshakes.add(handshake)
    handshake.start()
  }

  pause(): void {
    this.#carrier?.pause()
  }
  resume(): void {
    this.#carrier?.resume()
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    const closed = this.#carrier?.close(options) ?? Promise.resolve()
    if (!this.#closing) {
      this.#closing = true
      // Who has not shaken hands yet has nothing to lose, and would keep it open.
      const reason = new ClosedError('ERR_CLOSED', 'the listener was closed')
      for (const handshake of [...this.#handshakes]) handshake.destroy(reason)
    }
    return closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.#carrier?.ref()
  }
  unref(): void {
    this.#carrier?.unref()
  }

  // From the handshakes.

  onUpgraded(carrier: Connection, accepted: UpgradeAccepted, target: string): void {
    const { clock, host, options } = this.#settings
    const { subprotocol, deflate } = accepted
    this.#listening.onConnection(
      new WebSocketConnection(carrier, {
        role: 'server',
        clock,
        host,
        options,
        subprotocol,
        deflate,
        target,
      }),
    )
  }

  onFailed(error: Error): void {
    if (!this.#closing) this.#listening.onError?.(error)
  }

  onOver(handshake: ServerHandshake): void {
    this.#handshakes.delete(handshake)
  }
}
