/**
 * A handler that writes down what it hears and checks the contract of core/connection.ts while it
 * does: chunks are never empty, `onData` and `onDrain` never nest, nothing comes after the end of
 * input but drains and the close, nothing at all after the close.
 */
import type { Connection, ConnectionHandler } from '../../core/connection.ts'

/** What a test does inside a callback, after it was written down. */
export interface ConnectionHooks {
  onData?(chunk: Uint8Array): void
  onDrain?(): void
  onEnd?(): void
  onClose?(reason: Error | undefined): void
}

export class ConnectionLog implements ConnectionHandler {
  readonly connection: Connection
  /** Everything the contract forbids and that happened all the same. */
  readonly violations: string[] = []
  hooks: ConnectionHooks
  received = 0
  chunks = 0
  drains = 0
  ended = false
  closed = false
  closeReason: Error | undefined
  /** Set: incoming bytes must be those of this pattern, and are not kept. */
  expectedKey: number | undefined
  #kept: Uint8Array[] = []
  #inData = false
  #inWrite = false
  #pattern = 0

  constructor(connection: Connection, hooks: ConnectionHooks = {}) {
    this.connection = connection
    this.hooks = hooks
  }

  open(): this {
    this.connection.open(this)
    return this
  }

  get bytes(): Uint8Array {
    const whole = new Uint8Array(this.#kept.reduce((sum, chunk) => sum + chunk.length, 0))
    let at = 0
    for (const chunk of this.#kept) {
      whole.set(chunk, at)
      at += chunk.length
    }
    return whole
  }

  get text(): string {
    return String.fromCharCode(...this.bytes)
  }

  /** Writes ASCII text. */
  write(text: string): boolean {
    return this.send(ascii(text))
  }

  send(chunk: Uint8Array): boolean {
    this.#inWrite = true
    try {
      return this.connection.write(chunk)
    } finally {
      this.#inWrite = false
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.#inData) this.#violation('onData was called inside onData')
    if (chunk.length === 0) this.#violation('onData got an empty chunk')
    if (this.ended) this.#violation('onData came after onEnd')
    if (this.closed) this.#violation('onData came after onClose')
    this.chunks += 1
    if (this.expectedKey === undefined) this.#kept.push(chunk.slice())
    else this.#checkPattern(chunk, this.expectedKey)
    this.received += chunk.length
    this.#inData = true
    try {
      this.hooks.onData?.(chunk)
    } finally {
      this.#inData = false
    }
  }

  onDrain(): void {
    if (this.#inWrite) this.#violation('onDrain was called inside write')
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

  #checkPattern(chunk: Uint8Array, key: number): void {
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] !== patternByte(key, this.#pattern + at)) {
        const offset = this.#pattern + at
        this.#violation(`byte ${offset} is ${chunk[at]}, not ${patternByte(key, offset)}`)
        break
      }
    }
    this.#pattern += chunk.length
  }

  #violation(what: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push(what)
  }
}

/** Bytes that say where they belong: a lost, doubled or swapped one shows at its offset. */
export function pattern(key: number, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = patternByte(key, from + at)
  return bytes
}

function patternByte(key: number, offset: number): number {
  return (key + offset * 31 + (offset >>> 8) * 17 + (offset >>> 16) * 7) & 0xff
}

/** ASCII text as bytes. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

const MAX_VIOLATIONS = 10
