/**
 * The answering side of request and reply: a service over a message connection.
 *
 * A request beyond `maxInFlight` is kept, and nothing is read behind it until there is room, nor while
 * the peer does not take its replies: a peer that asks faster than it is answered waits. What an error says to the peer is its code and
 * message where the service meant it for the peer, and no more than "internal error" otherwise.
 */
import { Call, type CallInit } from '../../core/context.ts'
import {
  checkInteger,
  HeddleError,
  ProtocolError,
  TimeoutError,
  TransportError,
  toError,
} from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { Service } from '../../core/service.ts'
import { isPromise } from '../settle.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'
import { contextOf, decodeEnvelope, type Envelope, encodeEnvelope } from './envelope.ts'

export interface AnswerOptions {
  wheel: TimerWheel
  /** Calls at a time on this connection. @default 256 */
  maxInFlight?: number
  /** Errors that the peer is told nothing about, and what breaks the connection. */
  onError?(error: Error): void
}

export const answerDefaults: Readonly<{ maxInFlight: number }> = Object.freeze({
  maxInFlight: 256,
})

/** Answers until the connection closes. A request's bytes belong to the service. */
export function answerRequests(
  connection: MessageConnection,
  service: Service<Uint8Array, Uint8Array>,
  options: AnswerOptions,
): void {
  connection.open(new RequestAnswers(connection, service, options))
}

class RequestAnswers implements MessageHandler {
  readonly #connection: MessageConnection
  readonly #service: Service<Uint8Array, Uint8Array>
  readonly #options: AnswerOptions
  readonly #maxInFlight: number
  readonly #calls = new Map<number, AnsweredCall>()
  /** The one request that was read beyond `maxInFlight`, a copy. */
  #held: Uint8Array | undefined
  #blocked = false
  #paused = false
  #closed = false
  #peerEnded = false

  constructor(
    connection: MessageConnection,
    service: Service<Uint8Array, Uint8Array>,
    options: AnswerOptions,
  ) {
    const { maxInFlight = answerDefaults.maxInFlight } = options
    this.#connection = connection
    this.#service = service
    this.#options = options
    this.#maxInFlight = checkInteger('maxInFlight', maxInFlight, 1, 1_000_000)
  }

  onMessage(message: Uint8Array): void {
    try {
      const envelope = decodeEnvelope(message)
      if (envelope.type === 'request' && this.#calls.size >= this.#maxInFlight) {
        this.#held = message.slice()
        this.#updateReading()
      } else this.#receive(envelope)
    } catch (error) {
      this.#options.onError?.(toError(error))
      this.#connection.destroy(toError(error))
    }
  }

  onDrain(): void {
    this.#blocked = false
    this.#updateReading()
  }

  /** It asks no more; what it asked is answered. */
  onEnd(): void {
    this.#peerEnded = true
    this.#endWhenDone()
  }

  onClose(reason: Error | undefined): void {
    this.#closed = true
    const text = 'the caller’s connection is gone'
    const options = reason === undefined ? {} : { cause: reason }
    for (const call of [...this.#calls.values()]) {
      call.cancel(new TransportError('ERR_DISCONNECTED', text, options))
    }
  }

  #receive(envelope: Envelope): void {
    const { type, id } = envelope
    if (type === 'cancel') {
      this.#calls.get(id)?.cancel()
      return
    }
    if (type !== 'request')
      throw new ProtocolError('ERR_PROTOCOL', `the asking side sent a ${type}`)
    if (this.#calls.has(id)) throw new ProtocolError('ERR_PROTOCOL', `request ${id} came twice`)
    const { wheel } = this.#options
    const { remainingMs } = envelope
    const deadline = remainingMs === undefined ? undefined : wheel.clock.now() + remainingMs
    const init = { ...contextOf(envelope.head), priority: envelope.priority, deadline }
    const call = new AnsweredCall(wheel, init)
    this.#calls.set(id, call)
    this.#run(id, envelope.body.slice(), call)
  }

  #run(id: number, body: Uint8Array, call: AnsweredCall): void {
    const over = (answer: () => Envelope): void => {
      call.end()
      this.#calls.delete(id)
      // Nobody waits for the answer of one that was cancelled.
      if (!this.#closed && (!call.cancelled || call.timedOut)) this.#send(answer)
      const held = this.#held
      this.#held = undefined
      if (held !== undefined && !this.#closed) this.onMessage(held)
      this.#updateReading()
      this.#endWhenDone()
    }
    const onReply = (reply: Uint8Array): void => over(() => ({ type: 'reply', id, body: reply }))
    const onError = (error: unknown): void => over(() => this.#errorOf(id, toError(error)))
    try {
      const reply = this.#service(body, call)
      if (isPromise(reply)) reply.then(onReply, onError)
      else onReply(reply)
    } catch (error) {
      onError(error)
    }
  }

  #send(answer: () => Envelope): void {
    try {
      if (!this.#connection.send(encodeEnvelope(answer()))) this.#blocked = true
    } catch (error) {
      // A reply over the limit of a message: the call is lost, and its caller must not wait.
      this.#options.onError?.(toError(error))
      this.#connection.destroy(toError(error))
    }
  }

  #errorOf(id: number, error: Error): Envelope {
    if (error instanceof HeddleError && error.code !== 'ERR_INVARIANT') {
      const { message, retryable, status } = error
      return {
        type: 'error',
        id,
        error: { code: String(status ?? error.code), message, retryable },
      }
    }
    this.#options.onError?.(error)
    const hidden = { code: 'internal', message: 'internal error', retryable: 'no' } as const
    return { type: 'error', id, error: hidden }
  }

  #updateReading(): void {
    const pause = this.#blocked || this.#held !== undefined
    if (pause === this.#paused || this.#closed) return
    this.#paused = pause
    if (pause) this.#connection.pause()
    else this.#connection.resume()
  }

  #endWhenDone(): void {
    if (this.#peerEnded && this.#calls.size === 0 && !this.#closed && this.#held === undefined)
      this.#connection.end()
  }
}

class AnsweredCall extends Call implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  timedOut = false
  readonly #wheel: TimerWheel

  constructor(wheel: TimerWheel, init: CallInit) {
    super(init)
    this.#wheel = wheel
    if (this.deadline !== undefined) wheel.arm(this, this.deadline)
  }

  expire(): void {
    this.timedOut = true
    this.cancel(new TimeoutError('ERR_DEADLINE', 'the caller’s deadline passed'))
  }

  end(): void {
    this.#wheel.cancel(this)
    this.finish()
  }
}
