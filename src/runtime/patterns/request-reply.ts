/**
 * Request and reply over a message connection: whatever keeps message boundaries carries calls, many
 * at a time, replies in any order, matched by id.
 *
 * The asking side is an `Exchanger`: alone it is a client of one connection, and with `createClient`
 * it has pools, retries, breakers and balancing. A reply that comes after its call has ended is
 * dropped and counted; one that nobody ever asked for breaks the protocol. The answering side is
 * `answerRequests` (request-answers.ts).
 */
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import {
  checkInteger,
  checkRange,
  type HeddleError,
  OverloadError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  TransportError,
  toError,
} from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { Exchanger } from '../exchanger.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'
import { decodeEnvelope, encodeEnvelope, headOf } from './envelope.ts'

export interface RequestReplyOptions {
  wheel: TimerWheel
  /** Calls that wait for their reply. @default 1_024 */
  maxPending?: number
  /** Of calls that bring no earlier deadline, in milliseconds. @default 30_000 */
  timeoutMs?: number
}

export const requestReplyDefaults: Readonly<{ maxPending: number; timeoutMs: number }> =
  Object.freeze({ maxPending: 1_024, timeoutMs: 30_000 })

export interface RequestReplyStats {
  readonly pending: number
  /** Replies to calls that had ended already. */
  readonly late: number
}

export class RequestReply implements Exchanger<Uint8Array, Uint8Array>, MessageHandler {
  readonly idleTimeoutMs = undefined
  onChange: (() => void) | undefined
  readonly #connection: MessageConnection
  readonly #wheel: TimerWheel
  readonly #maxPending: number
  readonly #timeoutMs: number
  readonly #pending = new Map<number, PendingRequest>()
  #state: ConnectionState = 'ready'
  #blocked = false
  #lastId = 0
  /** Ids went round: any may have been used. */
  #wrapped = false
  #late = 0

  constructor(connection: MessageConnection, options: RequestReplyOptions) {
    const {
      maxPending = requestReplyDefaults.maxPending,
      timeoutMs = requestReplyDefaults.timeoutMs,
    } = options
    this.onChange = undefined
    this.#connection = connection
    this.#wheel = options.wheel
    this.#maxPending = checkInteger('maxPending', maxPending, 1, 1_000_000)
    this.#timeoutMs = checkRange('timeoutMs', timeoutMs, 1, 0x7fff_ffff)
    connection.open(this)
  }

  get state(): ConnectionState {
    return this.#state
  }

  get available(): number {
    if (this.#state !== 'ready' || this.#blocked) return 0
    return this.#maxPending - this.#pending.size
  }

  get inFlight(): number {
    return this.#pending.size
  }

  get stats(): RequestReplyStats {
    return { pending: this.#pending.size, late: this.#late }
  }

  /** The reply is the caller's to keep. Cancelling tells the peer. */
  call(body: Uint8Array, context: CallContext): Promise<Uint8Array> {
    if (context.cancelled) return Promise.reject(context.cancelReason)
    if (this.#state !== 'ready') return Promise.reject(gone(undefined, 'nothing'))
    if (this.available <= 0) {
      const message = `${this.#pending.size} calls wait for replies, maxPending ${this.#maxPending}`
      return Promise.reject(new OverloadError('ERR_BUSY', message))
    }
    const now = this.#wheel.clock.now()
    const deadline = Math.min(context.deadline ?? Number.POSITIVE_INFINITY, now + this.#timeoutMs)
    const id = this.#nextId()
    try {
      this.#blocked = !this.#connection.send(
        encodeEnvelope({
          type: 'request',
          id,
          remainingMs: deadline - now,
          priority: context.priority,
          head: headOf(context),
          body,
        }),
      )
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      const pending = new PendingRequest(this.#wheel, context, resolve, reject, (reason) => {
        this.#pending.delete(id)
        if (reason !== undefined) this.#tellCancelled(id)
        this.#onEnded()
      })
      this.#pending.set(id, pending)
      pending.start(deadline)
    })
  }

  close(): void {
    if (this.#state !== 'ready') return
    this.#state = 'draining'
    if (this.#pending.size === 0) this.#end()
    this.onChange?.()
  }

  destroy(reason: Error): void {
    if (this.#state === 'closed' || this.#state === 'error') return
    this.#connection.destroy(reason)
    this.#failAll(gone(reason, 'some'))
  }

  ref(): void {}
  unref(): void {}

  onMessage(message: Uint8Array): void {
    try {
      this.#receive(message)
    } catch (error) {
      this.destroy(toError(error))
    }
  }

  onDrain(): void {
    this.#blocked = false
    this.onChange?.()
  }

  onEnd(): void {
    this.destroy(new TransportError('ERR_DISCONNECTED', 'the peer ended the connection'))
  }

  onClose(reason: Error | undefined): void {
    this.#failAll(gone(reason, 'some'))
  }

  #receive(message: Uint8Array): void {
    const envelope = decodeEnvelope(message)
    const { type, id } = envelope
    if (type !== 'reply' && type !== 'error') {
      throw new ProtocolError('ERR_PROTOCOL', `the answering side sent a ${type}`)
    }
    const pending = this.#pending.get(id)
    if (pending === undefined) {
      if (!this.#wrapped && (id > this.#lastId || id === 0)) {
        throw new ProtocolError('ERR_PROTOCOL', `a reply to ${id}, which nobody asked`)
      }
      this.#late++
      return
    }
    if (type === 'reply') return pending.resolve(envelope.body.slice())
    const { code, message: text, retryable } = envelope.error
    pending.reject(new RemoteError('ERR_REMOTE', text, { status: code, retryable }))
  }

  #nextId(): number {
    do {
      if (this.#lastId === MAX_ID) this.#wrapped = true
      this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1
    } while (this.#pending.has(this.#lastId))
    return this.#lastId
  }

  #tellCancelled(id: number): void {
    if (this.#state === 'closed' || this.#state === 'error') return
    if (!this.#connection.send(encodeEnvelope({ type: 'cancel', id }))) this.#blocked = true
  }

  #onEnded(): void {
    if (this.#state === 'draining' && this.#pending.size === 0) this.#end()
    this.onChange?.()
  }

  #end(): void {
    this.#state = 'closed'
    this.#connection.end()
  }

  #failAll(reason: HeddleError): void {
    if (this.#state === 'error') return
    if (this.#state !== 'closed') this.#state = 'error'
    for (const pending of [...this.#pending.values()]) pending.reject(reason)
    this.onChange?.()
  }
}

/** One call that waits for its reply. Ends once. */
class PendingRequest implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly #wheel: TimerWheel
  readonly #context: CallContext
  readonly #resolve: (body: Uint8Array) => void
  readonly #reject: (reason: Error) => void
  /** With a reason: it was given up, and the peer may stop. */
  readonly #onEnd: (reason: Error | undefined) => void
  #removeCancel: (() => void) | undefined

  constructor(
    wheel: TimerWheel,
    context: CallContext,
    resolve: (body: Uint8Array) => void,
    reject: (reason: Error) => void,
    onEnd: (reason: Error | undefined) => void,
  ) {
    this.#wheel = wheel
    this.#context = context
    this.#resolve = resolve
    this.#reject = reject
    this.#onEnd = onEnd
  }

  start(deadline: number): void {
    this.#wheel.arm(this, deadline)
    this.#removeCancel = this.#context.onCancel((reason) => this.#giveUp(reason))
  }

  resolve(body: Uint8Array): void {
    this.#end(undefined)
    this.#resolve(body)
  }

  reject(reason: Error): void {
    this.#end(undefined)
    this.#reject(reason)
  }

  expire(): void {
    this.#giveUp(new TimeoutError('ERR_DEADLINE', 'no reply before the deadline', { sent: 'all' }))
  }

  #giveUp(reason: Error): void {
    this.#end(reason)
    this.#reject(reason)
  }

  #end(reason: Error | undefined): void {
    this.#wheel.cancel(this)
    this.#removeCancel?.()
    this.#onEnd(reason)
  }
}

function gone(cause: Error | undefined, sent: 'nothing' | 'some'): TransportError {
  const why = cause === undefined ? '' : `: ${cause.message}`
  return new TransportError('ERR_DISCONNECTED', `the connection is gone${why}`, { cause, sent })
}

const MAX_ID = 0xffff_ffff
