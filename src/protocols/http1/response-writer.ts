/**
 * Writes the responses of a server session, one after the other. It knows what a response may hold
 * (RFC 9110 6.4.1, RFC 9112 6.3) and where the one being written stands; whose turn it is, is the
 * session's business.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { type HeddleError, UsageError } from '../../core/errors.ts'
import { HttpFields, isFieldValue } from '../http/fields.ts'
import { isBodiless, reasonOf } from '../http/status.ts'
import {
  CHUNKED,
  CONNECTION_CLOSE,
  CONNECTION_DEFAULT,
  CONNECTION_GIVEN,
  CONNECTION_KEEP_ALIVE,
  type ConnectionOption,
  checkGivenFraming,
  checkTrailers,
  DESCRIBED,
  encodeChunk,
  encodeChunkSize,
  encodeCrlf,
  encodeLastChunk,
  encodeResponseHead,
  encodeText,
  type Framing,
  HAS_CODING,
  HAS_CONNECTION,
  HAS_LENGTH,
  survey,
  textLength,
  UNFRAMED,
} from './encoder.ts'
import type {
  DataCommand,
  EndCommand,
  InformCommand,
  RespondCommand,
  ResponseHeadCommand,
} from './messages.ts'

/** What a request was, as far as its response depends on it: or-ed bits. */
export const WANTS_CLOSE = 1
export const WAS_HEAD = 2
/** HTTP/1.0: no chunks, no interim responses. */
export const WAS_1_0 = 4
export const WAS_CONNECT = 8
export const ASKED_UPGRADE = 16
/** The client waits for 100 (Continue). */
export const AWAITS_CONTINUE = 32
/** Not a safe method (RFC 9110 9.2.1). */
export const UNSAFE = 64

export class ResponseWriter {
  /** A head was written whose body is not complete. */
  streaming = false
  readonly #out: ByteWriter
  readonly #date: ((now: number) => string) | undefined
  #framing: Framing = UNFRAMED
  /** Bytes that may still follow, when the length was announced. */
  #left = 0
  /** The body is not sent: HEAD, 204, 304. */
  #silent = false

  constructor(out: ByteWriter, date: ((now: number) => string) | undefined) {
    this.#out = out
    this.#date = date
  }

  /** The end of the body being written is the end of the connection. */
  get endsWithConnection(): boolean {
    return this.streaming && !this.#silent && this.#framing === UNFRAMED
  }

  /** @throws UsageError for a response that could not be sent to this request */
  check(command: RespondCommand | ResponseHeadCommand, flags: number): void {
    const { status, reason } = command
    const detach = command.type === 'respond' && command.detach === true
    if (!Number.isInteger(status) || status < 101 || status > 999 || (status < 200 && !detach)) {
      throw new UsageError('ERR_ARGUMENT', `${status} is not the status of a final response`)
    }
    if (reason !== undefined && (reason.length > MAX_REASON || !isFieldValue(reason))) {
      throw new UsageError('ERR_ARGUMENT', 'reason phrase holds characters that cannot be sent')
    }
    const tunnel = (flags & WAS_CONNECT) !== 0 && status >= 200 && status < 300
    if (detach !== (tunnel || status === 101)) {
      const message = `status ${status} ${detach ? 'does not hand' : 'hands'} the connection over here`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    if (status === 101 && (flags & ASKED_UPGRADE) === 0) {
      throw new UsageError('ERR_ARGUMENT', 'status 101, but the client did not ask for an upgrade')
    }
    const body = command.type === 'respond' ? command.body : undefined
    const empty = body === undefined || body.length === 0
    if (!empty && (detach || status === 204)) {
      throw new UsageError('ERR_ARGUMENT', `a response of status ${status} has no content`)
    }
    if (command.type === 'respond' && command.trailers !== undefined) {
      checkTrailers(command.trailers)
    }
  }

  /** What `respond` and `head` find out for themselves: for a response that has to wait. */
  checkFraming(command: RespondCommand | ResponseHeadCommand, flags: number): void {
    const { fields } = command
    const framing = framingOf(command, flags, contentLength(command, this.#out))
    checkGivenFraming(fields, survey(fields), framing)
  }

  /** A whole response; `check` was called. */
  respond(command: RespondCommand, flags: number, close: boolean, now: number): void {
    const { body } = command
    const out = this.#out
    const length = contentLength(command, out) as number
    const framing = framingOf(command, flags, length)
    this.#head(command, framing, flags, close, now)
    if (framing === CHUNKED) return this.#whole(body, length, command.trailers)
    if (length === 0 || isSilent(command.status, flags)) return
    if (typeof body === 'string') encodeText(out, body, length)
    else out.give(body as Uint8Array)
  }

  /** The head of a response whose body follows. @returns whether it ends with the connection */
  head(command: ResponseHeadCommand, flags: number, close: boolean, now: number): boolean {
    const { bodyLength } = command
    const framing = framingOf(command, flags, bodyLength)
    this.#silent = isSilent(command.status, flags)
    this.#left = bodyLength ?? Number.POSITIVE_INFINITY
    this.#framing = framing
    const endsWithConnection = framing === UNFRAMED && !this.#silent
    this.#head(command, framing, flags, close || endsWithConnection, now)
    this.streaming = true
    return endsWithConnection
  }

  data(command: DataCommand): void {
    const { chunk, owned } = command
    if (chunk.length > this.#left) {
      const message = `${chunk.length} more body bytes, ${this.#left} were left of the length announced`
      throw new UsageError('ERR_STATE', message)
    }
    this.#left -= chunk.length
    if (this.#silent) return
    if (this.#framing === CHUNKED) encodeChunk(this.#out, chunk, owned)
    else if (owned) this.#out.give(chunk)
    else this.#out.copy(chunk)
  }

  end(command: EndCommand): void {
    const { trailers } = command
    if (trailers !== undefined) checkTrailers(trailers)
    if (!this.#silent) {
      if (this.#framing >= 0 && this.#left > 0) {
        const message = `body ends ${this.#left} bytes short of the length announced`
        throw new UsageError('ERR_STATE', message)
      }
      // Where there are no chunks there is no place for trailers (RFC 9110 6.5.1: may be dropped).
      if (this.#framing === CHUNKED) encodeLastChunk(this.#out, trailers)
    }
    this.streaming = false
  }

  inform(status: number, fields: HttpFields | undefined): void {
    const given = fields ?? NO_FIELDS
    encodeResponseHead(this.#out, status, undefined, given, UNFRAMED, CONNECTION_GIVEN, undefined)
  }

  /** The answer to what is not a request: the status, and the reason as text. */
  refuse(status: number, error: HeddleError, withBody: boolean, now: number): void {
    const text = `${status} ${reasonOf(status)}: ${error.message}\n`
    const out = this.#out
    const length = textLength(text, out.text)
    const date = this.#date?.(now)
    encodeResponseHead(out, status, undefined, TEXT_FIELDS, length, CONNECTION_CLOSE, date)
    if (withBody) encodeText(out, text, length)
  }

  /** One chunk with everything: only the chunked coding has a place for trailers. */
  #whole(body: RespondCommand['body'], length: number, trailers: HttpFields | undefined): void {
    const out = this.#out
    if (length > 0) {
      encodeChunkSize(out, length)
      if (typeof body === 'string') encodeText(out, body, length)
      else out.give(body as Uint8Array)
      encodeCrlf(out)
    }
    encodeLastChunk(out, trailers)
  }

  #head(
    command: RespondCommand | ResponseHeadCommand,
    framing: Framing,
    flags: number,
    close: boolean,
    now: number,
  ): void {
    const { status, reason, fields } = command
    let connection: ConnectionOption = CONNECTION_DEFAULT
    if (command.type === 'respond' && command.detach === true) connection = CONNECTION_GIVEN
    else if (close) connection = CONNECTION_CLOSE
    else if ((flags & WAS_1_0) !== 0) connection = CONNECTION_KEEP_ALIVE
    const date = this.#date?.(now)
    encodeResponseHead(this.#out, status, reason, fields, framing, connection, date)
  }
}

/** Content of this response is described, never sent. */
function isSilent(status: number, flags: number): boolean {
  return (flags & WAS_HEAD) !== 0 || isBodiless(status)
}

function contentLength(
  command: RespondCommand | ResponseHeadCommand,
  out: ByteWriter,
): number | undefined {
  if (command.type === 'head') return command.bodyLength
  const { body } = command
  if (body === undefined) return 0
  return typeof body === 'string' ? textLength(body, out.text) : body.length
}

function framingOf(
  command: RespondCommand | ResponseHeadCommand,
  flags: number,
  length: number | undefined,
): Framing {
  const { status, type } = command
  if (status === 204 || (type === 'respond' && command.detach === true)) return UNFRAMED
  // What HEAD and 304 describe is the caller's to say, unless it gave a body to measure.
  if (isSilent(status, flags) && (type === 'respond' ? length === 0 : length === undefined)) {
    return DESCRIBED
  }
  const chunks = (flags & WAS_1_0) === 0
  // Trailers need chunks, also behind content that is there as a whole.
  const trailed = type === 'respond' && command.trailers !== undefined
  if (chunks && trailed && !isSilent(status, flags)) return CHUNKED
  return length ?? (chunks ? CHUNKED : UNFRAMED)
}

/** Whether the service asks to close the connection after its response. */
export function asksClose(fields: HttpFields): boolean {
  return fields.hasToken('connection', 'close')
}

/** @throws UsageError for what is not an interim response */
export function checkInform(command: InformCommand): void {
  const { status, fields } = command
  if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
    throw new UsageError('ERR_ARGUMENT', `${status} is not the status of an interim response`)
  }
  if (fields === undefined) return
  if ((survey(fields) & (HAS_LENGTH | HAS_CODING | HAS_CONNECTION)) !== 0) {
    throw new UsageError('ERR_ARGUMENT', 'a field that frames a message in an interim response')
  }
}

const NO_FIELDS = new HttpFields()
const TEXT_FIELDS = HttpFields.fromTrusted(['content-type', 'text/plain; charset=utf-8'])
/** Room that the encoder reserves for it. */
const MAX_REASON = 128
