/**
 * A byte stream with toxics in both directions.
 *
 *     handler <-- LayerConnection <-- link of toxics <-- carrier
 *     owner   -->                 --> link of toxics --> carrier
 *
 * Without a toxic nothing is copied and nothing waits here. With one, what is written is copied: the
 * link is the network, and `writableLength` counts it only when it is full.
 */
import type { ToxicLink } from '../../core/chaos/toxic-link.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { Connection, ConnectionFacts, ConnectionHandler } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import { LayerConnection } from '../layer/layer-connection.ts'

export class ChaosConnection extends LayerConnection implements ConnectionHandler {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly #carrier: Connection
  readonly #clock: Clock
  readonly #toxics: ToxicSet
  readonly #onGone: (gone: ChaosConnection) => void
  readonly #in: ToxicLink
  readonly #out: ToxicLink
  #opened = false
  /** The carrier's high-water mark. */
  #blocked = false
  #carrierClosed = false
  #cut = false
  #ended = false
  #gone = false
  #linger: Timer | undefined

  constructor(
    carrier: Connection,
    toxics: ToxicSet,
    seed: number,
    clock: Clock,
    onGone: (gone: ChaosConnection) => void,
  ) {
    super(clock)
    this.id = carrier.id
    this.facts = carrier.facts
    this.#carrier = carrier
    this.#clock = clock
    this.#toxics = toxics
    this.#onGone = onGone
    const cut = (how: 'close' | 'reset', toxic: string): void =>
      this.cut(how, `the toxic '${toxic}'`)
    const initiating = carrier.facts.role === 'initiating'
    this.#out = toxics.createLink(initiating ? 'upstream' : 'downstream', seed, {
      take: (bytes) => this.#send(bytes),
      end: () => carrier.end(),
      cut,
      room: () => this.drained(),
    })
    this.#in = toxics.createLink(initiating ? 'downstream' : 'upstream', seed, {
      take: (bytes) => {
        this.deliver(bytes)
        return this.reading
      },
      end: () => {
        this.receiveEnd()
        if (!this.#carrierClosed) return
        this.#forget()
        this.receiveClose(undefined)
      },
      cut,
      room: () => this.#updateCarrier(),
    })
  }

  get writableLength(): number {
    if (this.over || this.#cut) return 0
    return (this.#out.full ? this.#out.bufferedBytes : 0) + this.#carrier.writableLength
  }

  override open(handler: ConnectionHandler): void {
    super.open(handler)
    if (this.#opened) return
    this.#opened = true
    if (!this.over) this.#carrier.open(this)
  }

  override ref(): void {
    this.#carrier.ref()
  }
  override unref(): void {
    this.#carrier.unref()
  }

  /**
   * The network ends this connection. A close is what a peer's close is: an end, and what is written
   * after it goes nowhere; a reset is heard at once.
   */
  cut(how: 'close' | 'reset', by: string): void {
    if (this.over || this.#cut) return
    this.#cut = true
    this.#forget()
    if (how === 'reset') return this.#reset(by)
    this.#carrier.end()
    this.receiveEnd()
    if (this.#ended) return this.receiveClose(undefined)
    this.#linger = this.#clock.setTimer(this.#clock.now() + LINGER_MS, () => this.#reset(by))
    if (this.#opened) this.#carrier.resume() // to hear its end
  }

  #closeAfterCut(): void {
    this.receiveClose(undefined)
    if (this.#carrierClosed) this.#linger?.cancel()
  }

  #reset(by: string): void {
    const reason = new TransportError('ERR_RESET', `chaos: ${by} ended the connection`)
    this.#carrier.destroy(reason)
    this.receiveClose(reason)
  }

  protected get writable(): boolean {
    return !this.#blocked && !this.#out.full
  }

  protected transmit(chunk: Uint8Array): void {
    if (this.#cut) return
    if (this.#out.isOpen) this.#send(chunk)
    else this.#out.push(chunk.slice(), undefined)
  }

  protected transmitEnd(): void {
    this.#ended = true
    if (this.#cut) this.#closeAfterCut()
    else if (this.#out.isOpen) this.#carrier.end()
    else this.#out.end()
  }

  protected abort(reason: Error | undefined): void {
    this.#linger?.cancel()
    this.#forget()
    this.#carrier.destroy(reason)
  }

  protected readingChanged(reading: boolean): void {
    if (reading) this.#in.resume()
    this.#updateCarrier()
  }

  // From the carrier.

  onData(chunk: Uint8Array): void {
    if (this.over || this.#cut) return
    if (this.#in.isOpen) this.deliver(chunk, () => this.#carrier.leaseChunk())
    else this.#in.push(chunk.slice(), undefined)
    this.#updateCarrier()
  }

  onDrain(): void {
    this.#blocked = false
    if (this.#cut) return
    this.#out.resume()
    this.drained()
  }

  onEnd(): void {
    if (this.#cut) return
    if (this.#in.isOpen) this.receiveEnd()
    else this.#in.end()
  }

  onClose(reason: Error | undefined): void {
    this.#carrierClosed = true
    if (this.#cut) {
      // Its end is told already. Ours is waited for, as long as the linger allows.
      if (reason !== undefined) this.receiveClose(reason)
      if (reason !== undefined || this.#ended) this.#linger?.cancel()
      return
    }
    // Both sides have ended: what the toxics still hold of it arrives first.
    if (reason === undefined && !this.#in.isOpen && !this.#in.isOver) return
    this.#forget()
    this.receiveClose(reason)
  }

  #send(bytes: Uint8Array): boolean {
    this.#blocked = !this.#carrier.write(bytes)
    return !this.#blocked
  }

  #updateCarrier(): void {
    if (!this.#opened || this.#carrierClosed || this.over || this.#cut) return
    if (this.reading && !this.#in.full) this.#carrier.resume()
    else this.#carrier.pause()
  }

  #forget(): void {
    this.#toxics.forget(this.#in)
    this.#toxics.forget(this.#out)
    if (this.#gone) return
    this.#gone = true
    this.#onGone(this)
  }
}

/** A peer that hears the end and never ends itself is not waited for. */
const LINGER_MS = 1_000
