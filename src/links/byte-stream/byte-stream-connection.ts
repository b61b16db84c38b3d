/**
 * A byte stream over a connection that keeps message boundaries: what is written leaves as messages
 * of at most so many bytes, what arrives is one stream, and boundaries mean nothing.
 *
 *     write(150,000 bytes) → | 65,536 | 65,536 | 18,928 |      onData(chunk) ← one message each
 *
 * Nothing is copied on the way out. A message that comes in is handed on as it is; it is copied first
 * only where the message connection lends it without a way to keep it (`leaseMessage`).
 */
import type { Clock } from '../../core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'
import { UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'

export interface ByteStreamSettings {
  readonly clock: Clock
  readonly maxChunkBytes: number
}

export class ByteStreamConnection implements Connection, MessageHandler {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly #messages: MessageConnection
  readonly #clock: Clock
  readonly #pieceBytes: number
  /** Messages are neither ours nor can they be kept: leases need a copy, made before. */
  readonly #copies: boolean
  #handler: ConnectionHandler | undefined
  #opened = false
  #paused = false
  #unread: Uint8Array | undefined
  #leasable: 'nothing' | 'message' | 'copy' = 'nothing'
  #full = false
  #ended = false
  #destroyed = false
  #peerEnd: 'no' | 'came' | 'delivered' = 'no'
  #drainDue = false
  #closed = false
  #closeReason: Error | undefined
  #closeDelivered = false
  #turnDue = false

  constructor(messages: MessageConnection, settings: ByteStreamSettings) {
    this.id = messages.id
    this.facts = messages.facts
    this.#messages = messages
    this.#clock = settings.clock
    this.#pieceBytes = Math.min(settings.maxChunkBytes, messages.maxMessageBytes)
    this.#copies = !messages.ownsMessages && messages.leaseMessage === undefined
  }

  get writableLength(): number {
    return this.#messages.writableLength
  }

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} has a handler`)
    }
    if (this.#closeDelivered) throw new UsageError('ERR_STATE', `connection ${this.id} is closed`)
    this.#handler = handler
    if (!this.#opened) {
      this.#opened = true
      return this.#messages.open(this)
    }
    this.#deliverUnread()
    // What was put back may have been detached again, or a pause asked for, by that handler.
    if (this.#handler !== handler) return
    if (this.#peerEnd === 'came' || this.#drainDue || this.#closed) this.#schedule()
    this.#updateReading()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#ended || this.#destroyed || this.#closed) return false
    this.#send(chunk)
    return !this.#full
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (this.#ended || this.#destroyed || this.#closed) return false
    for (const chunk of chunks) this.#send(chunk)
    return !this.#full
  }

  pause(): void {
    this.#paused = true
    this.#messages.pause()
  }

  resume(): void {
    this.#paused = false
    this.#updateReading()
  }

  end(): void {
    if (this.#ended || this.#destroyed || this.#closed) return
    this.#ended = true
    this.#messages.end()
  }

  destroy(reason?: Error): void {
    if (this.#destroyed || this.#closed) return
    this.#destroyed = true
    this.#unread = undefined
    this.#messages.destroy(reason)
  }

  leaseChunk(): ChunkLease {
    if (this.#leasable === 'nothing') {
      throw new UsageError('ERR_STATE', 'leaseChunk is legal inside onData only')
    }
    const lease = this.#leasable === 'message' ? this.#messages.leaseMessage?.() : undefined
    return lease ?? OWN_MEMORY
  }

  detach(unread?: Uint8Array): void {
    if (this.#handler === undefined) {
      throw new UsageError('ERR_NOT_OPEN', `connection ${this.id} has no handler`)
    }
    this.#handler = undefined
    this.#paused = false
    this.#messages.pause()
    const behind = this.#unread
    if (unread === undefined || unread.length === 0) return
    const whole = new Uint8Array(unread.length + (behind?.length ?? 0))
    whole.set(unread)
    if (behind !== undefined) whole.set(behind, unread.length)
    this.#unread = whole
  }

  ref(): void {
    this.#messages.ref?.()
  }
  unref(): void {
    this.#messages.unref?.()
  }

  // From the message connection.

  onMessage(message: Uint8Array): void {
    // After a destroy nothing is heard but the close, whatever the layer below still has.
    if (message.length === 0 || this.#destroyed) return
    if (this.#handler === undefined) {
      // It was paused when the handler went; one that does not stop at once loses nothing here.
      this.#keep(message)
      return
    }
    const outer = this.#leasable
    this.#leasable = this.#copies ? 'copy' : 'message'
    try {
      this.#handler.onData(this.#copies ? message.slice() : message)
    } finally {
      this.#leasable = outer
    }
  }

  onDrain(): void {
    this.#full = false
    const handler = this.#handler
    if (handler === undefined) this.#drainDue = true
    else if (!this.#destroyed) handler.onDrain()
  }

  onEnd(): void {
    this.#peerEnd = 'came'
    this.#deliverEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#closeReason = reason
    this.#deliverClose()
  }

  #send(chunk: Uint8Array): void {
    const { length } = chunk
    const most = this.#pieceBytes
    if (length === 0) return
    if (length <= most) {
      if (!this.#messages.send(chunk)) this.#full = true
      return
    }
    for (let at = 0; at < length; at += most) {
      if (!this.#messages.send(chunk.subarray(at, at + most))) this.#full = true
    }
    // The last piece may have been taken although one before it was not.
    if (this.#messages.writableLength === 0) this.#full = false
  }

  #keep(message: Uint8Array): void {
    const before = this.#unread
    const whole = new Uint8Array((before?.length ?? 0) + message.length)
    if (before !== undefined) whole.set(before)
    whole.set(message, before?.length ?? 0)
    this.#unread = whole
  }

  /** Bytes that a handler before this one put back. */
  #deliverUnread(): void {
    const unread = this.#unread
    if (unread === undefined) return
    this.#unread = undefined
    const outer = this.#leasable // open may be called from within the onData that detached
    this.#leasable = 'copy'
    try {
      this.#handler?.onData(unread)
    } finally {
      this.#leasable = outer
    }
  }

  #updateReading(): void {
    if (this.#handler === undefined || this.#paused || this.#closed) return
    this.#messages.resume()
  }

  #schedule(): void {
    if (this.#turnDue) return
    this.#turnDue = true
    this.#clock.defer(() => {
      this.#turnDue = false
      this.#turn()
    })
  }

  /** What came while nobody was attached, in order. */
  #turn(): void {
    if (this.#drainDue) {
      this.#drainDue = false
      const wanted = this.writableLength === 0 && !this.#closed && !this.#destroyed
      if (wanted) this.#handler?.onDrain()
    }
    this.#deliverEnd()
    this.#deliverClose()
  }

  #deliverEnd(): void {
    if (this.#peerEnd !== 'came' || this.#unread !== undefined || this.#destroyed) return
    if (this.#handler === undefined) return
    this.#peerEnd = 'delivered'
    this.#handler.onEnd()
  }

  #deliverClose(): void {
    const handler = this.#handler
    if (!this.#closed || this.#closeDelivered || handler === undefined) return
    this.#closeDelivered = true
    this.#handler = undefined
    handler.onClose(this.#closeReason)
  }
}

/** Memory that nobody else has: there is nothing to give back. */
const OWN_MEMORY: ChunkLease = Object.freeze({ release() {} })
