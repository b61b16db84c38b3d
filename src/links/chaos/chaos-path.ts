/**
 * Both directions of one connection and the toxics in them, between what carries it and the face that
 * its owner sees; of bytes and of messages alike.
 *
 *     face <-- give -- link of toxics <-- receive -- carrier
 *     face -- push --> link of toxics --   send  --> carrier
 *
 * Without a toxic nothing is copied and nothing waits here. With one, what is written is the link's:
 * that is the network, and `writableLength` counts it only when it is full.
 */
import type { ToxicLink } from '../../core/chaos/toxic-link.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'

/** What a path needs of whatever is below. */
export interface ChaosCarrier {
  readonly facts: ConnectionFacts
  readonly writableLength: number
  pause(): void
  resume(): void
  destroy(reason?: Error): void
}

/** Above it: what a `LayerFace` has. */
export interface ChaosFace<Tag> {
  readonly reading: boolean
  readonly over: boolean
  /** The bytes are its own. */
  give(bytes: Uint8Array, tag: Tag): void
  receiveEnd(): void
  drained(): void
  receiveClose(reason: Error | undefined): void
}

/** What all connections of one chaotic transport have. */
export interface ChaosSettings {
  readonly toxics: ToxicSet
  readonly clock: Clock
  /** Whether the carrier's side that has ended hears the other. */
  readonly halfClose: boolean
}

export interface ChaosPathInit<Tag> extends ChaosSettings {
  readonly carrier: ChaosCarrier
  readonly face: ChaosFace<Tag>
  readonly seed: number
  /** Writes to the carrier. @returns what the write does */
  send(bytes: Uint8Array, tag: Tag): boolean
  /** Ends the carrier. */
  end(): void
  /** No toxic reaches the connection any more. Once. */
  onGone(): void
}

export class ChaosPath<Tag = undefined> {
  readonly #init: ChaosPathInit<Tag>
  readonly #in: ToxicLink<Tag>
  readonly #out: ToxicLink<Tag>
  #opened = false
  /** The carrier's high-water mark. */
  #blocked = false
  #peerEnded = false
  #closed: { readonly reason: Error | undefined } | undefined
  #cut = false
  #ended = false
  #gone = false
  #linger: Timer | undefined

  constructor(init: ChaosPathInit<Tag>) {
    const { carrier, face, seed, toxics } = init
    this.#init = init
    const cut = (how: 'close' | 'reset', toxic: string): void =>
      this.cut(how, `the toxic '${toxic}'`)
    const initiating = carrier.facts.role === 'initiating'
    this.#out = toxics.createLink<Tag>(initiating ? 'upstream' : 'downstream', seed, {
      take: (bytes, tag) => {
        if (this.#ended && !init.halfClose) init.clock.defer(() => this.updateCarrier())
        return this.sent(init.send(bytes, tag))
      },
      end: () => init.end(),
      cut,
      room: () => face.drained(),
    })
    this.#in = toxics.createLink<Tag>(initiating ? 'downstream' : 'upstream', seed, {
      take: (bytes, tag) => {
        face.give(bytes, tag)
        return face.reading
      },
      end: () => {
        face.receiveEnd()
        if (this.#closed !== undefined) this.#finish(this.#closed.reason)
      },
      cut,
      room: () => this.updateCarrier(),
    })
  }

  // From the owner, through the face.

  get writableLength(): number {
    const { face, carrier } = this.#init
    if (face.over || this.#cut) return 0
    return (this.#out.full ? this.#out.bufferedBytes : 0) + carrier.writableLength
  }

  get writable(): boolean {
    return !this.#blocked && !this.#out.full
  }

  /** Nothing is in the way out: what is written may be given to the carrier as it is. */
  get outIsOpen(): boolean {
    return this.#out.isOpen
  }

  /** What the carrier answered to a write. */
  sent(taken: boolean): boolean {
    this.#blocked = !taken
    return taken
  }

  /** The bytes are the path's. After a cut they go nowhere. */
  push(bytes: Uint8Array, tag: Tag): void {
    this.#out.push(bytes, tag)
  }

  /** The owner has a handler: the carrier is open. */
  opened(): void {
    this.#opened = true
  }

  end(): void {
    this.#ended = true
    if (this.#cut) {
      this.#init.face.receiveClose(undefined)
      if (this.#closed !== undefined) this.#linger?.cancel()
    } else if (this.#out.isOpen) this.#init.end()
    else this.#out.end()
    this.updateCarrier()
  }

  destroy(reason: Error | undefined): void {
    this.#linger?.cancel()
    this.#forget()
    this.#init.carrier.destroy(reason)
  }

  readingChanged(reading: boolean): void {
    if (reading) this.#in.resume()
    this.updateCarrier()
  }

  /**
   * The network ends this connection. A close is what a peer's close is: an end, and what is written
   * after it goes nowhere; a reset is heard at once.
   */
  cut(how: 'close' | 'reset', by: string): void {
    const { face, carrier, clock, end } = this.#init
    if (face.over || this.#cut) return
    this.#cut = true
    this.#forget()
    if (how === 'reset') return this.#reset(by)
    end()
    // Not from within a write, which may be what the toxic answers.
    clock.defer(() => face.receiveEnd())
    if (this.#ended || this.#closed !== undefined) face.receiveClose(this.#closed?.reason)
    if (this.#closed !== undefined) return
    this.#linger = clock.setTimer(clock.now() + LINGER_MS, () => this.#reset(by))
    if (this.#opened) carrier.resume() // to hear its end
  }

  // From the carrier.

  /** Whether what arrives is still for the owner. */
  get receives(): boolean {
    return !this.#init.face.over && !this.#cut
  }

  /** Nothing is in the way in: what arrives may be given to the face as it is. */
  get inIsOpen(): boolean {
    return this.#in.isOpen
  }

  /** The bytes are the path's. */
  receive(bytes: Uint8Array, tag: Tag): void {
    this.#in.push(bytes, tag)
  }

  onDrain(): void {
    this.#blocked = false
    if (this.#cut) return
    this.#out.resume()
    this.#init.face.drained()
  }

  onEnd(): void {
    if (this.#cut || this.#peerEnded) return
    this.#peerEnded = true
    if (this.#in.isOpen) this.#init.face.receiveEnd()
    else this.#in.end()
  }

  onClose(reason: Error | undefined): void {
    const { face, halfClose } = this.#init
    this.#closed = { reason }
    if (this.#cut) {
      // Its end is told already. Where there is one apart, ours is waited for, as long as the linger
      // allows.
      const over = reason !== undefined || !halfClose
      if (over) face.receiveClose(reason)
      if (over || this.#ended) this.#linger?.cancel()
      return
    }
    // What closes cleanly has ended.
    if (reason === undefined) this.onEnd()
    // What the toxics still hold arrives first. A reset does not wait; but where one close ends both
    // directions, its reason is what the peer said last.
    const waits = reason === undefined || (this.#peerEnded && !halfClose)
    if (waits && !this.#in.isOpen && !this.#in.isOver) return
    this.#finish(reason)
  }

  /** The carrier reads as long as there is room. */
  updateCarrier(): void {
    const { face, carrier, halfClose } = this.#init
    if (!this.#opened || this.#closed !== undefined || face.over || this.#cut) return
    // A carrier that hears its peer's close closes as well. What was sent before our own end, and is
    // on its way still, would not reach a peer that ended at the same time.
    const leaving = this.#ended && !halfClose && this.#out.bufferedBytes > 0
    if (face.reading && !this.#in.full && !leaving) carrier.resume()
    else carrier.pause()
  }

  #finish(reason: Error | undefined): void {
    this.#forget()
    this.#init.face.receiveClose(reason)
  }

  #reset(by: string): void {
    const reason = new TransportError('ERR_RESET', `chaos: ${by} ended the connection`)
    this.#init.carrier.destroy(reason)
    this.#init.face.receiveClose(reason)
  }

  #forget(): void {
    const { toxics, onGone } = this.#init
    toxics.forget(this.#in)
    toxics.forget(this.#out)
    if (this.#gone) return
    this.#gone = true
    onGone()
  }
}

/** A peer that hears the end and never ends itself is not waited for. */
const LINGER_MS = 1_000
