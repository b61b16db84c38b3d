/**
 * Joins two connections of messages: what one receives the other sends, both ways; text stays text,
 * and a close passes with its code.
 *
 *     a ── onMessage ──▸ b.send       b's messages are stuck ──▸ a pauses, until b's onDrain
 */
import type { MessageConnection } from '../../core/message-connection.ts'
import type { ChaosMessageHandler } from '../../links/chaos/chaos-message-connection.ts'
import type { CloseFrame } from '../../protocols/websocket/close-frame.ts'
import { isSendableCloseCode } from '../../protocols/websocket/messages.ts'

/** One end, unopened. It belongs to the relay from here on. */
export interface RelayEnd {
  readonly connection: RelayedConnection
  /** What its peer closed with, once it has. */
  peerClose(): CloseFrame | undefined
}

interface RelayedConnection extends MessageConnection {
  open(handler: ChaosMessageHandler): void
  sendText?: (text: string) => boolean
  close?: (code?: number, reason?: string) => void
}

export class MessageRelay {
  readonly #fromA: Direction
  readonly #fromB: Direction
  #open = 2

  constructor(a: RelayEnd, b: RelayEnd, onDone: () => void) {
    const closed = (): void => {
      this.#open -= 1
      if (this.#open === 0) onDone()
    }
    this.#fromA = new Direction(a, b, closed)
    this.#fromB = new Direction(b, a, closed)
    a.connection.open(this.#fromA)
    b.connection.open(this.#fromB)
  }

  get bytesFromA(): number {
    return this.#fromA.bytes
  }
  get bytesFromB(): number {
    return this.#fromB.bytes
  }

  destroy(): void {
    this.#fromA.destroy()
    this.#fromB.destroy()
  }
}

/** Handler of one end: its messages go to the other. */
class Direction implements ChaosMessageHandler {
  bytes = 0
  readonly #from: RelayEnd
  readonly #to: RelayEnd
  readonly #onClosed: () => void
  #ended = false

  constructor(from: RelayEnd, to: RelayEnd, onClosed: () => void) {
    this.#from = from
    this.#to = to
    this.#onClosed = onClosed
  }

  onMessage(message: Uint8Array): void {
    this.bytes += message.length
    this.#sent(this.#to.connection.send(message.slice()))
  }

  onText(text: string): void {
    this.bytes += ENCODER.encode(text).length
    this.#sent(this.#to.connection.sendText?.(text) ?? true)
  }

  /** What this end could not take, it can now. */
  onDrain(): void {
    this.#to.connection.resume()
  }

  onEnd(): void {
    this.#ended = true
    const { connection } = this.#to
    const told = this.#from.peerClose()
    if (told === undefined || !isSendableCloseCode(told.code)) connection.end()
    else connection.close?.(told.code, told.reason)
  }

  onClose(reason: Error | undefined): void {
    const { connection } = this.#to
    if (this.#ended) {
      // It is closing with the same code. What it still says nobody hears, but its close must be read.
      connection.resume()
    } else connection.destroy(reason)
    this.#onClosed()
  }

  destroy(): void {
    this.#from.connection.destroy()
  }

  /** `false` of a connection that is closing says that nothing was taken: no drain will come. */
  #sent(taken: boolean): void {
    if (!taken && this.#to.connection.writableLength > 0) this.#from.connection.pause()
  }
}

const ENCODER = new TextEncoder()
