/**
 * A body made of messages, encoded as the taker of the body has room.
 *
 * The messages come from a `Source`, which is pushed, or from anything that can be iterated.
 */
import { iterate } from '../../core/channel.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import type { HttpFields } from '../http/fields.ts'

export type MessageStream<Message> = Source<Message> | AsyncIterable<Message> | Iterable<Message>

export interface MessageBodyOptions<Message> {
  /** One frame; a promise where it is compressed. */
  encode(message: Message): Uint8Array | Promise<Uint8Array>
  /** A frame was taken: its memory may be used again. */
  release?(frame: Uint8Array): void
  /**
   * The messages have ended, `error` says why if not well. What is returned is how the body ends:
   * with trailers, or broken.
   */
  onEnd(error: Error | undefined): HttpFields | Error | undefined
}

export class MessageBody<Message> implements Source<Uint8Array>, Flow {
  trailers: HttpFields | undefined
  readonly #options: MessageBodyOptions<Message>
  readonly #messages: Feed<Message>
  #sink: Sink<Uint8Array> | undefined
  /** A frame that was made before somebody was there to take it. */
  #held: Uint8Array | undefined
  #onFirst: (() => void) | undefined
  #state = 'new' as 'new' | 'started' | 'opened' | 'over'
  #flowing = false
  #encoding = false
  #ended: Error | true | undefined

  constructor(messages: Feed<Message>, options: MessageBodyOptions<Message>) {
    this.trailers = undefined
    this.#messages = messages
    this.#options = options
    this.#held = undefined
    this.#ended = undefined
  }

  /**
   * Asks for the first message before the body is opened. `onFirst` is called once: a message is
   * there, or the end is.
   */
  start(onFirst: () => void): void {
    this.#onFirst = onFirst
    this.#begin('started')
    this.#messages.resume()
  }

  /** How it ended, where it did so before a message came. */
  get endedEmpty(): Error | true | undefined {
    return this.#held === undefined ? this.#ended : undefined
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#state === 'opened') {
      throw new UsageError('ERR_BODY_USED', 'the messages were consumed already')
    }
    this.#sink = sink
    if (this.#state === 'new') this.#begin('opened')
    else if (this.#state === 'started') this.#state = 'opened'
    return this
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  resume(): void {
    const sink = this.#sink
    if (sink === undefined) return
    this.#flowing = true
    const held = this.#held
    if (held !== undefined) {
      this.#held = undefined
      this.#flowing = sink.write(held)
    }
    if (this.#ended !== undefined) this.#end(this.#ended)
    else if (this.#flowing && !this.#encoding) this.#messages.resume()
  }

  cancel(reason?: Error): void {
    this.#sink = undefined
    this.#state = 'over'
    this.#flowing = false
    this.#held = undefined
    this.#messages.cancel(reason)
  }

  /** Ends it now, whatever more messages there would be. */
  abort(reason: Error): void {
    if (this.#ended !== undefined || this.#state === 'over') return
    this.#messages.cancel(reason)
    this.#encoding = false
    this.#end(reason)
  }

  #begin(state: 'started' | 'opened'): void {
    this.#state = state
    this.#messages.open({
      write: (message) => this.#write(message),
      end: () => this.#end(true),
      fail: (reason) => this.#end(reason),
    })
  }

  #write(message: Message): boolean {
    if (this.#state === 'over' || this.#ended !== undefined) return false
    let frame: Uint8Array | Promise<Uint8Array>
    try {
      frame = this.#options.encode(message)
    } catch (error) {
      this.#refuse(error)
      return false
    }
    if (frame instanceof Uint8Array) return this.#give(frame)
    this.#encoding = true
    frame.then(
      (whole) => {
        if (!this.#encoding) return
        this.#encoding = false
        const flowing = this.#give(whole)
        if (this.#ended !== undefined) this.#end(this.#ended)
        else if (flowing) this.#messages.resume()
      },
      (error: unknown) => {
        if (!this.#encoding) return
        this.#encoding = false
        this.#refuse(error)
      },
    )
    return false
  }

  #give(frame: Uint8Array): boolean {
    if (this.#state === 'over') return false
    if (this.#flowing && this.#sink !== undefined) {
      this.#flowing = this.#sink.write(frame)
      this.#options.release?.(frame)
      return this.#flowing
    }
    this.#held = frame
    this.#first()
    return false
  }

  /** A message cannot be encoded: the stream ends with that, after what came before it. */
  #refuse(error: unknown): void {
    this.#messages.cancel(toError(error))
    this.#end(toError(error))
  }

  #end(how: Error | true): void {
    if (this.#state === 'over') return
    this.#ended ??= how
    // The last message may still be on its way through the codec, or wait for its taker.
    if (this.#encoding || this.#held !== undefined) return
    const sink = this.#sink
    if (sink === undefined) return this.#first()
    this.#sink = undefined
    this.#state = 'over'
    const ended = this.#ended
    const ending = this.#options.onEnd(ended === true ? undefined : ended)
    if (ending instanceof Error) return sink.fail(ending)
    this.trailers = ending
    sink.end()
  }

  #first(): void {
    const onFirst = this.#onFirst
    this.#onFirst = undefined
    onFirst?.()
  }
}

/** A stream of messages in either form, opened once, with its first message at hand if need be. */
export interface Feed<Message> {
  open(sink: Sink<Message>): void
  resume(): void
  cancel(reason?: Error): void
}

/** @throws UsageError ERR_ARGUMENT for what is no stream */
export function feedOf<Message>(stream: MessageStream<Message>): Feed<Message> {
  if (typeof stream === 'object' && stream !== null) {
    if (typeof (stream as Source<Message>).open === 'function') {
      return new SourceFeed(stream as Source<Message>)
    }
    if (Symbol.asyncIterator in stream || Symbol.iterator in stream) {
      return new IteratorFeed(stream as AsyncIterable<Message> | Iterable<Message>)
    }
  }
  const message = 'a stream of messages is a Source, an AsyncIterable or an Iterable'
  throw new UsageError('ERR_ARGUMENT', message)
}

class SourceFeed<Message> implements Feed<Message> {
  readonly #source: Source<Message>
  #flow: Flow | undefined

  constructor(source: Source<Message>) {
    this.#source = source
  }

  open(sink: Sink<Message>): void {
    this.#flow = this.#source.open(sink)
  }

  resume(): void {
    this.#flow?.resume()
  }

  cancel(reason?: Error): void {
    this.#flow?.cancel(reason)
  }
}

class IteratorFeed<Message> implements Feed<Message> {
  readonly #iterator: AsyncIterator<Message> | Iterator<Message>
  #sink: Sink<Message> | undefined
  #pending = false
  #flowing = false

  constructor(stream: AsyncIterable<Message> | Iterable<Message>) {
    this.#iterator =
      Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
  }

  open(sink: Sink<Message>): void {
    this.#sink = sink
  }

  resume(): void {
    this.#flowing = true
    this.#pull()
  }

  /** A generator that waits inside `next` hears of it when that is over. */
  cancel(): void {
    if (this.#sink === undefined) return
    this.#sink = undefined
    try {
      const returned = this.#iterator.return?.()
      if (returned instanceof Promise) returned.catch(ignored)
    } catch {
      // Nobody is there any more to hear of it.
    }
  }

  #pull(): void {
    while (!this.#pending && this.#flowing && this.#sink !== undefined) {
      let result: IteratorResult<Message> | Promise<IteratorResult<Message>>
      try {
        result = this.#iterator.next()
      } catch (error) {
        return this.#fail(error)
      }
      if (!isThenable(result)) {
        this.#take(result)
        continue
      }
      this.#pending = true
      result.then(this.#onResult, this.#onError)
    }
  }

  readonly #onResult = (result: IteratorResult<Message>): void => {
    this.#pending = false
    this.#take(result)
    this.#pull()
  }

  readonly #onError = (error: unknown): void => {
    this.#pending = false
    this.#fail(error)
  }

  #take(result: IteratorResult<Message>): void {
    const sink = this.#sink
    if (sink === undefined) return
    if (result.done === true) {
      this.#sink = undefined
      return sink.end()
    }
    this.#flowing = false
    if (sink.write(result.value)) this.#flowing = true
  }

  #fail(error: unknown): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.fail(toError(error))
  }
}

function isThenable<Value>(value: Value | Promise<Value>): value is Promise<Value> {
  return typeof (value as { then?: unknown }).then === 'function'
}

function ignored(): void {}
