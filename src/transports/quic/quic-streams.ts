/**
 * QUIC as a transport of byte streams: every `connect` is a stream on a connection that is shared,
 * so any stream protocol runs over QUIC unchanged, and a new connection costs no handshake.
 *
 *     const transport = quicStreams({ ca })
 *     await using client = httpClient('http://example.org', { transport, … })
 *
 * In `listen` each stream that a peer opens is a connection.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { checkInteger } from '../../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import { QUIC_TRAITS } from './quic.ts'
import { requireQuic } from './quic-availability.ts'
import { QuicDialer } from './quic-dialer.ts'
import type { DrivenConnection } from './quic-driver.ts'
import { QuicListener } from './quic-listener.ts'
import type { QuicOptions, QuicUnsupported, ResolvedQuicOptions } from './quic-options.ts'
import { resolveQuicOptions } from './resolve-quic-options.ts'
import { SharedConnections } from './shared-connections.ts'
import { ANNOUNCEMENT, StreamListener } from './stream-listener.ts'

export interface QuicStreamsOptions extends QuicOptions {
  /**
   * Whether a stream begins with a byte that announces it. QUIC has no frame that does: a server
   * hears of a stream with its first bytes, so without it no protocol works in which the server
   * speaks first. Both sides must agree.
   *
   * @default true with our own `alpn`, false with one that was given: its streams are its own
   */
  announce?: boolean
  /**
   * Streams that one connection carries in its life; then another takes over.
   *
   * @default 5_000 (each costs memory, and time in every pass, until its connection ends)
   */
  maxStreamsPerConnection?: number
  /**
   * Connections to one place at a time. At `maxConcurrentStreams` each, `connect` waits.
   *
   * @default 8
   */
  maxConnectionsPerOrigin?: number
  /** How long a connection without streams waits for the next one. @default 10_000 */
  lingerMs?: number
}

export const quicStreamsDefaults: Readonly<
  Required<
    Pick<
      QuicStreamsOptions,
      'alpn' | 'maxStreamsPerConnection' | 'maxConnectionsPerOrigin' | 'lingerMs'
    >
  >
> = Object.freeze({
  alpn: Object.freeze(['heddle-streams/1']),
  maxStreamsPerConnection: 5_000, // measured: 40,000 halve the rate of requests
  maxConnectionsPerOrigin: 8, // 800 streams
  lingerMs: 10_000, // less than any idle timeout
})

export interface QuicStreamsTransport extends Transport, AsyncDisposable {
  /** Options that were asked for and that the stack cannot honour. */
  readonly unsupported: readonly QuicUnsupported[]
  /** Shared QUIC connections that are open. */
  readonly carrierCount: number
  /** Client: closes the shared connections, each after its last stream. */
  close(options?: { signal?: AbortSignal }): Promise<void>
}

/** @throws UsageError for an option that is unknown or out of range */
export function quicStreams(options: QuicStreamsOptions = {}): QuicStreamsTransport {
  return new OpensslQuicStreams(options)
}

class OpensslQuicStreams implements QuicStreamsTransport {
  readonly name = 'quic-streams'
  readonly traits: TransportTraits = QUIC_TRAITS
  readonly #options: ResolvedQuicOptions
  readonly #announce: boolean
  readonly #clock: Clock
  readonly #dialer: QuicDialer
  readonly #shared: SharedConnections

  constructor(options: QuicStreamsOptions) {
    const {
      announce = options.alpn === undefined,
      maxStreamsPerConnection = quicStreamsDefaults.maxStreamsPerConnection,
      maxConnectionsPerOrigin = quicStreamsDefaults.maxConnectionsPerOrigin,
      lingerMs = quicStreamsDefaults.lingerMs,
      ...rest
    } = options
    const { alpn = quicStreamsDefaults.alpn } = rest
    const ownAlpn = rest.alpn === undefined ? alpn[0] : undefined
    this.#options = { ...resolveQuicOptions({ ...rest, alpn }), ownAlpn }
    this.#announce = announce
    this.#clock = this.#options.clock ?? systemClock
    this.#dialer = new QuicDialer(this.name, this.#options)
    const limits = {
      maxStreamsPerConnection: checkInteger(
        'maxStreamsPerConnection',
        maxStreamsPerConnection,
        1,
        1_000_000,
      ),
      maxConnectionsPerOrigin: checkInteger(
        'maxConnectionsPerOrigin',
        maxConnectionsPerOrigin,
        1,
        10_000,
      ),
      maxConcurrentStreams: this.#options.maxConcurrentStreams,
      lingerMs: checkInteger('lingerMs', lingerMs, 0, 3_600_000),
    }
    this.#shared = new SharedConnections(this.#dialer, limits, this.#clock)
  }

  get unsupported(): readonly QuicUnsupported[] {
    return this.#options.unsupported
  }

  get carrierCount(): number {
    return this.#shared.connectionCount
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    requireQuic(this.#options.driver)
    const { connectTimeoutMs } = this.#options
    return withTimeLimit(address, connectTimeoutMs, this.#clock, options, async (signal) => {
      const stream = await this.#shared.take(address, options.serverName, signal)
      if (signal.aborted) {
        stream.destroy()
        throw signal.reason
      }
      if (this.#announce) stream.write(Uint8Array.of(ANNOUNCEMENT))
      return stream
    })
  }

  async listen(address: Address, options: ListenOptions): Promise<Listener> {
    const { driver } = this.#dialer
    const { maxPausedConnections } = this.#options
    return StreamListener.open(
      options,
      { announce: this.#announce, maxPausedConnections },
      (onConnection) =>
        QuicListener.open(
          this.name,
          driver,
          address,
          {
            ...options,
            onConnection: (connection) => onConnection(connection as DrivenConnection),
          },
          this.#options,
          this.#clock,
        ),
    )
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#shared.close(options.signal)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
