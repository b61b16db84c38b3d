/**
 * A byte stream carried as records over another byte stream.
 *
 *     | length u32 | record … | length u32 | record … |
 *
 * What is written in one tick becomes as few records as it fits into, at its end or as soon as it is
 * a full one. Records are opened one at a time while somebody reads: what a peer can make this side
 * hold is what one read of the carrier brought, and one record.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection, ConnectionFacts, ConnectionHandler } from '../../core/connection.ts'
import { ProtocolError, TransportError, toError } from '../../core/errors.ts'
import { LengthPrefixedDecoder } from '../../protocols/framing/length-prefixed.ts'
import { LayerConnection } from './layer-connection.ts'
import type { RecordCodec, Shaking } from './record-codec.ts'

export class RecordStream extends LayerConnection implements ConnectionHandler, Shaking {
  readonly id: number
  readonly facts: ConnectionFacts
  /** Set by a listener, to count. */
  onClosed: (() => void) | undefined
  readonly #carrier: Connection
  readonly #codec: RecordCodec
  readonly #clock: Clock
  readonly #decoder: LengthPrefixedDecoder
  /** What was written and is not sealed yet. */
  #plain = new ByteWriter()
  readonly #wire = new ByteWriter()
  #flushDue = false
  #blocked = false
  #shaken: ((error: Error | undefined) => void) | undefined
  #pumping = false
  #carrierEnded = false
  #endHandled = false
  #carrierClosed = false

  constructor(carrier: Connection, codec: RecordCodec, facts: ConnectionFacts, clock: Clock) {
    super(clock)
    this.id = carrier.id
    this.facts = facts
    this.#carrier = carrier
    this.#codec = codec
    this.#clock = clock
    const maxFrameBytes = codec.maxPayloadBytes + codec.overheadBytes
    this.#decoder = new LengthPrefixedDecoder({ maxFrameBytes })
  }

  get writableLength(): number {
    return this.over ? 0 : this.#plain.pending + this.#wire.pending + this.#carrier.writableLength
  }

  shake(done: (error: Error | undefined) => void): void {
    this.#shaken = done
    this.#carrier.open(this)
    for (const record of this.#codec.begin()) this.#emit([record])
    this.#wire.flushTo(this.#carrier)
    this.#checkReady()
  }

  override ref(): void {
    this.#carrier.ref()
  }
  override unref(): void {
    this.#carrier.unref()
  }

  protected get writable(): boolean {
    return !this.#blocked
  }

  protected transmit(chunk: Uint8Array): void {
    this.#plain.give(chunk)
    if (this.#plain.pending >= this.#codec.maxPayloadBytes) this.#flush()
    if (this.#flushDue) return
    this.#flushDue = true
    this.#clock.defer(() => {
      this.#flushDue = false
      if (this.over) return
      this.#flush()
      this.drained()
    })
  }

  protected transmitEnd(): void {
    this.#flush()
    this.#codec.sealEnd((pieces) => this.#emit(pieces))
    this.#wire.flushTo(this.#carrier)
    this.#carrier.end()
  }

  protected abort(reason: Error | undefined): void {
    this.#plain = new ByteWriter()
    this.#carrier.destroy(reason)
  }

  protected readingChanged(reading: boolean): void {
    if (this.#pumping) return // looked at when it is over
    if (reading) this.#pump()
    else if (!this.#carrierClosed) this.#carrier.pause()
  }

  // From the carrier.

  onData(chunk: Uint8Array): void {
    if (this.over) return
    this.#decoder.push(chunk)
    this.#pump()
    this.#decoder.copyBorrowed()
  }

  onDrain(): void {
    this.#blocked = false
    this.#wire.recycle()
    this.drained()
  }

  onEnd(): void {
    this.#carrierEnded = true
    this.#pump()
  }

  onClose(reason: Error | undefined): void {
    this.#carrierClosed = true
    this.onClosed?.()
    this.#shakeFailed(reason)
    if (reason === undefined) return this.#pump()
    this.receiveClose(reason)
  }

  /** Opens records as long as somebody takes what is in them. */
  #pump(): void {
    if (this.#pumping || this.over) return
    this.#pumping = true
    try {
      if (this.#pumpAll()) this.#inputUsed()
    } catch (error) {
      this.#fail(toError(error))
    } finally {
      this.#pumping = false
    }
    if (this.over || this.#carrierClosed) return
    if (this.reading || this.#shaken !== undefined) this.#carrier.resume()
    else this.#carrier.pause()
  }

  /** @returns whether everything that has arrived was used */
  #pumpAll(): boolean {
    for (;;) {
      if (this.over) return false
      if (!this.reading && this.#shaken === undefined) return false
      const record = this.#decoder.next()
      if (record === undefined) return true
      if (!this.#codec.ready) this.#handshake(record)
      else {
        const payload = this.#codec.open(record)
        if (payload !== undefined) this.#deliverPayload(payload)
        else if (this.#codec.ended) this.receiveEnd()
      }
      this.#checkReady()
    }
  }

  #deliverPayload(payload: Uint8Array): void {
    this.deliver(this.#codec.ownsPayloads ? payload : payload.slice())
  }

  #handshake(record: Uint8Array): void {
    for (const answer of this.#codec.receiveHandshake(record)) this.#emit([answer])
    this.#wire.flushTo(this.#carrier)
  }

  #checkReady(): void {
    if (!this.#codec.ready || this.#shaken === undefined) return
    const done = this.#shaken
    this.#shaken = undefined
    done(undefined)
  }

  /** The carrier's end and close count when every record before them was opened. */
  #inputUsed(): void {
    if (this.#carrierEnded && !this.#endHandled) {
      this.#endHandled = true
      this.#decoder.end()
      if (this.#shaken !== undefined) return this.#shakeFailed(undefined)
      if (!this.#codec.ended) {
        const message = 'the stream ended without its last record: it was cut'
        throw new ProtocolError('ERR_TRUNCATED', message)
      }
      this.receiveEnd()
    }
    if (this.#carrierClosed) this.receiveClose(undefined)
  }

  #fail(error: Error): void {
    if (this.#shaken !== undefined) this.#shakeFailed(error)
    else this.destroy(error)
  }

  #shakeFailed(reason: Error | undefined): void {
    const done = this.#shaken
    if (done === undefined) return
    this.#shaken = undefined
    const error =
      reason ??
      new TransportError('ERR_CONNECT', 'the peer ended the connection before both sides agreed')
    done(error)
    this.destroy(error)
  }

  #flush(): void {
    if (this.#plain.pending > 0) this.#plain.flushTo(this.#sealer)
    if (this.#wire.pending > 0) this.#blocked = !this.#wire.flushTo(this.#carrier)
  }

  /** Where what was written is made into records. */
  readonly #sealer = {
    writableLength: 0,
    write: (chunk: Uint8Array): boolean => {
      const { maxPayloadBytes } = this.#codec
      const now = this.#clock.now()
      for (let at = 0; at < chunk.length; at += maxPayloadBytes) {
        const payload = chunk.subarray(at, at + maxPayloadBytes)
        this.#codec.seal(payload, now, (pieces) => this.#emit(pieces))
      }
      return true
    },
    writeAll: (chunks: readonly Uint8Array[]): boolean => {
      for (const chunk of chunks) this.#sealer.write(chunk)
      return true
    },
  }

  #emit(pieces: readonly Uint8Array[]): void {
    let length = 0
    for (const piece of pieces) length += piece.length
    this.#wire.uint32(length)
    for (const piece of pieces) this.#wire.give(piece)
  }
}
