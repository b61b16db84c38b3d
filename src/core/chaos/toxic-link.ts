/**
 * One direction of one connection, and the toxics on it: a chain of stages, in the order in which
 * they were added. Pure: time and chance are injected, so a run is replayed from its seed.
 *
 *     push, end --> [stage] --> [stage] --> sink
 *
 * What waits in a stage, or for a sink that is full, is bounded: over the mark the link is `full`
 * and asks its owner to stop; what is lost anyway (datagrams) is dropped and counted.
 */
import type { Clock, Timer } from '../clock.ts'
import { SeededRandom } from '../seeded-random.ts'
import type { Toxic, ToxicCarrier } from './toxic.ts'
import { createEffect, type Effect, type EffectStage } from './toxic-effects.ts'

/** Where a link ends. */
export interface ToxicSink<Tag> {
  /** The bytes are its own. @returns false: no more until {@link ToxicLink.resume} */
  take(bytes: Uint8Array, tag: Tag): boolean
  end(): void
  /** A toxic ended the connection. Nothing more comes. */
  cut(how: 'close' | 'reset', toxic: string): void
  /** `full` has become false. */
  room(): void
}

export interface ToxicLinkOptions {
  readonly clock: Clock
  readonly carrier: ToxicCarrier
  readonly ordered: boolean
  readonly reliable: boolean
  readonly seed: number
  readonly maxBufferedBytes: number
}

/** Each piece that waits counts so much more than its bytes: nothing is free, empty ones neither. */
export const PIECE_OVERHEAD = 64

export class ToxicLink<Tag = undefined> {
  readonly #options: ToxicLinkOptions
  readonly #sink: ToxicSink<Tag>
  #stages: Stage<Tag>[] = []
  #out: Piece<Tag>[] = []
  #blocked = false
  #buffered = 0
  #wasFull = false
  #over = false
  /** The toxic that closes the connection, once what is before the close has passed. */
  #closing: string | undefined
  /** Pieces that toxics have dropped, or that found no room. */
  dropped = 0

  constructor(options: ToxicLinkOptions, sink: ToxicSink<Tag>) {
    this.#options = options
    this.#sink = sink
  }

  /** Nothing is between the two ends, and nothing waits. */
  get isOpen(): boolean {
    return this.#stages.length === 0 && this.#out.length === 0 && !this.#blocked && !this.#over
  }
  get isOver(): boolean {
    return this.#over
  }
  get bufferedBytes(): number {
    return this.#buffered
  }
  get full(): boolean {
    return this.#buffered >= this.#options.maxBufferedBytes
  }

  /** The bytes are the link's from here on. */
  push(bytes: Uint8Array, tag: Tag): void {
    if (this.#over || this.#closing !== undefined) return
    if (this.#options.carrier === 'datagram' && this.full) this.dropped += 1
    else this.#into(0, { bytes, tag, at: 0 })
    if (this.full) this.#wasFull = true
  }

  end(): void {
    if (!this.#over && this.#closing === undefined) this.#into(0, END)
  }

  /** The sink takes again. */
  resume(): void {
    this.#blocked = false
    this.#flush()
  }

  /** Forgets what waits; nothing is told any more. */
  destroy(): void {
    if (this.#over) return
    this.#over = true
    for (const stage of this.#stages) stage.stop()
    this.#out = []
    this.#buffered = 0
  }

  /** Puts a toxic behind the others. */
  add(toxic: Toxic): void {
    if (this.#over) return
    const stage: Stage<Tag> = new Stage(toxic, this.#options, {
      forward: (piece) => this.#into(this.#stages.indexOf(stage) + 1, piece),
      account: (difference) => this.#account(difference),
      dropped: () => {
        this.dropped += 1
      },
      cut: (how) => this.#cut(how, stage),
    })
    this.#stages.push(stage)
  }

  /** What waits in it is treated as if it came now. */
  update(toxic: Toxic): void {
    this.#stages.find(({ toxic: { name } }) => name === toxic.name)?.replace(toxic)
  }

  /** What waits in it goes on at once. */
  remove(name: string): void {
    const stage = this.#stages.find(({ toxic }) => toxic.name === name)
    if (stage === undefined || this.#over) return
    if (stage.isFatal) return this.#cut('close', stage)
    stage.flush()
    this.#stages = this.#stages.filter((one) => one !== stage)
  }

  #into(index: number, piece: Piece<Tag> | End): void {
    if (this.#over) return
    const stage = this.#stages[index]
    if (stage !== undefined) return stage.push(piece)
    if (piece === END) {
      this.#out.push(END_PIECE)
      return this.#flush()
    }
    if (this.#blocked || this.#out.length > 0) {
      this.#out.push(piece)
      this.#account(weight(piece))
    } else if (!this.#sink.take(piece.bytes, piece.tag)) this.#blocked = true
  }

  #flush(): void {
    while (!this.#over && this.#out.length > 0) {
      const piece = this.#out[0] as Piece<Tag>
      // An end needs no room.
      if (piece === END_PIECE) {
        this.#over = true
        this.#out = []
        for (const stage of this.#stages) stage.stop()
        if (this.#closing === undefined) return this.#sink.end()
        return this.#sink.cut('close', this.#closing)
      }
      if (this.#blocked) return
      this.#out.shift()
      if (!this.#sink.take(piece.bytes, piece.tag)) this.#blocked = true
      this.#account(-weight(piece))
    }
  }

  #account(difference: number): void {
    this.#buffered += difference
    if (!this.#wasFull || this.full || this.#over) return
    this.#wasFull = false
    this.#sink.room()
  }

  /** A close goes through the toxics behind it, as what came before it does; a reset does not. */
  #cut(how: 'close' | 'reset', by: Stage<Tag>): void {
    if (this.#over || this.#closing !== undefined) return
    if (how === 'reset') {
      this.destroy()
      return this.#sink.cut(how, by.toxic.name)
    }
    this.#closing = by.toxic.name
    const behind = this.#stages.indexOf(by) + 1
    for (const stage of this.#stages.slice(0, behind)) stage.abandon()
    this.#into(behind, END)
  }
}

interface Piece<Tag> {
  readonly bytes: Uint8Array
  readonly tag: Tag
  /** When it may go on. */
  readonly at: number
}

interface StageOwner<Tag> {
  forward(piece: Piece<Tag> | End): void
  account(difference: number): void
  dropped(): void
  cut(how: 'close' | 'reset'): void
}

/** One toxic on one link: its effect, and what waits for its time, soonest first. */
class Stage<Tag> implements EffectStage<Tag> {
  readonly random: SeededRandom
  readonly carrier: ToxicCarrier
  readonly reliable: boolean
  toxic: Toxic
  readonly #ordered: boolean
  readonly #clock: Clock
  readonly #owner: StageOwner<Tag>
  readonly #seed: number
  #effect: Effect<Tag> | undefined
  #queue: Piece<Tag>[] = []
  #timer: Timer | undefined
  #timerAt = 0
  #endDue: number | undefined
  #releasing = false

  constructor(toxic: Toxic, options: ToxicLinkOptions, owner: StageOwner<Tag>) {
    this.random = new SeededRandom(options.seed ^ hashOf(toxic.name))
    this.carrier = options.carrier
    this.reliable = options.reliable
    this.toxic = toxic
    this.#ordered = options.ordered
    this.#clock = options.clock
    this.#owner = owner
    this.#seed = options.seed
    this.#start(toxic)
  }

  get isFatal(): boolean {
    return this.#effect?.isFatal?.() ?? false
  }

  now(): number {
    return this.#clock.now()
  }

  setTimer(at: number, callback: () => void): Timer {
    return this.#clock.setTimer(at, callback)
  }

  push(piece: Piece<Tag> | End): void {
    if (piece !== END) {
      if (this.#effect === undefined) this.letThrough(piece.bytes, piece.tag, this.now())
      else this.#effect.pass(piece.bytes, piece.tag)
      return
    }
    this.#endDue = this.#effect?.endAt?.() ?? this.now()
    this.#release()
  }

  letThrough(bytes: Uint8Array, tag: Tag, at: number): void {
    const last = this.#queue.at(-1)
    const due = this.#ordered && last !== undefined ? Math.max(at, last.at) : at
    const first = this.#queue[0]
    const overtakes = first === undefined || (!this.#ordered && due < first.at)
    if (due <= this.now() && overtakes) {
      return this.#owner.forward({ bytes, tag, at: due })
    }
    const piece = { bytes, tag, at: due }
    insert(this.#queue, piece)
    this.#owner.account(weight(piece))
    this.#arm()
  }

  drop(_bytes: Uint8Array): void {
    this.#owner.dropped()
  }

  cut(how: 'close' | 'reset'): void {
    this.#owner.cut(how)
  }

  replace(toxic: Toxic): void {
    this.toxic = toxic
    this.#effect?.stop?.()
    const waiting = this.#takeQueue()
    this.#start(toxic)
    for (const piece of waiting) this.push(piece)
    if (this.#endDue !== undefined) this.push(END)
  }

  flush(): void {
    this.stop()
    const ends = this.#endDue !== undefined
    this.#endDue = undefined
    for (const piece of this.#takeQueue()) this.#owner.forward(piece)
    if (ends) this.#owner.forward(END)
  }

  abandon(): void {
    this.stop()
    this.#endDue = undefined
    this.#takeQueue()
  }

  stop(): void {
    this.#effect?.stop?.()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #start(toxic: Toxic): void {
    this.#effect = meets(toxic, this.#seed) ? createEffect(toxic, this) : undefined
  }

  #takeQueue(): Piece<Tag>[] {
    const taken = this.#queue
    this.#queue = []
    let sum = 0
    for (const piece of taken) sum += weight(piece)
    if (sum > 0) this.#owner.account(-sum)
    return taken
  }

  #release(): void {
    if (this.#releasing) return
    this.#releasing = true
    for (;;) {
      const piece = this.#queue[0]
      if (piece === undefined || piece.at > this.now()) break
      this.#queue.shift()
      this.#owner.forward(piece)
      this.#owner.account(-weight(piece))
    }
    this.#releasing = false
    const ends = this.#queue.length === 0 && this.#endDue !== undefined
    if (ends && (this.#endDue as number) <= this.now()) {
      this.#endDue = undefined
      this.#owner.forward(END)
    } else this.#arm()
  }

  /** One timer for the first that waits. */
  #arm(): void {
    const at = this.#queue[0]?.at ?? this.#endDue
    if (at === undefined || at === Number.POSITIVE_INFINITY) return
    if (this.#timer !== undefined && this.#timerAt <= at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#clock.setTimer(at, () => {
      this.#timer = undefined
      this.#release()
    })
  }
}

function insert<Tag>(queue: Piece<Tag>[], piece: Piece<Tag>): void {
  let low = 0
  let high = queue.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((queue[middle] as Piece<Tag>).at <= piece.at) low = middle + 1
    else high = middle
  }
  queue.splice(low, 0, piece)
}

function weight(piece: Piece<unknown>): number {
  return piece.bytes.length + PIECE_OVERHEAD
}

/**
 * Whether a link meets a toxic. Always the same draw: a toxicity that grows adds connections to
 * those that meet it already.
 */
export function meets(toxic: Toxic, seed: number): boolean {
  return new SeededRandom(seed ^ hashOf(toxic.name) ^ 0x5bd1_e995).chance(toxic.toxicity)
}

/** FNV-1a: the same name meets the same fate in every run. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  }
  return hash | 0
}

type End = typeof END
const END = Symbol('end')
const END_PIECE = { bytes: new Uint8Array(0), tag: undefined, at: 0 } as Piece<never>
