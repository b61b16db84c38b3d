/**
 * A UDP socket of Linux by system calls, for batches: `sendmmsg` with segmentation offload (GSO:
 * datagrams of one size to one peer travel through the kernel as one), `recvmmsg` with its
 * counterpart (GRO). A datagram costs a fifth to a twentieth of what it costs one by one.
 *
 *     msghdr (56 bytes): name, name length, iovec *, count, control, control length, flags
 *     mmsghdr: msghdr, u32 length;  iovec: base, length;  cmsghdr: length, level, type, data
 */
import type { IpAddress } from '../../../core/address.ts'
import { socketError } from '../quic-errors.ts'
import { ADDRESS_BYTES, type DatagramSlots, SLOT_BYTES, SLOTS } from './datagram-slots.ts'
import type { Openssl } from './openssl.ts'
import { readSocketAddress, socketAddressBytes, writeSocketAddress } from './socket-address.ts'

export interface DescriptorEvents {
  onDatagram(payloadAt: number, length: number, firstByte: number, peerAt: number): void
  /** A datagram for `to` was refused, by this machine or by an ICMP message. */
  onUnreachable(to: IpAddress, error: Error): void
}

export class DatagramDescriptor {
  readonly fd: number
  readonly local: IpAddress
  readonly #openssl: Openssl
  readonly #calls: SystemCalls
  #segments = true
  droppedCount = 0

  /**
   * @param share of a port that several sockets listen on: the first one checks that it is free
   * @throws NodeJS.ErrnoException
   */
  constructor(openssl: Openssl, address: IpAddress, share: 'only' | 'first' | 'next') {
    this.#openssl = openssl
    this.#calls = systemCallsOf(openssl)
    const { socket, setsockopt, bind, close } = this.#calls
    const name = writeSocketAddress(address)
    if (name === undefined) throw socketError(EINVAL, 'bind')
    const family = name[0] as number
    this.fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (this.fd < 0) throw this.#failed('socket')
    const set = (level: number, option: number, value: number): number =>
      setsockopt(this.fd, level, option, Uint8Array.of(value, value >>> 8, value >>> 16, 0), 4)
    set(SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES)
    set(SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES)
    set(SOL_UDP, UDP_GRO, 1)
    // ICMP answers come by the error queue, with the address they are about.
    if (family === name[0] && name.length === 16) set(IPPROTO_IP, IP_RECVERR, 1)
    else set(IPPROTO_IPV6, IPV6_RECVERR, 1)
    if (share === 'next') set(SOL_SOCKET, SO_REUSEPORT, 1)
    if (bind(this.fd, name, name.length) !== 0) {
      const error = this.#failed('bind')
      close(this.fd)
      throw error
    }
    // Only now: a port that somebody else listens on is refused, however they share it.
    if (share === 'first') set(SOL_SOCKET, SO_REUSEPORT, 1)
    const { scratch, at } = openssl
    new DataView(scratch.buffer).setUint32(NAME_LENGTH_AT, ADDRESS_BYTES, true)
    this.#calls.getsockname(this.fd, at + NAME_AT, at + NAME_LENGTH_AT)
    this.local = readSocketAddress(scratch, NAME_AT)
  }

  /** Once all sockets of a port are there: nobody else joins them. */
  closeShare(): void {
    this.#calls.setsockopt(this.fd, SOL_SOCKET, SO_REUSEPORT, new Uint8Array(4), 4)
  }

  /** Sends what the slots hold. */
  send(slots: DatagramSlots, events: DescriptorEvents): void {
    const { sending } = this.#calls
    let slot = 0
    while (slot < slots.filled) {
      const messages = sending.gather(slots, slot, this.#segments)
      let sent = 0
      while (sent < messages) {
        const result = this.#calls.sendmmsg(
          this.fd,
          sending.at + sent * MMSGHDR_BYTES,
          messages - sent,
          0,
        )
        if (result > 0) {
          sent += result
          continue
        }
        const errno = this.#openssl.koffi.errno()
        if (errno === EINTR) continue
        if (this.#segments && sending.isSegmented(sent) && (errno === EIO || errno === EINVAL)) {
          // The device cannot: one by one from now on, this batch included.
          this.#segments = false
          break
        }
        if (this.#readErrors(events)) continue // an earlier datagram's error, told by this call
        this.droppedCount += 1
        if (errno !== EAGAIN && errno !== ENOBUFS) {
          const to = readSocketAddress(slots.addresses, sending.slotOf(sent) * ADDRESS_BYTES)
          events.onUnreachable(to, socketError(errno, 'sendmmsg'))
        }
        sent += 1
      }
      slot = sending.slotOf(sent)
    }
  }

  /** Receives what is there, up to a bound. @returns whether more may be */
  receive(events: DescriptorEvents): boolean {
    const { receiving } = this.#calls
    for (let batch = 0; batch < MAX_RECEIVE_BATCHES; batch++) {
      receiving.reset()
      const count = this.#calls.recvmmsg(this.fd, receiving.at, RECEIVE_SLOTS, 0, 0)
      if (count <= 0) {
        const errno = this.#openssl.koffi.errno()
        if (errno === EINTR || this.#readErrors(events)) continue
        return false
      }
      for (let slot = 0; slot < count; slot++) receiving.deliver(slot, events)
      if (count < RECEIVE_SLOTS) return false
    }
    return true
  }

  close(): void {
    this.#calls.close(this.fd)
  }

  /** ICMP errors, each with the address that the datagram was for. @returns whether there was one */
  #readErrors(events: DescriptorEvents): boolean {
    const { receiving } = this.#calls
    let found = false
    for (let round = 0; round < MAX_ERRORS; round++) {
      receiving.reset()
      if (this.#calls.recvmmsg(this.fd, receiving.at, 1, MSG_ERRQUEUE, 0) !== 1) break
      found = true
      const errno = receiving.errorOf(0)
      if (errno !== undefined) {
        events.onUnreachable(
          readSocketAddress(receiving.addresses, 0),
          socketError(errno, 'sendmmsg'),
        )
      }
    }
    return found
  }

  #failed(call: string): NodeJS.ErrnoException {
    return socketError(this.#openssl.koffi.errno(), call)
  }
}

/** The arrays of `sendmmsg`, filled from the slots of a datagram pair. */
class SendingArrays {
  readonly at: number
  readonly #headers: BigUint64Array
  readonly #headers32: Uint32Array
  readonly #vectors32: Uint32Array
  readonly #controls: DataView
  readonly #names: readonly bigint[]
  readonly #vectorsAt: readonly bigint[]
  readonly #controlsAt: readonly bigint[]
  /** Where each message begins, and behind the last one where the next batch does. */
  readonly #first = new Int32Array(SLOTS + 1)
  readonly #segmented = new Uint8Array(SLOTS)

  constructor(openssl: Openssl, slots: DatagramSlots) {
    const headers = new ArrayBuffer(SLOTS * MMSGHDR_BYTES)
    this.#headers = new BigUint64Array(headers)
    this.#headers32 = new Uint32Array(headers)
    const vectors = new BigUint64Array(SLOTS * 2)
    this.#vectors32 = new Uint32Array(vectors.buffer)
    const controls = new Uint8Array(new ArrayBuffer(SLOTS * CONTROL_BYTES))
    this.#controls = new DataView(controls.buffer)
    openssl.pins.add(vectors).add(controls)
    this.at = openssl.addressOf(this.#headers)
    const vectorsAt = openssl.addressOf(vectors)
    const controlsAt = openssl.addressOf(controls)
    const every = <Value>(make: (slot: number) => Value) =>
      Array.from({ length: SLOTS }, (_, i) => make(i))
    this.#names = every((slot) => BigInt(slots.addressesAt + slot * ADDRESS_BYTES))
    this.#vectorsAt = every((slot) => BigInt(vectorsAt + slot * 16))
    this.#controlsAt = every((slot) => BigInt(controlsAt + slot * CONTROL_BYTES))
    for (let slot = 0; slot < SLOTS; slot++) {
      vectors[slot * 2] = BigInt(slots.slabAt + slot * SLOT_BYTES)
      const control = slot * CONTROL_BYTES
      this.#controls.setUint32(control, CMSG_HEADER_BYTES + 2, true)
      this.#controls.setUint32(control + 8, SOL_UDP, true)
      this.#controls.setUint32(control + 12, UDP_SEGMENT, true)
    }
  }

  /** @returns how many messages the slots from `start` on make */
  gather(slots: DatagramSlots, start: number, segments: boolean): number {
    let messages = 0
    let slot = start
    while (slot < slots.filled) {
      const first = slot
      const size = slots.length(first)
      let bytes = size
      this.#vectors32[first * 4 + 2] = size
      slot += 1
      // All of one size but the last, which may be shorter.
      while (segments && slot < slots.filled && slots.length(slot - 1) === size) {
        const next = slots.length(slot)
        if (next > size || bytes + next > MAX_SEGMENTED_BYTES) break
        if (!sameName(slots.addresses, first, slot)) break
        this.#vectors32[slot * 4 + 2] = next
        bytes += next
        slot += 1
      }
      this.#header(slots, messages, first, slot - first, size)
      messages += 1
    }
    this.#first[messages] = slot
    return messages
  }

  slotOf(message: number): number {
    return this.#first[message] as number
  }

  isSegmented(message: number): boolean {
    return this.#segmented[message] === 1
  }

  #header(slots: DatagramSlots, message: number, slot: number, count: number, size: number): void {
    const header = message * 8
    this.#headers[header] = this.#names[slot] as bigint
    this.#headers32[header * 2 + 2] = socketAddressBytes(slots.addresses, slot * ADDRESS_BYTES)
    this.#headers[header + 2] = this.#vectorsAt[slot] as bigint
    this.#headers32[header * 2 + 6] = count
    this.#headers[header + 4] = this.#controlsAt[message] as bigint
    this.#headers32[header * 2 + 10] = count > 1 ? CMSG_BYTES : 0
    if (count > 1) {
      this.#controls.setUint16(message * CONTROL_BYTES + CMSG_HEADER_BYTES, size, true)
    }
    this.#first[message] = slot
    this.#segmented[message] = count > 1 ? 1 : 0
  }
}

/** The arrays of `recvmmsg`. */
class ReceivingArrays {
  readonly at: number
  readonly addresses: Uint8Array = new Uint8Array(new ArrayBuffer(RECEIVE_SLOTS * ADDRESS_BYTES))
  readonly #addressesAt: number
  readonly #slab: Uint8Array = new Uint8Array(new ArrayBuffer(RECEIVE_SLOTS * RECEIVE_BYTES))
  readonly #slabAt: number
  readonly #headers32: Uint32Array
  readonly #controls: DataView

  constructor(openssl: Openssl) {
    const headers = new BigUint64Array(RECEIVE_SLOTS * 8)
    this.#headers32 = new Uint32Array(headers.buffer)
    const vectors = new BigUint64Array(RECEIVE_SLOTS * 2)
    const controls = new Uint8Array(new ArrayBuffer(RECEIVE_SLOTS * CONTROL_BYTES))
    this.#controls = new DataView(controls.buffer)
    openssl.pins.add(vectors)
    this.at = openssl.addressOf(headers)
    this.#addressesAt = openssl.addressOf(this.addresses)
    this.#slabAt = openssl.addressOf(this.#slab)
    const vectorsAt = openssl.addressOf(vectors)
    const controlsAt = openssl.addressOf(controls)
    for (let slot = 0; slot < RECEIVE_SLOTS; slot++) {
      vectors[slot * 2] = BigInt(this.#slabAt + slot * RECEIVE_BYTES)
      vectors[slot * 2 + 1] = BigInt(RECEIVE_BYTES)
      headers[slot * 8] = BigInt(this.#addressesAt + slot * ADDRESS_BYTES)
      headers[slot * 8 + 2] = BigInt(vectorsAt + slot * 16)
      headers[slot * 8 + 3] = 1n
      headers[slot * 8 + 4] = BigInt(controlsAt + slot * CONTROL_BYTES)
    }
  }

  reset(): void {
    for (let slot = 0; slot < RECEIVE_SLOTS; slot++) {
      this.#headers32[slot * 16 + 2] = ADDRESS_BYTES
      this.#headers32[slot * 16 + 10] = CONTROL_BYTES
      this.#headers32[slot * 16 + 12] = 0
    }
  }

  /** One message may hold many datagrams of one size; the last may be shorter. */
  deliver(slot: number, events: DescriptorEvents): void {
    const total = this.#headers32[slot * 16 + 14] as number
    const size = this.#controlValue(slot, SOL_UDP, UDP_GRO) ?? total
    if (total === 0 || size <= 0) return
    const peerAt = this.#addressesAt + slot * ADDRESS_BYTES
    const start = slot * RECEIVE_BYTES
    for (let offset = 0; offset < total; offset += size) {
      const length = Math.min(size, total - offset)
      const from = start + offset
      events.onDatagram(this.#slabAt + from, length, this.#slab[from] as number, peerAt)
    }
  }

  /** `sock_extended_err` begins with the error's number. */
  errorOf(slot: number): number | undefined {
    return (
      this.#controlValue(slot, IPPROTO_IP, IP_RECVERR) ??
      this.#controlValue(slot, IPPROTO_IPV6, IPV6_RECVERR)
    )
  }

  #controlValue(slot: number, level: number, type: number): number | undefined {
    const end = slot * CONTROL_BYTES + (this.#headers32[slot * 16 + 10] as number)
    let at = slot * CONTROL_BYTES
    while (at + CMSG_HEADER_BYTES + 4 <= end) {
      const length = this.#controls.getUint32(at, true)
      if (
        this.#controls.getUint32(at + 8, true) === level &&
        this.#controls.getUint32(at + 12, true) === type
      ) {
        return this.#controls.getUint32(at + CMSG_HEADER_BYTES, true)
      }
      if (length < CMSG_HEADER_BYTES) return undefined
      at += (length + 7) & ~7
    }
    return undefined
  }
}

interface SystemCalls {
  socket(family: number, type: number, protocol: number): number
  bind(fd: number, name: Uint8Array, length: number): number
  close(fd: number): number
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number
  getsockname(fd: number, name: number, length: number): number
  sendmmsg(fd: number, messages: number, count: number, flags: number): number
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number
  readonly sending: SendingArrays
  readonly receiving: ReceivingArrays
}

function systemCallsOf(openssl: Openssl): SystemCalls {
  const known = callsByThread.get(openssl)
  if (known !== undefined) return known
  const call = (name: string, values: readonly string[]): never =>
    openssl.library.func(name, 'int', values) as never
  const calls: SystemCalls = {
    socket: call('socket', ['int', 'int', 'int']),
    bind: call('bind', ['int', 'const void *', 'uint32_t']),
    close: call('close', ['int']),
    setsockopt: call('setsockopt', ['int', 'int', 'int', 'const void *', 'uint32_t']),
    getsockname: call('getsockname', ['int', 'uintptr_t', 'uintptr_t']),
    sendmmsg: call('sendmmsg', ['int', 'uintptr_t', 'uint32_t', 'int']),
    recvmmsg: call('recvmmsg', ['int', 'uintptr_t', 'uint32_t', 'int', 'uintptr_t']),
    sending: new SendingArrays(openssl, openssl.slots),
    receiving: new ReceivingArrays(openssl),
  }
  callsByThread.set(openssl, calls)
  openssl.pins.add(calls)
  return calls
}

function sameName(addresses: Uint8Array, one: number, other: number): boolean {
  const a = one * ADDRESS_BYTES
  const b = other * ADDRESS_BYTES
  const bytes = socketAddressBytes(addresses, a)
  for (let at = 0; at < bytes; at++) if (addresses[a + at] !== addresses[b + at]) return false
  return true
}

const callsByThread = new WeakMap<Openssl, SystemCalls>()

const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_REUSEPORT = 15
const IPPROTO_IP = 0
const IP_RECVERR = 11
const IPPROTO_IPV6 = 41
const IPV6_RECVERR = 25
const SOL_UDP = 17
const UDP_SEGMENT = 103
const UDP_GRO = 104
const MSG_ERRQUEUE = 0x2000
const EINTR = 4
const EIO = 5
const EAGAIN = 11
const EINVAL = 22
const ENOBUFS = 105

const MMSGHDR_BYTES = 64
const CMSG_HEADER_BYTES = 16
/** A cmsghdr with a u16, padded. */
const CMSG_BYTES = 24
const CONTROL_BYTES = 128
/** What IPv4 carries in one datagram bounds what goes out as one. */
const MAX_SEGMENTED_BYTES = 65_000
const RECEIVE_SLOTS = 8
const RECEIVE_BYTES = 65_536
/** Of one turn; then others have theirs. */
const MAX_RECEIVE_BATCHES = 8
const MAX_ERRORS = 16
/** Asked for; the kernel gives what its limits allow. */
const BUFFER_BYTES = 4 * 1024 * 1024
/** In the scratch page. */
const NAME_AT = 128
const NAME_LENGTH_AT = 120
