/**
 * A listener on a `net.Server`: binding, inherited descriptors and cluster sharing are Node's; what
 * an accepted socket becomes is the transport's.
 *
 * **Pausing.** Node has no call that stops accepting and keeps the socket bound. Where a server can
 * be parked (parked-server.ts), the kernel's queue holds newcomers. Elsewhere a paused listener goes
 * on accepting but keeps the newcomers unopened, unread and in order, and hands them out when it is
 * resumed. Their number is bounded by `maxPausedConnections`; more are closed, which is what a full
 * kernel queue would do to them a little later, and reported.
 *
 * **Out of descriptors.** libuv keeps a spare one, and with it accepts and closes newcomers without
 * telling anybody. So the listener watches the numbers of the sockets it gets: the kernel hands out
 * the lowest that is free, and the last ones mean that the next newcomer will be shed. That is
 * reported once, and again after it got better in between.
 */
import type { Server, Socket } from 'node:net'
import { type Address, formatAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { ClosedError, OverloadError, TransportError, toError } from '../../core/errors.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import { openFileLimit } from '../../platform/process-access.ts'
import type { ConnectionKeeper, NodeConnection } from './node-connection.ts'
import { ParkedServer } from './parked-server.ts'
import type { ListeningHandle, StreamHandle } from './stream-handle.ts'
import { acceptError, systemError } from './system-errors.ts'

/** What listens: a `net.Server`, or the listener of a carrier. */
export interface ListeningServer {
  close(callback: () => void): unknown
  ref(): unknown
  unref(): unknown
}

export interface NodeListenerOptions {
  readonly address: Address
  readonly maxPausedConnections: number
}

export class NodeListener implements Listener, ConnectionKeeper {
  readonly address: Address
  #server: ListeningServer
  /** A TCP or Unix server of Node's, and how newcomers are taken from it. */
  #attach: ((server: Server) => void) | undefined
  #parked: ParkedServer | undefined
  #referenced = true
  readonly #callbacks: ListenOptions
  readonly #options: NodeListenerOptions
  readonly #connections = new Set<Connection>()
  #waiting: NodeConnection[] = []
  #paused = false
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined
  readonly #lastDescriptors: number | undefined
  #short = false

  constructor(server: ListeningServer, callbacks: ListenOptions, options: NodeListenerOptions) {
    this.#server = server
    this.#callbacks = callbacks
    this.#options = options
    this.address = options.address
    const limit = openFileLimit()
    this.#lastDescriptors = limit === undefined ? undefined : limit - SPARE_DESCRIPTORS
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /**
   * Takes raw handles from the listening handle, past the `net.Socket` that the server would make
   * for each.
   */
  acceptHandles(server: Server, adopt: (handle: StreamHandle) => NodeConnection): void {
    this.#attachTo(server, (attached) => {
      const { _handle } = attached as unknown as { _handle: ListeningHandle }
      _handle.onconnection = (status, handle) => {
        if (status !== 0 || handle === undefined) {
          return this.report(acceptError(systemError(status, 'accept'), this.address))
        }
        this.#watchDescriptors(handle.fd)
        const connection = adopt(handle)
        if (this.admits(connection.facts.remote)) this.accept(connection)
        else connection.destroy()
      }
    })
  }

  /**
   * The same through `net.Socket`. `adopt` may ask `admits` and call
   * `accept` itself, later: after a handshake.
   */
  acceptSockets(server: Server, adopt: (socket: Socket) => NodeConnection | undefined): void {
    this.#attachTo(server, (attached) => {
      attached.on('connection', (socket) => {
        const { _handle } = socket as unknown as { _handle: StreamHandle | null }
        this.#watchDescriptors(_handle?.fd)
        const connection = adopt(socket)
        if (connection === undefined) return
        if (this.admits(connection.facts.remote)) this.accept(connection)
        else connection.destroy()
      })
    })
  }

  #attachTo(server: Server, attach: (server: Server) => void): void {
    this.#attach = (attached) => {
      attached.on('error', (error) => this.report(acceptError(error, this.address)))
      attach(attached)
    }
    this.#attach(server)
  }

  /** Whether somebody from there may connect; asked before anything is read. */
  admits(remote: Address): boolean {
    return this.#callbacks.admitAddress?.(remote) === undefined
  }

  /** A connection is there: counts it and hands it out, now or when resumed. */
  accept(connection: NodeConnection): void {
    if (this.#closing !== undefined) {
      return connection.destroy(new ClosedError('ERR_CLOSED', 'the listener is closed'))
    }
    connection.keeper = this
    this.#connections.add(connection)
    if (!this.#paused) return this.#callbacks.onConnection(connection)
    if (this.#waiting.length < this.#options.maxPausedConnections) {
      this.#waiting.push(connection)
      return
    }
    const limit = this.#options.maxPausedConnections
    const message = `more than ${limit} connections came while the listener was paused`
    const error = new OverloadError('ERR_LIMITED', message)
    connection.destroy(error)
    this.report(error)
  }

  #watchDescriptors(descriptor: number | undefined): void {
    if (descriptor === undefined || this.#lastDescriptors === undefined) return
    const short = descriptor >= this.#lastDescriptors
    if (short && !this.#short) {
      const limit = this.#lastDescriptors + SPARE_DESCRIPTORS
      const message = `${formatAddress(this.address)} took descriptor ${descriptor} of ${limit}: without free ones the next connections are closed unanswered (raise ulimit -n)`
      this.report(new TransportError('ERR_ACCEPT', message, { sent: 'nothing' }))
    }
    this.#short = short
  }

  report(error: Error): void {
    this.#callbacks.onError?.(error)
  }

  pause(): void {
    if (this.#paused || this.#closing !== undefined) return
    this.#paused = true
    if (this.#attach === undefined) return
    this.#parked = ParkedServer.park(this.#server as Server)
    if (this.#referenced) this.#parked?.ref()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#unpark()
    while (!this.#paused && this.#waiting.length > 0) {
      const connection = this.#waiting.shift() as NodeConnection
      this.#callbacks.onConnection(connection)
    }
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close()
    const { signal } = options
    if (signal !== undefined) {
      const destroyAll = () => {
        for (const connection of this.#connections) connection.destroy(toError(signal.reason))
      }
      if (signal.aborted) destroyAll()
      else {
        signal.addEventListener('abort', destroyAll, { once: true })
        const forget = () => signal.removeEventListener('abort', destroyAll)
        this.#closing.then(forget, forget)
      }
    }
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.#referenced = true
    ;(this.#parked ?? this.#server).ref()
  }

  unref(): void {
    this.#referenced = false
    ;(this.#parked ?? this.#server).unref()
  }

  onConnectionClosed(connection: NodeConnection): void {
    this.#connections.delete(connection)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  #unpark(): void {
    const server = this.#parked?.take()
    this.#parked = undefined
    if (server === undefined) return
    this.#server = server
    if (!this.#referenced) server.unref()
    this.#attach?.(server)
  }

  async #close(): Promise<void> {
    this.#unpark()
    // The server's own close event waits for sockets that it counts; ours are not among them.
    const unbound = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    // Nobody will ever open these.
    for (const connection of this.#waiting) {
      connection.destroy(new ClosedError('ERR_CLOSED', 'the listener is closed'))
    }
    this.#waiting = []
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    await unbound
  }
}

/** How near the end counts as short: one for the next connection, one for what it makes us open. */
const SPARE_DESCRIPTORS = 2
