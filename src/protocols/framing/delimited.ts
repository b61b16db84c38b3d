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
   * Longest payload accepted, in bytes, without its delimiter. Bounds what a peer that never sends
   * a delimiter can make a connection hold.
   *
   * @default 65_536
   */
  maxFrameBytes?: number
}

export const delimitedDefaults: Readonly<Required<DelimitedOptions>> = Object.freeze({
  delimiter: Uint8Array.of(0x0a),
  maxFrameBytes: 65_536, // lines are for people, or at most for one JSON document
})

/** A payload is valid until `next` has returned undefined: it is a view where that is possible. */
export class DelimitedDecoder implements Decoder<Uint8Array> {
  readonly #delimiter: Uint8Array
  readonly #maxFrameBytes: number
  readonly #queue = new ByteQueue()
  /** Up to here there is no delimiter: a long line in small chunks is scanned once. */
  #scanned = 0
  #failure: ProtocolError | undefined

  constructor(options: DelimitedOptions = {}) {
    const {
      delimiter = delimitedDefaults.delimiter,
      maxFrameBytes = delimitedDefaults.maxFrameBytes,
    } = options
    this.#delimiter = checkDelimiter(delimiter)
    this.#maxFrameBytes = checkInteger('maxFrameBytes', maxFrameBytes, 0, 0x4000_0000)
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
    const payload = this.#queue.read(length)
    this.#queue.skip(this.#delimiter.length)
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
    while (at >= 0 && at <= this.#maxFrameBytes) {
      // Not all of it is there: looked at again when more has come.
      if (at + delimiter.length > queue.length) break
      let index = 1
      while (index < delimiter.length && queue.byteAt(at + index) === delimiter[index]) index++
      if (index === delimiter.length) return at
      at = queue.indexOf(first, at + 1)
    }
    this.#scanned = at >= 0 ? at : queue.length
    // A payload of the limit may still be followed by a delimiter that begins right after it.
    if (this.#scanned > this.#maxFrameBytes) {
      const message = `no delimiter in ${this.#scanned} bytes, over maxFrameBytes ${this.#maxFrameBytes}`
      throw this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
    }
    return undefined
  }

  #fail(failure: ProtocolError): ProtocolError {
    this.#failure = failure
    this.#queue.clear()
    return failure
  }
}

/**
 * Writes one message. Takes the payload: when it is large it is not copied.
 * @throws UsageError ERR_ARGUMENT when the payload contains the delimiter
 */
export function encodeDelimited(
  payload: Uint8Array,
  out: ByteWriter,
  delimiter: Uint8Array = delimitedDefaults.delimiter,
): void {
  const at = out.text.indexOf(payload, delimiter, 0)
  if (at >= 0) throw new UsageError('ERR_ARGUMENT', `the payload has a delimiter at byte ${at}`)
  out.give(payload)
  out.copy(delimiter)
}

function checkDelimiter(delimiter: Uint8Array): Uint8Array {
  if (delimiter.length > 0) return delimiter.slice()
  throw new UsageError('ERR_ARGUMENT', 'delimiter is empty')
}
