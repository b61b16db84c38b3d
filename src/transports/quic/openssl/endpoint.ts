/**
 * One QUIC endpoint: an SSL listener on one attachment, and every connection that it accepted or
 * dialled. A pass does everything there is to do, and never waits:
 *
 *     SSL_handle_events ─► send what is due ─► handshakes ─► SSL_poll ─► tell ─► again while dirty
 *
 * Writes and reads only make the endpoint dirty; one pass at the end of the tick (`nextTick`)
 * flushes what all streams wrote. What arrives is put in at once and looked at after the batch
 * (`setImmediate`, by the attachment): one pass for a batch is eight times as fast as one for each
 * datagram. Reading makes it dirty too: flow-control credit is sent by the next pass only.
 *
 * A pass costs about 0.4 µs for each connection, idle or not, so an endpoint takes some hundred.
 */
import type { Address } from '../../../core/address.ts'
import type { Timer } from '../../../core/clock.ts'
import { InternalError } from '../../../core/errors.ts'
import { afterInput, defer } from '../../../platform/process-access.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import type { Attachment, AttachmentSink } from './attachment.ts'
import {
  ACCEPT_CONNECTION_NO_BLOCK,
  EVENT_INCOMING_CONNECTION,
  EVENT_LISTENER_ERROR,
  LISTENER_FLAG_NO_VALIDATE,
} from './functions.ts'
import type { Openssl } from './openssl.ts'
import { type Polled, PollTable } from './poll-table.ts'
import type { TlsContext } from './tls-context.ts'

/** A connection as its endpoint sees it. */
export interface EndpointConnection {
  /** Goes on with its handshake. @returns whether that is over, one way or the other */
  handshake(): boolean
  /** The endpoint is going, or the peer cannot be reached. */
  fail(error: Error): void
  /** Frees its SSL objects. */
  free(): void
  /** Where the peer is, as its attachment names it. */
  readonly peerKey: string
  readonly isHandshaking: boolean
}

export interface EndpointOptions {
  /** Accept connections. */
  readonly listens: boolean
  /** Prove with a Retry packet that clients have the addresses they send from (RFC 9000, 8.1.2). */
  readonly retry: boolean
  /** A connection is there; its handshake is not over. The callee makes an object of it, or frees it. */
  onIncoming?(ssl: number, from: Address | undefined): void
  /** The endpoint is of no more use: its socket broke. Its connections have been told. */
  onFailed?(error: Error): void
  /** Its SSL objects are free. */
  onFree?(): void
  /** The last of its connections is free. */
  onEmpty?(): void
}

export class Endpoint implements Polled, AttachmentSink {
  slot = -1
  readonly openssl: Openssl
  readonly attachment: Attachment
  readonly table: PollTable
  readonly connections = new Set<EndpointConnection>()
  /** Datagrams that have arrived. */
  receivedCount = 0
  readonly #handshaking = new Set<EndpointConnection>()
  readonly #context: TlsContext
  readonly #options: EndpointOptions
  #ssl: number
  #dirty = false
  #scheduled = false
  #busy = false
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #holds = 0
  /** Where the Initial packets came from that no connection has been made of yet. */
  #newcomer: Address | undefined
  #closing: Promise<void> | undefined
  /** Memory that streams read into; a leased part is not used again. */
  #slab = new Uint8Array(new ArrayBuffer(SLAB_BYTES))
  #slabAt: number
  #slabUsed = 0

  constructor(
    openssl: Openssl,
    context: TlsContext,
    attachment: Attachment,
    options: EndpointOptions,
  ) {
    this.openssl = openssl
    this.attachment = attachment
    this.table = new PollTable(openssl)
    this.#context = context
    this.#options = options
    this.#slabAt = openssl.addressOf(this.#slab)
    const { f } = openssl
    const flags = options.listens && options.retry ? 0 : LISTENER_FLAG_NO_VALIDATE
    this.#ssl = openssl.must(f.SSL_new_listener(context.pointer, flags), 'SSL_new_listener')
    f.SSL_set_bio(this.#ssl, attachment.bio, attachment.bio)
    f.SSL_set_blocking_mode(this.#ssl, 0)
    if (options.listens) {
      openssl.must(f.SSL_listen(this.#ssl), 'SSL_listen')
      this.table.want(this, EVENT_INCOMING_CONNECTION | EVENT_LISTENER_ERROR)
    }
    f.ERR_clear_error()
    openssl.pins.add(this)
    attachment.start(this)
    attachment.unref()
  }

  get ssl(): number {
    return this.#ssl
  }

  get context(): TlsContext {
    return this.#context
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** Something is to be sent: a pass at the end of this tick. */
  wake(): void {
    this.#dirty = true
    if (this.#scheduled || this.#busy || this.#closing !== undefined) return
    this.#scheduled = true
    defer(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    this.process()
  }

  process(): void {
    if (this.#busy || this.#ssl === 0 || this.#closing !== undefined) return
    this.#busy = true
    const { f } = this.openssl
    try {
      for (let pass = 0; pass < MAX_PASSES; pass++) {
        this.#dirty = false
        this.#events()
        if (this.#handshaking.size > 0) {
          for (const connection of [...this.#handshaking]) {
            if (connection.handshake()) this.#handshaking.delete(connection)
          }
          // The first packet of a client is due as soon as its handshake begins.
          if (this.#ssl !== 0) this.attachment.drain()
        }
        this.table.dispatch()
        if (!this.#dirty || this.#ssl === 0) break
      }
    } finally {
      this.#busy = false
      f.ERR_clear_error()
      if (this.#ssl !== 0 && this.#closing === undefined) {
        if (this.#dirty) this.#again()
        this.#arm()
      }
    }
  }

  /** A connection that was dialled or accepted; its handshake goes on from here. */
  adopt(connection: EndpointConnection): void {
    this.connections.add(connection)
    this.#handshaking.add(connection)
    this.wake()
  }

  forget(connection: EndpointConnection): void {
    this.connections.delete(connection)
    this.#handshaking.delete(connection)
    if (this.connections.size === 0) this.#options.onEmpty?.()
  }

  /** Keeps the process alive until `release`. */
  hold(): void {
    this.#holds += 1
    if (this.#holds > 1) return
    this.attachment.ref()
    this.#timer?.ref()
  }

  release(): void {
    this.#holds -= 1
    if (this.#holds > 0) return
    this.attachment.unref()
    this.#timer?.unref()
  }

  /** Room for a read: where, and how much. */
  readRoom(): number {
    if (SLAB_BYTES - this.#slabUsed < LEAST_READ_BYTES) {
      this.#slab = new Uint8Array(new ArrayBuffer(SLAB_BYTES))
      this.#slabAt = this.openssl.addressOf(this.#slab)
      this.#slabUsed = 0
    }
    return Math.min(MAX_READ_BYTES, SLAB_BYTES - this.#slabUsed)
  }

  get readAt(): number {
    return this.#slabAt + this.#slabUsed
  }

  /** What was read there. It is overwritten by the next read unless `keepRead` is called. */
  readView(length: number): Uint8Array {
    return this.#slab.subarray(this.#slabUsed, this.#slabUsed + length)
  }

  keepRead(chunk: Uint8Array): void {
    if (chunk.buffer !== this.#slab.buffer) return
    this.#slabUsed = Math.max(this.#slabUsed, chunk.byteOffset + chunk.length)
  }

  onEvents(events: number): void {
    if ((events & EVENT_INCOMING_CONNECTION) !== 0) this.#accept()
    if ((events & EVENT_LISTENER_ERROR) !== 0) {
      const reasons = this.openssl.takeErrors().join('; ')
      this.#fail(new InternalError('ERR_INVARIANT', `the QUIC endpoint failed: ${reasons}`))
    }
  }

  // From the attachment.

  onDatagram(
    payloadAt: number,
    length: number,
    firstByte: number,
    peerAt: number,
    from: () => Address,
  ): void {
    if (this.#ssl === 0 || this.#closing !== undefined) return
    this.receivedCount += 1
    // OpenSSL does not say where an accepted connection is from. So the packets that can begin one
    // are looked at one sender at a time, and what is accepted then comes from that sender.
    const begins = length >= LEAST_INITIAL_BYTES && (firstByte & LONG_HEADER_AND_TYPE) === INITIAL
    if (begins && this.#options.listens) this.#beginNewcomer(from())
    this.openssl.f.SSL_inject_net_dgram(this.#ssl, payloadAt, length, peerAt, 0)
  }

  onBatchEnd(): void {
    this.process()
  }

  onUnreachable(key: string, error: Error): void {
    for (const connection of [...this.connections]) {
      if (connection.isHandshaking && connection.peerKey === key) connection.fail(error)
    }
  }

  onClosed(error: Error | undefined): void {
    this.#fail(error ?? new InternalError('ERR_INVARIANT', 'the datagram socket was closed'))
  }

  /** Frees everything; connections that are left are told `reason`. */
  close(reason: Error): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    for (const connection of [...this.connections]) connection.fail(reason)
    // Closes of this moment are to leave before the socket does.
    if (!this.#busy && this.#ssl !== 0) {
      this.openssl.f.SSL_handle_events(this.#ssl)
      this.attachment.drain()
      this.openssl.f.ERR_clear_error()
    }
    this.#closing = this.#tearDown()
    return this.#closing
  }

  /** As `close`, for who is not inside a callback of the endpoint and has nobody to tell. */
  closeNow(): void {
    if (this.#closing !== undefined) return
    this.attachment.stop()
    this.#timer?.cancel()
    this.#timer = undefined
    this.#closing = this.#free()
  }

  async #tearDown(): Promise<void> {
    this.attachment.stop()
    this.#timer?.cancel()
    this.#timer = undefined
    // Not inside a callback of the endpoint: the pass that called us still uses its objects.
    await Promise.resolve()
    await this.#free()
  }

  async #free(): Promise<void> {
    for (const connection of [...this.connections]) connection.free()
    this.connections.clear()
    this.#handshaking.clear()
    this.table.remove(this)
    this.openssl.f.SSL_free(this.#ssl)
    this.openssl.f.ERR_clear_error()
    this.#ssl = 0
    this.openssl.pins.delete(this)
    this.#options.onFree?.()
    await this.attachment.close()
  }

  #fail(error: Error): void {
    if (this.#closing !== undefined) return
    void this.close(error)
    this.#options.onFailed?.(error)
  }

  #events(): void {
    this.openssl.f.SSL_handle_events(this.#ssl)
    this.attachment.drain()
  }

  #beginNewcomer(from: Address): void {
    if (this.#newcomer !== undefined && !sameAddress(this.#newcomer, from)) {
      this.#events()
      this.#accept()
    }
    this.#newcomer = from
  }

  #accept(): void {
    const { f } = this.openssl
    while (this.#closing === undefined) {
      const ssl = f.SSL_accept_connection(this.#ssl, ACCEPT_CONNECTION_NO_BLOCK)
      if (ssl === 0) break
      this.#options.onIncoming?.(ssl, this.#newcomer)
    }
    f.ERR_clear_error()
  }

  /** Not in this tick again: input must have its turn. */
  #again(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    afterInput(this.#run)
  }

  #arm(): void {
    const { f, at, scratch32, scratch64 } = this.openssl
    f.SSL_get_event_timeout(this.#ssl, at + EVENT_TIME_AT, at + EVENT_INFINITE_AT)
    let due = Number.POSITIVE_INFINITY
    if (scratch32[EVENT_INFINITE_AT / 4] === 0) {
      const seconds = Number(scratch64[EVENT_TIME_AT / 8])
      const micros = Number(scratch64[EVENT_TIME_AT / 8 + 1])
      due = systemClock.now() + seconds * 1_000 + micros / 1_000
    }
    // Most passes move the timer by nothing that matters: arming it is what costs.
    if (this.#timer !== undefined && this.#timerAt <= due + 0.5 && this.#timerAt >= due - 2) return
    this.#timer?.cancel()
    this.#timer = undefined
    if (due === Number.POSITIVE_INFINITY) return
    this.#timerAt = due
    this.#timer = systemClock.setTimer(due, () => {
      this.#timer = undefined
      this.process()
    })
    if (this.#holds === 0) this.#timer.unref()
  }
}

function sameAddress(one: Address, other: Address): boolean {
  if (one === other) return true
  if (one.kind === 'ip' && other.kind === 'ip') {
    return one.port === other.port && one.host === other.host
  }
  return JSON.stringify(one) === JSON.stringify(other)
}

/** Of one call; then others have their turn. */
const MAX_PASSES = 8
/** A client pads what begins a connection to this (RFC 9000, 14.1). */
const LEAST_INITIAL_BYTES = 1_200
/** Header form and packet type (RFC 9000, 17.2). */
const LONG_HEADER_AND_TYPE = 0b1011_0000
const INITIAL = 0b1000_0000
const SLAB_BYTES = 262_144
const MAX_READ_BYTES = 65_536
const LEAST_READ_BYTES = 16_384
/** In the scratch page. */
const EVENT_TIME_AT = 512
const EVENT_INFINITE_AT = 528
