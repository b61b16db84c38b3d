/**
 * One HTTP exchange as a connection: CONNECT (RFC 9113 8.5) and extended CONNECT (RFC 8441), where
 * the streams of one connection carry other connections.
 *
 *     exchange  ──data, end, abort──►  ExchangeConnection  ──► handler
 *               ◄──send, end, reset──                      ◄── owner
 *
 * Both glues make one: a client of a 2xx response, a server when a service takes an upgrade over.
 * What is written beyond what the exchange takes waits here, uncopied, and is told of as
 * `writableLength`; while the owner does not read, nothing is asked of the peer, so that its window
 * for this stream runs out and nothing else is held up. `destroy` resets the stream and no more.
 */
import type { Clock } from '../../core/clock.ts'
import type { Connection, ConnectionFacts } from '../../core/connection.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import { LayerConnection } from './layer-connection.ts'

/** What an exchange does for the connection that is made of it. */
export interface ExchangeCarrier {
  /** Whether `sendData` may be called; after false, `ExchangeConnection.onWritable` is. */
  readonly writable: boolean
  /** Takes a piece at once: it is sent or copied. @returns `writable` */
  sendData(chunk: Uint8Array): boolean
  sendEnd(): void
  /** Whether data of the peer is wanted. Not at first. */
  demand(wanted: boolean): void
  /** Gives the exchange up: the peer is told at once. */
  reset(reason: Error): void
  /** Both sides have ended it. Nothing more is asked. */
  done(): void
}

export class ExchangeConnection extends LayerConnection {
  readonly id: number = nextConnectionId()
  readonly facts: ConnectionFacts
  readonly #carrier: ExchangeCarrier
  readonly #below: Connection
  readonly #queue: Uint8Array[] = []
  #queued = 0
  #ending = false
  #endSent = false
  #peerEnded = false
  #gone = false

  /** @param below the connection that carries the exchange: its facts are this one's */
  constructor(below: Connection, carrier: ExchangeCarrier, clock: Clock) {
    super(clock)
    this.facts = below.facts
    this.#below = below
    this.#carrier = carrier
  }

  get writableLength(): number {
    return this.#queued
  }

  // --- what the exchange says

  /** A part of the peer's data, borrowed. */
  onData(chunk: Uint8Array): void {
    this.deliver(chunk.slice())
  }

  onPeerEnd(): void {
    if (this.#peerEnded || this.#gone) return
    this.#peerEnded = true
    this.receiveEnd()
    this.#settle()
  }

  /** The exchange ended early: reset by the peer, or the connection below is gone. */
  onAbort(reason: Error): void {
    this.#gone = true
    this.#drop()
    this.receiveClose(reason)
  }

  /** The exchange takes data again. */
  onWritable(): void {
    this.#flush()
    if (!this.#gone) this.drained()
  }

  override ref(): void {
    this.#below.ref()
  }

  // --- what a layer does

  protected get writable(): boolean {
    return this.#queued === 0
  }

  protected transmit(chunk: Uint8Array): void {
    this.#queue.push(chunk)
    this.#queued += chunk.length
    this.#flush()
  }

  protected transmitEnd(): void {
    this.#ending = true
    this.#flush()
  }

  protected abort(reason: Error | undefined): void {
    if (this.#gone) return
    this.#gone = true
    this.#drop()
    this.#carrier.reset(reason ?? new Error('the connection was destroyed'))
  }

  protected readingChanged(reading: boolean): void {
    if (!this.#gone && !this.#peerEnded) this.#carrier.demand(reading)
  }

  #flush(): void {
    const carrier = this.#carrier
    while (this.#queued > 0 && !this.#gone && carrier.writable) this.#sendPiece()
    if (!this.#ending || this.#endSent || this.#queued > 0 || this.#gone) return
    this.#endSent = true
    carrier.sendEnd()
    this.#settle()
  }

  #sendPiece(): void {
    const chunk = this.#queue[0] as Uint8Array
    const piece = chunk.length <= MAX_PIECE_BYTES ? chunk : chunk.subarray(0, MAX_PIECE_BYTES)
    if (piece === chunk) this.#queue.shift()
    else this.#queue[0] = chunk.subarray(MAX_PIECE_BYTES)
    this.#queued -= piece.length
    this.#carrier.sendData(piece)
  }

  #settle(): void {
    if (!this.#peerEnded || !this.#endSent || this.#gone) return
    this.#gone = true
    this.#carrier.done()
    this.receiveClose(undefined)
  }

  #drop(): void {
    this.#queue.length = 0
    this.#queued = 0
  }
}

/** A long write must not be copied whole before the exchange can say that it takes no more. */
const MAX_PIECE_BYTES = 65_536
