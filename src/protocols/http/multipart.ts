/**
 * Forms (`multipart/form-data`) read and written part by part.
 *
 *     for await (const part of readMultipart(request.body, request.fields.get('content-type'))) {
 *       if (part.filename === undefined) fields.set(part.name, await part.body.text(1_000))
 *       else await store(part.body)
 *     }
 */
import { Channel } from '../../core/channel.ts'
import { ProtocolError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import type { Host } from '../../core/host.ts'
import { portableText } from '../../core/portable-text.ts'
import { Body, type BodyInit } from './body.ts'
import { ConcatenatedSource } from './concatenated-source.ts'
import { type HttpFields, isFieldValue } from './fields.ts'
import {
  boundaryOf,
  isBoundary,
  MultipartDecoder,
  type MultipartLimits,
  type MultipartPiece,
} from './multipart-decoder.ts'

export interface MultipartPart {
  readonly name: string
  /** Undefined: a field, not a file. A name the client chose: never a path to trust. */
  readonly filename: string | undefined
  readonly fields: HttpFields
  /** Read it before asking for the next part: what was not opened by then is dropped. */
  readonly body: Body
}

export interface ReadMultipartOptions extends MultipartLimits {
  /** @default portable, in plain JavaScript */
  host?: Pick<Host, 'text'>
}

/**
 * The parts of a form, in order, under backpressure.
 *
 * @throws ProtocolError ERR_MALFORMED (status 415) when the content type is not that of a form
 */
export function readMultipart(
  body: Source<Uint8Array>,
  contentType: string | undefined,
  options: ReadMultipartOptions = {},
): Source<MultipartPart> {
  const boundary = boundaryOf(contentType)
  if (boundary === undefined) {
    const message = 'content type is not multipart/form-data with a boundary'
    throw new ProtocolError('ERR_MALFORMED', message, { status: 415 })
  }
  const { host } = options
  const decoder = new MultipartDecoder(boundary, {
    ...options,
    ...(host !== undefined && { text: host.text }),
  })
  return new MultipartReader(body, decoder).parts
}

/** Joins body, decoder and the channels of its parts. */
class MultipartReader implements Sink<Uint8Array> {
  readonly parts: Channel<MultipartPart>
  readonly #source: Source<Uint8Array>
  readonly #decoder: MultipartDecoder
  #flow: Flow | undefined
  /** The part being read, and its body. */
  #channel: Channel<Uint8Array> | undefined
  #body: Body | undefined
  #pumping = false
  #inWrite = false
  #sourceEnded = false

  constructor(source: Source<Uint8Array>, decoder: MultipartDecoder) {
    this.#source = source
    this.#decoder = decoder
    this.parts = new Channel<MultipartPart>(
      () => this.#onDemand(),
      (reason) => this.#onCancel(reason),
    )
  }

  write(chunk: Uint8Array): boolean {
    this.#decoder.push(chunk)
    this.#inWrite = true
    const more = this.#pump()
    this.#inWrite = false
    this.#decoder.hold()
    return more
  }

  end(): void {
    this.#sourceEnded = true
    this.#pump()
  }

  fail(reason: Error): void {
    this.#fail(reason)
  }

  #onDemand(): void {
    this.#flow ??= this.#source.open(this)
    this.#goOn()
  }

  #onCancel(reason: Error | undefined): void {
    this.#flow?.cancel(reason)
    this.#channel?.fail(reason ?? new UsageError('ERR_STATE', 'the form is not read any more'))
  }

  #goOn(): void {
    if (this.#pumping) return
    if (this.#pump() && !this.#inWrite) this.#flow?.resume()
  }

  /** @returns whether more input is wanted */
  #pump(): boolean {
    if (this.#pumping) return false
    this.#pumping = true
    try {
      while (this.#mayGoOn()) {
        const piece = this.#decoder.next()
        if (piece !== undefined) {
          this.#onPiece(piece)
          continue
        }
        if (!this.#sourceEnded) return true
        this.#decoder.end()
        this.parts.end()
        return false
      }
    } catch (error) {
      this.#flow?.cancel(toError(error))
      this.#fail(toError(error))
    } finally {
      this.#pumping = false
    }
    return false
  }

  /** Somebody wants what comes next: the reader of this part, or whoever waits for the next one. */
  #mayGoOn(): boolean {
    if (this.parts.done) return false
    const channel = this.#channel
    if (channel === undefined) return this.parts.flowing
    if (channel.flowing) return true
    // Nobody opened it, or who did gave up: it is dropped once the next part is asked for.
    return this.parts.flowing && (channel.done || this.#body?.used === false)
  }

  #onPiece(piece: MultipartPiece): void {
    const channel = this.#channel
    if (piece.type === 'part') {
      const own = new Channel<Uint8Array>(
        () => this.#goOn(),
        () => this.#goOn(),
      )
      this.#channel = own
      this.#body = Body.from(own)
      const { name, filename, fields } = piece
      this.parts.write({ name, filename, fields, body: this.#body })
    } else if (piece.type === 'data') {
      if (channel?.flowing === true) channel.write(piece.chunk)
    } else {
      this.#channel = undefined
      channel?.end()
    }
  }

  #fail(reason: Error): void {
    this.#channel?.fail(reason)
    this.#channel = undefined
    this.parts.fail(reason)
  }
}

export interface FormPart {
  readonly name: string
  readonly filename?: string
  /** @default none for fields, `application/octet-stream` for files */
  readonly type?: string
  readonly body: BodyInit
}

/**
 * A form as a body, with the content type that goes with it. Its length is known, and the body can
 * be sent again, when that is so of every part.
 *
 * @param boundary a line that no content has; take it from a random source
 */
export function writeMultipart(
  parts: Iterable<FormPart>,
  boundary: string,
): { contentType: string; body: Body } {
  if (!isBoundary(boundary) || boundary.includes(' ')) {
    throw new UsageError('ERR_ARGUMENT', `boundary ${JSON.stringify(boundary)} is not valid`)
  }
  const bodies: Body[] = []
  let open = `--${boundary}\r\n`
  for (const part of parts) {
    bodies.push(Body.from(open + headOf(part)), Body.from(part.body))
    open = `\r\n--${boundary}\r\n`
  }
  // A form without parts is its closing boundary alone.
  bodies.push(Body.from(bodies.length === 0 ? `--${boundary}--\r\n` : `\r\n--${boundary}--\r\n`))
  const contentType = `multipart/form-data; boundary=${quotedBoundary(boundary)}`
  return { contentType, body: Body.from(new ConcatenatedSource(bodies), lengthOf(bodies)) }
}

/** 32 characters, 190 bits: no content has it by chance, and none can be made to. */
export function randomBoundary(host: Pick<Host, 'randomBytes'>): string {
  const bytes = new Uint8Array(32)
  host.randomBytes(bytes)
  let text = ''
  for (const byte of bytes) text += BOUNDARY_CHARS[byte & 63]
  return text
}

function headOf({ name, filename, type }: FormPart): string {
  let head = `Content-Disposition: form-data; name="${quoted(name)}"`
  if (filename !== undefined) head += `; filename="${quoted(filename)}"`
  const given = type ?? (filename === undefined ? undefined : 'application/octet-stream')
  if (given !== undefined) {
    if (!isFieldValue(given)) throw new UsageError('ERR_ARGUMENT', 'type of a part cannot be sent')
    head += `\r\nContent-Type: ${given}`
  }
  return `${head}\r\n\r\n`
}

/** WHATWG HTML, 4.10.21.8. */
function quoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function quotedBoundary(boundary: string): string {
  return /^[0-9A-Za-z'+_.-]+$/.test(boundary) ? boundary : `"${boundary}"`
}

function lengthOf(bodies: readonly Body[]): number | undefined {
  let length = 0
  for (const { content, length: known } of bodies) {
    if (typeof content === 'string') length += portableText.utf8Length(content)
    else if (known !== undefined) length += known
    else return undefined
  }
  return length
}

const BOUNDARY_CHARS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
