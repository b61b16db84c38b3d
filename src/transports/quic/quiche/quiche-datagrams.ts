/**
 * Unreliable datagrams of a connection (RFC 9221) as a `DatagramSocket` with one peer.
 *
 * They share encryption and congestion control with the streams, and are never sent again. quiche
 * drops without a word what its queue of a thousand has no room for, so the number handed over in one
 * turn of the loop is bounded here, where it can be counted.
 */
import { type Address, formatAddress } from '../../../core/address.ts'
import type { DatagramHandler, DatagramSocket } from '../../../core/datagram-socket.ts'
import { ProtocolError, UsageError } from '../../../core/errors.ts'
import { afterInput, defer } from '../../../platform/process-access.ts'
import type { NativeMetrics } from './binding.ts'

/** The connection, as its datagrams see it. */
export interface QuicheDatagramCarrier {
  /** @returns false: too large for the path, or the peer takes none */
  sendDatagram(payload: Uint8Array): boolean
  metrics(): NativeMetrics | undefined
}

export class QuicheDatagrams implements DatagramSocket {
  readonly address: Address
  readonly remote: Address
  readonly #carrier: QuicheDatagramCarrier
  readonly #maxQueued: number
  #handler: DatagramHandler | undefined
  #opened = false
  #paused = true
  #queue: Uint8Array[] = []
  #draining = false
  #dropped = 0
  #sentInTurn = 0
  #maxPayloadBytes = LEAST_PAYLOAD_BYTES
  #ended: { readonly reason: Error | undefined } | undefined
  readonly #closed = Promise.withResolvers<void>()

  constructor(carrier: QuicheDatagramCarrier, local: Address, remote: Address, maxQueued: number) {
    this.#carrier = carrier
    this.address = local
    this.remote = remote
    this.#maxQueued = maxQueued
  }

  /** Grows while quiche finds out what the path carries. */
  get maxPayloadBytes(): number {
    const { pmtu = 0 } = this.#carrier.metrics() ?? {}
    this.#maxPayloadBytes = Math.max(LEAST_PAYLOAD_BYTES, pmtu - OVERHEAD_BYTES)
    return this.#maxPayloadBytes
  }

  get droppedCount(): number {
    return this.#dropped
  }

  open(handler: DatagramHandler): void {
    if (this.#ended !== undefined) throw new UsageError('ERR_STATE', 'the socket is closed')
    if (this.#opened) throw new UsageError('ERR_ALREADY_OPEN', 'the socket is already open')
    this.#opened = true
    this.#handler = handler
    this.resume()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (this.#handler === undefined) return
    this.#paused = false
    if (this.#queue.length > 0) defer(() => this.#drain())
  }

  send(payload: Uint8Array, to?: Address): boolean {
    if (to !== undefined && formatAddress(to) !== formatAddress(this.remote)) {
      const peer = formatAddress(this.remote)
      throw new UsageError(
        'ERR_ARGUMENT',
        `${formatAddress(to)}: the socket is connected to ${peer}`,
      )
    }
    // Asking costs a fifth of a send: only for what is larger than was known to fit.
    if (payload.length > this.#maxPayloadBytes && payload.length > this.maxPayloadBytes) {
      const message = `a datagram has ${payload.length} bytes, more than ${this.#maxPayloadBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', message, { sent: 'nothing' })
    }
    if (this.#ended === undefined && this.#takesOne() && this.#carrier.sendDatagram(payload)) {
      return true
    }
    this.#dropped += 1
    return false
  }

  close(): Promise<void> {
    this.end(undefined)
    return this.#closed.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // From the connection.

  received(payload: Uint8Array): void {
    if (this.#ended !== undefined) return
    if (!this.#paused && this.#queue.length === 0) {
      this.#handler?.onDatagram(payload, this.remote)
    } else if (this.#queue.length < this.#maxQueued) this.#queue.push(payload)
    else this.#dropped += 1
  }

  end(reason: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = { reason }
    this.#queue = []
    const handler = this.#handler
    this.#handler = undefined
    defer(() => {
      handler?.onClose(reason)
      this.#closed.resolve()
    })
  }

  #takesOne(): boolean {
    if (this.#sentInTurn === 0) afterInput(() => this.#newTurn())
    if (this.#sentInTurn >= MAX_IN_TURN) return false
    if (this.#sentInTurn % ASK_EVERY === 0 && !this.#hasRoom) return false
    this.#sentInTurn += 1
    return true
  }

  get #hasRoom(): boolean {
    const { datagramQueueDepth = 0 } = this.#carrier.metrics() ?? {}
    return datagramQueueDepth <= MAX_IN_TURN
  }

  #newTurn(): void {
    this.#sentInTurn = 0
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    try {
      while (!this.#paused && this.#ended === undefined) {
        const payload = this.#queue.shift()
        if (payload === undefined) break
        this.#handler?.onDatagram(payload, this.remote)
      }
    } finally {
      // A handler that throws loses the one it was given, and no other.
      this.#draining = false
      if (!this.#paused && this.#queue.length > 0) defer(() => this.#drain())
    }
  }
}

/** Measured: of a packet, what a datagram frame cannot use. */
const OVERHEAD_BYTES = 44
/** Every path of QUIC carries packets of 1,200 bytes (RFC 9000, 14). */
const LEAST_PAYLOAD_BYTES = 1_200 - OVERHEAD_BYTES
/** Half of quiche's queue. */
const MAX_IN_TURN = 512
const ASK_EVERY = 64
