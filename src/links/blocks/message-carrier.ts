/**
 * Messages of a connection that has them: a framed stream, a data channel that nobody cuts for.
 */
import type { ConnectionFacts } from '../../core/connection.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { BlockCarrier, BlockCarrierHandler, OutgoingMessage } from './block-carrier.ts'

export class MessageCarrier implements BlockCarrier, MessageHandler {
  readonly maxMessageBytes: number
  protected readonly messages: MessageConnection
  protected handler: BlockCarrierHandler | undefined

  constructor(messages: MessageConnection, maxMessageBytes: number) {
    this.messages = messages
    this.maxMessageBytes = Math.min(maxMessageBytes, messages.maxMessageBytes)
  }

  get id(): number {
    return this.messages.id
  }
  get facts(): ConnectionFacts {
    return this.messages.facts
  }
  get writableLength(): number {
    return this.messages.writableLength
  }
  /** Only the connection knows, and has a timeout of its own where it needs one. */
  get partial(): boolean {
    return false
  }

  open(handler: BlockCarrierHandler): void {
    this.handler = handler
    this.messages.open(this)
  }

  send(message: OutgoingMessage): boolean {
    return this.messages.send(message.bytes)
  }

  pause(): void {
    this.messages.pause()
  }
  resume(): void {
    this.messages.resume()
  }
  end(): void {
    this.messages.end()
  }
  destroy(reason?: Error): void {
    this.messages.destroy(reason)
  }

  onMessage(message: Uint8Array): void {
    this.handler?.onProgress()
    const bytes = this.own(message)
    this.handler?.onMessage({ bytes, kind: 'message', blockHash: undefined })
  }

  /** As a plain array that is the receiver's: some libraries give Node's `Buffer`. */
  protected own(message: Uint8Array): Uint8Array {
    if (!this.messages.ownsMessages) return new Uint8Array(message)
    return message.constructor === Uint8Array
      ? message
      : new Uint8Array(message.buffer, message.byteOffset, message.length)
  }

  onDrain(): void {
    this.handler?.onDrain()
  }
  onEnd(): void {
    this.handler?.onEnd()
  }
  onClose(reason: Error | undefined): void {
    this.handler?.onClose(reason)
  }
}
