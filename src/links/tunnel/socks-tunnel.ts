/**
 * Tunnels by SOCKS 5, 4 and 4a. Names are resolved by the proxy.
 *
 *     const tunnel = socksTunnel({ proxy: ip('127.0.0.1', 9050) })   // Tor
 */
import type { Transport } from '../../core/transport.ts'
import { SocksClientSession } from '../../protocols/socks/client-session.ts'
import type { SocksOptions } from '../../protocols/socks/options.ts'
import { handshake } from './handshake.ts'
import { type TunnelOptions, TunnelTransport } from './tunnel-transport.ts'

export interface SocksTunnelOptions extends TunnelOptions, SocksOptions {}

/** @throws UsageError for credentials that the version cannot carry */
export function socksTunnel(options: SocksTunnelOptions): Transport {
  new SocksClientSession(options) // refuses what it cannot carry now, not at the first connect
  const name = options.version === 4 ? 'socks4' : 'socks5'
  return new TunnelTransport(name, options, (connection, { host, port }, limits) =>
    handshake(connection, new SocksClientSession(options), {
      ...limits,
      command: { type: 'connect', host, port },
      judge: (event) => (event.type === 'connected' ? 'detached' : event.error),
    }),
  )
}
