/**
 * Server-sent events (WHATWG HTML, section 9.2): `text/event-stream` written and read.
 *
 *     event: price
 *     id: 17
 *     data: {"x":1}
 *                          an empty line ends the event
 */
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import { HttpResponse, type HttpResponseInit } from './messages.ts'

export interface ServerSentEvent {
  /** @default 'message' */
  readonly event?: string | undefined
  /** Sent back as `Last-Event-ID` when the client connects again. */
  readonly id?: string | undefined
  /** Milliseconds the client shall wait before it connects again. */
  readonly retry?: number | undefined
  readonly data?: string | undefined
  /** For nobody but the proxies between, which keep a stream open that is not silent. */
  readonly comment?: string | undefined
}

/** What a reader gets: defaults filled in as the standard says. */
export interface ReceivedEvent {
  readonly event: string
  readonly data: string
  /** The last one that was given, by this event or one before. */
  readonly lastEventId: string
}

export interface EventStreamDecoderOptions {
  /**
   * Longest event in characters, names and line ends included.
   *
   * @default 1_048_576
   */
  maxEventLength?: number
}

export const eventStreamDefaults: Readonly<Required<EventStreamDecoderOptions>> = Object.freeze({
  // An event is held whole before it is handed out: what one stream may make a client hold.
  maxEventLength: 1_048_576,
})

/** @throws UsageError for a name or id with a line break, an id with NUL, a bad `retry` */
export function formatServerSentEvent(event: ServerSentEvent): string {
  const { event: name, id, retry, data, comment } = event
  let text = ''
  if (comment !== undefined) text += lines(':', comment)
  if (name !== undefined) text += `event: ${oneLine('event', name)}\n`
  if (id !== undefined) {
    if (id.includes('\0')) throw new UsageError('ERR_ARGUMENT', 'NUL in the id of an event')
    text += `id: ${oneLine('id', id)}\n`
  }
  if (retry !== undefined) {
    text += `retry: ${checkInteger('retry', retry, 0, Number.MAX_SAFE_INTEGER)}\n`
  }
  if (data !== undefined) text += lines('data:', data)
  return `${text}\n`
}

/**
 * A response whose body is a stream of events, from text that `formatServerSentEvent` made.
 * Proxies are asked not to hold it back.
 */
export function eventStreamResponse(
  events: Source<Uint8Array>,
  init: HttpResponseInit = {},
): HttpResponse {
  const response = new HttpResponse({ ...init, body: events })
  const { fields } = response
  if (!fields.has('content-type')) fields.set('content-type', 'text/event-stream')
  if (!fields.has('cache-control')) fields.set('cache-control', 'no-store')
  return response
}

/** Reads an event stream, in any of its three line ends, however it is cut. */
export class EventStreamDecoder implements Decoder<ReceivedEvent> {
  /** What the server last said about reconnecting; undefined: nothing. */
  retryMs: number | undefined
  lastEventId = ''
  readonly #maxEventLength: number
  // Removes the byte order mark that may start a stream; invalid UTF-8 becomes U+FFFD.
  readonly #text = new TextDecoder()
  #input = ''
  #at = 0
  /** What came of a line that has not ended: only ever added to, so nothing is looked at twice. */
  #partial = ''
  #event = ''
  #id = ''
  #data: string[] = []
  #length = 0
  /** The last line ended in CR: a LF that follows belongs to it. */
  #afterCr = false
  #failure: ProtocolError | undefined

  constructor(options: EventStreamDecoderOptions = {}) {
    const { maxEventLength = eventStreamDefaults.maxEventLength } = options
    this.#maxEventLength = checkInteger('maxEventLength', maxEventLength, 1, 0x1000_0000)
  }

  get buffered(): number {
    return this.#input.length - this.#at + this.#partial.length + this.#length
  }

  push(chunk: Uint8Array): void {
    const text = this.#text.decode(chunk, { stream: true })
    this.#input = this.#at === this.#input.length ? text : this.#input.slice(this.#at) + text
    this.#at = 0
  }

  next(): ReceivedEvent | undefined {
    if (this.#failure !== undefined) throw this.#failure
    for (;;) {
      const line = this.#nextLine()
      if (line === undefined) return undefined
      if (line !== '') {
        this.#field(line)
        continue
      }
      const event = this.#dispatch()
      if (event !== undefined) return event
    }
  }

  /** An event that is not complete is dropped, as the standard says. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #nextLine(): string | undefined {
    const input = this.#input
    if (this.#afterCr && this.#at < input.length) {
      this.#afterCr = false
      if (input.charCodeAt(this.#at) === LF) this.#at++
    }
    let end = this.#at
    while (end < input.length) {
      const unit = input.charCodeAt(end)
      if (unit === LF || unit === CR) break
      end++
    }
    const part = input.slice(this.#at, end)
    const length = this.#length + this.#partial.length + part.length
    if (length > this.#maxEventLength) {
      const message = `event of over ${length} characters is over maxEventLength ${this.#maxEventLength}`
      throw (this.#failure = new ProtocolError('ERR_LIMIT', message))
    }
    this.#at = end
    this.#partial += part
    if (end === input.length) return undefined
    const line = this.#partial
    this.#partial = ''
    this.#afterCr = input.charCodeAt(end) === CR
    this.#at = end + 1
    this.#length = length + 1
    return line
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) return // a comment
    const name = colon < 0 ? line : line.slice(0, colon)
    let value = colon < 0 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    switch (name) {
      case 'event':
        this.#event = value
        return
      case 'data':
        this.#data.push(value)
        return
      case 'id':
        if (!value.includes('\0')) this.#id = value
        return
      case 'retry':
        if (/^\d{1,15}$/.test(value)) this.retryMs = Number(value)
    }
  }

  #dispatch(): ReceivedEvent | undefined {
    const data = this.#data
    const event = this.#event
    this.#data = []
    this.#event = ''
    this.#length = 0
    this.lastEventId = this.#id
    if (data.length === 0) return undefined
    return { event: event || 'message', data: data.join('\n'), lastEventId: this.#id }
  }
}

/** Every line of the text behind its own name: three line ends, as the reader knows them. */
function lines(name: string, text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => `${name} ${line}\n`)
    .join('')
}

function oneLine(what: string, text: string): string {
  if (!/[\r\n]/.test(text)) return text
  throw new UsageError('ERR_ARGUMENT', `line break in the ${what} of an event`)
}

const LF = 0x0a
const CR = 0x0d
