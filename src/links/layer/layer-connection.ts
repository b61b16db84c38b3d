/**
 * The upper face of a byte-stream layer: everything of the `Connection` contract that is the same
 * whatever is below. A layer (records, a stream of a multiplexed connection) says what arrived and
 * takes what is written; this class keeps the order of what the handler hears.
 *
 *     layer --deliver, receiveEnd, drained, receiveClose--> this --> handler
 *     layer <--transmit, transmitEnd, abort, readingChanged-- this <-- owner
 *
 * - Chunks are handed on as they come. Only what cannot be delivered (nobody attached, paused, bytes
 *   put back by `detach`) is kept, as copies; a layer stops when `readingChanged(false)` says so.
 * - `resume`, `open`, `destroy` and `detach` never call the handler themselves: what they make
 *   possible happens in a turn of its own, deferred by the clock.
 */
import type { Clock } from '../../core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'
import { TransportError, UsageError } from '../../core/errors.ts'

export abstract class LayerConnection implements Connection {
  abstract readonly id: number
  abstract readonly facts: ConnectionFacts
  abstract get writableLength(): number
  readonly #clock: Clock
  readonly #runTurn = (): void => this.#turn()
  #turnDue = false
  #handler: ConnectionHandler | undefined
  #paused = false
  /** Told to the layer last. */
  #reading = false
  /** Owned. Bytes that were put back, then those that came while nobody could take them. */
  #queue: Uint8Array[] = []
  #lease: (() => ChunkLease) | undefined
  #drainOwed = false
  #ending = false
  #end: 'no' | 'heard' | 'told' = 'no'
  /** Nothing is taken or delivered any more but the close. */
  #over = false
  #close: { readonly reason: Error | undefined } | undefined
  #closeTold = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  // What a layer does.

  /** Takes one chunk, not empty, which is the layer's until `writableLength` is 0. */
  protected abstract transmit(chunk: Uint8Array): void
  /** False: more than the high-water mark waits. */
  protected abstract get writable(): boolean
  /** Everything transmitted, then the end. */
  protected abstract transmitEnd(): void
  /** The connection was destroyed here. */
  protected abstract abort(reason: Error | undefined): void
  /** Whether chunks can be delivered from now on. */
  protected abstract readingChanged(reading: boolean): void

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} has a handler`)
    }
    if (this.#closeTold) throw new UsageError('ERR_STATE', `connection ${this.id} is closed`)
    this.#handler = handler
    this.#schedule()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || this.#ending) return false
    if (chunk.length > 0) this.transmit(chunk)
    return this.#afterWrite()
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (this.#over || this.#ending) return false
    for (const chunk of chunks) if (chunk.length > 0) this.transmit(chunk)
    return this.#afterWrite()
  }

  pause(): void {
    this.#paused = true
    this.#updateReading()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    if (this.#over || this.#ending) return
    this.#ending = true
    this.transmitEnd()
  }

  destroy(reason?: Error): void {
    if (this.#over) return
    this.#over = true
    this.#queue = []
    this.#close = { reason }
    this.#schedule()
    this.abort(reason)
  }

  leaseChunk(): ChunkLease {
    if (this.#lease !== undefined) return this.#lease()
    throw new UsageError('ERR_STATE', 'leaseChunk is legal inside onData only')
  }

  detach(unread?: Uint8Array): void {
    if (this.#handler === undefined) {
      throw new UsageError('ERR_NOT_OPEN', `connection ${this.id} has no handler`)
    }
    this.#handler = undefined
    this.#paused = false
    if (unread !== undefined && unread.length > 0) this.#queue.unshift(unread.slice())
    this.#updateReading()
  }

  ref(): void {}
  unref(): void {}

  // What a layer says.

  /** Whether `deliver` reaches the handler. */
  protected get reading(): boolean {
    if (this.#queue.length > 0) return false
    // After the end there is nothing to hold back, and the close must be heard while paused, too.
    return this.#takes || (this.#end === 'told' && this.#handler !== undefined && !this.#over)
  }

  /** Destroyed, failed or closed. */
  protected get over(): boolean {
    return this.#over
  }

  /**
   * One chunk. `lease` keeps its memory; without it the memory is nobody else's. A chunk that cannot
   * be delivered now is kept as a copy.
   */
  protected deliver(chunk: Uint8Array, lease?: () => ChunkLease): void {
    if (this.#over || chunk.length === 0) return
    if (this.reading && this.#lease === undefined) return this.#give(chunk, lease ?? ownMemory)
    this.#queue.push(lease === undefined ? chunk : chunk.slice())
    this.#schedule()
  }

  /** The peer sends no more, after everything that was delivered. */
  protected receiveEnd(): void {
    if (this.#end === 'no') this.#end = 'heard'
    if (this.#lease === undefined) this.#tellEnd()
    else this.#schedule()
  }

  /** `writableLength` may have become 0. Never from within `transmit`. */
  protected drained(): void {
    if (!this.#drainOwed || this.#handler === undefined || this.#over) return
    if (this.writableLength > 0) return
    this.#drainOwed = false
    this.#handler.onDrain()
  }

  /** The last thing a layer says. A clean close waits until everything was delivered. */
  protected receiveClose(reason: Error | undefined): void {
    if (this.#close !== undefined) return
    this.#close = { reason }
    this.#schedule()
  }

  /** As `receiveClose`, told before this returns where somebody is there to hear it. */
  protected closeNow(reason: Error | undefined): void {
    const undelivered = this.#queue.length > 0
    this.#close ??= { reason: undelivered ? (reason ?? cutOff()) : reason }
    if (this.#close.reason === undefined && this.#end === 'heard' && !this.#over) {
      this.#end = 'told'
      this.#handler?.onEnd()
    }
    this.#tellClose()
  }

  /** Somebody is there who has not heard the close. */
  protected get attached(): boolean {
    return this.#handler !== undefined
  }

  /** The handler has heard the close: nothing more will be asked for. */
  protected closeWasTold(): void {}

  get #takes(): boolean {
    return this.#handler !== undefined && !this.#paused && !this.#over
  }

  #afterWrite(): boolean {
    if (this.writableLength > 0) this.#drainOwed = true
    return this.writable
  }

  #give(chunk: Uint8Array, lease: () => ChunkLease): void {
    this.#lease = lease
    try {
      this.#handler?.onData(chunk)
    } finally {
      this.#lease = undefined
      this.#updateReading()
      if (this.#queue.length > 0) this.#schedule()
    }
  }

  #schedule(): void {
    if (this.#turnDue) return
    this.#turnDue = true
    this.#clock.defer(this.#runTurn)
  }

  #turn(): void {
    this.#turnDue = false
    if (this.#lease !== undefined) return this.#schedule()
    this.drained()
    while (this.#takes && this.#queue.length > 0)
      this.#give(this.#queue.shift() as Uint8Array, ownMemory)
    this.#updateReading()
    this.#tellEnd()
    const close = this.#close
    if (close === undefined) return
    // An error does not wait for a reader that is paused; a clean close does.
    const left = this.#queue.length > 0 || this.#end !== 'told'
    if (close.reason !== undefined || this.#over || !left) this.#tellClose()
  }

  #tellEnd(): void {
    if (this.#end !== 'heard' || this.#queue.length > 0 || !this.#takes) return
    this.#end = 'told'
    this.#handler?.onEnd()
    if (this.#close !== undefined) this.#schedule()
  }

  #tellClose(): void {
    this.#over = true
    this.#queue = []
    const handler = this.#handler
    if (handler === undefined || this.#closeTold) return
    this.#closeTold = true
    this.#handler = undefined
    this.closeWasTold()
    handler.onClose(this.#close?.reason)
  }

  #updateReading(): void {
    const { reading } = this
    if (reading === this.#reading) return
    this.#reading = reading
    this.readingChanged(reading)
  }
}

function cutOff(): TransportError {
  return new TransportError('ERR_DISCONNECTED', 'what carried it closed before all was delivered')
}

function ownMemory(): ChunkLease {
  return { release() {} }
}
