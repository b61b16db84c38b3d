/**
 * Heads of HTTP/1.1 messages (RFC 9112 sections 2 to 5), strict, in one pass over the bytes.
 *
 *     GET /a?b HTTP/1.1 CRLF        start line
 *     Host: a.example CRLF          field lines
 *     CRLF
 *
 * The pass checks every byte with a table, records where names and values lie, and looks at the
 * fields that decide framing. A whole head in one chunk is read where it lies and becomes one
 * Latin-1 string. Of a head that is not whole yet the bytes are kept, and the pass goes on where it
 * stopped: no byte is looked at twice, however the input was split.
 *
 * Nothing is repaired. Bare CR, bare LF, obs-fold, a space before a colon: readers disagree about
 * them, and what readers disagree about is how requests are smuggled.
 */
// size: one pass over a head, whose states share their positions.
import { ProtocolError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { HttpFields, TOKEN } from '../http/fields.ts'
import {
  BARE_CR,
  BARE_LF,
  type HeadProblem,
  majorProblem,
  malformedHead,
  methodProblem,
  minorProblem,
  nameProblem,
  notHttpProblem,
  targetProblem,
  valueProblem,
} from './head-problems.ts'
import {
  COLON,
  CONNECTION,
  CONTENT_LENGTH,
  CR,
  DOT,
  EXPECT,
  HOST,
  HT,
  HTTP_SLASH,
  isBlank,
  KEEP_ALIVE,
  LF,
  methodOf,
  ONE,
  SP,
  sameName,
  TARGET_BYTES,
  TRANSFER_ENCODING,
  UPGRADE,
  VALUE_BYTES,
  VERSION_1_1,
  ZERO,
} from './head-syntax.ts'
import type { ResolvedLimits } from './limits.ts'

export type HeadRole = 'request' | 'response'

/** Results of {@link HeadDecoder.decode} that are not a position. */
export const NEED_MORE = -1
export const FAILED = -2

export class HeadDecoder {
  /** Why decoding failed, with the status of the answer. Sticky. */
  failure: ProtocolError | undefined
  method = ''
  /** Request target as it was sent. */
  target = ''
  status = 0
  reason = ''
  /** Minor version: 1 or 0. */
  minor = 1
  fields: HttpFields = NO_FIELDS
  /** Of the last head, what decides framing. The strings are undefined where the field is absent. */
  contentLength = -1
  host: string | undefined
  hostCount = 0
  connection: string | undefined
  transferEncoding: string | undefined
  expect: string | undefined
  upgrade: string | undefined
  keepAlive: string | undefined

  readonly #role: HeadRole
  readonly #limits: ResolvedLimits
  readonly #text: TextCodec
  #state: number
  #trailers = false
  #maxBytes: number
  #maxCount: number
  /** Bytes of a head that is not whole yet. */
  #tail: Uint8Array = EMPTY
  #tailLength = 0
  // Positions below count from the start of the head.
  #lineStart = 0
  #methodEnd = 0
  #targetEnd = 0
  #nameStart = 0
  #nameEnd = 0
  #valueStart = 0
  /** Four per field; used again for each head. */
  readonly #offsets: number[] = []
  #offsetCount = 0
  /** Text of `[#sharedFrom, #sharedEnd)` of the chunk; see `#textOf`. */
  #shared = ''
  #sharedFrom = 0
  #sharedEnd = -1
  /** A field that decides about more than the host was seen, in this head or the one before. */
  #special = false
  #hadSpecial = false
  /** Which framing fields were seen, and where: index into offsets, or -1. */
  #connectionAt = -1
  #hostAt = -1
  #transferEncodingAt = -1
  #expectAt = -1
  #upgradeAt = -1
  #keepAliveAt = -1
  /** Bit per name that came more than once. */
  #repeated = 0

  constructor(role: HeadRole, limits: ResolvedLimits, text: TextCodec) {
    this.#role = role
    this.#limits = limits
    this.#text = text
    this.#state = role === 'request' ? START : STATUS_VERSION
    this.#maxBytes = limits.maxHeadBytes
    this.#maxCount = limits.maxFieldCount
  }

  /** Whether part of a head has arrived; an empty line before it does not count. */
  get started(): boolean {
    return this.#tailLength > this.#lineStart
  }

  get buffered(): number {
    return this.#tailLength
  }

  /** The next section is a trailer section: fields and the empty line, no start line. */
  expectTrailers(): void {
    this.#trailers = true
    this.#state = LINE
    this.#maxBytes = this.#limits.maxTrailerBytes
    this.#maxCount = this.#limits.maxTrailerCount
  }

  /**
   * Reads from `bytes[from, end)`.
   * @returns where the head ended; NEED_MORE: everything was taken; FAILED: see `failure`
   */
  decode(bytes: Uint8Array, from: number, end: number): number {
    if (this.failure !== undefined) return FAILED
    if (this.#tailLength === 0) {
      this.#begin()
      const at = this.#scan(bytes, from, from, end)
      if (at >= 0) this.#finish(bytes, from, at, end)
      else if (at === NEED_MORE) this.#keep(bytes, from, end)
      return at
    }
    const had = this.#tailLength
    // No more than a head may have is kept, so that a body behind it is not copied.
    const taken = Math.min(end - from, this.#maxBytes - had)
    this.#keep(bytes, from, from + taken)
    const at = this.#scan(this.#tail, 0, had, this.#tailLength)
    if (at < 0) return at
    const whole = this.#tail
    this.#tail = EMPTY
    this.#tailLength = 0
    this.#sharedEnd = -1
    this.#finish(whole, 0, at, at)
    return from + at - had
  }

  /** Another chunk: its positions have nothing to do with those of the last. */
  beginChunk(): void {
    if (this.#sharedEnd < 0) return
    this.#sharedEnd = -1
    this.#shared = ''
  }

  #keep(bytes: Uint8Array, from: number, end: number): void {
    const length = this.#tailLength + end - from
    if (length > this.#tail.length) {
      const grown = new Uint8Array(Math.max(length, this.#tail.length * 2, MIN_TAIL))
      grown.set(this.#tail.subarray(0, this.#tailLength))
      this.#tail = grown
    }
    this.#tail.set(bytes.subarray(from, end), this.#tailLength)
    this.#tailLength = length
  }

  /** Goes on at `from` with a head that starts at `base`. */
  #scan(bytes: Uint8Array, base: number, from: number, end: number): number {
    const stop = Math.min(end, base + this.#maxBytes)
    let at = from
    if (this.#state < LINE) {
      at =
        this.#role === 'request'
          ? this.#scanRequestLine(bytes, base, from, stop)
          : this.#scanStatusLine(bytes, base, from, stop)
    }
    if (at >= 0) at = this.#scanFields(bytes, base, at, stop)
    if (at === NEED_MORE && stop - base >= this.#maxBytes) {
      const what = this.#trailers ? 'trailer section' : 'head'
      const name = this.#trailers ? 'maxTrailerBytes' : 'maxHeadBytes'
      const message = `${what} is longer than ${name} ${this.#maxBytes}`
      return this.#fail({ status: 431, code: 'ERR_LIMIT', message })
    }
    return at
  }

  /** One state after the other; each falls into the next when its end is there. */
  #scanRequestLine(bytes: Uint8Array, base: number, from: number, stop: number): number {
    let at = from
    let state = this.#state
    if (state === START) {
      if (at === stop) return NEED_MORE
      const first = bytes[at] as number
      if (first === CR) {
        // RFC 9112 2.2: one empty line before a request is tolerated, some old clients send it.
        at++
        state = START_LF
      } else state = METHOD
    }
    if (state === START_LF) {
      if (at === stop) return this.#pause(START_LF)
      if (bytes[at] !== LF) return this.#malformed(BARE_CR)
      at++
      this.#lineStart = at - base
      state = METHOD
    }
    const lineStart = base + this.#lineStart
    // A space and the version follow the target, so one that reaches this far is too long.
    const max = lineStart + this.#limits.maxStartLineBytes - VERSION_BYTES
    const lineStop = Math.min(stop, max)
    if (state === METHOD) {
      while (at < lineStop && TOKEN[bytes[at] as number] === 1) at++
      if (at === lineStop) return at === max ? this.#startLineTooLong() : this.#pause(METHOD)
      if (bytes[at] !== SP || at === lineStart) {
        return this.#fail(methodProblem(bytes[at] as number, at === lineStart))
      }
      this.#methodEnd = at - base
      at++
      state = TARGET
    }
    if (state === TARGET) {
      while (at < lineStop && TARGET_BYTES[bytes[at] as number] === 1) at++
      if (at >= lineStop) return at >= max ? this.#startLineTooLong() : this.#pause(TARGET)
      if (bytes[at] !== SP || at - base === this.#methodEnd + 1) {
        return this.#fail(targetProblem(bytes[at] as number))
      }
      this.#targetEnd = at - base
      at++
    }
    return this.#scanRequestVersion(bytes, base, at, stop)
  }

  /** `HTTP/1.x` CRLF. The position in it follows from where the target ended. */
  #scanRequestVersion(bytes: Uint8Array, base: number, from: number, stop: number): number {
    const start = base + this.#targetEnd + 1
    if (from === start && stop - start >= VERSION_1_1.length) {
      let index = 0
      while (index < VERSION_1_1.length && bytes[start + index] === VERSION_1_1[index]) index++
      if (index === VERSION_1_1.length) {
        this.minor = 1
        this.#state = LINE
        return start + index
      }
    }
    for (let at = from; at < stop; at++) {
      const byte = bytes[at] as number
      const index = at - start
      if (index < 5) {
        if (byte !== HTTP_SLASH[index]) return this.#malformed('bad version in the request line')
      } else if (index === 5) {
        if (byte !== ONE) {
          const method = this.#text.latin1(bytes, base + this.#lineStart, base + this.#methodEnd)
          return this.#fail(majorProblem(byte, method))
        }
      } else if (index === 6) {
        if (byte !== DOT) return this.#malformed('bad version in the request line')
      } else if (index === 7) {
        if (byte !== ONE && byte !== ZERO) return this.#fail(minorProblem(byte))
        this.minor = byte - ZERO
      } else if (index === 8) {
        if (byte !== CR) {
          return this.#malformed(byte === LF ? BARE_LF : 'bytes behind the version')
        }
      } else {
        if (byte !== LF) return this.#malformed(BARE_CR)
        this.#state = LINE
        return at + 1
      }
    }
    return this.#pause(VERSION)
  }

  /** `HTTP/1.x 200 OK` CRLF */
  #scanStatusLine(bytes: Uint8Array, base: number, from: number, stop: number): number {
    const max = base + this.#limits.maxStartLineBytes
    let at = from
    let state = this.#state
    if (state === STATUS_VERSION) {
      for (; at < stop && at - base < STATUS_PREFIX_BYTES; at++) {
        if (!this.#statusByte(bytes[at] as number, at - base)) return FAILED
      }
      if (at === stop) return this.#pause(STATUS_VERSION)
      // RFC 9112 section 4 wants the space even before an empty reason; many servers leave it out,
      // and no reader takes that for anything else.
      if (bytes[at] === SP) at++
      else if (bytes[at] !== CR) return this.#malformed('bad byte after the status code')
      this.#methodEnd = at - base // here: start of the reason
      state = REASON
    }
    if (state === REASON) {
      const lineStop = Math.min(stop, max)
      while (at < lineStop && VALUE_BYTES[bytes[at] as number] === 1) at++
      if (at === stop) return this.#pause(REASON)
      if (at >= max && bytes[at] !== CR) return this.#startLineTooLong()
      if (bytes[at] === LF) return this.#malformed(BARE_LF)
      if (bytes[at] !== CR) return this.#malformed('control character in the reason phrase')
      this.#targetEnd = at - base
      at++
    }
    if (at === stop) return this.#pause(REASON_LF)
    if (bytes[at] !== LF) return this.#malformed(BARE_CR)
    this.#state = LINE
    return at + 1
  }

  /** @returns false after a failure */
  #statusByte(byte: number, index: number): boolean {
    if (index < 5) {
      if (byte !== HTTP_SLASH[index]) this.#fail(notHttpProblem(byte, index))
    } else if (index === 5) {
      if (byte !== ONE) this.#fail(majorProblem(byte, ''))
    } else if (index === 6) {
      if (byte !== DOT) this.#malformed('bad version in the status line')
    } else if (index === 7) {
      if (byte !== ONE && byte !== ZERO) this.#fail(minorProblem(byte))
      this.minor = byte - ZERO
    } else if (index === 8) {
      if (byte !== SP) this.#malformed('bad byte after the version in the status line')
      this.status = 0
    } else {
      const digit = byte - ZERO
      if (digit < 0 || digit > 9 || (index === 9 && digit === 0)) {
        this.#malformed('status code is not three digits from 100')
      }
      this.status = this.status * 10 + digit
    }
    return this.failure === undefined
  }

  /** Field lines up to the empty line. One loop, because every byte of every head passes here. */
  #scanFields(bytes: Uint8Array, base: number, from: number, stop: number): number {
    let at = from
    let state = this.#state
    for (;;) {
      if (state === LINE) {
        if (at === stop) return this.#pause(LINE)
        if (bytes[at] === CR) {
          at++
          state = END_LF
        } else {
          this.#nameStart = at - base
          state = NAME
        }
      }
      if (state === NAME) {
        while (at < stop && TOKEN[bytes[at] as number] === 1) at++
        if (at === stop) return this.#pause(NAME)
        if (bytes[at] !== COLON || at - base === this.#nameStart) {
          return this.#fail(nameProblem(bytes[at] as number, at - base === this.#nameStart))
        }
        this.#nameEnd = at - base
        at++
        state = OWS
      }
      if (state === OWS) {
        while (at < stop && (bytes[at] === SP || bytes[at] === HT)) at++
        if (at === stop) return this.#pause(OWS)
        this.#valueStart = at - base
        state = VALUE
      }
      if (state === VALUE) {
        while (at < stop && VALUE_BYTES[bytes[at] as number] === 1) at++
        if (at === stop) return this.#pause(VALUE)
        if (bytes[at] !== CR) return this.#fail(valueProblem(bytes[at] as number))
        at++
        state = VALUE_LF
      }
      if (state === VALUE_LF) {
        if (at === stop) return this.#pause(VALUE_LF)
        if (bytes[at] !== LF) return this.#malformed(BARE_CR)
        if (!this.#field(bytes, base, at - 1)) return FAILED
        at++
        state = LINE
        continue
      }
      // END_LF
      if (at === stop) return this.#pause(END_LF)
      if (bytes[at] !== LF) return this.#malformed(BARE_CR)
      return at + 1
    }
  }

  /** Records a field whose value ends before `end`, and notes the ones that decide framing. */
  #field(bytes: Uint8Array, base: number, end: number): boolean {
    const offsets = this.#offsets
    const index = this.#offsetCount
    if (index >= this.#maxCount * 4) {
      const name = this.#trailers ? 'maxTrailerCount' : 'maxFieldCount'
      const message = `more fields than ${name} ${this.#maxCount}`
      this.#fail({ status: 431, code: 'ERR_LIMIT', message })
      return false
    }
    const nameStart = this.#nameStart
    const nameEnd = this.#nameEnd
    const valueStart = this.#valueStart
    let valueEnd = end - base
    while (valueEnd > valueStart && isBlank(bytes[base + valueEnd - 1] as number)) valueEnd--
    offsets[index] = nameStart
    offsets[index + 1] = nameEnd
    offsets[index + 2] = valueStart
    offsets[index + 3] = valueEnd
    this.#offsetCount = index + 4
    const at = base + nameStart
    switch (nameEnd - nameStart) {
      case 4:
        if (!sameName(bytes, at, HOST)) return true
        if (this.#trailers) return this.#forbiddenTrailer('host')
        this.hostCount++
        this.#hostAt = index
        return true
      case 6:
        if (!sameName(bytes, at, EXPECT)) return true
        this.#special = true
        if (this.#trailers) return this.#forbiddenTrailer('expect')
        if (this.#expectAt >= 0) this.#repeated |= REPEATED_EXPECT
        else this.#expectAt = index
        return true
      case 7:
        if (!sameName(bytes, at, UPGRADE)) return true
        this.#special = true
        if (this.#trailers) return this.#forbiddenTrailer('upgrade')
        if (this.#upgradeAt >= 0) this.#repeated |= REPEATED_UPGRADE
        else this.#upgradeAt = index
        return true
      case 10:
        if (sameName(bytes, at, CONNECTION)) {
          this.#special = true
          if (this.#trailers) return this.#forbiddenTrailer('connection')
          if (this.#connectionAt >= 0) this.#repeated |= REPEATED_CONNECTION
          else this.#connectionAt = index
        } else if (sameName(bytes, at, KEEP_ALIVE)) {
          this.#special = true
          this.#keepAliveAt = index
        }
        return true
      case 14:
        if (!sameName(bytes, at, CONTENT_LENGTH)) return true
        return this.#lengthField(bytes, base + valueStart, base + valueEnd)
      case 17:
        if (!sameName(bytes, at, TRANSFER_ENCODING)) return true
        this.#special = true
        if (this.#trailers) return this.#forbiddenTrailer('transfer-encoding')
        if (this.#transferEncodingAt >= 0) this.#repeated |= REPEATED_TRANSFER_ENCODING
        else this.#transferEncodingAt = index
        return true
      default:
        return true
    }
  }

  /** RFC 9110 8.6: one or more digits. Neither a sign, a list, nor a second field. */
  #lengthField(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#trailers) return this.#forbiddenTrailer('content-length')
    if (this.contentLength >= 0) {
      this.#malformed('more than one Content-Length')
      return false
    }
    let value = 0
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO
      value = value * 10 + digit
      if (digit < 0 || digit > 9 || value > Number.MAX_SAFE_INTEGER) {
        this.#malformed('Content-Length is not a whole number below 2^53')
        return false
      }
    }
    if (start === end) {
      this.#malformed('Content-Length is empty')
      return false
    }
    this.contentLength = value
    this.#special = true // a body follows, no further head
    return true
  }

  /** The head is whole: makes its one string and what is read from it at once. */
  #finish(bytes: Uint8Array, base: number, end: number, stop: number): void {
    const head = this.#textOf(bytes, base, end, stop)
    // One that fits: an array that grew is larger than it needs to be.
    const offsets = this.#offsets.slice(0, this.#offsetCount)
    this.fields = HttpFields.fromBlock(head, offsets)
    this.#state = this.#role === 'request' ? START : STATUS_VERSION
    if (this.#trailers) {
      this.#trailers = false
      this.#maxBytes = this.#limits.maxHeadBytes
      this.#maxCount = this.#limits.maxFieldCount
      return
    }
    if (this.#role === 'request') {
      this.method = methodOf(bytes, base + this.#lineStart, head, this.#lineStart, this.#methodEnd)
      this.target = head.slice(this.#methodEnd + 1, this.#targetEnd)
    } else this.reason = head.slice(this.#methodEnd, this.#targetEnd)
    this.host = this.#hostAt < 0 ? undefined : this.fields.valueAt(this.#hostAt >> 2)
    if (this.#special) this.#readSpecial()
    else if (this.#hadSpecial) this.#clearSpecial()
  }

  /**
   * The bytes of a head as text. When more follow in the chunk they are probably heads as well
   * (a pipeline): then one text is made of all of them, since each call costs more than the copying.
   * It is kept short, because a head that is held on to holds on to the whole text.
   */
  #textOf(bytes: Uint8Array, base: number, end: number, stop: number): string {
    if (base >= this.#sharedFrom && end <= this.#sharedEnd) {
      return this.#shared.slice(base - this.#sharedFrom, end - this.#sharedFrom)
    }
    const until = Math.min(stop, base + MAX_SHARED_TEXT)
    if (end >= until || this.#special || this.#trailers) return this.#text.latin1(bytes, base, end)
    this.#shared = this.#text.latin1(bytes, base, until)
    this.#sharedFrom = base
    this.#sharedEnd = until
    return this.#shared.slice(0, end - base)
  }

  #readSpecial(): void {
    this.#hadSpecial = true
    this.connection = this.#listValue('connection', this.#connectionAt, REPEATED_CONNECTION)
    this.transferEncoding = this.#listValue(
      'transfer-encoding',
      this.#transferEncodingAt,
      REPEATED_TRANSFER_ENCODING,
    )
    this.expect = this.#listValue('expect', this.#expectAt, REPEATED_EXPECT)
    this.upgrade = this.#listValue('upgrade', this.#upgradeAt, REPEATED_UPGRADE)
    this.keepAlive = this.#keepAliveAt < 0 ? undefined : this.fields.valueAt(this.#keepAliveAt >> 2)
  }

  #clearSpecial(): void {
    this.#hadSpecial = false
    this.connection = undefined
    this.transferEncoding = undefined
    this.expect = undefined
    this.upgrade = undefined
    this.keepAlive = undefined
  }

  #begin(): void {
    this.contentLength = -1
    this.hostCount = 0
    this.#offsetCount = 0
    this.#lineStart = 0
    this.#hostAt = -1
    if (!this.#special) return
    this.#special = false
    this.#connectionAt = -1
    this.#transferEncodingAt = -1
    this.#expectAt = -1
    this.#upgradeAt = -1
    this.#keepAliveAt = -1
    this.#repeated = 0
  }

  /** A list field that came in several lines is one list (RFC 9110 5.3). */
  #listValue(name: string, at: number, bit: number): string | undefined {
    if (at < 0) return undefined
    if ((this.#repeated & bit) !== 0) return this.fields.get(name)
    return this.fields.valueAt(at >> 2)
  }

  #pause(state: number): number {
    this.#state = state
    return NEED_MORE
  }

  #fail(problem: HeadProblem): number {
    const { code, message, status } = problem
    // A client has no status to answer with: it reports what a gateway would say.
    const answer = this.#role === 'request' ? status : 502
    this.failure ??= new ProtocolError(code, message, { status: answer })
    return FAILED
  }

  #malformed(message: string): number {
    return this.#fail(malformedHead(message))
  }

  #startLineTooLong(): number {
    const what = this.#role === 'request' ? 'request line' : 'status line'
    const message = `${what} is longer than maxStartLineBytes ${this.#limits.maxStartLineBytes}`
    return this.#fail({ status: 414, code: 'ERR_LIMIT', message })
  }

  #forbiddenTrailer(name: string): boolean {
    this.#malformed(`field ${name} in a trailer section`)
    return false
  }
}

const REPEATED_EXPECT = 1
const REPEATED_UPGRADE = 2
const REPEATED_CONNECTION = 4
const REPEATED_TRANSFER_ENCODING = 8

// Where in a head the pass is. Start lines are below LINE.
const START = 0
const START_LF = 1
const METHOD = 2
const TARGET = 3
const VERSION = 4
const STATUS_VERSION = 5
const REASON = 6
const REASON_LF = 7
const LINE = 8
const NAME = 9
const OWS = 10
const VALUE = 11
const VALUE_LF = 12
const END_LF = 13

/** `HTTP/1.1` */
const VERSION_BYTES = 8
/** `HTTP/1.1 200` */
const STATUS_PREFIX_BYTES = 12
const MIN_TAIL = 256
/** Text that may be shared by the heads of a pipeline. */
const MAX_SHARED_TEXT = 2_048
const EMPTY = new Uint8Array(0)
const NO_FIELDS = new HttpFields()
