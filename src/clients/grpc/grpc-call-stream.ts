/**
 * The replies of a call as a source that is there before the response is. Not to want them any more
 * (`break` in `for await`, `flow.cancel`) cancels the call, down to the wire.
 */
import type { Call } from '../../core/context.ts'
import { ClosedError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { SourceIterator } from '../../core/source-iterator.ts'
import type { MessageSource } from '../../protocols/grpc/message-source.ts'

export class GrpcCallStream<Message> implements Source<Message>, Flow {
  readonly #call: Call
  readonly #readAheadBytes: number
  readonly #stopWatching: () => void
  #sink: Sink<Message> | undefined
  #source: MessageSource<Message> | undefined
  #flow: Flow | undefined
  #failure: Error | undefined
  #opened = false
  #flowing = false
  #cancelled = false

  /**
   * @param readAheadBytes of async iteration
   * @param begin makes the call; settles with the head of the response
   */
  constructor(call: Call, readAheadBytes: number, begin: () => Promise<MessageSource<Message>>) {
    this.#call = call
    this.#readAheadBytes = readAheadBytes
    this.#sink = undefined
    this.#source = undefined
    this.#flow = undefined
    this.#failure = undefined
    // Before the call is made: a service of this process must not answer first that it was given up.
    this.#stopWatching = call.onCancel((reason) => this.#onCancel(reason))
    begin().then(
      (source) => this.#onSource(source),
      (error: unknown) => this.#onError(error),
    )
  }

  open(sink: Sink<Message>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the replies were consumed already')
    this.#opened = true
    this.#sink = sink
    if (this.#source !== undefined && this.#failure === undefined) {
      this.#flow = this.#source.open(this.#watched(sink))
    }
    return this
  }

  [Symbol.asyncIterator](): AsyncGenerator<Message> {
    const most = this.#readAheadBytes
    const weigh = (): number => this.#source?.weigh() ?? 1
    return new SourceIterator<Message>(this, undefined, most === 0 ? undefined : { weigh, most })
  }

  resume(): void {
    this.#flowing = true
    if (this.#failure !== undefined) this.#fail(this.#failure)
    else this.#flow?.resume()
  }

  cancel(reason?: Error): void {
    if (this.#cancelled) return
    this.#cancelled = true
    this.#sink = undefined
    this.#stopWatching()
    if (this.#flow !== undefined) this.#flow.cancel(reason)
    this.#call.cancel(reason ?? new ClosedError('ERR_ABORTED', 'nobody wants more replies'))
  }

  #onSource(source: MessageSource<Message>): void {
    if (this.#cancelled) return
    if (this.#failure !== undefined) return source.open(NOBODY).cancel(this.#failure)
    this.#source = source
    if (this.#sink === undefined) return
    this.#flow = source.open(this.#watched(this.#sink))
    if (this.#flowing) this.#flow.resume()
  }

  /** The caller gave the call up, or its time is over. */
  #onCancel(reason: Error): void {
    if (this.#cancelled || this.#failure !== undefined) return
    this.#failure = reason
    const flow = this.#flow
    this.#flow = undefined
    if (this.#flowing) this.#fail(reason)
    if (flow !== undefined) flow.cancel(reason)
    else this.#source?.open(NOBODY).cancel(reason)
  }

  /** The end of the replies is the end of watching the caller. */
  #watched(sink: Sink<Message>): Sink<Message> {
    return {
      write: (message) => sink.write(message),
      end: () => {
        this.#stopWatching()
        sink.end()
      },
      fail: (reason) => {
        this.#stopWatching()
        sink.fail(reason)
      },
    }
  }

  #onError(error: unknown): void {
    this.#stopWatching()
    this.#failure ??= toError(error)
    if (this.#flowing) this.#fail(this.#failure)
  }

  #fail(reason: Error): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.fail(reason)
  }
}

/** Takes nothing. */
const NOBODY: Sink<never> = Object.freeze({ write: () => false, end() {}, fail() {} })
