/**
 * A transport whose connections go through a proxy: connect to the proxy, ask it for the address,
 * give the connection on. TLS to the target goes around it: `tls({ inner: tunnel })`.
 *
 * The facts of a connection are those of the way to the proxy, which is all that is known.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { type HeddleError, TransportError, UsageError } from '../../core/errors.ts'
import type { ConnectOptions, Listener, Transport, TransportTraits } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { tcp } from '../../transports/tcp/tcp.ts'

export interface TunnelOptions {
  /** Where the proxy is. */
  proxy: Address
  /** How to reach it. @default tcp() */
  transport?: Transport
  /** @default the system clock */
  clock?: Clock
}

/** The target as a tunnel's protocol names it. */
export interface TunnelTarget {
  readonly host: string
  readonly port: number
}

export type TunnelHandshake = (
  connection: Connection,
  target: TunnelTarget,
  options: ConnectOptions & { clock: Clock },
) => Promise<Connection>

export class TunnelTransport implements Transport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #proxy: Address
  readonly #carrier: Transport
  readonly #clock: Clock
  readonly #shake: TunnelHandshake

  constructor(name: string, options: TunnelOptions, shake: TunnelHandshake) {
    const { proxy, transport = tcp(), clock = systemClock } = options
    this.name = name
    // What is secure is the way to the proxy, not what is behind it.
    this.traits = Object.freeze({ ...transport.traits, secure: false })
    this.#proxy = proxy
    this.#carrier = transport
    this.#clock = clock
    this.#shake = shake
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    if (address.kind !== 'ip') {
      const message = `a proxy is asked for host and port, not for ${formatAddress(address)}`
      throw new UsageError('ERR_ADDRESS_INVALID', message)
    }
    const { signal, deadline } = options
    const limits = {
      ...(signal !== undefined && { signal }),
      ...(deadline !== undefined && { deadline }),
    }
    let connection: Connection
    try {
      // `serverName` is the target's; a proxy behind TLS is checked by its own address.
      connection = await this.#carrier.connect(this.#proxy, limits)
    } catch (error) {
      throw signal?.aborted ? error : this.#unreachable(error)
    }
    return await this.#shake(connection, address, { ...limits, clock: this.#clock })
  }

  /** @throws UsageError ERR_OPTION_UNSUPPORTED: a proxy does not listen for us */
  listen(): Promise<Listener> {
    const error = new UsageError('ERR_OPTION_UNSUPPORTED', `${this.name} cannot listen`)
    return Promise.reject(error)
  }

  /** Says that it is the proxy which cannot be reached; what the error tells otherwise stays. */
  #unreachable(cause: unknown): unknown {
    if (!(cause instanceof TransportError)) return cause
    const message = `no connection to the proxy ${formatAddress(this.#proxy)}: ${cause.message}`
    const { retryable } = cause as HeddleError
    return new TransportError('ERR_PROXY', message, { cause, sent: 'nothing', retryable })
  }
}
