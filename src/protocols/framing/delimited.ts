/**
 * Delimited framing: messages that end with a fixed sequence of bytes, as lines do.
 *
 *     | payload ... | CR LF | payload ... | CR LF |
 *
 * A payload never contains the delimiter; the encoder refuses one that does, because it would be
 * read as two. An empty payload is a valid message.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import type { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'

export interface DelimitedOptions {
  /**
   * Ends a message. Not empty.
   *
   * @default line feed
   */
  delimiter?: Uint8Array
  /**
   * A carriage return before the delimiter belongs to the delimiter: lines of either kind, LF or
   * CRLF, are taken. They are written with the delimiter as it is given.
   *
   * @default false
   */
  optionalCr?: boolean
  /**
   * Longest payload accepted, in bytes, without its delimiter. Bounds what a peer that never sends
   * a delimiter can make a connection hold.
   *
   * @default 65_536
   */
  maxFrameBytes?: number
}

export const delimitedDefaults: Readonly<Required<DelimitedOptions>> = Object.freeze({
  delimiter: Uint8Array.of(0x0a),
  optionalCr: false,
  maxFrameBytes: 65_536, // lines are for people, or at most for one JSON document
})

/** A payload is valid until `next` has returned undefined: it is a view where that is possible. */
export class DelimitedDecoder implements Decoder<Uint8Array> {
  readonly #delimiter: Uint8Array
  readonly #maxFrameBytes: number
  readonly #optionalCr: boolean
  /** How far into the input a delimiter may begin. */
  readonly #farthest: number
  readonly #queue = new ByteQueue()
  /** Up to here there is no delimiter: a long line in small chunks is scanned once. */
  #scanned = 0
  #failure: ProtocolError | undefined

  constructor(options: DelimitedOptions = {}) {
    const {
      delimiter = delimitedDefaults.delimiter,
      maxFrameBytes = delimitedDefaults.maxFrameBytes,
      optionalCr = delimitedDefaults.optionalCr,
    } = options
    this.#delimiter = checkDelimiter(delimiter)
    this.#maxFrameBytes = checkInteger('maxFrameBytes', maxFrameBytes, 0, 0x4000_0000)
    this.#optionalCr = optionalCr
    this.#farthest = maxFrameBytes + (optionalCr ? 1 : 0)
  }

  get buffered(): number {
    return this.#queue.length
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#queue.push(chunk)
  }

  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const length = this.#findDelimiter()
    if (length === undefined) {
      this.#queue.copyBorrowed()
      return undefined
    }
    const returned = this.#optionalCr && length > 0 && this.#queue.byteAt(length - 1) === CR
    const payloadBytes = returned ? length - 1 : length
    if (payloadBytes > this.#maxFrameBytes) throw this.#tooLong(payloadBytes)
    const payload = this.#queue.read(payloadBytes)
    this.#queue.skip(this.#delimiter.length + length - payloadBytes)
    this.#scanned = 0
    return payload
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#queue.length === 0) return
    throw this.#fail(new ProtocolError('ERR_TRUNCATED', 'input ended before a delimiter'))
  }

  /** Length of the payload before the next delimiter. */
  #findDelimiter(): number | undefined {
    const queue = this.#queue
    const delimiter = this.#delimiter
    const first = delimiter[0] as number
    let at = queue.indexOf(first, this.#scanned)
    while (at >= 0 && at <= this.#farthest) {
      // Not all of it is there: looked at again when more has come.
      if (at + delimiter.length > queue.length) break
      let index = 1
      while (index < delimiter.length && queue.byteAt(at + index) === delimiter[index]) index++
      if (index === delimiter.length) return at
      at = queue.indexOf(first, at + 1)
    }
    this.#scanned = at >= 0 ? at : queue.length
    // A payload of the limit may still be followed by a delimiter that begins right after it.
    if (this.#scanned > this.#farthest) throw this.#tooLong(this.#scanned)
    return undefined
  }

  #tooLong(bytes: number): ProtocolError {
    const message = `no delimiter in ${bytes} bytes, over maxFrameBytes ${this.#maxFrameBytes}`
    return this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
  }

  #fail(failure: ProtocolError): ProtocolError {
    this.#failure = failure
    this.#queue.clear()
    return failure
  }
}

/**
 * Writes one message. Takes the payload: when it is large it is not copied.
 * @throws UsageError ERR_ARGUMENT when the payload contains the delimiter, or ends with a part of it
 *   that would be taken for a delimiter together with the one behind it
 */
export function encodeDelimited(
  payload: Uint8Array,
  out: ByteWriter,
  delimiter: Uint8Array = delimitedDefaults.delimiter,
): void {
  let at = out.text.indexOf(payload, delimiter, 0)
  if (at < 0 && delimiter.length > 1) at = earlyDelimiter(payload, delimiter)
  if (at >= 0) throw new UsageError('ERR_ARGUMENT', `the payload has a delimiter at byte ${at}`)
  out.give(payload)
  out.copy(delimiter)
}

/**
 * Where a delimiter begins in the payload and ends in the real one: `a` before `aa`. -1 for a
 * delimiter that does not begin as it ends, which is nearly all of them.
 */
function earlyDelimiter(payload: Uint8Array, delimiter: Uint8Array): number {
  const { length } = delimiter
  for (let behind = Math.min(length - 1, payload.length); behind > 0; behind--) {
    const start = payload.length - behind
    let index = 0
    while (index < length && charAt(start + index) === delimiter[index]) index++
    if (index === length) return start
  }
  return -1

  function charAt(at: number): number | undefined {
    return at < payload.length ? payload[at] : delimiter[at - payload.length]
  }
}

function checkDelimiter(delimiter: Uint8Array): Uint8Array {
  if (delimiter.length > 0) return delimiter.slice()
  throw new UsageError('ERR_ARGUMENT', 'delimiter is empty')
}

const CR = 0x0d
