/**
 * One UDP socket: the contract of core/datagram-socket.ts, and what only UDP has.
 *
 * Nothing is queued here. What arrives is handed on or dropped and counted; what is sent goes to the
 * kernel at once or is dropped and counted, but for one datagram that libuv may hold when the
 * kernel's send buffer is full.
 */

import type { Socket } from 'node:dgram'
import { fstatSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { type Address, formatAddress, type IpAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { DatagramHandler, DatagramSocket } from '../../core/datagram-socket.ts'
import { ProtocolError, UsageError } from '../../core/errors.ts'
import { defer } from '../../platform/process-access.ts'
import { AmplificationGuard } from './amplification-guard.ts'
import { type Peer, PeerCache } from './peer-cache.ts'
import { SourceRateLimit } from './source-rate-limit.ts'
import { datagramError, isFull } from './udp-errors.ts'
import { joinGroup, leaveGroup } from './udp-groups.ts'
import type { Membership, ResolvedUdpOptions, UdpEngine } from './udp-options.ts'
import { FULL, openPort, type UdpPort, type UdpReceiver } from './udp-port.ts'

/** Datagrams, and what became of them. Everything but `sent` and `received` was dropped here. */
export interface UdpStatistics {
  readonly sent: number
  readonly received: number
  /** The kernel's send buffer was full, or it refused the datagram. */
  readonly sendDrops: number
  /** Kept back by `amplification`. */
  readonly amplificationDrops: number
  /** Over `rateLimit`. */
  readonly rateLimitDrops: number
  /** Longer than `maxPayloadBytes`. */
  readonly oversizeDrops: number
  /** Arrived while paused or before `open`, where they could not be left in the kernel. */
  readonly pausedDrops: number
}

export interface UdpSocketSetup {
  readonly socket: Socket
  readonly local: IpAddress
  readonly remote: IpAddress | undefined
  readonly family: 4 | 6
  readonly maxPayloadBytes: number
  readonly options: ResolvedUdpOptions
  readonly clock: Clock
}

export class UdpSocket implements DatagramSocket {
  readonly address: IpAddress
  readonly remote: IpAddress | undefined
  readonly maxPayloadBytes: number
  readonly #socket: Socket
  readonly #family: 4 | 6
  readonly #ipv6Only: boolean
  readonly #clock: Clock
  readonly #port: UdpPort
  readonly #sources = new PeerCache()
  readonly #targets = new PeerCache()
  readonly #rateLimit: SourceRateLimit | undefined
  readonly #guard: AmplificationGuard | undefined
  readonly #counts = {
    sent: 0,
    received: 0,
    sendDrops: 0,
    amplificationDrops: 0,
    rateLimitDrops: 0,
    oversizeDrops: 0,
    pausedDrops: 0,
  }
  #handler: DatagramHandler | undefined
  #paused = false
  #error: Error | undefined
  #closing: Promise<void> | undefined
  /** The last host that was sent to, and what the kernel calls it: checked once, not each time. */
  #lastHost: string | undefined
  #lastKernelHost = ''

  constructor(setup: UdpSocketSetup) {
    const { socket, local, remote, family, maxPayloadBytes, options, clock } = setup
    this.address = local
    this.remote = remote
    this.maxPayloadBytes = maxPayloadBytes
    this.#socket = socket
    this.#family = family
    this.#ipv6Only = options.ipv6Only
    this.#clock = clock
    const { rateLimit, amplification } = options
    this.#rateLimit = rateLimit === undefined ? undefined : new SourceRateLimit(rateLimit)
    this.#guard = amplification === undefined ? undefined : new AmplificationGuard(amplification)
    this.#port = openPort(socket, options.engine, this.#receiver())
  }

  get droppedCount(): number {
    const counts = this.#counts
    const sending = counts.sendDrops + counts.amplificationDrops
    return sending + counts.rateLimitDrops + counts.oversizeDrops + counts.pausedDrops
  }

  get statistics(): UdpStatistics {
    return { ...this.#counts }
  }

  /** Which way datagrams take through Node. */
  get engine(): Exclude<UdpEngine, 'auto'> {
    return this.#port.engine
  }

  /** For who wants to read and write without Node in between. */
  get descriptor(): number | undefined {
    return this.#port.descriptor
  }

  /** What the kernel gave, which may be more or less than was asked for. */
  get receiveBufferBytes(): number {
    return this.#socket.getRecvBufferSize()
  }

  get sendBufferBytes(): number {
    return this.#socket.getSendBufferSize()
  }

  open(handler: DatagramHandler): void {
    if (this.#handler !== undefined) {
      const message = `${formatAddress(this.address)} has a handler`
      throw new UsageError('ERR_ALREADY_OPEN', message)
    }
    if (this.#closing !== undefined) {
      throw new UsageError('ERR_STATE', `${formatAddress(this.address)} is closed`)
    }
    this.#handler = handler
    if (!this.#paused) this.#port.start()
  }

  /**
   * `to` is an IP address: names are resolved once, by `UdpTransport.resolve`.
   *
   * @throws ProtocolError ERR_FRAME_TOO_LARGE over `maxPayloadBytes`; UsageError ERR_ADDRESS_INVALID
   *   for an address that this socket cannot send to, ERR_ARGUMENT without one
   */
  send(payload: Uint8Array, to?: Address): boolean {
    const peer = this.#targetOf(to)
    const { length } = payload
    if (length > this.maxPayloadBytes) throw tooLarge(length, this.maxPayloadBytes)
    if (this.#closing !== undefined) {
      this.#counts.sendDrops += 1
      return false
    }
    if (this.#guard?.trySend(peer.key, length) === false) {
      this.#counts.amplificationDrops += 1
      return false
    }
    const host = this.remote === undefined ? peer.host : undefined
    const status = this.#port.send(payload, peer.port, host)
    if (status === 0) {
      this.#counts.sent += 1
      return true
    }
    this.#counts.sendDrops += 1
    if (status !== FULL && !isFull(status)) {
      this.#report(datagramError(status, 'send', peer.address, length))
    }
    return false
  }

  /** With `amplification`: answers to this peer are free from now on. */
  proveReachable(peer: Address): void {
    this.#guard?.prove(this.#targetOf(peer).key)
  }

  /** @throws TransportError ERR_LISTEN when the system refuses */
  join(membership: Membership): void {
    joinGroup(this.#socket, membership, this.#family)
  }

  /** @throws TransportError ERR_LISTEN when the system refuses: it was not joined */
  leave(membership: Membership): void {
    leaveGroup(this.#socket, membership, this.#family)
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    if (this.#handler !== undefined && this.#closing === undefined) this.#port.stop()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#handler !== undefined && this.#closing === undefined) this.#port.start()
  }

  /**
   * Datagrams that the kernel dropped because its receive buffer was full. Linux only, from a file of
   * the system, so not for every datagram.
   */
  kernelDropCount(): number | undefined {
    const { descriptor } = this
    if (descriptor === undefined || this.#closing !== undefined) return undefined
    try {
      const inode = String(fstatSync(descriptor).ino)
      const table = readFileSync(`/proc/net/udp${this.#family === 6 ? '6' : ''}`, 'latin1')
      for (const line of table.split('\n')) {
        const fields = line.trim().split(/\s+/)
        if (fields[9] === inode) return Number(fields[12])
      }
    } catch {
      // Not Linux.
    }
    return undefined
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#socket.once('close', () => {
        const handler = this.#handler
        this.#error = undefined
        try {
          handler?.onClose(undefined)
        } finally {
          resolve()
        }
      })
      this.#socket.close()
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #receiver(): UdpReceiver {
    return {
      onMessage: (payload, host, port) => this.#receive(payload, host, port),
      onStopped: () => {
        this.#counts.pausedDrops += 1
      },
      onFailure: (status) => this.#report(datagramError(status, 'recv', this.remote)),
      onUnsent: (status) => {
        this.#counts.sent -= 1
        this.#counts.sendDrops += 1
        this.#report(datagramError(status, 'send', this.remote))
      },
    }
  }

  #receive(payload: Uint8Array, host: string, port: number): void {
    if (this.#closing !== undefined || this.#paused || this.#handler === undefined) {
      this.#counts.pausedDrops += 1
      return
    }
    if (payload.length > this.maxPayloadBytes) {
      this.#counts.oversizeDrops += 1
      return
    }
    const from = this.#sources.find(host, port)
    if (this.#rateLimit?.tryTake(from.source, this.#clock.now()) === false) {
      this.#counts.rateLimitDrops += 1
      return
    }
    this.#guard?.received(from.key, payload.length)
    this.#counts.received += 1
    this.#handler.onDatagram(payload, from.address)
  }

  /** Where to, in the kernel's spelling. */
  #targetOf(to: Address | undefined): Peer {
    const { remote } = this
    if (remote !== undefined) {
      if (to !== undefined && to !== remote && !sameIp(to, remote)) {
        const [other, peer] = [formatAddress(to), formatAddress(remote)]
        throw new UsageError('ERR_ARGUMENT', `${other}: the socket is connected to ${peer}`)
      }
      return this.#targets.find(remote.host, remote.port)
    }
    if (to === undefined) {
      throw new UsageError('ERR_ARGUMENT', 'a socket that is not connected needs to know where to')
    }
    if (to.kind !== 'ip') throw notIp(to)
    return this.#targets.find(this.#kernelHost(to), to.port)
  }

  #kernelHost(to: IpAddress): string {
    const { host, port } = to
    if (port === 0) throw invalidTarget(to, 'a port of 1 to 65535')
    if (host === this.#lastHost) return this.#lastKernelHost
    const family = isIP(host)
    if (family === 0) throw notIp(to)
    if (this.#family === 4 && family === 6) throw invalidTarget(to, 'an IPv4 address')
    if (this.#family === 6 && family === 4 && this.#ipv6Only) {
      throw invalidTarget(to, 'an IPv6 address')
    }
    this.#lastHost = host
    this.#lastKernelHost = this.#family === 6 && family === 4 ? `::ffff:${host}` : host
    return this.#lastKernelHost
  }

  /** In a turn of its own, and only the last of several: a sender must not drown in its own errors. */
  #report(error: Error): void {
    const first = this.#error === undefined
    this.#error = error
    if (!first) return
    defer(() => {
      const last = this.#error
      this.#error = undefined
      if (last !== undefined && this.#closing === undefined) this.#handler?.onError(last)
    })
  }
}

function sameIp(address: Address, other: IpAddress): boolean {
  return address.kind === 'ip' && address.port === other.port && address.host === other.host
}

function tooLarge(length: number, limit: number): ProtocolError {
  const message = `datagram of ${length} bytes is over maxPayloadBytes ${limit}`
  return new ProtocolError('ERR_FRAME_TOO_LARGE', message, { sent: 'nothing' })
}

function notIp(to: Address): UsageError {
  return invalidTarget(to, 'an IP address (resolve a name once, before sending)')
}

function invalidTarget(to: Address, expected: string): UsageError {
  const message = `cannot send to ${formatAddress(to)}: expected ${expected}`
  return new UsageError('ERR_ADDRESS_INVALID', message)
}
