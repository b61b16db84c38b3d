/**
 * A handler of a message connection that writes down what it hears, and checks that nothing comes
 * after the close.
 */
import assert from 'node:assert/strict'
import type { MessageConnection, MessageHandler } from '../../src/core/message-connection.ts'

export class MessageRecorder implements MessageHandler {
  readonly connection: MessageConnection
  readonly messages: Uint8Array[] = []
  drains = 0
  ended = false
  closed: { reason: Error | undefined } | undefined
  /** What else is to be done with a message. */
  onNext: ((message: Uint8Array) => void) | undefined
  #waiting: (() => void)[] = []

  constructor(connection: MessageConnection) {
    this.connection = connection
  }

  open(): this {
    this.connection.open(this)
    return this
  }

  onMessage(message: Uint8Array): void {
    assert.equal(this.closed, undefined, 'a message after the close')
    assert.equal(this.ended, false, 'a message after the end')
    this.messages.push(new Uint8Array(message))
    this.onNext?.(message)
    this.#wake()
  }

  onDrain(): void {
    assert.equal(this.closed, undefined, 'a drain after the close')
    this.drains += 1
    this.#wake()
  }

  onEnd(): void {
    assert.equal(this.ended, false, 'a second end')
    this.ended = true
    this.#wake()
  }

  onClose(reason: Error | undefined): void {
    assert.equal(this.closed, undefined, 'a second close')
    this.closed = { reason }
    this.#wake()
  }

  /** Resolves when the condition holds after something was heard. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
