/**
 * What the gateway connects and listens with. Injected, so that a whole gateway runs over memory in
 * a test and the demo's upstreams need no port.
 */
import type { Address } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type { Connection } from '../core/connection.ts'
import { UsageError } from '../core/errors.ts'
import type { ConnectOptions, Listener, Transport, TransportTraits } from '../core/transport.ts'
import { tcp } from '../transports/tcp/tcp.ts'
import { unix } from '../transports/unix/unix.ts'
import type { UpstreamTlsConfig } from './config/schema/cluster.ts'
import type { ListenerTlsConfig } from './config/schema/listener.ts'
import type { GatewayFiles } from './gateway-files.ts'

export interface GatewayTransports {
  /** Plain connections to and from `ip` and `unix` addresses. */
  plain(unixMode: number | undefined): Transport
  /** A listening TLS transport over `inner`, or directly on TCP. */
  serverTls(
    config: ListenerTlsConfig,
    files: GatewayFiles,
    inner: Transport | undefined,
    alpn: readonly string[],
  ): Promise<ServerTls>
  /** A connecting one. */
  clientTls(
    config: UpstreamTlsConfig,
    files: GatewayFiles,
    inner: Transport | undefined,
    alpn: readonly string[],
  ): Promise<Transport>
}

/** TLS of a listener, which a reload changes without binding it anew. */
export interface ServerTls {
  readonly transport: Transport
  /** Checks everything; calling the result puts it in place, and does not fail. */
  prepare(
    config: ListenerTlsConfig,
    files: GatewayFiles,
    alpn: readonly string[],
  ): Promise<() => void>
}

/** TCP and Unix sockets in one: the kind of the address decides. */
export function plainTransport(clock: Clock, unixMode?: number): Transport {
  const overIp = tcp({ clock })
  const overUnix = unix({ clock, ...(unixMode !== undefined && { mode: unixMode }) })
  return new ByAddress({ ip: overIp, unix: overUnix })
}

/** Chooses a transport by the kind of the address. */
export class ByAddress implements Transport {
  readonly name = 'by-address'
  readonly traits: TransportTraits = Object.freeze({
    halfClose: true,
    secure: false,
    messageBoundaries: false,
  })
  readonly #transports: Readonly<Partial<Record<Address['kind'], Transport>>>

  constructor(transports: Readonly<Partial<Record<Address['kind'], Transport>>>) {
    this.#transports = transports
  }

  connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    return this.#for(address).connect(address, options)
  }

  listen(address: Address, options: Parameters<Transport['listen']>[1]): Promise<Listener> {
    return this.#for(address).listen(address, options)
  }

  #for({ kind }: Address): Transport {
    const transport = this.#transports[kind]
    if (transport !== undefined) return transport
    throw new UsageError('ERR_ADDRESS_INVALID', `nothing reaches ${kind} addresses`)
  }
}
