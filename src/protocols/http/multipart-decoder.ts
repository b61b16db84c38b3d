/**
 * `multipart/form-data` (RFC 7578, RFC 2046 5.1) as a stream: parts and pieces of their content,
 * never a whole form in memory.
 *
 *     --boundary CRLF
 *     Content-Disposition: form-data; name="file"; filename="a.txt" CRLF
 *     CRLF
 *     content, anything but CRLF--boundary
 *     CRLF --boundary-- CRLF
 *
 * Strict where readers disagree: CRLF only, nothing before the first boundary, a name in each part.
 */
import type { Decoder } from '../../core/codec.ts'
import type { CodeOf } from '../../core/error-codes.ts'
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { portableText } from '../../core/portable-text.ts'
import { HttpFields, isFieldValue, isToken } from './fields.ts'

export interface MultipartLimits {
  /**
   * Most parts of a form.
   *
   * @default 1_000
   */
  maxParts?: number
  /**
   * Longest head of a part in bytes: its field lines and the empty line.
   *
   * @default 8_192
   */
  maxPartHeadBytes?: number
  /**
   * Longest content of a part in bytes.
   *
   * @default Infinity
   */
  maxPartBytes?: number
}

export const multipartDefaults: Readonly<Required<MultipartLimits>> = Object.freeze({
  // As most form readers; each part costs a handful of objects.
  maxParts: 1_000,
  // Three field lines are usual, of which a file name may be long.
  maxPartHeadBytes: 8_192,
  // Content is streamed under backpressure; who collects it has a limit (Body.bytes).
  maxPartBytes: Number.POSITIVE_INFINITY,
})

export interface MultipartDecoderOptions extends MultipartLimits {
  /** @default portable, in plain JavaScript */
  text?: TextCodec
}

export type MultipartPiece = PartStart | PartData | PartEnd

export interface PartStart {
  readonly type: 'part'
  readonly name: string
  /** Undefined: a field, not a file. A name the client chose: never a path to trust. */
  readonly filename: string | undefined
  readonly fields: HttpFields
}
/** A view, valid until the next `next` or `push`. */
export interface PartData {
  readonly type: 'data'
  readonly chunk: Uint8Array
}
export interface PartEnd {
  readonly type: 'end'
}

export class MultipartDecoder implements Decoder<MultipartPiece> {
  readonly #limits: Required<MultipartLimits>
  readonly #text: TextCodec
  /** CRLF `--` boundary. */
  readonly #delimiter: Uint8Array
  #state: number
  /** Input; the first delimiter has no line before it, so an empty one stands there. */
  #bytes: Uint8Array = CRLF
  #at = 0
  /** Whether `#bytes` is ours, or borrowed from `push`. */
  #owned = true
  #parts = 0
  #partBytes = 0
  #headSearched = 0
  #failure: ProtocolError | undefined

  /** @throws UsageError for a boundary that RFC 2046 does not allow */
  constructor(boundary: string, options: MultipartDecoderOptions = {}) {
    const {
      maxParts = multipartDefaults.maxParts,
      maxPartHeadBytes = multipartDefaults.maxPartHeadBytes,
      maxPartBytes = multipartDefaults.maxPartBytes,
      text = portableText,
    } = options
    if (!isBoundary(boundary)) {
      throw new UsageError('ERR_ARGUMENT', `boundary ${JSON.stringify(boundary)} is not valid`)
    }
    checkInteger('maxParts', maxParts, 0, 1_000_000)
    checkInteger('maxPartHeadBytes', maxPartHeadBytes, 16, 1_048_576)
    if (maxPartBytes !== Number.POSITIVE_INFINITY) {
      checkInteger('maxPartBytes', maxPartBytes, 0, Number.MAX_SAFE_INTEGER)
    }
    this.#limits = { maxParts, maxPartHeadBytes, maxPartBytes }
    this.#text = text
    this.#delimiter = Uint8Array.from(`\r\n--${boundary}`, (char) => char.charCodeAt(0))
    this.#state = PREAMBLE
  }

  /** The closing delimiter was read. */
  get ended(): boolean {
    return this.#state === EPILOGUE
  }

  get buffered(): number {
    return this.#bytes.length - this.#at
  }

  push(chunk: Uint8Array): void {
    if (this.#at === this.#bytes.length) {
      this.#bytes = chunk
      this.#owned = false
    } else {
      // A part of a delimiter or of a head was left: bounded by the longest of either.
      const rest = this.#bytes.length - this.#at
      const whole = new Uint8Array(rest + chunk.length)
      whole.set(this.#bytes.subarray(this.#at))
      whole.set(chunk, rest)
      this.#bytes = whole
      this.#owned = true
    }
    this.#at = 0
  }

  next(): MultipartPiece | undefined {
    if (this.#failure !== undefined) throw this.#failure
    for (;;) {
      const state = this.#state
      let piece: MultipartPiece | undefined
      if (state === CONTENT) piece = this.#content()
      else if (state === HEAD) piece = this.#head()
      else if (state === EPILOGUE) this.#at = this.#bytes.length
      else this.#frame()
      if (piece !== undefined) return piece
      if (state !== this.#state) continue
      this.hold()
      return undefined
    }
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#state === EPILOGUE) return
    this.#fail('ERR_TRUNCATED', 'the form ended before its closing boundary')
  }

  /** Takes over what was not read, so that the chunk can go back. `next` does so at its end. */
  hold(): void {
    if (this.#owned) return
    this.#bytes = this.#bytes.slice(this.#at)
    this.#at = 0
    this.#owned = true
  }

  /** Content up to the next delimiter, or up to what may be the start of one. */
  #content(): MultipartPiece | undefined {
    const bytes = this.#bytes
    const from = this.#at
    const found = this.#text.indexOf(bytes, this.#delimiter, from)
    const end = found >= 0 ? found : bytes.length - partialMatch(bytes, from, this.#delimiter)
    if (end > from) {
      this.#partBytes += end - from
      const { maxPartBytes } = this.#limits
      if (this.#partBytes > maxPartBytes) {
        this.#fail(
          'ERR_LIMIT',
          `part of ${this.#partBytes} bytes is over maxPartBytes ${maxPartBytes}`,
        )
      }
      this.#at = end
      return { type: 'data', chunk: bytes.subarray(from, end) }
    }
    if (found < 0) return undefined
    this.#at += this.#delimiter.length
    this.#state = AFTER_DELIMITER
    return { type: 'end' }
  }

  /** The first delimiter, and the two bytes behind each. */
  #frame(): void {
    const bytes = this.#bytes
    if (this.#state === PREAMBLE) {
      const delimiter = this.#delimiter
      const length = Math.min(this.buffered, delimiter.length)
      for (let index = 0; index < length; index++) {
        if (bytes[this.#at + index] === delimiter[index]) continue
        this.#fail('ERR_MALFORMED', 'the form does not start with its boundary')
      }
      if (length < delimiter.length) return
      this.#at += length
      this.#state = AFTER_DELIMITER
    }
    if (this.buffered < 2) return
    const first = bytes[this.#at]
    const second = bytes[this.#at + 1]
    this.#at += 2
    if (first === DASH && second === DASH) {
      this.#state = EPILOGUE
    } else if (first === CR && second === LF) {
      this.#state = HEAD
      this.#headSearched = this.#at
      if (++this.#parts > this.#limits.maxParts) {
        this.#fail('ERR_LIMIT', `more parts than maxParts ${this.#limits.maxParts}`)
      }
    } else this.#fail('ERR_MALFORMED', 'a boundary is followed by neither CRLF nor --')
  }

  #head(): MultipartPiece | undefined {
    const bytes = this.#bytes
    const from = this.#at
    const { maxPartHeadBytes } = this.#limits
    // The search goes on where the last one ended, three bytes earlier for a cut CRLF CRLF.
    const found = this.#text.indexOf(bytes, CRLF_CRLF, Math.max(from, this.#headSearched - 3))
    const length = (found < 0 ? bytes.length : found + 4) - from
    if (length > maxPartHeadBytes) {
      this.#fail('ERR_LIMIT', `head of a part is over maxPartHeadBytes ${maxPartHeadBytes}`)
    }
    if (found < 0) {
      this.#headSearched = bytes.length - from // `hold` or `push` moves the head to the start
      return undefined
    }
    const part = this.#readHead(this.#text.utf8(bytes, from, found))
    this.#at = found + 4
    this.#state = CONTENT
    this.#partBytes = 0
    return part
  }

  #readHead(text: string): PartStart {
    const list: string[] = []
    let disposition: string | undefined
    for (const line of text.split('\r\n')) {
      const colon = line.indexOf(':')
      const name = line.slice(0, Math.max(colon, 0))
      const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
      if (!isToken(name) || /[\r\n\0]/.test(value)) {
        this.#fail('ERR_MALFORMED', 'bad field line in the head of a part')
      }
      if (name.toLowerCase() === 'content-disposition') {
        if (disposition !== undefined) {
          this.#fail('ERR_MALFORMED', 'a part with two Content-Disposition')
        }
        disposition = value
      }
      // Names in other scripts stay readable through `name` and `filename`.
      list.push(name, isFieldValue(value) ? value : encodeURI(value.toWellFormed()))
    }
    const parameters = readDisposition(disposition)
    const name = parameters?.get('name')
    if (name === undefined) this.#fail('ERR_MALFORMED', 'a part without a form-data name')
    const filename = parameters?.get('filename')
    return { type: 'part', name, filename, fields: HttpFields.fromTrusted(list) }
  }

  #fail(code: CodeOf<'ProtocolError'>, message: string): never {
    const status = code === 'ERR_LIMIT' ? 413 : 400
    throw (this.#failure = new ProtocolError(code, message, { status }))
  }
}

/** The boundary of a `multipart/form-data` content type; undefined for anything else. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/form-data[ \t]*;(.*)$/is.exec(contentType ?? '')
  if (match === null) return undefined
  const parameter = /(?:^|;)[ \t]*boundary=(?:"([^"\\]*)"|([^\s;"]+))[ \t]*(?:;|$)/i.exec(
    match[1] as string,
  )
  const boundary = parameter?.[1] ?? parameter?.[2]
  return boundary !== undefined && isBoundary(boundary) ? boundary : undefined
}

/** RFC 2046 5.1.1: 1 to 70 characters, the last one no space. */
export function isBoundary(text: string): boolean {
  return /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/.test(text)
}

/** `form-data; name="a"; filename="b"`; undefined for anything else, or for a name given twice. */
function readDisposition(value: string | undefined): Map<string, string> | undefined {
  const match = /^form-data[ \t]*(?:;|$)/i.exec(value ?? '')
  if (value === undefined || match === null) return undefined
  const parameters = new Map<string, string>()
  const pattern =
    /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:\\"|[^"])*)"|([^\s;"]*))[ \t]*(?:;|$)/y
  pattern.lastIndex = match[0].length
  while (pattern.lastIndex < value.length) {
    const found = pattern.exec(value)
    if (found === null) return undefined
    const name = (found[1] as string).toLowerCase()
    if (parameters.has(name)) return undefined
    parameters.set(name, unquoted(found[2] ?? (found[3] as string)))
  }
  return parameters
}

/**
 * Browsers write `"` as %22, CR as %0D and LF as %0A (WHATWG HTML, 4.10.21.8); others write `\"`.
 * A backslash alone is one: Windows paths have been seen.
 */
function unquoted(text: string): string {
  return text.replaceAll('\\"', '"').replace(/%22|%0D|%0A/gi, (code) => {
    return String.fromCharCode(Number.parseInt(code.slice(1), 16))
  })
}

/** Bytes at the end of `bytes[from …]` that may be the start of the delimiter. */
function partialMatch(bytes: Uint8Array, from: number, delimiter: Uint8Array): number {
  const { length } = bytes
  let start = Math.max(from, length - delimiter.length + 1)
  for (;;) {
    start = bytes.indexOf(CR, start)
    if (start < 0) return 0
    let index = 1
    while (start + index < length && bytes[start + index] === delimiter[index]) index++
    if (start + index === length) return index
    start++
  }
}

const CR = 0x0d
const LF = 0x0a
const DASH = 0x2d
const CRLF = Uint8Array.of(CR, LF)
const CRLF_CRLF = Uint8Array.of(CR, LF, CR, LF)

const PREAMBLE = 0
const AFTER_DELIMITER = 1
const HEAD = 2
const CONTENT = 3
const EPILOGUE = 4
