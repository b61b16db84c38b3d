/**
 * A byte source behind a `Transformer`: what comes out of an inflate that may finish later.
 *
 * One operation is under way at a time and the source is not asked for more before its output was
 * taken, so backpressure reaches through.
 */
import { iterate } from '../../core/channel.ts'
import { UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import type { Transformer } from '../../core/host.ts'
import type { HttpFields } from './fields.ts'

export class TransformedSource implements Source<Uint8Array>, Flow, Sink<Uint8Array> {
  readonly #source: Source<Uint8Array>
  readonly #create: () => Transformer
  #transformer: Transformer | undefined
  #flow: Flow | undefined
  #sink: Sink<Uint8Array> | undefined
  #opened = false
  /** Output that the sink has not taken. */
  #output: readonly Uint8Array[] = NOTHING
  #taken = 0
  #flowing = false
  #working = false
  #sourceEnded = false
  #finished = false
  #advancing = false
  #inWrite = false

  /** @param create makes the transformer when the source is opened */
  constructor(source: Source<Uint8Array>, create: () => Transformer) {
    this.#source = source
    this.#create = create
  }

  /** Of the body it transforms: content is coded, trailers are not. */
  get trailers(): HttpFields | undefined {
    return (this.#source as { trailers?: HttpFields }).trailers
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#flow = this.#source.open(this)
    this.#transformer = this.#create()
    this.#sink = sink
    return this
  }

  resume(): void {
    if (this.#sink === undefined || this.#flowing) return
    this.#flowing = true
    this.#advance()
  }

  cancel(reason?: Error): void {
    if (this.#sink === undefined) return
    this.#close()
    this.#flow?.cancel(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk) // the output is the consumer's to keep
  }

  // What the inner source calls.

  write(chunk: Uint8Array): boolean {
    if (this.#transformer === undefined) return true
    this.#working = true
    this.#inWrite = true
    // Borrowed from the source, and the transformer keeps it until it is done.
    this.#transformer.transform(chunk.slice(), (error, output) => this.#onOutput(error, output))
    this.#inWrite = false
    return !this.#working && this.#wantsMore
  }

  end(): void {
    this.#sourceEnded = true
    if (!this.#working) this.#finish()
  }

  fail(reason: Error): void {
    const sink = this.#sink
    this.#close()
    sink?.fail(reason)
  }

  get #wantsMore(): boolean {
    return this.#flowing && this.#taken === this.#output.length && !this.#sourceEnded
  }

  #onOutput(error: Error | undefined, output: readonly Uint8Array[]): void {
    this.#working = false
    const sink = this.#sink
    if (sink === undefined) return
    if (error !== undefined) {
      this.#close()
      this.#flow?.cancel(error)
      return sink.fail(error)
    }
    this.#output = output
    this.#taken = 0
    this.#advance()
  }

  /** Gives what is there, then asks for more. */
  #advance(): void {
    if (this.#advancing) return
    this.#advancing = true
    try {
      while (this.#flowing && this.#taken < this.#output.length) {
        const chunk = this.#output[this.#taken++] as Uint8Array
        this.#flowing = (this.#sink as Sink<Uint8Array>).write(chunk)
        if (this.#sink === undefined) return
      }
      if (!this.#flowing || this.#working) return
      this.#output = NOTHING
      this.#taken = 0
    } finally {
      this.#advancing = false
    }
    if (this.#finished) {
      const sink = this.#sink
      this.#close()
      sink?.end()
    } else if (this.#sourceEnded) this.#finish()
    else if (!this.#inWrite) this.#flow?.resume() // else `write` says so
  }

  #finish(): void {
    if (this.#finished || this.#transformer === undefined) return
    // Output that waits for the sink comes first: one operation at a time.
    if (this.#taken < this.#output.length) return
    this.#finished = true
    this.#working = true
    this.#transformer.finish((error, output) => this.#onOutput(error, output))
  }

  #close(): void {
    this.#sink = undefined
    this.#flowing = false
    this.#output = NOTHING
    this.#transformer?.close()
    this.#transformer = undefined
  }
}

const NOTHING: readonly Uint8Array[] = Object.freeze([])
