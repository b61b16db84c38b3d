/**
 * The reading half of a session: chunks in, heads and pieces of bodies out, when asked.
 *
 * It reads where the bytes lie. A chunk is borrowed from the connection, so when the session stops
 * asking, `hold` copies what was not read yet: nothing (all was read), part of a head (the head
 * decoder keeps that), or more than was wanted now (requests in a pipeline, a body without demand).
 */
import type { ProtocolError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { BodyDecoder, type BodyFraming } from './body-decoder.ts'
import { FAILED, HeadDecoder, type HeadRole } from './head-decoder.ts'
import type { ResolvedLimits } from './limits.ts'

export class MessageDecoder {
  /** The last head, and the part of the next one that has come. */
  readonly head: HeadDecoder
  readonly #role: HeadRole
  readonly #limits: ResolvedLimits
  /** Made by the first body: a connection that only sees GET has none. */
  #body: BodyDecoder | undefined
  #bytes: Uint8Array = EMPTY
  #at = 0
  /** True: `#bytes` is ours. */
  #held = true

  constructor(role: HeadRole, limits: ResolvedLimits, text: TextCodec) {
    this.#role = role
    this.#limits = limits
    this.head = new HeadDecoder(role, limits, text)
  }

  /** Bytes that came and were not looked at. */
  get unread(): number {
    return this.#bytes.length - this.#at
  }

  /** Bytes kept in memory of our own. */
  get buffered(): number {
    return this.unread + this.head.buffered
  }

  get failure(): ProtocolError | undefined {
    return this.head.failure ?? this.#body?.failure
  }

  /** Reads the bodies; undefined before the first one. */
  get body(): BodyDecoder | undefined {
    return this.#body
  }

  /** `chunk` is borrowed until `hold`. */
  push(chunk: Uint8Array): void {
    if (this.#at === this.#bytes.length) {
      this.#bytes = chunk
      this.#held = false
    } else {
      // Only when the session had stopped reading: bounded by what one or two reads bring.
      const rest = this.#bytes.length - this.#at
      const whole = new Uint8Array(rest + chunk.length)
      whole.set(this.#bytes.subarray(this.#at))
      whole.set(chunk, rest)
      this.#bytes = whole
      this.#held = true
    }
    this.#at = 0
    this.head.beginChunk()
  }

  /** @returns true: `head` is the next one; false: more input is needed, or see `failure` */
  nextHead(): boolean {
    const { length } = this.#bytes
    if (this.#at === length) return false
    const at = this.head.decode(this.#bytes, this.#at, length)
    if (at >= 0) {
      this.#at = at
      return true
    }
    if (at !== FAILED) this.#drop()
    return false
  }

  beginBody(framing: BodyFraming, length: number): void {
    this.#body ??= new BodyDecoder(this.head, this.#limits, this.#role === 'request' ? 400 : 502)
    this.#body.begin(framing, length)
  }

  /**
   * The next piece of the body: a view, valid until the next call of anything here. Undefined: see
   * `body.ended` and `failure`, else more input is needed.
   */
  nextPiece(): Uint8Array | undefined {
    const body = this.#body as BodyDecoder
    const piece = body.decode(this.#bytes, this.#at, this.#bytes.length)
    this.#at = body.position
    return piece
  }

  /** Takes over what was not read, so that the chunk can go back to the connection. */
  hold(): void {
    if (this.#at === this.#bytes.length) return this.#drop()
    if (this.#held) return
    this.#bytes = this.#bytes.slice(this.#at)
    this.#at = 0
    this.#held = true
    this.head.beginChunk()
  }

  /** What was not read, which is then forgotten. A copy. */
  takeUnread(): Uint8Array {
    const rest = this.#bytes.slice(this.#at)
    this.#drop()
    return rest
  }

  #drop(): void {
    this.#bytes = EMPTY
    this.#at = 0
    this.#held = true
  }
}

const EMPTY = new Uint8Array(0)
