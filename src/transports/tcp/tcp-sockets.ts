/**
 * TCP sockets by Node's public interface: making, binding and configuring them, and reading their
 * names. Shared by the TCP and TLS transports.
 */
import { createServer, type Server, Socket } from 'node:net'
import { type Address, formatAddress, type IpAddress } from '../../core/address.ts'
import { UsageError } from '../../core/errors.ts'
import type { ListenOptions } from '../../core/transport.ts'
import { operatingSystem } from '../../platform/process-access.ts'
import { listenOn } from '../node-stream/listen-on.ts'
import type { NameReaders, SocketSetup } from '../node-stream/socket-engine.ts'
import { socketAddress } from '../node-stream/socket-facts.ts'
import type { SocketName, StreamHandle } from '../node-stream/stream-handle.ts'
import type { ResolvedTcpOptions, TcpAbilities } from './tcp-options.ts'

/** What this Node, on this system, can set, for `resolveTcpOptions`. */
export function tcpAbilities(system: string = operatingSystem): TcpAbilities {
  const prototype = Socket.prototype as unknown as Record<string, unknown>
  return {
    keepAliveProbes: Socket.prototype.setKeepAlive.length >= 4,
    typeOfService: typeof prototype['setTypeOfService'] === 'function',
    reusePort: REUSE_PORT_PLATFORMS.has(system),
  }
}

export function createTcpServer(options: ResolvedTcpOptions): Server {
  const { noDelay, keepAliveMs } = options
  return createServer({
    allowHalfOpen: true,
    pauseOnConnect: true,
    noDelay,
    keepAlive: keepAliveMs !== false,
    ...(keepAliveMs !== false && { keepAliveInitialDelay: keepAliveMs }),
  })
}

/** Binds and listens, or takes over a descriptor that listens already. */
export function bindTcp(
  server: Server,
  address: Address,
  options: ResolvedTcpOptions,
  callbacks: ListenOptions,
): Promise<void> {
  const { descriptor, backlog = DEFAULT_BACKLOG } = callbacks
  if (descriptor !== undefined) return listenOn(server, address, { fd: descriptor, backlog })
  const { host, port } = requireIp(address)
  const { ipv6Only, reusePort } = options
  return listenOn(server, address, { host, port, backlog, ipv6Only, reusePort })
}

/** Where a server really listens: port 0 replaced. */
export function boundAddress(server: Server, asked: Address): Address {
  const bound = server.address()
  return bound === null || typeof bound === 'string' ? asked : socketAddress(bound)
}

/** Options that accepted sockets get. A failure means that the peer is gone: reading will tell. */
export function socketSetup(options: ResolvedTcpOptions): SocketSetup {
  const { noDelay, keepAliveMs, keepAliveIntervalMs, keepAliveCount, typeOfService } = options
  const delay = keepAliveMs === false ? 0 : Math.floor(keepAliveMs / 1_000)
  const interval =
    keepAliveIntervalMs === undefined ? undefined : Math.floor(keepAliveIntervalMs / 1_000)
  return {
    handle(handle) {
      if (noDelay) handle.setNoDelay?.(true)
      if (keepAliveMs !== false) handle.setKeepAlive?.(true, delay, interval, keepAliveCount)
      if (typeOfService !== undefined) handle.setTypeOfService?.(typeOfService)
    },
    // The server itself sets the rest.
    socket(socket) {
      if (keepAliveMs !== false && (keepAliveIntervalMs ?? keepAliveCount) !== undefined) {
        setKeepAlive(socket, options)
      }
      if (typeOfService !== undefined) setTypeOfService(socket, typeOfService)
    },
  }
}

export function requireIp(address: Address): IpAddress {
  const text = formatAddress(address)
  if (address.kind !== 'ip') {
    throw new UsageError('ERR_ADDRESS_INVALID', `${text}: expected a host and a port`)
  }
  if (/^fe[89ab][0-9a-f]:[^%]*$/i.test(address.host)) {
    const message = `${text} is link-local and needs a zone, as in fe80::1%eth0`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  return address
}

/** Options that a connecting socket gets, before it connects. */
export function configureSocket(socket: Socket, options: ResolvedTcpOptions): void {
  if (options.noDelay) socket.setNoDelay(true)
  setKeepAlive(socket, options)
  if (options.typeOfService !== undefined) setTypeOfService(socket, options.typeOfService)
}

/** With the two arguments that Node's types do not know yet. */
function setKeepAlive(socket: Socket, options: ResolvedTcpOptions): void {
  const { keepAliveMs, keepAliveIntervalMs, keepAliveCount } = options
  if (keepAliveMs === false) return
  const set = socket.setKeepAlive as (...values: (boolean | number | undefined)[]) => void
  set.call(socket, true, keepAliveMs, keepAliveIntervalMs, keepAliveCount)
}

function setTypeOfService(socket: Socket, value: number): void {
  const { setTypeOfService: set } = socket as unknown as { setTypeOfService(value: number): void }
  set.call(socket, value)
}

/** Addresses as the kernel knows them. */
export const SOCKET_NAMES: NameReaders = Object.freeze({
  ofHandle(handle: StreamHandle) {
    const read = (ask: ((into: SocketName) => number) | undefined): Address => {
      const name: SocketName = {}
      ask?.call(handle, name)
      return socketAddress(name)
    }
    return { local: () => read(handle.getsockname), remote: () => read(handle.getpeername) }
  },
  ofSocket(socket: Socket) {
    return {
      local: () => nameOf(socket.localAddress, socket.localPort),
      remote: () => nameOf(socket.remoteAddress, socket.remotePort),
    }
  },
})

function nameOf(address = '', port = 0): Address {
  return socketAddress({ address, port })
}

const DEFAULT_BACKLOG = 511
const REUSE_PORT_PLATFORMS: ReadonlySet<string> = new Set([
  'linux',
  'freebsd',
  'dragonfly',
  'sunos',
  'aix',
])
