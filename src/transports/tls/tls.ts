/**
 * The TLS transport: directly on TCP sockets, or over the connections of any other transport.
 *
 *     const transport = tls({ credentials, alpn: ['h2', 'http/1.1'] })
 *     const listener = await transport.listen(ip('0.0.0.0', 443), { onConnection })
 *     listener.reload({ credentials: renewed })
 *
 *     const connection = await tls({ inner: unix(), serverName: 'db.internal' }).connect(address)
 *
 * On TCP, OpenSSL works on the socket's own handle and no byte goes through a JavaScript stream
 * before it is decrypted. docs/transports/tls.md lists options, defaults and limits.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { Capability, type Connection, type ConnectionRole } from '../../core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { NodeConnection } from '../node-stream/node-connection.ts'
import { NodeListener } from '../node-stream/node-listener.ts'
import { overStream, SocketEngine } from '../node-stream/socket-engine.ts'
import type { EndNames } from '../node-stream/socket-facts.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import { SocketTls, TlsSocketFacts } from '../node-stream/tls-facts.ts'
import { ConnectionDuplex, toDuplex } from '../node-stream/to-duplex.ts'
import { connectSocket } from '../tcp/connect-socket.ts'
import { type ResolvedTcpOptions, resolveTcpOptions } from '../tcp/tcp-options.ts'
import {
  bindTcp,
  boundAddress,
  createTcpServer,
  requireIp,
  SOCKET_NAMES,
  socketSetup,
  tcpAbilities,
} from '../tcp/tcp-sockets.ts'
import { KeyLog } from './key-log.ts'
import { clientContext } from './secure-contexts.ts'
import { ServerHandshaker } from './server-handshaker.ts'
import { SessionCache } from './session-cache.ts'
import { handshake, serverNameFor, type TlsClientSettings } from './tls-connect.ts'
import { SecureListener, type TlsListener } from './tls-listener.ts'
import {
  type ResolvedTlsOptions,
  resolveTlsOptions,
  type TlsOptions,
  type TlsPeer,
} from './tls-options.ts'

export interface TlsTransport extends Transport {
  listen(address: Address, options: ListenOptions): Promise<TlsListener>
  /**
   * The client's side on a connection that exists, unopened or detached: after STARTTLS, or through
   * a tunnel. It belongs to TLS from here on, and is destroyed when the handshake fails.
   */
  secure(connection: Connection, options?: ConnectOptions): Promise<Connection>
  /** The server's side of the same. */
  accept(connection: Connection): Promise<Connection>
  /**
   * Server: other options for all listeners of this transport, from the next handshake on, without
   * binding anything anew; connections go on. `inner`, `tcp` and `highWaterMarkBytes` stay. Everything
   * is checked when this returns, and nothing has changed; calling the result changes it.
   *
   * @throws UsageError ERR_CONFIG for certificates that cannot be used, and as `tls` does
   */
  prepare(options: TlsOptions): () => void
}

/** @throws UsageError for an option that is unknown, out of range or not supported here */
export function tls(options: TlsOptions = {}): TlsTransport {
  return new NodeTlsTransport(options)
}

class NodeTlsTransport implements TlsTransport {
  readonly name: string
  readonly traits: TransportTraits
  #options: ResolvedTlsOptions
  /** Of listeners that are open. */
  readonly #handshakers = new Set<ServerHandshaker>()
  readonly #tcp: ResolvedTcpOptions
  readonly #clock: Clock
  readonly #sessions: SessionCache
  #client: TlsClientSettings | undefined
  /** For TLS directly on TCP; there once the first socket is. */
  #engine: SocketEngine | undefined
  #acceptor: Acceptor | undefined

  constructor(options: TlsOptions) {
    this.#options = resolveTlsOptions(options)
    this.#tcp = resolveTcpOptions(options.tcp ?? {}, tcpAbilities())
    this.#clock = options.clock ?? systemClock
    this.#sessions = new SessionCache(this.#options.maxSessions)
    const { inner } = this.#options
    this.name = inner === undefined ? 'tls' : `tls+${inner.name}`
    const halfClose = inner?.traits.halfClose ?? true
    this.traits = Object.freeze({ halfClose, secure: true, messageBoundaries: false })
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    const { connectTimeoutMs, inner } = this.#options
    if (inner === undefined) requireIp(address)
    const serverName = serverNameFor(address, this.#options, options.serverName)
    if (inner === undefined) await this.#prepareEngine()
    this.#client ??= this.#prepareClient()
    const client = this.#client
    return withTimeLimit(address, connectTimeoutMs, this.#clock, options, async (signal) =>
      this.#secure(await this.#connectRaw(address, signal), address, serverName, client, signal),
    )
  }

  async secure(connection: Connection, options: ConnectOptions = {}): Promise<Connection> {
    const address = connection.facts.remote
    const serverName = serverNameFor(address, this.#options, options.serverName)
    this.#client ??= this.#prepareClient()
    const client = this.#client
    const { connectTimeoutMs } = this.#options
    return withTimeLimit(address, connectTimeoutMs, this.#clock, options, (signal) =>
      this.#secure(this.#carry(connection), address, serverName, client, signal),
    )
  }

  accept(connection: Connection): Promise<Connection> {
    this.#acceptor ??= this.#makeAcceptor()
    const { handshaker, waiting } = this.#acceptor
    return new Promise((resolve, reject) => {
      const stream = this.#carry(connection)
      waiting.set(stream, { resolve, reject })
      handshaker.accept(stream)
    })
  }

  prepare(options: TlsOptions): () => void {
    const { inner, tcp, highWaterMarkBytes } = this.#options
    const kept = { ...(inner && { inner }), ...(tcp && { tcp }), highWaterMarkBytes }
    const next = resolveTlsOptions({ ...options, ...kept })
    const changes = [...this.#handshakers].map((handshaker) => handshaker.prepare(next))
    return () => {
      this.#options = next
      for (const change of changes) change()
    }
  }

  async listen(address: Address, callbacks: ListenOptions): Promise<TlsListener> {
    const { inner, maxPausedConnections } = this.#options
    let listener: NodeListener
    const handshaker = this.#makeHandshaker(
      (socket, stream) => listener.accept(this.#wrap(socket, 'accepting', stream)),
      (error) => callbacks.onError?.(error),
      callbacks.alpn,
    )
    if (inner === undefined) {
      await this.#prepareEngine()
      const server = createTcpServer(this.#tcp)
      await bindTcp(server, address, this.#tcp, callbacks)
      const bound = boundAddress(server, address)
      listener = new NodeListener(server, callbacks, { address: bound, maxPausedConnections })
      const setup = socketSetup(this.#tcp)
      listener.acceptSockets(server, (socket) => {
        if (listener.admits(SOCKET_NAMES.ofSocket(socket).remote())) {
          setup.socket(socket)
          handshaker.accept(socket)
        } else socket.destroy()
        return undefined
      })
      return this.#secureListener(listener, handshaker)
    }
    const { alpn: _, ...passed } = callbacks
    const carrier = await inner.listen(address, {
      ...passed,
      onConnection: (connection) => handshaker.accept(this.#carry(connection)),
    })
    const server = {
      close: (done: () => void) => void carrier.close().then(done, done),
      ref: () => carrier.ref(),
      unref: () => carrier.unref(),
    }
    listener = new NodeListener(server, callbacks, {
      address: carrier.address,
      maxPausedConnections,
    })
    return this.#secureListener(listener, handshaker, carrier)
  }

  #secureListener(
    listener: NodeListener,
    handshaker: ServerHandshaker,
    carrier?: Listener,
  ): TlsListener {
    this.#handshakers.add(handshaker)
    const onClose = () => this.#handshakers.delete(handshaker)
    return new SecureListener(listener, handshaker, { onClose, ...(carrier && { carrier }) })
  }

  async #secure(
    raw: Duplex,
    address: Address,
    serverName: string | undefined,
    client: TlsClientSettings,
    signal: AbortSignal,
  ): Promise<Connection> {
    const describe = (socket: TLSSocket) => describePeer(socket, serverName)
    const socket = await handshake(raw, address, serverName, client, describe, signal)
    return this.#wrap(socket, 'initiating', raw, serverName)
  }

  #makeHandshaker(
    onSecure: (socket: TLSSocket, stream: Duplex) => void,
    onError: (error: Error, stream: Duplex) => void,
    alpn?: readonly string[],
  ): ServerHandshaker {
    const nameOf = (stream: Duplex) => `client ${formatAddress(namesOf(stream).remote())}`
    const owner = { onSecure, onError, describePeer, nameOf, alpn }
    return new ServerHandshaker(this.#options, this.#clock, this.#keyLog(), owner)
  }

  #makeAcceptor(): Acceptor {
    const waiting: Acceptor['waiting'] = new Map()
    const take = (stream: Duplex) => {
      const promise = waiting.get(stream)
      waiting.delete(stream)
      return promise
    }
    const handshaker = this.#makeHandshaker(
      (socket, stream) => take(stream)?.resolve(this.#wrap(socket, 'accepting', stream)),
      (error, stream) => take(stream)?.reject(error),
    )
    this.#handshakers.add(handshaker)
    return { handshaker, waiting }
  }

  async #prepareEngine(): Promise<void> {
    const { highWaterMarkBytes } = this.#options
    const settings = { ...this.#tcp, highWaterMarkBytes, transport: this.name }
    this.#engine ??= await SocketEngine.prepare(settings)
  }

  #prepareClient(): TlsClientSettings {
    const options = this.#options
    const context = clientContext(options)
    return { options, context, sessions: this.#sessions, keyLog: this.#keyLog() }
  }

  #keyLog(): KeyLog | undefined {
    const path = this.#options.keyLogFile
    return path === undefined || path === '' ? undefined : KeyLog.open(path)
  }

  async #connectRaw(address: Address, signal: AbortSignal): Promise<Socket | ConnectionDuplex> {
    const { inner } = this.#options
    if (inner === undefined) return connectSocket(address, this.#tcp, this.#clock, { signal })
    return this.#carry(await inner.connect(address, { signal }))
  }

  #carry(connection: Connection): ConnectionDuplex {
    return toDuplex(connection, { clock: this.#clock, allowHalfOpen: true })
  }

  #wrap(socket: TLSSocket, role: ConnectionRole, raw: Duplex, serverName?: string): NodeConnection {
    const capabilities = this.traits.halfClose ? Capability.HALF_CLOSE : 0
    const names = namesOf(raw)
    const facts = new TlsSocketFacts(this.name, role, capabilities, names, socket, serverName)
    if (this.#engine !== undefined && !(raw instanceof ConnectionDuplex)) {
      return this.#engine.secure(socket, facts)
    }
    return overStream(socket, facts, this.#options.highWaterMarkBytes)
  }
}

/** Handshakes on connections that somebody else accepted. */
interface Acceptor {
  readonly handshaker: ServerHandshaker
  readonly waiting: Map<
    Duplex,
    { resolve(connection: Connection): void; reject(error: Error): void }
  >
}

function describePeer(socket: TLSSocket, serverName?: string): Omit<TlsPeer, 'role'> {
  const facts = new SocketTls(socket, serverName)
  return {
    serverName: facts.serverName,
    certificate: facts.peerCertificate(),
    chain: () => facts.chain(),
    authorized: facts.authorized,
  }
}

/** The ends of what carries the TLS connection. */
function namesOf(stream: Duplex): EndNames {
  if (stream instanceof ConnectionDuplex) {
    const { facts } = stream.connection
    return { local: () => facts.local, remote: () => facts.remote }
  }
  return SOCKET_NAMES.ofSocket(stream as Socket)
}
