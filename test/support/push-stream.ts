/** A body that a test writes: what nobody has asked for yet waits, so that a script needs no timing. */
import { iterate } from '../../src/core/channel.ts'
import type { Flow, Sink, Source } from '../../src/core/flow.ts'

export class PushStream implements Source<Uint8Array>, Flow {
  /** The reader has given it up. */
  cancelled = false
  readonly #onCancel: () => void
  #sink: Sink<Uint8Array> | undefined
  #flowing = false
  #queue: Uint8Array[] = []
  #last: 'end' | Error | undefined

  constructor(onCancel: () => void = () => {}) {
    this.#onCancel = onCancel
  }

  write(text: string | Uint8Array): void {
    this.#queue.push(typeof text === 'string' ? new TextEncoder().encode(text) : text)
    this.#flush()
  }

  end(): void {
    this.#last = 'end'
    this.#flush()
  }

  fail(reason: Error): void {
    this.#last = reason
    this.#flush()
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    this.#flowing = true
    this.#flush()
  }

  cancel(): void {
    if (this.cancelled) return
    this.cancelled = true
    this.#sink = undefined
    this.#onCancel()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  #flush(): void {
    while (this.#flowing && this.#sink !== undefined) {
      const chunk = this.#queue.shift()
      if (chunk === undefined) break
      this.#flowing = this.#sink.write(chunk)
    }
    const sink = this.#sink
    if (sink === undefined || this.#queue.length > 0 || this.#last === undefined) return
    this.#sink = undefined
    if (this.#last === 'end') sink.end()
    else sink.fail(this.#last)
  }
}
