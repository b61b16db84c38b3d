/**
 * The messages of a body, decoded as they are asked for.
 *
 *     body ──chunks──▸ decoder ──frames──▸ (decompress) ──▸ decode ──▸ sink
 *
 * Nothing is read from the body that the taker of the messages has no demand for, but for the rest
 * of a chunk that is there already. Async iteration has demand for some messages ahead.
 */
import { ProtocolError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { type ReadAhead, SourceIterator } from '../../core/source-iterator.ts'
import { compressedWithoutEncoding, type Decompress } from './compression.ts'
import { GrpcDecoder } from './decoder.ts'
import { grpcStatusOf } from './error-status.ts'
import { GrpcError } from './grpc-error.ts'
import { grpcMessageDefaults } from './options.ts'

export interface MessageSourceOptions<Message> {
  /** @param borrowed the payload is used for something else afterwards */
  decode(payload: Uint8Array, borrowed: boolean): Message
  readonly decompress: Decompress | undefined
  readonly maxMessageBytes: number
  /** Of async iteration. @default 65_536 */
  readonly readAheadBytes?: number
  /** The body has ended as it should: why the stream has not. A client looks at the trailers here. */
  onEnd?(): Error | undefined
  /** It is over, however it ended. Once. */
  onOver?(error: Error | undefined): void
  /** What the taker hears when the body broke. @default the error itself */
  mapError?(error: Error): Error
}

export class MessageSource<Message>
  implements Source<Message>, Flow, Sink<Uint8Array>, ReadAhead<Message>
{
  /** What async iteration holds of messages that nobody has asked for yet, with what each costs. */
  readonly most: number
  readonly #options: MessageSourceOptions<Message>
  readonly #body: Source<Uint8Array>
  readonly #decoder: GrpcDecoder
  #lastBytes = 0
  #sink: Sink<Message> | undefined
  #flow: Flow | undefined
  #opened = false
  #flowing = false
  #pumping = false
  /** The body was told to go on and has not been told to stop. */
  #asked = false
  #bodyEnded = false
  #decompressing = false
  #done = false

  constructor(body: Source<Uint8Array>, options: MessageSourceOptions<Message>) {
    this.#body = body
    this.#options = options
    this.most = options.readAheadBytes ?? grpcMessageDefaults.readAheadBytes
    this.#decoder = new GrpcDecoder({ maxMessageBytes: options.maxMessageBytes })
  }

  /** Everything was delivered, or nobody wants it any more. */
  get done(): boolean {
    return this.#done
  }

  open(sink: Sink<Message>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the messages were consumed already')
    this.#opened = true
    this.#sink = sink
    this.#flow = this.#body.open(this)
    return this
  }

  [Symbol.asyncIterator](): AsyncGenerator<Message> {
    return new SourceIterator<Message>(this, undefined, this.most === 0 ? undefined : this)
  }

  /** Of the message that is being written. */
  weigh(): number {
    return this.#lastBytes + MESSAGE_COST
  }

  // --- what the taker asks

  resume(): void {
    if (this.#done) return
    this.#flowing = true
    this.#pump()
  }

  cancel(reason?: Error): void {
    if (this.#done) return
    this.#over(reason)
    this.#flow?.cancel(reason)
  }

  // --- what the body gives

  write(chunk: Uint8Array): boolean {
    if (this.#done) return false
    this.#decoder.push(chunk)
    // A body that gives at once what it is asked for: it goes on when this chunk is through.
    const asking = this.#pumping
    this.#pump()
    // The chunk is borrowed: what nobody has asked for yet is kept as a copy.
    this.#decoder.hold()
    if (asking || this.#done || !this.#flowing || this.#decompressing) {
      this.#asked = false
      return false
    }
    return true
  }

  end(): void {
    this.#bodyEnded = true
    this.#pump()
  }

  fail(reason: Error): void {
    this.#fail(this.#options.mapError?.(reason) ?? reason)
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (!this.#done && !this.#decompressing) {
        if (!this.#flowing && !this.#bodyEnded) break
        if (!this.#step()) break
      }
    } finally {
      this.#pumping = false
    }
  }

  /** One message, or the end; false: nothing can be done now. */
  #step(): boolean {
    if (!this.#flowing) {
      // Nothing is wanted, but an end without a message before it needs no demand.
      if (this.#decoder.buffered > 0) return false
      this.#finish(this.#options.onEnd?.())
      return false
    }
    let frame: ReturnType<GrpcDecoder['next']>
    try {
      frame = this.#decoder.nextBorrowed()
      if (frame === undefined && this.#bodyEnded) {
        // A status that says why it was cut short tells more than that it was.
        const error = this.#options.onEnd?.()
        if (error === undefined) this.#decoder.end()
        this.#finish(error)
        return false
      }
    } catch (error) {
      this.#refuse(error)
      return false
    }
    if (frame === undefined) {
      if (!this.#asked) {
        this.#asked = true
        this.#flow?.resume()
        return this.#decoder.buffered > 0 || this.#bodyEnded
      }
      return false
    }
    if (frame.compressed) this.#decompress(frame.payload.slice())
    else this.#deliver(frame.payload, true)
    return true
  }

  #deliver(payload: Uint8Array, borrowed: boolean): void {
    let message: Message
    try {
      message = this.#options.decode(payload, borrowed)
    } catch (cause) {
      const problem = `a message cannot be decoded: ${toError(cause).message}`
      return this.#refuse(new ProtocolError('ERR_MALFORMED', problem, { cause }))
    }
    this.#lastBytes = payload.length
    this.#flowing = (this.#sink as Sink<Message>).write(message)
  }

  #decompress(payload: Uint8Array): void {
    const { decompress, maxMessageBytes } = this.#options
    if (decompress === undefined) return this.#refuse(compressedWithoutEncoding())
    this.#decompressing = true
    decompress(payload, maxMessageBytes).then(
      (message) => {
        this.#decompressing = false
        if (this.#done) return
        this.#deliver(message, false)
        this.#pump()
      },
      (error: unknown) => {
        this.#decompressing = false
        this.#refuse(error)
      },
    )
  }

  #finish(error: Error | undefined): void {
    if (error !== undefined) return this.#fail(error)
    const sink = this.#sink
    this.#over(undefined)
    sink?.end()
  }

  /** The peer's messages are not what they should be: nothing more of them is wanted. */
  #refuse(error: unknown): void {
    const known = toError(error)
    const refusal = new GrpcError(grpcStatusOf(known), known.message, { cause: known })
    this.#flow?.cancel(refusal)
    this.#fail(refusal)
  }

  #fail(error: Error): void {
    if (this.#done) return
    const sink = this.#sink
    this.#over(error)
    sink?.fail(error)
  }

  #over(error: Error | undefined): void {
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    this.#options.onOver?.(error)
  }
}

/** Of an object with a few fields, whatever their length: empty messages must not count nothing. */
const MESSAGE_COST = 128
