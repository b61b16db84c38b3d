/**
 * Makes connections out of sockets for one transport: on raw handles where their self-test passes,
 * on `net.Socket` otherwise. The transports above differ only in how sockets come into being and
 * what their addresses are.
 */
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ConnectionRole } from '../../core/connection.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DuplexConnection } from './duplex-connection.ts'
import {
  type CapturableFacts,
  HandleConnection,
  type HandleEnvironment,
} from './handle-connection.ts'
import { chooseEngine, type StreamEngine } from './handle-engine.ts'
import type { NodeConnection } from './node-connection.ts'
import type { NodeListener } from './node-listener.ts'
import { ReadMemory } from './read-memory.ts'
import { SecureConnection } from './secure-connection.ts'
import {
  type EndNames,
  HANDLE_CAPABILITIES,
  SOCKET_CAPABILITIES,
  SocketFacts,
} from './socket-facts.ts'
import type { StreamHandle } from './stream-handle.ts'

export interface SocketEngineSettings {
  /** Name in the connection's facts. */
  readonly transport: string
  readonly engine: StreamEngine
  readonly highWaterMarkBytes: number
  readonly readBufferBytes: number
}

/** How the two ends of a socket are found out. */
export interface NameReaders {
  ofHandle(handle: StreamHandle): EndNames
  ofSocket(socket: Socket): EndNames
}

/** Sets what the transport's options ask for on an accepted socket. */
export interface SocketSetup {
  handle(handle: StreamHandle): void
  socket(socket: Socket): void
}

export class SocketEngine {
  readonly #settings: SocketEngineSettings
  readonly #environment: HandleEnvironment | undefined

  private constructor(settings: SocketEngineSettings, environment: HandleEnvironment | undefined) {
    this.#settings = settings
    this.#environment = environment
  }

  /** @throws UsageError when `handle` was asked for and does not work here */
  static async prepare(settings: SocketEngineSettings): Promise<SocketEngine> {
    const { engine, readBufferBytes, highWaterMarkBytes } = settings
    // Real sockets answer in real time, whatever clock the transport was given.
    const handles = await chooseEngine(engine, systemClock)
    if (handles === undefined) return new SocketEngine(settings, undefined)
    const memory = memoryOf(readBufferBytes)
    return new SocketEngine(settings, { handles, memory, highWaterMarkBytes })
  }

  /** Takes over a connected socket that was paused before it connected. */
  adopt(socket: Socket, role: ConnectionRole, names: NameReaders): NodeConnection {
    const environment = this.#environment
    if (environment === undefined) return this.#overSocket(socket, role, names)
    return new HandleConnection(environment, takeHandle(socket), this.#handleFacts(role, names))
  }

  /** Takes over a TLS socket on TCP whose handshake is over and that nobody reads from. */
  secure(socket: TLSSocket, facts: CapturableFacts): NodeConnection {
    const environment = this.#environment
    if (environment !== undefined && SecureConnection.canTakeOver(socket)) {
      return new SecureConnection(environment, socket, facts)
    }
    return overStream(socket, facts, this.#settings.highWaterMarkBytes)
  }

  /** From now on, what `server` accepts becomes connections of `listener`. */
  serve(server: Server, listener: NodeListener, names: NameReaders, setup?: SocketSetup): void {
    const environment = this.#environment
    if (environment === undefined) {
      listener.acceptSockets(server, (socket) => {
        setup?.socket(socket)
        return this.#overSocket(socket, 'accepting', names)
      })
      return
    }
    const makeFacts = this.#handleFacts('accepting', names)
    listener.acceptHandles(server, (handle) => {
      setup?.handle(handle)
      return new HandleConnection(environment, handle, makeFacts)
    })
  }

  #overSocket(socket: Socket, role: ConnectionRole, names: NameReaders): NodeConnection {
    const { transport, highWaterMarkBytes } = this.#settings
    const capabilities = SOCKET_CAPABILITIES
    const facts = new SocketFacts(transport, role, capabilities, names.ofSocket(socket))
    return overStream(socket, facts, highWaterMarkBytes)
  }

  #handleFacts(
    role: ConnectionRole,
    names: NameReaders,
  ): (handle: StreamHandle) => CapturableFacts {
    const { transport } = this.#settings
    return (handle) => new SocketFacts(transport, role, HANDLE_CAPABILITIES, names.ofHandle(handle))
  }
}

/** Through the socket's own streams, which keep what they are given only until it is written. */
export function overStream(
  socket: Socket,
  facts: CapturableFacts,
  highWaterMarkBytes: number,
): NodeConnection {
  const beforeClose = () => facts.capture()
  return new DuplexConnection(socket, facts, { highWaterMarkBytes, copyWrites: false, beforeClose })
}

/** Takes the handle out of a socket, as child_process does when it sends one away. */
function takeHandle(socket: Socket): StreamHandle {
  const inner = socket as unknown as { _handle: StreamHandle | null }
  const handle = inner._handle as StreamHandle
  inner._handle = null
  return handle
}

/**
 * One for every size, for all transports of the thread: whoever makes a transport for each of many
 * clients pays for one buffer.
 */
function memoryOf(readBufferBytes: number): ReadMemory {
  let memory = MEMORIES.get(readBufferBytes)
  if (memory === undefined) {
    memory = new ReadMemory(readBufferBytes)
    MEMORIES.set(readBufferBytes, memory)
  }
  return memory
}

/** As many as there are sizes among the options of a program. */
const MEMORIES = new Map<number, ReadMemory>()
