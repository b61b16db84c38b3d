/**
 * Anything that can be iterated, at once or with waiting, as a source of bytes: Node streams,
 * generators, arrays of chunks. One chunk is asked for at a time; none is copied.
 */
import { iterate } from '../../core/channel.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'

type Chunk = Uint8Array | string
export type ChunkIterable = AsyncIterable<Chunk> | Iterable<Chunk>

export function iterableSource(iterable: ChunkIterable): Source<Uint8Array> {
  let opened = false
  const source: Source<Uint8Array> = {
    open(sink) {
      if (opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
      opened = true
      return new IterableFlow(iterable, sink)
    },
    [Symbol.asyncIterator]: () => iterate(source, (chunk) => chunk),
  }
  return source
}

class IterableFlow implements Flow {
  readonly #iterator: AsyncIterator<Chunk> | Iterator<Chunk>
  readonly #sink: Sink<Uint8Array>
  #state: 'paused' | 'reading' | 'done' = 'paused'
  /** A read is under way: `resume` must not begin another. */
  #busy = false

  constructor(iterable: ChunkIterable, sink: Sink<Uint8Array>) {
    this.#iterator =
      Symbol.asyncIterator in iterable
        ? iterable[Symbol.asyncIterator]()
        : iterable[Symbol.iterator]()
    this.#sink = sink
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'reading'
    if (!this.#busy) void this.#pump()
  }

  cancel(): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    // Its own failure to stop has nobody left to be told to.
    Promise.resolve(this.#iterator.return?.()).catch(() => {})
  }

  async #pump(): Promise<void> {
    this.#busy = true
    try {
      while (this.#state === 'reading') {
        const { done, value } = await this.#iterator.next()
        if (this.#isDone()) return
        if (done) {
          this.#state = 'done'
          return this.#sink.end()
        }
        const chunk = typeof value === 'string' ? new TextEncoder().encode(value) : value
        if (!(chunk instanceof Uint8Array)) {
          throw new UsageError('ERR_ARGUMENT', 'a body gives chunks of bytes or text')
        }
        if (chunk.length > 0 && !this.#sink.write(chunk) && !this.#isDone()) this.#state = 'paused'
      }
    } catch (error) {
      if (this.#isDone()) return
      this.#state = 'done'
      this.#sink.fail(toError(error))
    } finally {
      this.#busy = false
    }
  }

  /** A method, because `cancel` may change the state during any await or write. */
  #isDone(): boolean {
    return this.#state === 'done'
  }
}
