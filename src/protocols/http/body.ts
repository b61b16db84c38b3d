/**
 * The content of an HTTP message: nothing, bytes that are there, or a stream that is read once.
 *
 * | what it is made of           | can be sent again          | at the same time |
 * |------------------------------|----------------------------|------------------|
 * | nothing, text, bytes         | yes                        | yes |
 * | a function that makes it     | yes, made anew             | yes |
 * | `Body.buffered(source, max)` | while no longer than `max` | no  |
 * | a source                     | until it is opened         | no  |
 *
 * The types know the difference as far as it is declared: {@link ReplayableBodyInit}.
 */
import { iterate } from '../../core/channel.ts'
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { INSPECT } from '../../core/secret.ts'
import type { HttpFields } from './fields.ts'
import { ReplayBuffer } from './replay-buffer.ts'

/** Makes the content anew for each attempt. */
export type BodyFactory = () => Source<Uint8Array> | Uint8Array | string

/** What can be sent again by declaration: a call with it may be retried after it was sent. */
export type ReplayableBodyInit = ReplayableBody | BodyFactory | Uint8Array | string | undefined

export type BodyInit = ReplayableBodyInit | Body | Source<Uint8Array>

/** A body that was made of something replayable. */
export type ReplayableBody = Body & { readonly oneShot: false }

/**
 * Longest body that `bytes`, `text` and `json` collect unless told otherwise: what one careless
 * call may make a process hold.
 */
export const DEFAULT_MAX_COLLECT_BYTES: number = 16 * 1024 * 1024

/** A source that may know trailers when it has ended, such as one that decodes another body. */
interface TrailedSource extends Source<Uint8Array> {
  readonly trailers?: HttpFields | undefined
}

export class Body implements Source<Uint8Array> {
  static readonly empty: ReplayableBody = new Body(undefined, undefined, 0) as ReplayableBody

  /** Bytes or text that are there; undefined for a stream. */
  readonly content: Uint8Array | string | undefined
  /** Length in bytes where it is known before reading. */
  readonly length: number | undefined
  /** Why its source broke while it was being sent: the fault of whoever made it, not of the peer. */
  failure: Error | undefined
  readonly #source: TrailedSource | undefined
  #trailers: HttpFields | undefined
  #used = false

  private constructor(
    content: Uint8Array | string | undefined,
    source: Source<Uint8Array> | undefined,
    length: number | undefined,
  ) {
    this.content = content
    this.#source = source
    this.length = length
    this.failure = undefined
  }

  static from(init: ReplayableBodyInit, length?: number): ReplayableBody
  static from(init: BodyInit, length?: number): Body
  static from(init: BodyInit, length?: number): Body {
    if (init === undefined) return Body.empty
    if (init instanceof Body) return init
    if (typeof init === 'string')
      return init === '' ? Body.empty : new Body(init, undefined, undefined)
    if (init instanceof Uint8Array) return new Body(init, undefined, init.length)
    if (typeof init === 'function') return new Body(undefined, new MadeAnew(init), length)
    return new Body(undefined, init, length)
  }

  /**
   * A stream of which up to `maxBytes` are kept, so that a retry can send them again. One that turns
   * out to be longer goes on as a stream that is sent once.
   */
  static buffered(source: Source<Uint8Array>, maxBytes: number, length?: number): ReplayableBody {
    checkInteger('maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER)
    return new Body(undefined, new ReplayBuffer(source, maxBytes), length) as ReplayableBody
  }

  /** As it is printed: content may be a form with a password, and is never shown. */
  toJSON(): unknown {
    const { length, replayable } = this
    return this.isEmpty ? {} : { length, replayable }
  }

  [INSPECT](): unknown {
    return this.toJSON()
  }

  get isEmpty(): boolean {
    return this.content === undefined && this.#source === undefined
  }

  /** False once a stream was opened: one that was not can still be sent to somebody else. */
  get replayable(): boolean {
    const source = this.#source
    if (source === undefined || source instanceof MadeAnew) return true
    return source instanceof ReplayBuffer ? source.replayable : !this.#used
  }

  /** A stream that is read once, with nothing that could bring it back. */
  get oneShot(): boolean {
    const source = this.#source
    if (source === undefined) return false
    return !(source instanceof MadeAnew) && !(source instanceof ReplayBuffer)
  }

  /** Whether it can be on its way twice at the same time. */
  get repeatable(): boolean {
    return this.#source === undefined || this.#source instanceof MadeAnew
  }

  /** Trailer fields, once a stream that has them has ended: set, or those its source came to. */
  get trailers(): HttpFields | undefined {
    return this.#trailers ?? this.#source?.trailers
  }

  set trailers(fields: HttpFields | undefined) {
    this.#trailers = fields
  }

  get used(): boolean {
    return this.#used
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#source !== undefined) {
      if (this.#used && this.oneShot)
        throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
      this.#used = true
      return this.#source.open(sink)
    }
    return new ContentFlow(this.#toBytes(), sink)
  }

  /**
   * The whole body. The bytes are the caller's.
   * @throws ProtocolError ERR_LIMIT when longer than `maxBytes`
   */
  async bytes(maxBytes: number = DEFAULT_MAX_COLLECT_BYTES): Promise<Uint8Array> {
    if (this.#source === undefined) return this.#toBytes() ?? new Uint8Array(0)
    return collect(this, maxBytes)
  }

  async text(maxBytes?: number): Promise<string> {
    if (typeof this.content === 'string') return this.content
    const { content } = this
    return DECODER.decode(content ?? (await this.bytes(maxBytes)))
  }

  /** @throws SyntaxError when it is not JSON */
  async json(maxBytes?: number): Promise<unknown> {
    return JSON.parse(await this.text(maxBytes))
  }

  /** Reads and drops everything: lets the connection go on to its next message. */
  discard(): void {
    if (this.#source === undefined || this.#used) return
    const flow = this.open({ write: () => true, end() {}, fail() {} })
    flow.resume()
  }

  /** Chunks are copies: the consumer may keep them. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#source === undefined ? once(this.#toBytes()) : iterate(this, copyChunk)
  }

  #toBytes(): Uint8Array | undefined {
    if (typeof this.content === 'string') return ENCODER.encode(this.content)
    return this.content
  }
}

/** A source for each time it is opened. */
class MadeAnew implements Source<Uint8Array> {
  readonly #make: BodyFactory

  constructor(make: BodyFactory) {
    this.#make = make
  }

  open(sink: Sink<Uint8Array>): Flow {
    return Body.from(this.#make()).open(sink)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return Body.from(this.#make())[Symbol.asyncIterator]()
  }
}

class ContentFlow implements Flow {
  #bytes: Uint8Array | undefined
  #sink: Sink<Uint8Array> | undefined

  constructor(bytes: Uint8Array | undefined, sink: Sink<Uint8Array>) {
    this.#bytes = bytes
    this.#sink = sink
  }

  resume(): void {
    const sink = this.#sink
    if (sink === undefined) return
    const bytes = this.#bytes
    this.#bytes = undefined
    if (bytes !== undefined && bytes.length > 0 && !sink.write(bytes)) return
    if (this.#sink === undefined) return // cancelled inside write
    this.#sink = undefined
    sink.end()
  }

  cancel(): void {
    this.#sink = undefined
    this.#bytes = undefined
  }
}

function collect(source: Source<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let length = 0
    const flow = source.open({
      write(chunk) {
        length += chunk.length
        if (length > maxBytes) {
          const message = `body of over ${length} bytes is over the limit of ${maxBytes}`
          const error = new ProtocolError('ERR_LIMIT', message)
          flow.cancel(error)
          reject(error)
          return false
        }
        chunks.push(chunk.slice())
        return true
      },
      end: () => resolve(concat(chunks, length)),
      fail: reject,
    })
    flow.resume()
  })
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

async function* once(bytes: Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (bytes !== undefined) yield bytes
}

function copyChunk(chunk: Uint8Array): Uint8Array {
  return chunk.slice()
}

// Stateless without `stream`, and not free to make.
const DECODER = new TextDecoder()
const ENCODER = new TextEncoder()
