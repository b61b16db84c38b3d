/**
 * The Unix domain socket transport: `unix:/path` and, on Linux, abstract names.
 *
 *     const transport = unix()
 *     await transport.listen({ kind: 'unix', path: '/run/app.sock' }, { onConnection })
 *
 * A socket file is made with mode 0600 in the same step, and a file that a crashed process left
 * behind is replaced, but only when it is a socket and nobody listens on it (stale-socket.ts).
 */
import { chmodSync, lstatSync } from 'node:fs'
import {
  createServer,
  type ListenOptions as NodeListenOptions,
  type Server,
  Socket,
} from 'node:net'
import { type Address, formatAddress, type UnixAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { UsageError } from '../../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { operatingSystem, withUmask } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { listenOn } from '../node-stream/listen-on.ts'
import { NodeListener } from '../node-stream/node-listener.ts'
import { type NameReaders, SocketEngine } from '../node-stream/socket-engine.ts'
import { connectError, listenError } from '../node-stream/system-errors.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import { removeStaleSocket } from './stale-socket.ts'
import { type ResolvedUnixOptions, resolveUnixOptions, type UnixOptions } from './unix-options.ts'

/** @throws UsageError for an option that is unknown or out of range */
export function unix(options: UnixOptions = {}): Transport {
  return new UnixTransport(options)
}

class UnixTransport implements Transport {
  readonly name = 'unix'
  readonly traits: TransportTraits = Object.freeze({
    halfClose: true,
    secure: false,
    messageBoundaries: false,
  })
  readonly #options: ResolvedUnixOptions
  readonly #clock: Clock
  #engine: Promise<SocketEngine> | undefined

  constructor(options: UnixOptions) {
    this.#options = resolveUnixOptions(options)
    this.#clock = options.clock ?? systemClock
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    const to = requireUnix(address)
    const path = nodePath(to)
    const { connectTimeoutMs } = this.#options
    return withTimeLimit(to, connectTimeoutMs, this.#clock, options, async (signal) => {
      const engine = await this.#prepare()
      const socket = await connectPath(path, to, signal)
      return engine.adopt(socket, 'initiating', fixedNames(UNNAMED, to))
    })
  }

  async listen(address: Address, callbacks: ListenOptions): Promise<Listener> {
    const at = requireUnix(address)
    const engine = await this.#prepare()
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    await this.#bind(server, at, callbacks)
    const { maxPausedConnections } = this.#options
    const listener = new NodeListener(server, callbacks, { address: at, maxPausedConnections })
    engine.serve(server, listener, fixedNames(at, UNNAMED))
    return listener
  }

  #prepare(): Promise<SocketEngine> {
    this.#engine ??= SocketEngine.prepare({ transport: 'unix', ...this.#options })
    return this.#engine
  }

  async #bind(server: Server, address: UnixAddress, callbacks: ListenOptions): Promise<void> {
    const { descriptor, backlog = DEFAULT_BACKLOG } = callbacks
    if (descriptor !== undefined) return listenOn(server, address, { fd: descriptor, backlog })
    const path = nodePath(address)
    if (address.abstract || operatingSystem === 'win32') {
      return listenOn(server, address, { path, backlog })
    }
    const { mode, removeStale } = this.#options
    if (removeStale) await removeStaleSocket(path, this.#clock)
    await listenWithMode(server, address, { path, backlog }, mode)
  }
}

/**
 * `bind` makes the file, so the mask must be right at that moment: a `chmod` afterwards would leave
 * a gap in which anybody can connect. Node binds inside `listen`, before it returns.
 */
async function listenWithMode(
  server: Server,
  address: UnixAddress,
  where: NodeListenOptions,
  mode: number,
): Promise<void> {
  let listening: Promise<void> | undefined
  withUmask(0o777 & ~mode, () => {
    listening = listenOn(server, address, where)
  })
  // Worker threads cannot set the mask, and a cluster's primary binds with its own: there the gap
  // cannot be avoided.
  listening ??= listenOn(server, address, where)
  await listening
  try {
    if ((lstatSync(address.path).mode & 0o777) !== mode) chmodSync(address.path, mode)
  } catch (error) {
    server.close()
    throw listenError(error as Error, address)
  }
}

function connectPath(path: string, to: UnixAddress, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = new Socket({ allowHalfOpen: true })
    // Paused before it is connected, so that Node does not begin to read.
    socket.pause()
    const onAbort = () => {
      socket.destroy()
      reject(signal.reason)
    }
    const onError = (error: Error) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(connectError(error, to))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', onError)
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError)
      resolve(socket)
    })
    socket.connect({ path })
  })
}

function requireUnix(address: Address): UnixAddress {
  if (address.kind === 'unix') return address
  const text = formatAddress(address)
  throw new UsageError('ERR_ADDRESS_INVALID', `${text}: expected a path, as in unix:/run/app.sock`)
}

/**
 * The path as Node takes it. Refuses what the kernel would cut off.
 *
 * @throws UsageError ERR_OPTION_UNSUPPORTED, ERR_ADDRESS_INVALID
 */
export function nodePath(address: UnixAddress, system: string = operatingSystem): string {
  const { path, abstract = false } = address
  const text = formatAddress(address)
  if (abstract && system !== 'linux') {
    const message = `${text}: abstract names exist on Linux only, and this is ${system}`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }
  if (path === '' || path.includes('\0')) {
    throw new UsageError('ERR_ADDRESS_INVALID', `${text}: not a name that a socket can have`)
  }
  const bytes = Buffer.byteLength(path)
  // `sun_path` without its final zero: 108 bytes on Linux, 104 elsewhere. A named pipe has none.
  const most = system === 'linux' ? 107 : 103
  if (system !== 'win32' && bytes > most) {
    const message = `${text}: ${bytes} bytes are over the ${most} of a socket path`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  return abstract ? `\0${path}` : path
}

function fixedNames(local: Address, remote: Address): NameReaders {
  const names = { local: () => local, remote: () => remote }
  return { ofHandle: () => names, ofSocket: () => names }
}

/** The end that has no name of its own, as connecting sockets have none. */
const UNNAMED: UnixAddress = Object.freeze({ kind: 'unix', path: '' })
const DEFAULT_BACKLOG = 511
