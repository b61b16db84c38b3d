/**
 * The QUIC transport: connections of many streams, on the OpenSSL that Node carries.
 *
 *     const transport = quic({ alpn: ['chat/1'], credentials })
 *     await using listener = await transport.listen(ip('::', 4433), { onConnection })
 *
 *     const connection = await quic({ alpn: ['chat/1'], ca }).connect(ip('example.org', 4433))
 *     connection.open({ onStream, onStreamsAvailable, onClose })
 *     const stream = connection.openStream()
 *
 * No addon is compiled: functions of libssl are called through `koffi`, an optional package.
 * `quicAvailability` says whether that works here. docs/transports/quic.md lists options, defaults
 * and limits.
 */
import type { Address } from '../../core/address.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MultiplexedTransport,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { QuicDialer } from './quic-dialer.ts'
import { QuicListener } from './quic-listener.ts'
import type { QuicOptions, QuicUnsupported, ResolvedQuicOptions } from './quic-options.ts'
import type { QuicConnection } from './quic-types.ts'
import { resolveQuicOptions } from './resolve-quic-options.ts'

export interface QuicTransport extends MultiplexedTransport {
  /** Options that were asked for and that the stack cannot honour. */
  readonly unsupported: readonly QuicUnsupported[]
  connect(address: Address, options?: ConnectOptions): Promise<QuicConnection>
  listen(address: Address, options: ListenOptions<QuicConnection>): Promise<Listener>
}

/** @throws UsageError for an option that is unknown or out of range */
export function quic(options: QuicOptions = {}): QuicTransport {
  return new OpensslQuicTransport(resolveQuicOptions(options))
}

/** Traits of a stream of QUIC. */
export const QUIC_TRAITS: TransportTraits = Object.freeze({
  halfClose: true,
  secure: true,
  messageBoundaries: false,
})

class OpensslQuicTransport implements QuicTransport {
  readonly name = 'quic'
  readonly traits: TransportTraits = QUIC_TRAITS
  readonly #options: ResolvedQuicOptions
  readonly #dialer: QuicDialer

  constructor(options: ResolvedQuicOptions) {
    this.#options = options
    this.#dialer = new QuicDialer(this.name, options)
  }

  get unsupported(): readonly QuicUnsupported[] {
    return this.#options.unsupported
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<QuicConnection> {
    return this.#dialer.dial(address, options)
  }

  async listen(address: Address, options: ListenOptions<QuicConnection>): Promise<Listener> {
    const { clock = systemClock } = this.#options
    const { driver } = this.#dialer
    return QuicListener.open(this.name, driver, address, options, this.#options, clock)
  }
}
