/**
 * Making and reading sources (flow.ts): `Channel` is the writing end by hand, `iterate` the reading
 * end as an async iterable.
 */
import { OverloadError, toError, UsageError } from './errors.ts'
import type { Flow, Sink, Source } from './flow.ts'
import { SourceIterator } from './source-iterator.ts'

/**
 * Async iteration over any source, nothing ahead of what is asked for.
 *
 * @param keep makes an item the consumer's own: byte chunks are borrowed and must be copied
 */
export function iterate<Item>(
  source: Source<Item>,
  keep: (item: Item) => Item,
): AsyncGenerator<Item, undefined> {
  return new SourceIterator(source, keep)
}

/**
 * A source whose other end is written by hand: the bridge from sessions (and from users) to sources.
 *
 * It buffers nothing: `write` without demand is an error of the writer.
 */
export class Channel<Item> implements Source<Item>, Flow {
  #sink: Sink<Item> | undefined
  #opened = false
  #flowing = false
  #ending: 'no' | 'end' | Error = 'no'
  #done = false
  readonly #onDemand: () => void
  readonly #onCancel: (reason: Error | undefined) => void
  readonly #keep: (item: Item) => Item

  /**
   * @param onDemand the taker can take more: give or ask the peer for more
   * @param onCancel the taker wants no more
   * @param keep how async iteration makes an item its own; needed for byte chunks
   */
  constructor(
    onDemand: () => void,
    onCancel: (reason: Error | undefined) => void,
    keep: (item: Item) => Item = (item) => item,
  ) {
    this.#onDemand = onDemand
    this.#onCancel = onCancel
    this.#keep = keep
  }

  /** Whether an item may be written now. */
  get flowing(): boolean {
    return this.#flowing
  }

  /** Nobody will read it any more, or everything was delivered. */
  get done(): boolean {
    return this.#done
  }

  open(sink: Sink<Item>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the source was consumed already')
    this.#opened = true
    this.#sink = sink
    return this
  }

  /** @returns false: no more until `onDemand()` */
  write(item: Item): boolean {
    if (this.#done) return true
    if (!this.#flowing) throw new OverloadError('ERR_BUSY', 'item written without demand')
    this.#flowing = (this.#sink as Sink<Item>).write(item)
    return this.#flowing
  }

  /** No more items. Delivered at once when the taker flows or has paused, else when it resumes. */
  end(): void {
    if (this.#ending !== 'no') return
    this.#ending = 'end'
    if (this.#flowing) this.#settle()
  }

  fail(reason: unknown): void {
    if (this.#done || this.#ending !== 'no') return
    this.#ending = toError(reason)
    if (this.#opened) this.#settle()
  }

  resume(): void {
    if (this.#done) return
    this.#flowing = true
    if (this.#ending !== 'no') return this.#settle()
    this.#onDemand()
  }

  cancel(reason?: Error): void {
    if (this.#done) return
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    this.#onCancel(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Item> {
    return iterate(this, this.#keep)
  }

  #settle(): void {
    const sink = this.#sink
    if (this.#done || sink === undefined) return
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    if (typeof this.#ending === 'object') sink.fail(this.#ending)
    else sink.end()
  }
}
