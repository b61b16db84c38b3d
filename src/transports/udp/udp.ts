/**
 * The UDP transport.
 *
 *     const transport = udp()
 *     const socket = await transport.bind(ip('127.0.0.1', 0))
 *     socket.open({ onDatagram(payload, from) { socket.send(payload, from) }, onError, onClose })
 *
 * Names are resolved here, once; sockets send to IP addresses only, synchronously.
 * docs/transports/udp.md lists options, defaults and limits.
 */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Address, formatAddress, type IpAddress, ip } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { BindOptions, DatagramTransport } from '../../core/datagram-socket.ts'
import { type HeddleError, TransportError, toError, UsageError } from '../../core/errors.ts'
import { operatingSystem } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { socketAddress } from '../node-stream/socket-facts.ts'
import { connectError, listenError } from '../node-stream/system-errors.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import { requireIp } from '../tcp/tcp-sockets.ts'
import { interfaceAddress, joinGroup } from './udp-groups.ts'
import {
  MAX_IPV4_PAYLOAD_BYTES,
  MAX_IPV6_PAYLOAD_BYTES,
  type ResolvedUdpOptions,
  resolveUdpOptions,
  type UdpAbilities,
  type UdpOptions,
} from './udp-options.ts'
import { UdpSocket } from './udp-socket.ts'

/** @throws UsageError for an option that is unknown, out of range or not supported here */
export function udp(options: UdpOptions = {}): UdpTransport {
  return new UdpTransport(options)
}

export class UdpTransport implements DatagramTransport {
  readonly name = 'udp'
  readonly #options: ResolvedUdpOptions
  readonly #clock: Clock

  constructor(options: UdpOptions = {}) {
    this.#options = resolveUdpOptions(options, udpAbilities())
    this.#clock = options.clock ?? systemClock
  }

  async bind(address: Address, options: BindOptions = {}): Promise<UdpSocket> {
    const at = await this.resolve(address, options)
    const family = isIP(at.host) as 4 | 6
    const socket = this.#createSocket(family)
    try {
      await bindSocket(socket, at)
      options.signal?.throwIfAborted()
      this.#configure(socket, family)
      for (const membership of this.#options.memberships) joinGroup(socket, membership, family)
      return this.#wrap(socket, family, undefined)
    } catch (error) {
      socket.close()
      throw options.signal?.aborted ? options.signal.reason : listenError(toError(error), at)
    }
  }

  async connect(remote: Address, options: BindOptions = {}): Promise<UdpSocket> {
    const to = await this.resolve(remote, options)
    if (to.port === 0) {
      const message = `${formatAddress(to)}: expected a port of 1 to 65535`
      throw new UsageError('ERR_ADDRESS_INVALID', message)
    }
    const family = isIP(to.host) as 4 | 6
    const socket = this.#createSocket(family)
    try {
      const { localAddress = family === 4 ? '0.0.0.0' : '::', localPort } = this.#options
      await bindSocket(socket, ip(localAddress, localPort))
      this.#configure(socket, family)
      await connectSocket(socket, to)
      options.signal?.throwIfAborted()
      return this.#wrap(socket, family, to)
    } catch (error) {
      socket.close()
      throw options.signal?.aborted ? options.signal.reason : connectError(toError(error), to)
    }
  }

  /**
   * The IP address of a name: the first that the resolver gives, of `family` when that is set. An IP
   * address is itself.
   *
   * @throws TransportError ERR_RESOLVE, TimeoutError ERR_CONNECT_TIMEOUT
   */
  async resolve(address: Address, options: BindOptions = {}): Promise<IpAddress> {
    const to = requireIp(address)
    const { resolveTimeoutMs, family, lookup } = this.#options
    return withTimeLimit(to, resolveTimeoutMs, this.#clock, options, async (signal) => {
      const literal = isIP(to.host)
      if (literal !== 0) {
        if (family === undefined || literal === family) return to
        throw wrongFamily(to, family)
      }
      try {
        const found = await unlessAborted((lookup ?? lookupSystem)(to.host, signal), signal)
        const usable = found.find((one) => family === undefined || one.family === family)
        if (usable === undefined) throw wrongFamily(to, family)
        return ip(usable.address, to.port)
      } catch (error) {
        throw signal.aborted ? signal.reason : connectError(toError(error), to)
      }
    })
  }

  #createSocket(family: 4 | 6): Socket {
    const { reuseAddress, reusePort, ipv6Only } = this.#options
    const options: SocketOptions = {
      type: family === 4 ? 'udp4' : 'udp6',
      reuseAddr: reuseAddress,
      reusePort,
      ipv6Only,
      lookup: literalLookup,
    }
    const socket = createSocket(options)
    // Bound to nothing and closed at once, a socket may still complain: nobody is left to hear it.
    socket.on('error', ignore)
    return socket
  }

  /** @throws UsageError ERR_OPTION_UNSUPPORTED naming what the system refused */
  #configure(socket: Socket, family: 4 | 6): void {
    const { ttl, multicastTtl, multicastInterface, multicastLoopback, broadcast } = this.#options
    const { receiveBufferBytes, sendBufferBytes } = this.#options
    if (broadcast) set('broadcast', () => socket.setBroadcast(true))
    if (ttl !== undefined) set('ttl', () => socket.setTTL(ttl))
    if (multicastTtl !== undefined) set('multicastTtl', () => socket.setMulticastTTL(multicastTtl))
    if (multicastLoopback !== undefined) {
      set('multicastLoopback', () => socket.setMulticastLoopback(multicastLoopback))
    }
    if (multicastInterface !== undefined) {
      const at = interfaceAddress(multicastInterface, family)
      set('multicastInterface', () => socket.setMulticastInterface(at))
    }
    if (receiveBufferBytes !== undefined) {
      set('receiveBufferBytes', () => socket.setRecvBufferSize(receiveBufferBytes))
    }
    if (sendBufferBytes !== undefined) {
      set('sendBufferBytes', () => socket.setSendBufferSize(sendBufferBytes))
    }
  }

  #wrap(socket: Socket, family: 4 | 6, remote: IpAddress | undefined): UdpSocket {
    const { maxPayloadBytes: option } = this.#options
    // What goes from an IPv6 socket to an IPv4 peer has IPv4's limit: there the kernel says so.
    const limit = family === 4 ? MAX_IPV4_PAYLOAD_BYTES : MAX_IPV6_PAYLOAD_BYTES
    const maxPayloadBytes = Math.min(option ?? limit, limit)
    const local = socketAddress(socket.address()) as IpAddress
    return new UdpSocket({
      socket,
      local,
      remote,
      family,
      maxPayloadBytes,
      options: this.#options,
      clock: this.#clock,
    })
  }
}

/** What this Node, on this system, can set. */
export function udpAbilities(system: string = operatingSystem): UdpAbilities {
  return { reusePort: REUSE_PORT_PLATFORMS.has(system) }
}

/** `exclusive`: a worker of node:cluster binds itself instead of sharing its primary's socket. */
function bindSocket(socket: Socket, at: IpAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
      socket.off('error', reject)
      resolve()
    })
  })
}

function connectSocket(socket: Socket, to: IpAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.connect(to.port, to.host, (error?: Error) => {
      if (error === undefined || error === null) resolve()
      else reject(error)
    })
  })
}

function set(option: string, apply: () => void): void {
  try {
    apply()
  } catch (error) {
    const cause = toError(error)
    const message = `udp cannot honour ${option}: ${cause.message}`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message, { cause })
  }
}

function wrongFamily(to: IpAddress, family: 4 | 6 | undefined): HeddleError {
  const what = family === undefined ? 'address' : `IPv${family} address`
  const message = `${formatAddress(to)} has no ${what}`
  return new TransportError('ERR_RESOLVE', message, { sent: 'nothing' })
}

/** Every host that gets here is an address already: Node need not ask, nor wait a tick. */
function literalLookup(
  host: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, host, host.includes(':') ? 6 : 4)
}

const lookupSystem = async (host: string): Promise<readonly { address: string; family: 4 | 6 }[]> =>
  (await systemLookup(host, { all: true, order: 'verbatim' })) as {
    address: string
    family: 4 | 6
  }[]

function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const forget = () => signal.removeEventListener('abort', onAbort)
    promise.then(resolve, reject).finally(forget)
  })
}

function ignore(): void {}

const REUSE_PORT_PLATFORMS: ReadonlySet<string> = new Set([
  'linux',
  'freebsd',
  'dragonfly',
  'sunos',
  'aix',
])
