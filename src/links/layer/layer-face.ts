/**
 * The upper face of a layer, for bytes and for messages: everything of the `Connection` and
 * `MessageConnection` contracts that is the same whatever is below. A layer says what arrived and
 * takes what is written; this class keeps the order of what the handler hears.
 *
 *     layer --deliver, receiveEnd, drained, receiveClose--> this --> handler
 *     layer <--transmitEnd, abort, readingChanged-- this <-- owner
 *
 * - Items are handed on as they come. Only what cannot be delivered (nobody attached, paused, put
 *   back) is kept, as copies; a layer stops when `readingChanged(false)` says so.
 * - `resume`, `open`, `destroy` and `detach` never call the handler themselves: what they make
 *   possible happens in a turn of its own, deferred by the clock.
 */
import type { Clock } from '../../core/clock.ts'
import type { ChunkLease, ConnectionFacts } from '../../core/connection.ts'
import { TransportError, UsageError } from '../../core/errors.ts'

/** What every handler hears beside its items. */
export interface FaceHandler {
  onDrain(): void
  onEnd(): void
  onClose(reason: Error | undefined): void
}

/** `Item` is what is delivered: a chunk, a message. */
export abstract class LayerFace<Item, Handler extends FaceHandler> {
  abstract readonly id: number
  abstract readonly facts: ConnectionFacts
  abstract get writableLength(): number
  readonly #clock: Clock
  readonly #runTurn = (): void => this.#turn()
  #turnDue = false
  #handler: Handler | undefined
  #paused = false
  /** Told to the layer last. */
  #reading = false
  /** Owned. Items that were put back, then those that came while nobody could take them. */
  #queue: Item[] = []
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

  /** Calls the handler with one item. */
  protected abstract hand(handler: Handler, item: Item): void
  /** The item in memory of its own. */
  protected abstract copied(item: Item): Item
  /** False: more than the high-water mark waits. */
  protected abstract get writable(): boolean
  /** Everything transmitted, then the end. */
  protected abstract transmitEnd(): void
  /** The connection was destroyed here. */
  protected abstract abort(reason: Error | undefined): void
  /** Whether items can be delivered from now on. */
  protected abstract readingChanged(reading: boolean): void

  open(handler: Handler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} has a handler`)
    }
    if (this.#closeTold) throw new UsageError('ERR_STATE', `connection ${this.id} is closed`)
    this.#handler = handler
    this.#schedule()
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

  /** Whether what is written may still leave. */
  protected get sends(): boolean {
    return !this.#over && !this.#ending
  }

  /** What a write answers, once everything of it was transmitted. */
  protected afterWrite(): boolean {
    if (this.writableLength > 0) this.#drainOwed = true
    return this.writable
  }

  /**
   * One item. `lease` keeps its memory; without it the memory is nobody else's. What cannot be
   * delivered now is kept as a copy.
   */
  protected deliver(item: Item, lease?: () => ChunkLease): void {
    if (this.#over) return
    if (this.reading && this.#lease === undefined) return this.#give(item, lease ?? ownMemory)
    this.#queue.push(lease === undefined ? item : this.copied(item))
    this.#schedule()
  }

  /** The peer sends no more, after everything that was delivered. */
  protected receiveEnd(): void {
    if (this.#end === 'no') this.#end = 'heard'
    if (this.#lease === undefined) this.#tellEnd()
    else this.#schedule()
  }

  /** `writableLength` may have become 0. Never from within a write. */
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

  /** @throws UsageError ERR_STATE where no item is being delivered, named by what was `asked` */
  protected leaseItem(asked: string): ChunkLease {
    if (this.#lease !== undefined) return this.#lease()
    throw new UsageError('ERR_STATE', asked)
  }

  /** Takes the handler away; `unread` is the first that the next one gets. */
  protected detachHandler(unread: Item | undefined): void {
    if (this.#handler === undefined) {
      throw new UsageError('ERR_NOT_OPEN', `connection ${this.id} has no handler`)
    }
    this.#handler = undefined
    this.#paused = false
    if (unread !== undefined) this.#queue.unshift(unread)
    this.#updateReading()
  }

  get #takes(): boolean {
    return this.#handler !== undefined && !this.#paused && !this.#over
  }

  #give(item: Item, lease: () => ChunkLease): void {
    const handler = this.#handler
    if (handler === undefined) return
    this.#lease = lease
    try {
      this.hand(handler, item)
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
    while (this.#takes && this.#queue.length > 0) this.#give(this.#queue.shift() as Item, ownMemory)
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
