/**
 * A listener whose connections have finished their TLS handshake.
 */
import type { Listener } from '../../core/transport.ts'
import type { NodeListener } from '../node-stream/node-listener.ts'
import type { CertificateInfo } from './certificate-check.ts'
import type { ServerHandshaker } from './server-handshaker.ts'
import type { TicketKeySource } from './ticket-keys.ts'
import type { TlsServerCredentials } from './tls-options.ts'

export interface TlsListener extends Listener {
  /**
   * Shows other certificates from the next handshake on, without a restart and without touching
   * connections.
   *
   * @throws UsageError ERR_CONFIG saying what is wrong with them; the old ones stay then
   */
  reload(credentials: TlsServerCredentials): void
  /**
   * Other keys for session tickets: 48 bytes, or a source that rotates them by itself. Tickets that
   * they do not decrypt end in a full handshake.
   */
  setTicketKeys(keys: Uint8Array | TicketKeySource): void
  /** What new handshakes show, each certificate once. */
  readonly certificates: readonly CertificateInfo[]
  /** Handshakes under way: not yet connections, and not in `connectionCount`. */
  readonly handshakeCount: number
}

export class SecureListener implements TlsListener {
  readonly #listener: NodeListener
  readonly #handshaker: ServerHandshaker
  /** What pauses: the carrier where there is one. */
  readonly #source: { pause(): void; resume(): void }

  readonly #onClose: () => void

  constructor(
    listener: NodeListener,
    handshaker: ServerHandshaker,
    options: { readonly carrier?: Listener; readonly onClose: () => void },
  ) {
    const { carrier, onClose } = options
    this.#onClose = onClose
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

  get certificates(): readonly CertificateInfo[] {
    return this.#handshaker.certificates
  }

  setTicketKeys(keys: Uint8Array | TicketKeySource): void {
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
    this.#handshaker.dispose()
    this.#onClose()
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
