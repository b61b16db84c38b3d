/**
 * Byte sources one behind the other, as one.
 */
import { iterate } from '../../core/channel.ts'
import { UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'

export class ConcatenatedSource implements Source<Uint8Array>, Flow, Sink<Uint8Array> {
  readonly #sources: readonly Source<Uint8Array>[]
  #next = 0
  #flow: Flow | undefined
  #sink: Sink<Uint8Array> | undefined
  #opened = false
  #flowing = false
  #advancing = false

  constructor(sources: readonly Source<Uint8Array>[]) {
    this.#sources = sources
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#sink = sink
    return this
  }

  resume(): void {
    if (this.#sink === undefined) return
    this.#flowing = true
    this.#advance()
  }

  cancel(reason?: Error): void {
    if (this.#sink === undefined) return
    this.#sink = undefined
    this.#flow?.cancel(reason)
    this.#flow = undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  // What the source being read calls.

  write(chunk: Uint8Array): boolean {
    if (this.#sink === undefined) return false
    this.#flowing = this.#sink.write(chunk)
    return this.#flowing
  }

  end(): void {
    this.#flow = undefined
    this.#advance()
  }

  fail(reason: Error): void {
    const sink = this.#sink
    this.#sink = undefined
    this.#flow = undefined
    sink?.fail(reason)
  }

  /** A loop, since sources that are there end inside `resume`: a thousand of them are no recursion. */
  #advance(): void {
    if (this.#advancing) return
    this.#advancing = true
    try {
      while (this.#sink !== undefined && this.#flowing) {
        if (this.#flow === undefined) {
          const source = this.#sources[this.#next++]
          if (source === undefined) {
            const sink = this.#sink
            this.#sink = undefined
            return sink.end()
          }
          this.#flow = source.open(this)
        }
        const flow = this.#flow
        flow.resume()
        if (this.#flow === flow) return // it goes on by itself, or when resumed
      }
    } finally {
      this.#advancing = false
    }
  }
}
