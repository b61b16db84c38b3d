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
import {
  createServer,
  type ListenOptions as NodeListenOptions,
  type Server,
  Socket,
} from 'node:net'
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection, ConnectionRole } from '../../core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { operatingSystem } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DuplexConnection } from '../node-stream/duplex-connection.ts'
import type { HandleEnvironment } from '../node-stream/handle-connection.ts'
import { type CapturableFacts, HandleConnection } from '../node-stream/handle-connection.ts'
import { chooseEngine } from '../node-stream/handle-engine.ts'
import type { NodeConnection } from '../node-stream/node-connection.ts'
import { NodeListener } from '../node-stream/node-listener.ts'
import { ReadMemory } from '../node-stream/read-memory.ts'
import {
  HANDLE_CAPABILITIES,
  SOCKET_CAPABILITIES,
  SocketFacts,
  socketAddress,
} from '../node-stream/socket-facts.ts'
import type { SocketName, StreamHandle } from '../node-stream/stream-handle.ts'
import { listenError } from '../node-stream/system-errors.ts'
import { connectSocket, requireIp } from './connect-socket.ts'
import type { TcpOptions } from './tcp-options.ts'
import { type ResolvedTcpOptions, resolveTcpOptions, type TcpAbilities } from './tcp-options.ts'

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
  #environment: Promise<HandleEnvironment | undefined> | undefined

  constructor(options: TcpOptions) {
    this.#options = resolveTcpOptions(options, tcpAbilities())
    this.#clock = options.clock ?? systemClock
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    requireIp(address)
    const environment = await this.#prepare()
    const socket = await connectSocket(address, this.#options, this.#clock, options)
    return environment === undefined
      ? this.#overSocket(socket, 'initiating')
      : overHandle(environment, takeHandle(socket), INITIATING_FACTS)
  }

  async listen(address: Address, callbacks: ListenOptions): Promise<Listener> {
    if (callbacks.descriptor === undefined) requireIp(address)
    const environment = await this.#prepare()
    const server = createTcpServer(this.#options)
    await bind(server, address, this.#options, callbacks)
    const listener = new NodeListener(server, callbacks, {
      address: boundAddress(server, address),
      maxPausedConnections: this.#options.maxPausedConnections,
    })
    if (environment === undefined) {
      server.on('connection', (socket) => {
        configureKeepAlive(socket, this.#options)
        listener.accept(this.#overSocket(socket, 'accepting'))
      })
    } else {
      listener.acceptHandles((handle) => {
        configureHandle(handle, this.#options)
        return overHandle(environment, handle, ACCEPTING_FACTS)
      })
    }
    return listener
  }

  #prepare(): Promise<HandleEnvironment | undefined> {
    this.#environment ??= this.#makeEnvironment()
    return this.#environment
  }

  async #makeEnvironment(): Promise<HandleEnvironment | undefined> {
    const { engine, readBufferBytes, highWaterMarkBytes } = this.#options
    // Real sockets answer in real time, whatever clock the transport was given.
    const handles = await chooseEngine(engine, systemClock)
    if (handles === undefined) return undefined
    return { handles, memory: new ReadMemory(readBufferBytes), highWaterMarkBytes }
  }

  #overSocket(socket: Socket, role: ConnectionRole): NodeConnection {
    return overSocket(socket, 'tcp', role, this.#options.highWaterMarkBytes)
  }
}

/** What this Node and system can set, for `resolveTcpOptions`. */
export function tcpAbilities(): TcpAbilities {
  const prototype = Socket.prototype as unknown as Record<string, unknown>
  return {
    keepAliveProbes: Socket.prototype.setKeepAlive.length >= 4,
    typeOfService: typeof prototype['setTypeOfService'] === 'function',
    reusePort: REUSE_PORT_PLATFORMS.has(operatingSystem),
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

/** Binds and listens. */
export function bind(
  server: Server,
  address: Address,
  options: ResolvedTcpOptions,
  callbacks: ListenOptions,
): Promise<void> {
  const { descriptor, backlog = DEFAULT_BACKLOG } = callbacks
  const where: NodeListenOptions & { fd?: number } =
    descriptor !== undefined
      ? { fd: descriptor, backlog }
      : {
          host: requireIp(address).host,
          port: requireIp(address).port,
          backlog,
          ipv6Only: options.ipv6Only,
          reusePort: options.reusePort,
        }
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenError(error, address))
    server.once('error', onError)
    try {
      server.listen(where, () => {
        server.off('error', onError)
        resolve()
      })
    } catch (error) {
      onError(error as Error)
    }
  })
}

export function boundAddress(server: Server, asked: Address): Address {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return asked
  return socketAddress(bound)
}

/** A connection through `net.Socket`, for any kind of address that sockets report. */
export function overSocket(
  socket: Socket,
  transport: string,
  role: ConnectionRole,
  highWaterMarkBytes: number,
): NodeConnection {
  const facts = new SocketFacts({
    transport,
    role,
    capabilities: SOCKET_CAPABILITIES,
    local: () => nameOf(socket.localAddress, socket.localPort),
    remote: () => nameOf(socket.remoteAddress, socket.remotePort),
  })
  const beforeClose = () => facts.capture()
  return new DuplexConnection(socket, facts, { highWaterMarkBytes, copyWrites: false, beforeClose })
}

function nameOf(address: string | undefined, port: number | undefined): Address {
  return socketAddress({ ...(address !== undefined && { address }), ...(port && { port }) })
}

function overHandle(
  environment: HandleEnvironment,
  handle: StreamHandle,
  makeFacts: (handle: StreamHandle) => CapturableFacts,
): NodeConnection {
  return new HandleConnection(environment, handle, makeFacts)
}

/** Takes the handle out of a socket, as child_process does when it sends one away. */
function takeHandle(socket: Socket): StreamHandle {
  const inner = socket as unknown as { _handle: StreamHandle | null }
  const handle = inner._handle as StreamHandle
  inner._handle = null
  return handle
}

function configureHandle(handle: StreamHandle, options: ResolvedTcpOptions): void {
  const { noDelay, keepAliveMs, keepAliveIntervalMs, keepAliveCount, typeOfService } = options
  // A failure means that the peer is gone already: reading will say so.
  if (noDelay) handle.setNoDelay?.(true)
  if (keepAliveMs !== false) {
    handle.setKeepAlive?.(true, seconds(keepAliveMs), seconds(keepAliveIntervalMs), keepAliveCount)
  }
  if (typeOfService !== undefined) handle.setTypeOfService?.(typeOfService)
}

/** The parts that a `net.Server` does not set by itself. */
function configureKeepAlive(socket: Socket, options: ResolvedTcpOptions): void {
  const { keepAliveMs, keepAliveIntervalMs, keepAliveCount, typeOfService } = options
  if (keepAliveMs !== false && (keepAliveIntervalMs ?? keepAliveCount) !== undefined) {
    const set = socket.setKeepAlive as (...values: (boolean | number | undefined)[]) => void
    set.call(socket, true, keepAliveMs, keepAliveIntervalMs, keepAliveCount)
  }
  if (typeOfService !== undefined) {
    const { setTypeOfService } = socket as unknown as { setTypeOfService(value: number): void }
    setTypeOfService.call(socket, typeOfService)
  }
}

function seconds(milliseconds: number): number
function seconds(milliseconds: number | undefined): number | undefined
function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.floor(milliseconds / 1_000)
}

function handleFacts(role: ConnectionRole): (handle: StreamHandle) => CapturableFacts {
  return (handle) => {
    const read = (ask: ((into: SocketName) => number) | undefined): Address => {
      const name: SocketName = {}
      ask?.call(handle, name)
      return socketAddress(name)
    }
    return new SocketFacts({
      transport: 'tcp',
      role,
      capabilities: HANDLE_CAPABILITIES,
      local: () => read(handle.getsockname),
      remote: () => read(handle.getpeername),
    })
  }
}

const INITIATING_FACTS = handleFacts('initiating')
const ACCEPTING_FACTS = handleFacts('accepting')
const DEFAULT_BACKLOG = 511
const REUSE_PORT_PLATFORMS: ReadonlySet<string> = new Set([
  'linux',
  'freebsd',
  'dragonfly',
  'sunos',
  'aix',
])
