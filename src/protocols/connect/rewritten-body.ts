/**
 * A body that becomes another one on its way, with the backpressure of its taker: what turns gRPC's
 * bodies into those of gRPC-Web and Connect, and back.
 *
 *     body ──chunks──▸ rewriter ──pieces──▸ sink,  trailers ──▸ a last piece, or trailers again
 *
 * A body that is there as a whole is rewritten at once and stays whole: no stream is made of it.
 */
import { iterate } from '../../core/channel.ts'
import { ProtocolError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import type { MaybePromise } from '../../core/service.ts'
import { Body } from '../http/body.ts'
import type { HttpFields } from '../http/fields.ts'

/** One body's. What it throws breaks the body. */
export interface Rewriter {
  /** The chunk is borrowed until `next` gave undefined, or until `hold`. */
  push(chunk: Uint8Array): void
  /** The next piece, the taker's to keep unless it is a view of the chunk; undefined: more input. */
  next(): Uint8Array | Promise<Uint8Array> | undefined
  /** The chunk's memory is about to be used again: copies what is left of it. */
  hold(): void
  /** The body ended well. */
  finish(trailers: HttpFields | undefined): RewrittenEnd
}

export interface RewrittenEnd {
  readonly tail?: Uint8Array | undefined
  readonly trailers?: HttpFields | undefined
}

/** What breaks while it is rewritten at once breaks the body, as it does on its way. */
export function rewriteBody(body: Body, rewriter: Rewriter): Body {
  if (!isWhole(body)) return Body.from(new RewrittenBody(body, rewriter))
  try {
    return rewriteWhole(body, rewriter)
  } catch (error) {
    return Body.from(new BrokenSource(toError(error)))
  }
}

function rewriteWhole(body: Body, rewriter: Rewriter): Body {
  const pieces: Uint8Array[] = []
  const content = bytesOf(body)
  if (content.length > 0) rewriter.push(content)
  for (let piece = rewriter.next(); piece !== undefined; piece = rewriter.next()) {
    if (!(piece instanceof Uint8Array)) {
      return Body.from(new RewrittenBody(body, rewriter, [...pieces, piece]))
    }
    pieces.push(piece)
  }
  const { tail, trailers } = rewriter.finish(body.trailers)
  if (tail !== undefined) pieces.push(tail)
  // Of bytes, empty ones too, a body is made anew: the one empty body is everybody's.
  const rewritten: Body = Body.from(joinPieces(pieces))
  if (trailers !== undefined) rewritten.trailers = trailers
  return rewritten
}

/** Whether everything of a body is there, its trailers included. */
export function isWhole(body: Body): boolean {
  return body.isEmpty || body.content !== undefined
}

/** The content of a body that is whole. */
export function bytesOf(body: Body): Uint8Array {
  const { content } = body
  return typeof content === 'string' ? ENCODER.encode(content) : (content ?? EMPTY)
}

/**
 * Everything of a body.
 *
 * @throws ProtocolError ERR_LIMIT when longer than `maxBytes`, at once or in the promise
 */
export function limitedBytes(body: Body, maxBytes: number): MaybePromise<Uint8Array> {
  if (!isWhole(body)) return body.bytes(maxBytes)
  const bytes = bytesOf(body)
  if (bytes.length <= maxBytes) return bytes
  const message = `body of ${bytes.length} bytes is over the limit of ${maxBytes}`
  throw new ProtocolError('ERR_LIMIT', message)
}

export function joinPieces(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

class RewrittenBody implements Source<Uint8Array>, Flow, Sink<Uint8Array> {
  /** What the rewriter made of the body's, once that has ended. */
  trailers: HttpFields | undefined
  readonly #body: Source<Uint8Array> & { readonly trailers?: HttpFields | undefined }
  readonly #rewriter: Rewriter
  /** Made before it was opened. */
  readonly #made: (Uint8Array | Promise<Uint8Array>)[]
  #sink: Sink<Uint8Array> | undefined
  #flow: Flow | undefined
  #opened = false
  #flowing = false
  #pumping = false
  /** The body was told to go on and has not been told to stop. */
  #asked = false
  #waiting = false
  #ended = false

  constructor(body: Body, rewriter: Rewriter, made: (Uint8Array | Promise<Uint8Array>)[] = []) {
    this.trailers = undefined
    this.#made = made
    this.#body = made.length === 0 ? body : new Ended(body.trailers)
    this.#rewriter = rewriter
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#sink = sink
    this.#flow = this.#body.open(this)
    return this
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  // --- what the taker asks

  resume(): void {
    if (this.#sink === undefined) return
    this.#flowing = true
    this.#pump()
  }

  cancel(reason?: Error): void {
    if (this.#sink === undefined) return
    this.#sink = undefined
    this.#flow?.cancel(reason)
  }

  // --- what the body gives

  write(chunk: Uint8Array): boolean {
    if (this.#sink === undefined) return false
    try {
      this.#rewriter.push(chunk)
    } catch (error) {
      this.#break(error)
      return false
    }
    this.#pump()
    this.#rewriter.hold()
    if (this.#flowing && !this.#waiting && this.#sink !== undefined) return true
    this.#asked = false
    return false
  }

  end(): void {
    this.#ended = true
    this.#pump()
  }

  fail(reason: Error): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.fail(reason)
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#sink !== undefined && this.#flowing && !this.#waiting) {
        const piece = this.#made.shift() ?? this.#rewriter.next()
        if (piece === undefined) {
          this.#more()
          break
        }
        if (!(piece instanceof Uint8Array)) this.#await(piece)
        else if (piece.length > 0) this.#flowing = this.#sink.write(piece)
      }
    } catch (error) {
      this.#break(error)
    } finally {
      this.#pumping = false
    }
  }

  /** Nothing is left of what has come. */
  #more(): void {
    if (this.#ended) return this.#finish()
    if (this.#asked) return
    this.#asked = true
    // What comes at once is written by a pump of its own.
    this.#pumping = false
    this.#flow?.resume()
  }

  #await(piece: Promise<Uint8Array>): void {
    this.#waiting = true
    piece.then(
      (bytes) => {
        this.#waiting = false
        if (this.#sink === undefined) return
        if (bytes.length > 0) this.#flowing = this.#sink.write(bytes)
        this.#pump()
      },
      (error: unknown) => {
        this.#waiting = false
        this.#break(error)
      },
    )
  }

  #finish(): void {
    const sink = this.#sink
    if (sink === undefined) return
    const { tail, trailers } = this.#rewriter.finish(this.#body.trailers)
    this.trailers = trailers
    this.#sink = undefined
    if (tail !== undefined && tail.length > 0) sink.write(tail)
    sink.end() // the end needs no demand
  }

  #break(error: unknown): void {
    const reason = toError(error)
    this.#flow?.cancel(reason)
    this.fail(reason)
  }
}

/** A body that the rewriter has read to its end already. */
class Ended implements Source<Uint8Array>, Flow {
  readonly trailers: HttpFields | undefined
  #sink: Sink<Uint8Array> | undefined

  constructor(trailers: HttpFields | undefined) {
    this.trailers = trailers
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    this.#sink?.end()
    this.#sink = undefined
  }

  cancel(): void {
    this.#sink = undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk)
  }
}

/** A body that is broken before it is read. */
class BrokenSource implements Source<Uint8Array>, Flow {
  readonly #reason: Error
  #sink: Sink<Uint8Array> | undefined

  constructor(reason: Error) {
    this.#reason = reason
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.fail(this.#reason)
  }

  cancel(): void {
    this.#sink = undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk)
  }
}

const EMPTY = new Uint8Array(0)
const ENCODER = new TextEncoder()
