/**
 * Async iteration over a source, with no async generator: one promise for each item that is there,
 * two for one that has to be waited for.
 *
 *     source ──write──▸ ahead: | item | item | ... ──next()──▸ consumer
 *
 * Nothing is asked of the source before the first `next`. What it gave ahead is read in order before
 * its end or its failure is told. A consumer that stops (`break`) cancels the source.
 */
import type { Flow, Sink, Source } from './flow.ts'

export interface ReadAhead<Item> {
  /** What one item counts, at least 1. */
  weigh(item: Item): number
  /** From so much on that nobody has asked for, the source is told to stop. */
  readonly most: number
}

export class SourceIterator<Item> implements AsyncGenerator<Item, undefined>, Sink<Item> {
  readonly #source: Source<Item>
  readonly #keep: ((item: Item) => Item) | undefined
  readonly #readAhead: ReadAhead<Item> | undefined
  #flow: Flow | undefined
  #state = NEW as typeof NEW | typeof OPEN | typeof ENDED | typeof OVER
  #failure: Error | undefined
  #items: Item[] = []
  #head = 0
  /** Weight of everything that came since there was nothing left. */
  #ahead = 0
  /** Who waits for an item, oldest first: usually nobody or one. */
  #waiting: Waiter<Item>[] = []

  /**
   * @param keep makes an item the consumer's own; undefined: it is already
   * @param readAhead how much is taken before it is asked for. @default nothing
   */
  constructor(
    source: Source<Item>,
    keep: ((item: Item) => Item) | undefined,
    readAhead?: ReadAhead<Item> | undefined,
  ) {
    this.#source = source
    this.#keep = keep
    this.#readAhead = readAhead
    this.#flow = undefined
    this.#failure = undefined
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    const head = this.#head
    if (head < this.#items.length) {
      const value = this.#items[head] as Item
      this.#items[head] = undefined as Item
      this.#head = head + 1
      if (this.#head === this.#items.length) this.#emptied()
      return Promise.resolve({ done: false, value })
    }
    if (this.#state === ENDED) return this.#finish()
    if (this.#state === OVER) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      try {
        if (this.#state === NEW) {
          this.#state = OPEN
          this.#flow = this.#source.open(this)
        }
      } catch (error) {
        this.#state = OVER
        return this.#releaseWaiting(error)
      }
      this.#flow?.resume()
    })
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.#stop()
    this.#releaseWaiting(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  throw(error: unknown): Promise<IteratorResult<Item, undefined>> {
    this.#stop()
    this.#releaseWaiting(undefined)
    return Promise.reject(error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  // --- what the source gives

  write(item: Item): boolean {
    if (this.#state !== OPEN) return false
    const value = this.#keep === undefined ? item : this.#keep(item)
    const waiter = this.#waiting.shift()
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value })
      return this.#waiting.length > 0 || this.#readAhead !== undefined
    }
    this.#items.push(value)
    const readAhead = this.#readAhead
    if (readAhead === undefined) return false
    this.#ahead += readAhead.weigh(item)
    return this.#ahead < readAhead.most
  }

  end(): void {
    if (this.#state !== OPEN) return
    this.#state = ENDED
    this.#flow = undefined
    this.#tellEnd()
  }

  fail(reason: Error): void {
    this.#failure = reason
    this.end()
  }

  #emptied(): void {
    this.#items.length = 0
    this.#head = 0
    this.#ahead = 0
  }

  /** Who waits has found nothing ahead: the first hears how it ended, the others that it has. */
  #tellEnd(): void {
    const waiter = this.#waiting.shift()
    if (waiter === undefined) return
    const failure = this.#failure
    this.#state = OVER
    this.#failure = undefined
    if (failure === undefined) waiter.resolve({ done: true, value: undefined })
    else waiter.reject(failure)
    this.#releaseWaiting(undefined)
  }

  #finish(): Promise<IteratorResult<Item, undefined>> {
    const failure = this.#failure
    this.#state = OVER
    this.#failure = undefined
    if (failure !== undefined) return Promise.reject(failure)
    return Promise.resolve({ done: true, value: undefined })
  }

  #stop(): void {
    const flow = this.#flow
    this.#state = OVER
    this.#flow = undefined
    this.#failure = undefined
    this.#emptied()
    flow?.cancel()
  }

  /** @param error what the first of them hears; undefined: all hear that it is over */
  #releaseWaiting(error: unknown): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    if (error !== undefined) waiting.shift()?.reject(error)
    for (const waiter of waiting) waiter.resolve({ done: true, value: undefined })
  }
}

interface Waiter<Item> {
  resolve(result: IteratorResult<Item, undefined>): void
  reject(reason: unknown): void
}

const NEW = 0
const OPEN = 1
/** The source has ended or failed, and what it gave ahead may still be there. */
const ENDED = 2
const OVER = 3
