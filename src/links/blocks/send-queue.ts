/**
 * Messages on their way out: one after the other, in the order they were asked for, and only while
 * the carrier takes them. A call of `send` is over when its message was taken and no more waits than
 * the carrier's mark.
 */
import { OverloadError } from '../../core/errors.ts'
import type { Eventual } from '../../core/signing.ts'
import type { BlockCarrier, OutgoingMessage } from './block-carrier.ts'

interface Pending {
  message: Eventual<OutgoingMessage>
  resolve(): void
  reject(error: unknown): void
  /** It is with the carrier, and waits for the drain. */
  sent: boolean
}

export class SendQueue {
  readonly #carrier: BlockCarrier
  readonly #maxPending: number
  readonly #onBlocked: (blocked: boolean) => void
  #pending: Pending[] = []
  #blocked = false
  #failure: Error | undefined
  #idle: (() => void)[] = []

  constructor(carrier: BlockCarrier, maxPending: number, onBlocked: (blocked: boolean) => void) {
    this.#carrier = carrier
    this.#maxPending = maxPending
    this.#onBlocked = onBlocked
  }

  get length(): number {
    return this.#pending.length
  }

  send(message: Eventual<OutgoingMessage>, signal?: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (!this.#blocked && this.#pending.length === 0 && !(message instanceof Promise)) {
      try {
        if (this.#carrier.send(message)) return SENT
      } catch (error) {
        return Promise.reject(error)
      }
      this.#setBlocked(true)
      return this.#wait(message, true, signal)
    }
    if (this.#pending.length >= this.#maxPending) {
      const text = `${this.#pending.length} messages wait to be sent`
      return Promise.reject(new OverloadError('ERR_BUSY', text))
    }
    const waiting = this.#wait(message, false, signal)
    if (message instanceof Promise) this.#awaitMessage(this.#pending.at(-1) as Pending, message)
    return waiting
  }

  /** The carrier has room again. */
  onDrain(): void {
    if (!this.#blocked) return
    this.#setBlocked(false)
    for (const entry of this.#pending.filter(({ sent }) => sent)) this.#finish(entry)
    this.#pump()
  }

  fail(reason: Error): void {
    this.#failure ??= reason
    const pending = this.#pending
    this.#pending = []
    this.#setBlocked(false)
    for (const entry of pending) entry.reject(reason)
    this.#tellIdle()
  }

  /** When everything that was asked for is with the carrier. */
  whenIdle(): Promise<void> {
    if (this.#pending.every(({ sent }) => sent)) return SENT
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #wait(message: Eventual<OutgoingMessage>, sent: boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#remove(entry)
        entry.reject(signal?.reason)
        this.#pump()
      }
      const forget = (): void => signal?.removeEventListener('abort', onAbort)
      const entry: Pending = {
        message,
        sent,
        resolve: () => {
          forget()
          resolve()
        },
        reject: (error) => {
          forget()
          reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.push(entry)
    })
  }

  #awaitMessage(entry: Pending, message: Promise<OutgoingMessage>): void {
    message.then(
      (ready) => {
        entry.message = ready
        this.#pump()
      },
      (error: unknown) => {
        this.#remove(entry)
        entry.reject(error)
        this.#pump()
      },
    )
  }

  #pump(): void {
    while (!this.#blocked) {
      const entry = this.#pending.find(({ sent }) => !sent)
      if (entry === undefined) break
      if (entry.message instanceof Promise) return // order is kept
      try {
        entry.sent = true
        if (this.#carrier.send(entry.message)) this.#finish(entry)
        else this.#setBlocked(true)
      } catch (error) {
        this.#remove(entry)
        entry.reject(error)
      }
    }
    this.#tellIdle()
  }

  #finish(entry: Pending): void {
    this.#remove(entry)
    entry.resolve()
  }

  #remove(entry: Pending): void {
    const at = this.#pending.indexOf(entry)
    if (at >= 0) this.#pending.splice(at, 1)
  }

  #setBlocked(blocked: boolean): void {
    if (this.#blocked === blocked) return
    this.#blocked = blocked
    this.#onBlocked(blocked)
  }

  #tellIdle(): void {
    if (this.#idle.length === 0 || !this.#pending.every(({ sent }) => sent)) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}

const SENT: Promise<void> = Promise.resolve()
