/**
 * Web streams at the edges: `ReadableStream` to `Source` and back.
 *
 * Inside, bytes are pushed synchronously; web streams cost a promise per chunk and are used only
 * where a user hands one over or asks for one.
 */
import { iterate } from '../../core/channel.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'

/** A web stream of bytes as a source: one chunk is read ahead of the sink, none is copied. */
export function webStreamSource(stream: ReadableStream<Uint8Array>): Source<Uint8Array> {
  let opened = false
  const source: Source<Uint8Array> = {
    open(sink) {
      if (opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
      opened = true
      return new WebStreamFlow(stream.getReader(), sink)
    },
    [Symbol.asyncIterator]: () => iterate(source, (chunk) => chunk),
  }
  return source
}

/**
 * A source as a web stream. Chunks are copied, because a web stream's reader may keep them.
 *
 * @param onSettled called once when the stream has ended, failed or was cancelled
 */
export function toWebStream(
  source: Source<Uint8Array>,
  onSettled: () => void = () => {},
): ReadableStream<Uint8Array> {
  let flow: Flow
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        flow = source.open({
          write(chunk) {
            controller.enqueue(chunk.slice())
            return (controller.desiredSize ?? 0) > 0
          },
          end() {
            onSettled()
            controller.close()
          },
          fail(reason) {
            onSettled()
            controller.error(reason)
          },
        })
      },
      pull: () => flow.resume(),
      cancel(reason) {
        onSettled()
        flow.cancel(toError(reason))
      },
    },
    { highWaterMark: STREAM_HIGH_WATER_MARK, size: (chunk) => chunk?.byteLength ?? 1 },
  )
}

class WebStreamFlow implements Flow {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #sink: Sink<Uint8Array>
  #state: 'paused' | 'reading' | 'done' = 'paused'

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, sink: Sink<Uint8Array>) {
    this.#reader = reader
    this.#sink = sink
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'reading'
    void this.#pump()
  }

  cancel(reason?: Error): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    // The stream's own failure to cancel has nobody left to be told to.
    this.#reader.cancel(reason).catch(() => {})
  }

  async #pump(): Promise<void> {
    try {
      while (this.#state === 'reading') {
        const { done, value } = await this.#reader.read()
        if (this.#isDone()) return
        if (done) {
          this.#state = 'done'
          return this.#sink.end()
        }
        if (!(value instanceof Uint8Array)) {
          throw new UsageError('ERR_ARGUMENT', 'a response body stream must give Uint8Array chunks')
        }
        if (value.length > 0 && !this.#sink.write(value) && !this.#isDone()) this.#state = 'paused'
      }
    } catch (error) {
      if (this.#isDone()) return
      this.#state = 'done'
      this.#sink.fail(toError(error))
    }
  }

  /** A method, because `cancel` may change the state during any await or write. */
  #isDone(): boolean {
    return this.#state === 'done'
  }
}

/** Read ahead of the consumer, in bytes: one socket buffer's worth. */
const STREAM_HIGH_WATER_MARK = 65_536
