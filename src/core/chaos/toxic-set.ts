/**
 * The toxics of one transport or proxy, changed while it runs: every link that is alive meets the
 * change at once, links made later meet it from their beginning.
 */
import type { Clock } from '../clock.ts'
import { checkInteger, UsageError } from '../errors.ts'
import { SeededRandom } from '../seeded-random.ts'
import {
  checkToxic,
  type Toxic,
  type ToxicAttributes,
  type ToxicCarrier,
  type ToxicDelivery,
  type ToxicSpec,
  type ToxicStream,
} from './toxic.ts'
import { partitionEnd } from './toxic-effects.ts'
import { meets, ToxicLink, type ToxicSink } from './toxic-link.ts'

export interface ToxicSetOptions extends ToxicDelivery {
  readonly clock: Clock
  readonly carrier: ToxicCarrier
  /** Any whole number. The same seed, toxics and traffic give the same run. */
  readonly seed: number
  readonly maxBufferedBytes?: number | undefined
  readonly maxToxics?: number | undefined
}

export const toxicSetDefaults: Readonly<{ maxBufferedBytes: number; maxToxics: number }> =
  Object.freeze({
    /** Per direction of a connection: 10 MB/s at a latency of 100 ms. */
    maxBufferedBytes: 1_048_576,
    /** Each is a step for every chunk; a control API is open to whoever reaches it. */
    maxToxics: 100,
  })

export interface ToxicChange {
  readonly toxicity?: number
  readonly attributes?: ToxicAttributes
}

export class ToxicSet {
  readonly seed: number
  readonly carrier: ToxicCarrier
  readonly ordered: boolean
  readonly reliable: boolean
  readonly #clock: Clock
  readonly #maxBufferedBytes: number
  readonly #maxToxics: number
  readonly #random: SeededRandom
  readonly #toxics = new Map<string, Toxic>()
  readonly #links = new Map<ToxicLinkLike, ToxicStream>()
  readonly #watchers = new Set<() => void>()

  constructor(options: ToxicSetOptions) {
    const { clock, carrier, seed } = options
    const { maxBufferedBytes = toxicSetDefaults.maxBufferedBytes } = options
    const { maxToxics = toxicSetDefaults.maxToxics } = options
    this.seed = seed
    this.carrier = carrier
    this.ordered = options.ordered ?? carrier !== 'datagram'
    this.reliable = options.reliable ?? carrier !== 'datagram'
    this.#clock = clock
    this.#random = new SeededRandom(seed)
    this.#maxBufferedBytes = checkInteger('maxBufferedBytes', maxBufferedBytes, 1, 2 ** 31)
    this.#maxToxics = checkInteger('maxToxics', maxToxics, 1, 10_000)
  }

  /** In the order in which they work, those of upstream first. */
  get list(): readonly Toxic[] {
    const all = [...this.#toxics.values()]
    return [
      ...all.filter(({ stream }) => stream === 'upstream'),
      ...all.filter(({ stream }) => stream === 'downstream'),
    ]
  }

  get(name: string): Toxic | undefined {
    return this.#toxics.get(name)
  }

  /** @throws UsageError as {@link checkToxic}; ERR_STATE for a name in use, ERR_OPTION_RANGE over `maxToxics` */
  add(spec: ToxicSpec): Toxic {
    const toxic = checkToxic(spec, this.carrier, this.#clock.now(), this.reliable)
    if (this.#toxics.has(toxic.name)) {
      throw new UsageError('ERR_STATE', `a toxic '${toxic.name}' exists already`)
    }
    if (this.#toxics.size >= this.#maxToxics) {
      const said = `${this.#toxics.size + 1} toxics, maxToxics is ${this.#maxToxics}`
      throw new UsageError('ERR_OPTION_RANGE', said)
    }
    this.#toxics.set(toxic.name, toxic)
    for (const link of this.#on(toxic.stream)) link.add(toxic)
    this.#changed()
    return toxic
  }

  /** What is left out stays. @throws UsageError ERR_ARGUMENT for an unknown name */
  update(name: string, change: ToxicChange): Toxic {
    const before = this.#known(name)
    const toxic = checkToxic(
      {
        ...before,
        toxicity: change.toxicity ?? before.toxicity,
        attributes: { ...before.attributes, ...change.attributes },
      },
      this.carrier,
      this.#clock.now(),
      this.reliable,
    )
    this.#toxics.set(name, toxic)
    for (const link of this.#on(toxic.stream)) link.update(toxic)
    this.#changed()
    return toxic
  }

  /** @throws UsageError ERR_ARGUMENT for an unknown name */
  remove(name: string): void {
    const { stream } = this.#known(name)
    this.#toxics.delete(name)
    for (const link of this.#on(stream)) link.remove(name)
    this.#changed()
  }

  clear(): void {
    for (const { name } of this.list) this.remove(name)
  }

  /** Each connection takes one, so that what one connection draws changes no other. */
  nextSeed(): number {
    return this.#random.uint32()
  }

  createLink<Tag>(stream: ToxicStream, seed: number, sink: ToxicSink<Tag>): ToxicLink<Tag> {
    const options = {
      clock: this.#clock,
      carrier: this.carrier,
      ordered: this.ordered,
      reliable: this.reliable,
      seed: linkSeed(seed, stream),
      maxBufferedBytes: this.#maxBufferedBytes,
    }
    const link = new ToxicLink<Tag>(options, sink)
    for (const toxic of this.list) if (toxic.stream === stream) link.add(toxic)
    this.#links.set(link, stream)
    return link
  }

  /** Until when a partition keeps a connection with this seed from being made; 0: none does. */
  partitionedUntil(seed: number): number {
    let until = 0
    for (const toxic of this.#toxics.values()) {
      if (toxic.type !== 'partition' || !meets(toxic, linkSeed(seed, toxic.stream))) continue
      until = Math.max(until, partitionEnd(toxic))
    }
    return until > this.#clock.now() ? until : 0
  }

  /** A link is over: it meets no change any more. */
  forget(link: ToxicLinkLike): void {
    link.destroy()
    this.#links.delete(link)
  }

  /** Calls back after each change, until the disposable is disposed of. */
  watch(callback: () => void): Disposable {
    this.#watchers.add(callback)
    return { [Symbol.dispose]: () => void this.#watchers.delete(callback) }
  }

  #on(stream: ToxicStream): ToxicLinkLike[] {
    return [...this.#links].filter(([, on]) => on === stream).map(([link]) => link)
  }

  #known(name: string): Toxic {
    const toxic = this.#toxics.get(name)
    if (toxic === undefined) throw new UsageError('ERR_ARGUMENT', `no toxic is named '${name}'`)
    return toxic
  }

  #changed(): void {
    for (const callback of [...this.#watchers]) callback()
  }
}

function linkSeed(seed: number, stream: ToxicStream): number {
  return seed ^ (stream === 'upstream' ? 1 : 2)
}

/** What a set needs of its links, whatever they carry. */
export interface ToxicLinkLike {
  add(toxic: Toxic): void
  update(toxic: Toxic): void
  remove(name: string): void
  destroy(): void
}
