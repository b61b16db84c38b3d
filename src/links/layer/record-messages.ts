/**
 * Messages carried as records over another message connection: each record is one message.
 */

import { ByteWriter } from '../../core/byte-writer.ts'
import type { Clock } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { ProtocolError, TransportError, toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { RecordCodec, Shaking } from './record-codec.ts'

export class RecordMessages implements MessageConnection, MessageHandler, Shaking {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly maxMessageBytes: number
  readonly ownsMessages: boolean
  /** Set by a listener, to count. */
  onClosed: (() => void) | undefined
  readonly #carrier: MessageConnection
  readonly #codec: RecordCodec
  readonly #clock: Clock
  #handler: MessageHandler | undefined
  #shaken: ((error: Error | undefined) => void) | undefined
  #paused = false
  #drainOwed = false
  #ending = false
  #endTold = false
  #over = false
  #close: { readonly reason: Error | undefined } | undefined
  #closeTold = false

  constructor(
    carrier: MessageConnection,
    codec: RecordCodec,
    options: { facts: ConnectionFacts; clock: Clock; maxMessageBytes: number },
  ) {
    const room = carrier.maxMessageBytes - codec.overheadBytes
    if (room < 1) {
      const message = `messages of ${carrier.maxMessageBytes} bytes have no room for a record`
      throw new UsageError('ERR_OPTION_RANGE', message)
    }
    this.id = carrier.id
    this.facts = options.facts
    this.maxMessageBytes = Math.min(room, options.maxMessageBytes)
    this.ownsMessages = codec.ownsPayloads
    this.#carrier = carrier
    this.#codec = codec
    this.#clock = options.clock
  }

  get writableLength(): number {
    return this.#over ? 0 : this.#carrier.writableLength
  }

  shake(done: (error: Error | undefined) => void): void {
    this.#shaken = done
    this.#carrier.open(this)
    for (const record of this.#codec.begin()) this.#carrier.send(record)
    this.#checkReady()
  }

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    if (this.#closeTold) throw new UsageError('ERR_STATE', `connection ${this.id} is closed`)
    this.#handler = handler
    // Not from within this call: the owner may not be ready to hear anything.
    this.#clock.defer(() => {
      this.#tellDrain()
      if (this.#close !== undefined) return this.#tellClose()
      if (!this.#paused && !this.#over) this.#carrier.resume()
    })
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    if (this.#ending || this.#over) return false
    let writable = true
    this.#codec.seal(message, this.#clock.now(), (pieces) => {
      writable = this.#carrier.send(joined(pieces))
    })
    if (this.#carrier.writableLength > 0) this.#drainOwed = true
    return writable
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#handler !== undefined) this.#carrier.resume()
  }

  end(): void {
    if (this.#ending || this.#over) return
    this.#ending = true
    this.#codec.sealEnd((pieces) => this.#carrier.send(joined(pieces)))
    this.#carrier.end()
  }

  destroy(reason?: Error): void {
    if (this.#over) return
    this.#over = true
    this.#carrier.destroy(reason)
  }

  // From the carrier.

  onMessage(record: Uint8Array): void {
    if (this.#over) return
    try {
      if (!this.#codec.ready) {
        for (const answer of this.#codec.receiveHandshake(record)) this.#carrier.send(answer)
        // The peer closes when it has heard the refusal, or is cut off when its time is up.
        if (this.#codec.refusal !== undefined) return this.#carrier.end()
        return this.#checkReady()
      }
      const payload = this.#codec.open(record)
      if (payload !== undefined) this.#handler?.onMessage(payload)
      else if (this.#codec.ended) this.#tellEnd()
    } catch (error) {
      this.#fail(toError(error))
    }
  }

  onDrain(): void {
    this.#tellDrain()
  }

  onEnd(): void {
    if (this.#over) return
    if (this.#shaken !== undefined) return this.#shakeFailed(undefined)
    if (this.#codec.ended) return this.#tellEnd()
    const message = 'the connection ended without its last record: it was cut'
    this.#fail(new ProtocolError('ERR_TRUNCATED', message))
  }

  onClose(reason: Error | undefined): void {
    this.#over = true
    this.#close = { reason }
    this.onClosed?.()
    this.#shakeFailed(reason)
    this.#tellClose()
  }

  #tellDrain(): void {
    if (!this.#drainOwed || this.#handler === undefined || this.#over) return
    if (this.#carrier.writableLength > 0) return
    this.#drainOwed = false
    this.#handler.onDrain()
  }

  #tellEnd(): void {
    if (this.#endTold || this.#over) return
    this.#endTold = true
    this.#handler?.onEnd()
  }

  #tellClose(): void {
    const handler = this.#handler
    if (handler === undefined || this.#closeTold) return
    this.#closeTold = true
    handler.onClose(this.#close?.reason)
  }

  #checkReady(): void {
    if (!this.#codec.ready || this.#shaken === undefined) return
    const done = this.#shaken
    this.#shaken = undefined
    // What follows waits for the owner to open it.
    this.#carrier.pause()
    done(undefined)
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
      this.#codec.refusal ??
      reason ??
      new TransportError('ERR_CONNECT', 'the peer ended the connection before both sides agreed')
    done(error)
    this.destroy(error)
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined) return only
  let length = 0
  for (const piece of pieces) length += piece.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
