/**
 * Streams of objects as Node has them, over sources and back, with backpressure both ways.
 */
import type { Readable } from 'node:stream'
import { Channel } from '../core/channel.ts'
import type { Flow, Source } from '../core/flow.ts'

/** What a `Writable` is written, as a source: one item is under way at a time. */
export class WrittenItems<Item> {
  readonly source: Source<Item>
  readonly #channel: Channel<Item>
  #waiting: { readonly item: Item; readonly done: () => void } | undefined
  #over = false
  #ending: Error | undefined

  /** @param onCancel the reader wants no more */
  constructor(onCancel: (reason: Error | undefined) => void) {
    this.#channel = new Channel<Item>(
      () => this.#give(),
      (reason) => {
        this.#settle()
        onCancel(reason)
      },
    )
    this.source = this.#channel
    this.#waiting = undefined
    this.#ending = undefined
  }

  /** `_write`: `done` is called once the item was taken, or is not wanted any more. */
  write(item: Item, done: () => void): void {
    if (this.#over) return done()
    this.#waiting = { item, done }
    if (this.#channel.flowing) this.#give()
  }

  end(): void {
    if (this.#ending === undefined) this.#channel.end()
    else this.#channel.fail(this.#ending)
  }

  /** `end` will be a failure. */
  endWith(reason: Error): void {
    this.#ending ??= reason
  }

  fail(reason: Error): void {
    this.#channel.fail(reason)
    this.#settle()
  }

  #give(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#channel.write(waiting.item)
    waiting.done()
  }

  /** Nothing is taken any more: what waits is dropped, so that its stream can end. */
  #settle(): void {
    this.#over = true
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.done()
  }
}

/** Pushes the items of a source into a `Readable`; its `read` asks for more. */
export class ReadItems<Item> {
  readonly #stream: Readable
  readonly #onEnd: (error: Error | undefined) => void
  #flow: Flow | undefined
  #wanted = false

  /** @param onEnd the source is over; the stream has to be told by whoever this is */
  constructor(stream: Readable, onEnd: (error: Error | undefined) => void) {
    this.#stream = stream
    this.#onEnd = onEnd
    this.#flow = undefined
  }

  open(source: Source<Item>): void {
    this.#flow = source.open({
      write: (item) => {
        this.#wanted = this.#stream.push(item)
        return this.#wanted
      },
      end: () => this.#onEnd(undefined),
      fail: (reason) => this.#onEnd(reason),
    })
    if (this.#wanted) this.#flow.resume()
  }

  /** `_read` */
  read(): void {
    this.#wanted = true
    this.#flow?.resume()
  }

  cancel(reason?: Error): void {
    this.#flow?.cancel(reason)
  }
}
