/**
 * A stream that can be read again from its start, as long as what was read of it fits into a bound.
 *
 *     source ──▸ held (at most maxBytes) ──▸ the attempt under way
 *
 * Chunks go on as they come; nothing waits until the stream is whole. A reader that gives up does
 * not end the source: it is read on into the buffer for the next one. Once it is longer than
 * `maxBytes` what was passed on is let go, and it is a stream that is read once like any other.
 */
import { iterate } from '../../core/channel.ts'
import { UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'

export class ReplayBuffer implements Source<Uint8Array>, Sink<Uint8Array> {
  readonly #source: Source<Uint8Array>
  readonly #maxBytes: number
  #flow: Flow | undefined
  /** Copies of what came; without what was passed on, once it is over the bound. */
  #held: Uint8Array[] = []
  #length = 0
  #overflown = false
  #ended = false
  #failure: Error | undefined
  #reader: Reader | undefined

  constructor(source: Source<Uint8Array>, maxBytes: number) {
    this.#source = source
    this.#maxBytes = maxBytes
  }

  /** Whether it can be opened again, from its start. */
  get replayable(): boolean {
    return !this.#overflown && this.#failure === undefined
  }

  /** @throws UsageError ERR_BODY_USED once it is over the bound, or while it is being read */
  open(sink: Sink<Uint8Array>): Flow {
    if (this.#reader !== undefined) {
      throw new UsageError('ERR_BODY_USED', 'the body is being read already')
    }
    if (this.#flow !== undefined && !this.replayable) {
      const why = `it is longer than the ${this.#maxBytes} bytes that are kept`
      throw new UsageError('ERR_BODY_USED', `the body was consumed, and ${why}`)
    }
    this.#flow ??= this.#source.open(this)
    const reader = new Reader(this, sink)
    this.#reader = reader
    return reader
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  // What the source calls.

  write(chunk: Uint8Array): boolean {
    this.#length += chunk.length
    if (this.#length > this.#maxBytes) this.#overflown = true
    const reader = this.#reader
    if (reader === undefined) {
      // Nobody reads, and nobody could read it from its start any more.
      if (this.#overflown) return this.#abandon()
      this.#held.push(chunk.slice())
      return true
    }
    this.#held.push(chunk.slice())
    return this.#pass(reader)
  }

  end(): void {
    this.#ended = true
    if (this.#reader !== undefined) this.#pass(this.#reader)
  }

  fail(reason: Error): void {
    this.#failure = reason
    if (this.#reader !== undefined) this.#pass(this.#reader)
  }

  // What the reader calls.

  resume(reader: Reader): void {
    if (this.#reader !== reader) return
    reader.flowing = true
    if (this.#pass(reader) && !this.#ended && this.#failure === undefined) this.#flow?.resume()
  }

  cancel(reader: Reader, reason: Error | undefined): void {
    if (this.#reader !== reader) return
    this.#reader = undefined
    if (this.#ended || this.#failure !== undefined) return
    if (this.#overflown) this.#flow?.cancel(reason)
    else this.#flow?.resume()
  }

  /** @returns whether the reader takes more */
  #pass(reader: Reader): boolean {
    if (reader.passing) return true
    reader.passing = true
    while (reader.flowing && this.#reader === reader && reader.next < this.#held.length) {
      const chunk = this.#held[reader.next++] as Uint8Array
      if (this.#overflown) {
        this.#held.splice(0, reader.next)
        reader.next = 0
      }
      reader.flowing = reader.sink.write(chunk)
    }
    reader.passing = false
    if (this.#reader !== reader || reader.next < this.#held.length) return false
    if (this.#ended || this.#failure !== undefined) {
      this.#reader = undefined
      if (this.#failure === undefined) reader.sink.end()
      else reader.sink.fail(this.#failure)
      return false
    }
    return reader.flowing
  }

  #abandon(): boolean {
    this.#held = []
    this.#flow?.cancel()
    return false
  }
}

class Reader implements Flow {
  readonly sink: Sink<Uint8Array>
  readonly #buffer: ReplayBuffer
  /** Index of the chunk that comes next. */
  next = 0
  flowing = false
  passing = false

  constructor(buffer: ReplayBuffer, sink: Sink<Uint8Array>) {
    this.#buffer = buffer
    this.sink = sink
  }

  resume(): void {
    this.#buffer.resume(this)
  }

  cancel(reason?: Error): void {
    this.#buffer.cancel(this, reason)
  }
}
