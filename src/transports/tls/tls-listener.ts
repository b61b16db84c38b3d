/**
 * A listener whose connections have finished their TLS handshake.
 */
import type { Listener } from '../../core/transport.ts'
import type { NodeListener } from '../node-stream/node-listener.ts'
import type { ServerHandshaker } from './server-handshaker.ts'
import type { TlsServerCredentials } from './tls-options.ts'

export interface TlsListener extends Listener {
  /**
   * Shows other certificates from the next handshake on, without a restart and without touching
   * connections.
   *
   * @throws UsageError ERR_CONFIG saying what is wrong with them; the old ones stay then
   */
  reload(credentials: TlsServerCredentials): void
  /** Rotates the 48 bytes that encrypt session tickets; older tickets end in a full handshake. */
  setTicketKeys(keys: Uint8Array): void
  /** Handshakes under way: not yet connections, and not in `connectionCount`. */
  readonly handshakeCount: number
}

export class SecureListener implements TlsListener {
  readonly #listener: NodeListener
  readonly #handshaker: ServerHandshaker
  /** What pauses: the carrier where there is one. */
  readonly #source: { pause(): void; resume(): void }

  constructor(listener: NodeListener, handshaker: ServerHandshaker, carrier?: Listener) {
    this.#listener = listener
    this.#handshaker = handshaker
    this.#source = carrier ?? listener
  }

  get address(): Listener['address'] {
    return this.#listener.address
  }

  get connectionCount(): number {
    return this.#listener.connectionCount
  }

  get handshakeCount(): number {
    return this.#handshaker.pending
  }

  reload(credentials: TlsServerCredentials): void {
    this.#handshaker.reload(credentials)
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#handshaker.setTicketKeys(keys)
  }

  pause(): void {
    this.#source.pause()
  }

  resume(): void {
    this.#source.resume()
  }

  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    const onAbort = () => this.#handshaker.destroyPending()
    signal?.addEventListener('abort', onAbort, { once: true })
    const closed = this.#listener.close(options)
    // After the connections have heard the reason, what is still in its handshake goes.
    if (signal?.aborted) onAbort()
    try {
      await closed
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.#listener.ref()
  }

  unref(): void {
    this.#listener.unref()
  }
}
