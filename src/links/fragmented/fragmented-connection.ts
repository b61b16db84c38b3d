/**
 * A message connection that takes long messages, made of one that takes short ones.
 *
 * On a carrier that loses messages, a long message arrives whole or not at all.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import {
  type FragmentOptions,
  fragmentMessage,
  MessageReassembler,
} from '../../protocols/framing/fragments.ts'

export interface FragmentedSettings extends Readonly<Required<FragmentOptions>> {
  readonly clock: Clock
  readonly maxPieceBytes: number
}

export class FragmentedConnection implements MessageConnection, MessageHandler {
  readonly maxMessageBytes: number
  readonly #carrier: MessageConnection
  readonly #settings: FragmentedSettings
  readonly #reassembler: MessageReassembler
  #handler: MessageHandler | undefined
  #nextId = 0
  #timer: Timer | undefined

  constructor(carrier: MessageConnection, settings: FragmentedSettings) {
    this.#carrier = carrier
    this.#settings = settings
    this.#reassembler = new MessageReassembler(settings)
    this.maxMessageBytes = settings.maxMessageBytes
  }

  get id(): number {
    return this.#carrier.id
  }
  get facts(): ConnectionFacts {
    return this.#carrier.facts
  }
  get writableLength(): number {
    return this.#carrier.writableLength
  }
  /** Whole messages are views of the carrier's. */
  get ownsMessages(): boolean {
    return this.#carrier.ownsMessages
  }
  /** Messages of the peer that were given up for want of a piece, or of room. */
  get droppedCount(): number {
    return this.#reassembler.droppedCount
  }

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#carrier.open(this)
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    const pieceBytes = Math.min(this.#settings.maxPieceBytes, this.#carrier.maxMessageBytes)
    let more = true
    for (const part of fragmentMessage(this.#nextId, message, pieceBytes)) {
      more = this.#carrier.send(part)
    }
    this.#nextId = (this.#nextId + 1) >>> 0
    return more
  }

  pause(): void {
    this.#carrier.pause()
  }
  resume(): void {
    this.#carrier.resume()
  }
  end(): void {
    this.#carrier.end()
  }
  destroy(reason?: Error): void {
    this.#carrier.destroy(reason)
  }

  // Called by the carrier.

  onMessage(part: Uint8Array): void {
    let message: Uint8Array | undefined
    try {
      message = this.#reassembler.receive(part, this.#settings.clock.now())
    } catch (error) {
      return this.#carrier.destroy(toError(error))
    }
    if (message !== undefined) return this.#handler?.onMessage(message)
    this.#arm()
  }

  onDrain(): void {
    this.#handler?.onDrain()
  }
  onEnd(): void {
    this.#handler?.onEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#reassembler.clear()
    this.#handler?.onClose(reason)
  }

  /** One timer, for the oldest; it looks again when it has fired. */
  #arm(): void {
    const at = this.#reassembler.pollTimeout()
    if (this.#timer !== undefined || at === undefined) return
    const { clock } = this.#settings
    this.#timer = clock.setTimer(at, () => {
      this.#timer = undefined
      this.#reassembler.handleTimeout(clock.now())
      this.#arm()
    })
    this.#timer.unref()
  }
}
