/**
 * A message connection made of a byte stream and a codec: any `Decoder` and `Encode` will do.
 *
 * Messages are borrowed and need no copy; a pause in the middle of a chunk keeps the chunk by a
 * lease instead of copying what was not looked at yet.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder, Encode } from '../../core/codec.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import {
  encodeLengthPrefixed,
  LengthPrefixedDecoder,
  lengthPrefixedDefaults,
} from '../../protocols/framing/length-prefixed.ts'

/** Each message behind its length, 4 bytes, big-endian. `maxMessageBytes` holds in both directions. */
export function lengthPrefixedMessages(
  carrier: Connection,
  options: { maxMessageBytes?: number } = {},
): MessageConnection {
  const { maxMessageBytes = lengthPrefixedDefaults.maxFrameBytes } = options
  const decoder = new LengthPrefixedDecoder({ maxFrameBytes: maxMessageBytes })
  return new FramedConnection(carrier, decoder, encodeLengthPrefixed, maxMessageBytes)
}

export class FramedConnection implements MessageConnection, ConnectionHandler {
  readonly ownsMessages = false
  readonly maxMessageBytes: number
  readonly #carrier: Connection
  readonly #decoder: Decoder<Uint8Array>
  readonly #encode: Encode<Uint8Array>
  readonly #out = new ByteWriter()
  #handler: MessageHandler | undefined
  #paused = false
  #delivering = false
  /** Holds the chunk that messages are still in. */
  #lease: ChunkLease | undefined
  #ended = false

  constructor(
    carrier: Connection,
    decoder: Decoder<Uint8Array>,
    encode: Encode<Uint8Array>,
    maxMessageBytes: number,
  ) {
    this.#carrier = carrier
    this.#decoder = decoder
    this.#encode = encode
    this.maxMessageBytes = maxMessageBytes
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

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    this.#handler = handler
    this.#carrier.open(this)
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    this.#encode(message, this.#out)
    return this.#out.flushTo(this.#carrier)
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#carrier.resume()
    if (!this.#delivering) this.#deliver()
  }

  end(): void {
    this.#carrier.end()
  }
  destroy(reason?: Error): void {
    this.#carrier.destroy(reason)
  }

  onData(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
    if (!this.#deliver()) this.#lease = this.#carrier.leaseChunk()
  }

  onDrain(): void {
    this.#out.recycle()
    this.#handler?.onDrain()
  }

  onEnd(): void {
    this.#ended = true
    this.#deliverEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#releaseLease()
    this.#handler?.onClose(reason)
  }

  /** @returns false when paused with messages left */
  #deliver(): boolean {
    this.#delivering = true
    try {
      while (!this.#paused) {
        const message = this.#decoder.next()
        if (message === undefined) {
          this.#releaseLease()
          if (this.#ended) this.#deliverEnd()
          return true
        }
        this.#handler?.onMessage(message)
      }
      return false
    } catch (error) {
      this.#carrier.destroy(toError(error))
      return true
    } finally {
      this.#delivering = false
    }
  }

  #deliverEnd(): void {
    if (this.#lease !== undefined) return // messages are left
    try {
      this.#decoder.end()
      this.#handler?.onEnd()
    } catch (error) {
      this.#carrier.destroy(toError(error))
    }
  }

  #releaseLease(): void {
    this.#lease?.release()
    this.#lease = undefined
  }
}
