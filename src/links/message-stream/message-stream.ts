/**
 * A message connection with promises: `await send(…)` waits for room, `for await` reads.
 *
 *     const stream = messageStream(connection)
 *     for await (const message of stream) await stream.send(message)
 *
 * For the edges of a program. A handler is called without a promise per message and is faster.
 */
import { ClosedError, checkInteger, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'

/** Bytes, or text where the connection tells it apart (WebSocket). */
export type StreamedMessage = Uint8Array | string

/** What a message stream is made of. */
export interface StreamableConnection extends MessageConnection {
  sendText?(text: string): boolean
}

export interface MessageStreamOptions {
  /**
   * Messages that wait for their reader; from there the connection is paused. What is in the chunk
   * under way may still come.
   *
   * @default 16
   */
  maxQueuedMessages?: number
}

export const messageStreamDefaults: Readonly<{ maxQueuedMessages: number }> = Object.freeze({
  maxQueuedMessages: 16,
})

/** Opens the connection, which must not be open yet. */
export function messageStream(
  connection: StreamableConnection,
  options: MessageStreamOptions = {},
): MessageStream {
  return new MessageStream(connection, options)
}

export class MessageStream implements AsyncIterable<StreamedMessage>, AsyncDisposable {
  readonly connection: StreamableConnection
  readonly #maxQueued: number
  readonly #queue: StreamedMessage[] = []
  #paused = false
  #ended = false
  #closed: { readonly reason: Error | undefined } | undefined
  #reading = false
  #onNews: (() => void) | undefined
  #waiting: Waiter[] = []
  readonly #closing = Promise.withResolvers<void>()

  constructor(connection: StreamableConnection, options: MessageStreamOptions = {}) {
    const { maxQueuedMessages = messageStreamDefaults.maxQueuedMessages } = options
    this.#maxQueued = checkInteger('maxQueuedMessages', maxQueuedMessages, 1, 1_000_000)
    this.connection = connection
    const handler: MessageHandler & { onText(text: string): void } = {
      onMessage: (message) => this.#take(connection.ownsMessages ? message : message.slice()),
      onText: (text) => this.#take(text),
      onDrain: () => this.#settle(undefined),
      onEnd: () => {
        this.#ended = true
        this.#tell()
      },
      onClose: (reason) => this.#onClose(reason),
    }
    connection.open(handler)
  }

  /**
   * Sends, and resolves when there is room for more. The bytes are given: they are the connection's
   * until they have left. A signal ends the waiting only, with its own reason.
   *
   * @throws ClosedError ERR_CLOSED, or why the connection was lost
   */
  async send(message: StreamedMessage, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.#closed !== undefined || this.#ended) throw this.#gone()
    if (this.#write(message)) return
    // `false` of a connection that is ending says that nothing was taken.
    if (this.connection.writableLength === 0) throw this.#gone()
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { resolve, reject }
      if (signal !== undefined) {
        const onAbort = (): void => {
          this.#waiting = this.#waiting.filter((one) => one !== waiter)
          reject(signal.reason)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiter.forget = () => signal.removeEventListener('abort', onAbort)
      }
      this.#waiting.push(waiter)
    })
  }

  /** Ends after a clean close, throws why the connection was lost. One reader at a time. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamedMessage> {
    if (this.#reading)
      throw new UsageError('ERR_STATE', 'a message stream has one reader at a time')
    this.#reading = true
    try {
      for (;;) {
        const message = this.#queue.shift()
        if (message !== undefined) {
          this.#resume()
          yield message
        } else if (this.#closed?.reason !== undefined) throw this.#closed.reason
        else if (this.#ended || this.#closed !== undefined) return
        else await this.#news()
      }
    } finally {
      this.#reading = false
    }
  }

  /** Ends our side; resolves when the connection has closed. What was not read is dropped. */
  close(): Promise<void> {
    this.connection.end()
    this.#queue.length = 0
    this.#resume()
    return this.#closing.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #write(message: StreamedMessage): boolean {
    if (typeof message !== 'string') return this.connection.send(message)
    if (this.connection.sendText !== undefined) return this.connection.sendText(message)
    throw new UsageError('ERR_ARGUMENT', 'this connection carries bytes, no text')
  }

  #take(message: StreamedMessage): void {
    this.#queue.push(message)
    if (this.#queue.length >= this.#maxQueued && !this.#paused) {
      this.#paused = true
      this.connection.pause()
    }
    this.#tell()
  }

  #resume(): void {
    if (!this.#paused || this.#queue.length > 0) return
    this.#paused = false
    this.connection.resume()
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#onNews = resolve
    })
  }

  #tell(): void {
    const onNews = this.#onNews
    this.#onNews = undefined
    onNews?.()
  }

  #onClose(reason: Error | undefined): void {
    this.#closed = { reason }
    this.#settle(this.#gone())
    this.#tell()
    this.#closing.resolve()
  }

  #gone(): Error {
    return this.#closed?.reason ?? new ClosedError('ERR_CLOSED', 'the connection is closed')
  }

  #settle(reason: Error | undefined): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const waiter of waiting) {
      waiter.forget?.()
      if (reason === undefined) waiter.resolve()
      else waiter.reject(reason)
    }
  }
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  forget?: () => void
}
