/**
 * A handler that writes down what it hears and checks the contract of core/message-connection.ts
 * while it does: `onMessage` and `onDrain` never nest, nothing comes after the end of input but
 * drains and the close, nothing at all after the close, and messages are kept only where they may be.
 */
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { pattern } from '../transport/connection-log.ts'

/** What a test does inside a callback, after it was written down. */
export interface MessageHooks {
  onMessage?(message: Uint8Array): void
  onDrain?(): void
  onEnd?(): void
  onClose?(reason: Error | undefined): void
}

export class MessageLog implements MessageHandler {
  readonly connection: MessageConnection
  /** Everything the contract forbids and that happened all the same. */
  readonly violations: string[] = []
  hooks: MessageHooks
  /** Messages heard. */
  count = 0
  /** Their bytes. */
  received = 0
  drains = 0
  ended = false
  closed = false
  closeReason: Error | undefined
  /** Set: message `n` must be `numbered(key, n, …)` of its own length, and none is kept. */
  expectedKey: number | undefined
  /** The messages themselves, as they were given, where `ownsMessages` says that they may be kept. */
  readonly owned: Uint8Array[] = []
  #kept: Uint8Array[] = []
  #inMessage = false
  #inSend = false

  constructor(connection: MessageConnection, hooks: MessageHooks = {}) {
    this.connection = connection
    this.hooks = hooks
  }

  open(): this {
    this.connection.open(this)
    return this
  }

  /** What was heard, copied when it was. */
  get messages(): readonly Uint8Array[] {
    return this.#kept
  }

  /** Each message as ASCII text. */
  get texts(): readonly string[] {
    return this.#kept.map((message) => String.fromCharCode(...message))
  }

  /** Sends ASCII text. */
  say(text: string): boolean {
    return this.send(Uint8Array.from(text, (character) => character.charCodeAt(0)))
  }

  send(message: Uint8Array): boolean {
    this.#inSend = true
    try {
      return this.connection.send(message)
    } finally {
      this.#inSend = false
    }
  }

  onMessage(message: Uint8Array): void {
    if (this.#inMessage) this.#violation('onMessage was called inside onMessage')
    if (this.ended) this.#violation('onMessage came after onEnd')
    if (this.closed) this.#violation('onMessage came after onClose')
    if (this.expectedKey !== undefined) this.#checkNumbered(message, this.expectedKey)
    else {
      this.#kept.push(message.slice())
      if (this.connection.ownsMessages) this.owned.push(message)
    }
    this.count += 1
    this.received += message.length
    this.#inMessage = true
    try {
      this.hooks.onMessage?.(message)
    } finally {
      this.#inMessage = false
    }
  }

  onDrain(): void {
    if (this.#inSend) this.#violation('onDrain was called inside send')
    if (this.closed) this.#violation('onDrain came after onClose')
    const { writableLength } = this.connection
    if (writableLength !== 0) this.#violation(`onDrain with writableLength ${writableLength}`)
    this.drains += 1
    this.hooks.onDrain?.()
  }

  onEnd(): void {
    if (this.ended) this.#violation('onEnd came twice')
    if (this.closed) this.#violation('onEnd came after onClose')
    this.ended = true
    this.hooks.onEnd?.()
  }

  onClose(reason: Error | undefined): void {
    if (this.closed) this.#violation('onClose came twice')
    this.closed = true
    this.closeReason = reason
    this.hooks.onClose?.(reason)
  }

  #checkNumbered(message: Uint8Array, key: number): void {
    const expected = numbered(key, this.count, message.length)
    for (let at = 0; at < message.length; at++) {
      if (message[at] === expected[at]) continue
      this.#violation(
        `byte ${at} of message ${this.count} (${message.length} bytes) is ${message[at]}, not ${expected[at]}`,
      )
      return
    }
  }

  #violation(what: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push(what)
  }
}

/** Message `index` of a row: its bytes say where it belongs, and where each of them does. */
export function numbered(key: number, index: number, length: number): Uint8Array {
  return pattern(key + index * 41 + (index >>> 8) * 3, index, length)
}

const MAX_VIOLATIONS = 10
