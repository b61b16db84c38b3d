/**
 * The TCP transport.
 *
 *     const transport = tcp()
 *     const listener = await transport.listen(ip('127.0.0.1', 0), { onConnection })
 *     const connection = await transport.connect(listener.address)
 *
 * The work is in `node-stream/`: connections directly on libuv's handles, or on `net.Socket` where
 * those do not pass their self-test. docs/transports/tcp.md lists options, defaults and limits.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { NodeListener } from '../node-stream/node-listener.ts'
import { SocketEngine } from '../node-stream/socket-engine.ts'
import { connectSocket } from './connect-socket.ts'
import { type ResolvedTcpOptions, resolveTcpOptions, type TcpOptions } from './tcp-options.ts'
import {
  bindTcp,
  boundAddress,
  createTcpServer,
  requireIp,
  SOCKET_NAMES,
  socketSetup,
  tcpAbilities,
} from './tcp-sockets.ts'

/** @throws UsageError for an option that is unknown, out of range or not supported here */
export function tcp(options: TcpOptions = {}): Transport {
  return new TcpTransport(options)
}

class TcpTransport implements Transport {
  readonly name = 'tcp'
  readonly traits: TransportTraits = Object.freeze({
    halfClose: true,
    secure: false,
    messageBoundaries: false,
  })
  readonly #options: ResolvedTcpOptions
  readonly #clock: Clock
  #engine: Promise<SocketEngine> | undefined

  constructor(options: TcpOptions) {
    this.#options = resolveTcpOptions(options, tcpAbilities())
    this.#clock = options.clock ?? systemClock
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    requireIp(address)
    const engine = await this.#prepare()
    const socket = await connectSocket(address, this.#options, this.#clock, options)
    return engine.adopt(socket, 'initiating', SOCKET_NAMES)
  }

  async listen(address: Address, callbacks: ListenOptions): Promise<Listener> {
    const engine = await this.#prepare()
    const server = createTcpServer(this.#options)
    await bindTcp(server, address, this.#options, callbacks)
    const listener = new NodeListener(server, callbacks, {
      address: boundAddress(server, address),
      maxPausedConnections: this.#options.maxPausedConnections,
    })
    engine.serve(server, listener, SOCKET_NAMES, socketSetup(this.#options))
    return listener
  }

  #prepare(): Promise<SocketEngine> {
    this.#engine ??= SocketEngine.prepare({ transport: 'tcp', ...this.#options })
    return this.#engine
  }
}
