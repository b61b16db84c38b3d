/**
 * A message connection made of a byte stream and a codec: any `Decoder` and `Encode` will do.
 *
 * - **Receiving.** Messages are borrowed and need no copy; a pause in the middle of a chunk keeps the
 *   chunk by a lease instead of copying what was not looked at yet.
 * - **Sending.** Messages sent in one tick leave in one write at its end, or as soon as they are many
 *   bytes: a message costs its encoding, not a system call.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Clock } from '../../core/clock.ts'
import type { Decoder, Encode } from '../../core/codec.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { systemClock } from '../../platform/system-clock.ts'
import {
  encodeLengthPrefixed,
  LengthPrefixedDecoder,
  lengthPrefixedDefaults,
} from '../../protocols/framing/length-prefixed.ts'

export interface FramedConnectionOptions {
  /** When what was sent in one tick leaves. @default the system clock */
  clock?: Clock
  /** @default those of the carrier */
  facts?: ConnectionFacts
}

/** Each message behind its length, 4 bytes, big-endian. `maxMessageBytes` holds in both directions. */
export function lengthPrefixedMessages(
  carrier: Connection,
  options: FramedConnectionOptions & { maxMessageBytes?: number } = {},
): MessageConnection {
  const { maxMessageBytes = lengthPrefixedDefaults.maxFrameBytes } = options
  const decoder = new LengthPrefixedDecoder({ maxFrameBytes: maxMessageBytes })
  return new FramedConnection(carrier, decoder, encodeLengthPrefixed, maxMessageBytes, options)
}

export class FramedConnection implements MessageConnection, ConnectionHandler {
  readonly ownsMessages = false
  readonly maxMessageBytes: number
  readonly facts: ConnectionFacts
  readonly #carrier: Connection
  readonly #decoder: Decoder<Uint8Array>
  readonly #encode: Encode<Uint8Array>
  readonly #clock: Clock
  readonly #runDeferred = (): void => this.#onDeferred()
  #out = new ByteWriter()
  #handler: MessageHandler | undefined
  #deferred = false
  /** The carrier asked to stop until its drain. */
  #blocked = false
  #owesDrain = false
  #ending = false
  #paused = false
  #delivering = false
  /** Holds the chunk that messages are still in. */
  #lease: ChunkLease | undefined
  #endHeard = false
  #endTold = false
  /** Destroyed here: nothing but the close is told. */
  #destroyed = false
  /** The carrier closed cleanly while messages were left: told after them. */
  #closeHeard = false
  #closed = false

  constructor(
    carrier: Connection,
    decoder: Decoder<Uint8Array>,
    encode: Encode<Uint8Array>,
    maxMessageBytes: number,
    options: FramedConnectionOptions = {},
  ) {
    const { clock = systemClock, facts = carrier.facts } = options
    this.#carrier = carrier
    this.#decoder = decoder
    this.#encode = encode
    this.#clock = clock
    this.facts = facts
    this.maxMessageBytes = maxMessageBytes
  }

  get id(): number {
    return this.#carrier.id
  }
  get writableLength(): number {
    return this.#out.pending + this.#carrier.writableLength
  }

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    this.#handler = handler
    this.#carrier.open(this)
    if (this.#owesDrain) this.#defer()
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    if (this.#ending || this.#destroyed || this.#closed) return false
    this.#encode(message, this.#out)
    this.#owesDrain = true
    this.#defer()
    if (this.#out.pending >= FLUSH_BYTES) this.#flush()
    return !this.#blocked
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    // What is left of the chunk comes first, and never from within this call.
    if (this.#lease === undefined) this.#carrier.resume()
    else this.#defer()
  }

  end(): void {
    if (this.#ending || this.#destroyed || this.#closed) return
    this.#ending = true
    this.#flush()
    this.#carrier.end()
  }

  destroy(reason?: Error): void {
    if (this.#destroyed || this.#closed) return
    this.#destroyed = true
    this.#out = new ByteWriter()
    this.#releaseLease()
    if (this.#closeHeard) this.#tellClose(reason)
    else this.#carrier.destroy(reason)
  }

  onData(chunk: Uint8Array): void {
    if (this.#destroyed) return
    this.#decoder.push(chunk)
    if (!this.#deliver()) this.#lease = this.#carrier.leaseChunk()
  }

  onDrain(): void {
    this.#blocked = false
    this.#out.recycle()
    this.#tellDrain()
  }

  onEnd(): void {
    this.#endHeard = true
    if (this.#lease === undefined) this.#tellEnd()
  }

  onClose(reason: Error | undefined): void {
    // A clean close means that everything was delivered, so it waits for what is left.
    if (reason === undefined && this.#lease !== undefined) this.#closeHeard = true
    else this.#tellClose(reason)
  }

  #defer(): void {
    if (this.#deferred) return
    this.#deferred = true
    this.#clock.defer(this.#runDeferred)
  }

  #onDeferred(): void {
    this.#deferred = false
    if (this.#closed) return
    if (this.#out.pending > 0) this.#flush()
    this.#tellDrain()
    if (this.#lease === undefined || this.#paused || this.#delivering) return
    if (!this.#deliver() || this.#destroyed) return
    if (this.#closeHeard) this.#tellClose(undefined)
    else this.#carrier.resume()
  }

  #flush(): void {
    this.#blocked = !this.#out.flushTo(this.#carrier)
  }

  #tellDrain(): void {
    if (!this.#owesDrain || this.#handler === undefined || this.#destroyed) return
    if (this.writableLength > 0) return
    this.#owesDrain = false
    this.#handler.onDrain()
  }

  /** @returns false when messages are left because of a pause */
  #deliver(): boolean {
    this.#delivering = true
    try {
      while (!this.#paused) {
        const message = this.#decoder.next()
        if (message === undefined) {
          this.#releaseLease()
          if (this.#endHeard) this.#tellEnd()
          return true
        }
        this.#handler?.onMessage(message)
        if (this.#destroyed || this.#closed) return true
      }
      return false
    } catch (error) {
      this.destroy(toError(error))
      return true
    } finally {
      this.#delivering = false
    }
  }

  #tellEnd(): void {
    if (this.#endTold || this.#destroyed) return
    this.#endTold = true
    try {
      this.#decoder.end()
    } catch (error) {
      return this.destroy(toError(error))
    }
    this.#handler?.onEnd()
  }

  #tellClose(reason: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#out = new ByteWriter()
    this.#releaseLease()
    this.#handler?.onClose(reason)
  }

  #releaseLease(): void {
    this.#lease?.release()
    this.#lease = undefined
  }
}

/** As much as a socket usually takes at once: above it, waiting for the end of the tick gains nothing. */
const FLUSH_BYTES = 65_536
