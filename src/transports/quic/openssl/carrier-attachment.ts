/**
 * QUIC over any `DatagramSocket`: UDP of Node, memory, a tunnel, a simulated network.
 *
 * OpenSSL knows addresses of sockets only, so a peer is shown to it as an IPv4 address that does not
 * exist: its 32 bits number our peers. The table is bounded; a peer that nobody is connected to is
 * forgotten first, and what OpenSSL still sends to it is dropped.
 */
import { type Address, formatAddress } from '../../../core/address.ts'
import type { DatagramSocket } from '../../../core/datagram-socket.ts'
import { OverloadError, toError } from '../../../core/errors.ts'
import { afterInput } from '../../../platform/process-access.ts'
import type { AttachedPeer, Attachment, AttachmentSink } from './attachment.ts'
import { DatagramPair } from './datagram-pair.ts'
import { ADDRESS_BYTES } from './datagram-slots.ts'
import type { Openssl } from './openssl.ts'

export class CarrierAttachment implements Attachment {
  readonly #openssl: Openssl
  readonly #socket: DatagramSocket
  readonly #pair: DatagramPair
  readonly #peers = new Map<string, Peer>()
  readonly #byNumber = new Map<number, Peer>()
  readonly #staging = new Uint8Array(new ArrayBuffer(STAGING_BYTES))
  readonly #stagingAt: number
  #lastNumber = 0
  #sink: AttachmentSink | undefined
  #batchScheduled = false

  constructor(openssl: Openssl, socket: DatagramSocket) {
    this.#openssl = openssl
    this.#socket = socket
    this.#pair = new DatagramPair(openssl)
    this.#stagingAt = openssl.addressOf(this.#staging)
    openssl.pins.add(this)
  }

  get bio(): number {
    return this.#pair.bio
  }

  get local(): Address {
    return this.#socket.address
  }

  start(sink: AttachmentSink): void {
    this.#sink = sink
    this.#socket.open({
      onDatagram: (payload, from) => this.#receive(payload, from),
      onError: (error) => this.#unreachable(error),
      onClose: (reason) => this.#sink?.onClosed(reason),
    })
  }

  drain(): void {
    const { slots } = this.#pair
    do {
      this.#pair.read()
      for (let slot = 0; slot < slots.filled; slot++) {
        const peer = this.#byNumber.get(numberAt(slots.addresses, slot * ADDRESS_BYTES))
        if (peer !== undefined) this.#send(slots.payload(slot), peer)
      }
    } while (this.#pair.mayHaveMore)
  }

  peer(remote: Address): AttachedPeer {
    const peer = this.#known(remote, formatAddress(remote))
    if (peer === undefined) {
      throw new OverloadError('ERR_LIMITED', `more than ${MAX_PEERS} peers are connected here`)
    }
    peer.users += 1
    let used = true
    return {
      pointer: peer.at,
      key: peer.key,
      forget() {
        if (used) peer.users -= 1
        used = false
      },
    }
  }

  stop(): void {
    this.#sink = undefined
  }

  async close(): Promise<void> {
    this.#pair.free()
    this.#openssl.pins.delete(this)
    await this.#socket.close()
  }

  // What a `DatagramSocket` keeps alive is its own business.
  ref(): void {}
  unref(): void {}

  #send(payload: Uint8Array, peer: Peer): void {
    try {
      this.#socket.send(payload, peer.address)
    } catch (error) {
      // An address that the carrier cannot use: who dialled it hears of it.
      this.#sink?.onUnreachable(peer.key, toError(error))
    }
  }

  #receive(payload: Uint8Array, from: Address): void {
    if (this.#sink === undefined || payload.length > STAGING_BYTES || payload.length === 0) return
    const peer = this.#known(from, formatAddress(from))
    if (peer === undefined) return // like a full socket
    this.#staging.set(payload)
    this.#sink.onDatagram(
      this.#stagingAt,
      payload.length,
      payload[0] as number,
      peer.at,
      () => from,
    )
    if (this.#batchScheduled) return
    this.#batchScheduled = true
    // Other datagrams of this turn come first: one pass for all of them.
    afterInput(() => {
      this.#batchScheduled = false
      this.#sink?.onBatchEnd()
    })
  }

  #unreachable(error: Error): void {
    const { detail } = error as { detail?: { remote?: unknown } }
    const remote = detail?.remote as Address | undefined
    if (remote !== undefined) this.#sink?.onUnreachable(formatAddress(remote), error)
  }

  #known(address: Address, key: string): Peer | undefined {
    const known = this.#peers.get(key)
    if (known !== undefined) return known
    if (this.#peers.size >= MAX_PEERS && !this.#forgetOne()) return undefined
    this.#lastNumber = (this.#lastNumber + 1) >>> 0 || 1
    const memory = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES))
    const number = this.#lastNumber
    const at = this.#openssl.addressOf(memory)
    const text = Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number)
    const made = this.#openssl.f.BIO_ADDR_rawmake(at, AF_INET, text, 4, FAKE_PORT)
    this.#openssl.must(made, 'BIO_ADDR_rawmake')
    const peer: Peer = { key, address, number, memory, at, users: 0 }
    this.#peers.set(key, peer)
    this.#byNumber.set(number, peer)
    return peer
  }

  /** The one that came first and that we do not dial. */
  #forgetOne(): boolean {
    for (const [key, peer] of this.#peers) {
      if (peer.users > 0) continue
      this.#peers.delete(key)
      this.#byNumber.delete(peer.number)
      return true
    }
    return false
  }
}

interface Peer {
  readonly key: string
  readonly address: Address
  readonly number: number
  /** Kept: OpenSSL is given its address. */
  readonly memory: Uint8Array
  readonly at: number
  users: number
}

/** The four bytes of an IPv4 address stand at offset 4 of a sockaddr_in everywhere. */
function numberAt(addresses: Uint8Array, from: number): number {
  const a = addresses
  return (
    (((a[from + 4] as number) << 24) |
      ((a[from + 5] as number) << 16) |
      ((a[from + 6] as number) << 8) |
      (a[from + 7] as number)) >>>
    0
  )
}

const AF_INET = 2
const FAKE_PORT = 0x0100
const STAGING_BYTES = 65_536
/** Addresses a carrier is known to have at a time: some 300 bytes each. */
const MAX_PEERS = 16_384
