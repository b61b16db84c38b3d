/**
 * Bodies of HTTP/1.1 messages (RFC 9112 sections 6 and 7): by length, chunked, or until close.
 *
 *     1a;ext=1 CRLF  <26 bytes> CRLF  0 CRLF  Trailer: x CRLF  CRLF
 *
 * Nothing is buffered: sizes are added up digit by digit, so a chunk header that is split over two
 * reads costs nothing, and content is returned as views of the input. Only trailers are kept until
 * they are whole, within their own limits.
 */

import type { CodeOf } from '../../core/error-codes.ts'
import { ProtocolError } from '../../core/errors.ts'
import type { HttpFields } from '../http/fields.ts'
import { FAILED, type HeadDecoder, NEED_MORE } from './head-decoder.ts'
import { CR, LF, VALUE_BYTES } from './head-syntax.ts'
import type { ResolvedLimits } from './limits.ts'

export type BodyFraming = 'length' | 'chunked' | 'until-close'

export class BodyDecoder {
  failure: ProtocolError | undefined
  /** Trailer fields of a chunked body that has ended. */
  trailers: HttpFields | undefined
  /** Content bytes returned so far. */
  received = 0
  /** Position after what the last `decode` took. */
  position = 0
  readonly #heads: HeadDecoder
  readonly #limits: ResolvedLimits
  readonly #badStatus: number
  #state = DONE
  /** Bytes left of the body, or of the chunk. */
  #left = 0
  #digits = 0
  #extensionBytes = 0

  /** @param heads reads the trailers */
  constructor(heads: HeadDecoder, limits: ResolvedLimits, badStatus: 400 | 502) {
    this.#heads = heads
    this.#limits = limits
    this.#badStatus = badStatus
  }

  get ended(): boolean {
    return this.#state === DONE
  }

  /** Bytes until the end where that is known now. */
  get remaining(): number | undefined {
    if (this.#state === LENGTH) return this.#left
    return this.#state === DONE ? 0 : undefined
  }

  /** @param length for `length` only; above 0 */
  begin(framing: BodyFraming, length: number): void {
    this.trailers = undefined
    this.received = 0
    this.#left = length
    if (framing === 'length') this.#state = LENGTH
    else if (framing === 'chunked') this.#beginChunk()
    else this.#state = UNTIL_CLOSE
  }

  /**
   * Takes from `bytes[from, end)` up to and including one piece of content.
   * @returns a view of the content, or undefined: `failure` is set, `ended` is true, or more input
   * is needed
   */
  decode(bytes: Uint8Array, from: number, end: number): Uint8Array | undefined {
    this.position = from
    while (this.position < end && this.failure === undefined) {
      if (this.#state <= UNTIL_CLOSE) return this.#content(bytes, end)
      if (this.#state === DONE) return undefined
      this.#frame(bytes, end)
    }
    return undefined
  }

  /** Input ended. @returns whether the body is whole */
  end(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#state = DONE
    return this.#state === DONE
  }

  #content(bytes: Uint8Array, end: number): Uint8Array | undefined {
    const from = this.position
    let length = end - from
    if (this.#state === UNTIL_CLOSE) {
      const { maxBodyBytes } = this.#limits
      if (this.received + length > maxBodyBytes) return this.#tooLong(this.received + length)
    } else {
      if (length > this.#left) length = this.#left
      this.#left -= length
      if (this.#left === 0) this.#state = this.#state === LENGTH ? DONE : CHUNK_CR
    }
    this.received += length
    this.position = from + length
    return bytes.subarray(from, from + length)
  }

  /** Everything of a chunked body that is not content. One state per byte. */
  #frame(bytes: Uint8Array, end: number): void {
    if (this.#state === TRAILERS) return this.#trailerSection(bytes, end)
    let at = this.position
    for (; at < end && this.#state > TRAILERS; at++) {
      const byte = bytes[at] as number
      switch (this.#state) {
        case CHUNK_SIZE:
          this.#sizeByte(byte)
          break
        case CHUNK_EXTENSION:
          this.#extensionByte(byte)
          break
        case CHUNK_SIZE_LF:
          if (byte !== LF) this.#malformed('CR without LF after a chunk size')
          else this.#sizeDone()
          break
        case CHUNK_CR:
          if (byte !== CR) this.#malformed('chunk content is not followed by CRLF')
          else this.#state = CHUNK_LF
          break
        default: // CHUNK_LF
          if (byte !== LF) this.#malformed('chunk content is not followed by CRLF')
          else this.#beginChunk()
      }
      if (this.failure !== undefined) return
    }
    this.position = at
  }

  #beginChunk(): void {
    this.#state = CHUNK_SIZE
    this.#left = 0
    this.#digits = 0
    this.#extensionBytes = 0
  }

  #sizeByte(byte: number): void {
    const digit = HEX[byte] as number
    if (digit < 16) {
      this.#left = this.#left * 16 + digit
      this.#digits++
      // 13 digits stay below 2^53. Leading zeros are bounded with them.
      if (this.#digits > MAX_SIZE_DIGITS) this.#malformed('chunk size has more than 13 digits')
      return
    }
    if (this.#digits === 0) return this.#malformed('chunk size does not start with a hex digit')
    if (byte === SEMICOLON) {
      this.#state = CHUNK_EXTENSION
      this.#extensionByte(byte)
    } else if (byte === CR) this.#state = CHUNK_SIZE_LF
    else if (byte === LF) this.#malformed('LF without CR after a chunk size')
    else this.#malformed('chunk size is not a hexadecimal number')
  }

  /** Extensions are checked and dropped (RFC 9112 7.1.1). */
  #extensionByte(byte: number): void {
    if (byte === CR) {
      this.#state = CHUNK_SIZE_LF
      return
    }
    if (VALUE_BYTES[byte] === 0) return this.#malformed('control character in a chunk extension')
    const { maxChunkExtensionBytes } = this.#limits
    if (++this.#extensionBytes > maxChunkExtensionBytes) {
      const message = `chunk extension is longer than maxChunkExtensionBytes ${maxChunkExtensionBytes}`
      this.#fail(this.#badStatus, 'ERR_LIMIT', message)
    }
  }

  #sizeDone(): void {
    if (this.#left === 0) {
      this.#state = TRAILERS
      this.#heads.expectTrailers()
      return
    }
    const total = this.received + this.#left
    if (total > this.#limits.maxBodyBytes) this.#tooLong(total)
    else this.#state = CHUNK_CONTENT
  }

  #trailerSection(bytes: Uint8Array, end: number): void {
    const at = this.#heads.decode(bytes, this.position, end)
    if (at === NEED_MORE) {
      this.position = end
    } else if (at === FAILED) {
      this.failure = this.#heads.failure
    } else {
      this.position = at
      this.#state = DONE
      const { fields } = this.#heads
      if (fields.size > 0) this.trailers = fields
    }
  }

  #tooLong(bytes: number): undefined {
    const message = `body of at least ${bytes} bytes is over maxBodyBytes ${this.#limits.maxBodyBytes}`
    this.#fail(this.#badStatus === 400 ? 413 : 502, 'ERR_LIMIT', message)
  }

  #malformed(message: string): void {
    this.#fail(this.#badStatus, 'ERR_MALFORMED', message)
  }

  #fail(status: number, code: CodeOf<'ProtocolError'>, message: string): void {
    this.failure = new ProtocolError(code, message, { status })
  }
}

const SEMICOLON = 0x3b
const MAX_SIZE_DIGITS = 13

/** Value of a hex digit; 255 for every other byte. */
const HEX: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(digit) ? 255 : digit
})

// Content states come first, the frame's last: see the comparisons.
const LENGTH = 0
const CHUNK_CONTENT = 1
const UNTIL_CLOSE = 2
const DONE = 3
const TRAILERS = 4
const CHUNK_SIZE = 5
const CHUNK_EXTENSION = 6
const CHUNK_SIZE_LF = 7
const CHUNK_CR = 8
const CHUNK_LF = 9
