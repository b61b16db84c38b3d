/**
 * Call objects as handlers of `@grpc/grpc-js` get them, over calls of heddle.
 *
 * | kind             | handler |
 * |------------------|---------|
 * | unary            | `(call, callback)`, `call.request` |
 * | client streaming | `(call, callback)`, `call` is readable |
 * | server streaming | `(call)`, `call` is writable, `call.request` |
 * | bidirectional    | `(call)`, `call` is both |
 *
 * All have `metadata`, `cancelled`, `sendMetadata`, `getPeer`, `getDeadline`, `getPath`, and emit
 * `cancelled` when the client is gone or the deadline passed.
 */
import { EventEmitter } from 'node:events'
import { Duplex, Readable, Writable } from 'node:stream'
import type { Source } from '../../core/flow.ts'
import { ReadItems, WrittenItems } from '../../platform/object-streams.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import {
  isMetadata,
  type JsMetadataLike,
  Metadata,
  toGrpcMetadata,
} from '../../protocols/grpc/grpc-js-metadata.ts'
import { GrpcStatus, type GrpcStatusCode } from '../../protocols/grpc/status.ts'
import type { HandlerContext } from '../grpc/handler-context.ts'

/** What a handler reports as an error: with a code, or anything that was thrown. */
export interface JsServiceError {
  readonly code?: number
  readonly details?: string
  readonly message?: string
  readonly metadata?: JsMetadataLike
}

export type SendUnaryData<Res> = (
  error: JsServiceError | null,
  value?: Res | null,
  trailer?: JsMetadataLike,
  flags?: number,
) => void

/** What all calls share. */
class CallFacts {
  readonly metadata: Metadata
  readonly #context: HandlerContext

  constructor(context: HandlerContext, emitter: EventEmitter) {
    this.#context = context
    this.metadata = Metadata.fromGrpc(context.requestMetadata, toBuffer)
    context.onCancel(() => emitter.emit('cancelled', 'cancelled'))
  }

  get cancelled(): boolean {
    return this.#context.cancelled
  }

  /** @param streams whether they leave at once */
  sendMetadata(metadata: JsMetadataLike, streams: boolean): void {
    for (const [name, value] of toGrpcMetadata(metadata)) {
      this.#context.responseHeaders.append(name, value)
    }
    if (streams) this.#context.sendHeaders()
  }

  setTrailers(metadata: JsMetadataLike | undefined): void {
    for (const [name, value] of toGrpcMetadata(metadata)) {
      this.#context.responseTrailers.append(name, value)
    }
  }

  getPeer(): string {
    return this.#context.peer ?? 'unknown'
  }

  getPath(): string {
    const { parent, name } = this.#context.method
    return `/${parent.typeName}/${name}`
  }

  getDeadline(): Date | number {
    const { deadline } = this.#context
    if (deadline === undefined) return Number.POSITIVE_INFINITY
    return new Date(systemClock.wallNow() + deadline - systemClock.now())
  }
}

export class ServerUnaryCall<Req> extends EventEmitter {
  readonly request: Req
  readonly #facts: CallFacts

  constructor(context: HandlerContext, request: Req) {
    super()
    this.request = request
    this.#facts = new CallFacts(context, this)
  }

  get metadata(): Metadata {
    return this.#facts.metadata
  }

  get cancelled(): boolean {
    return this.#facts.cancelled
  }

  sendMetadata(metadata: JsMetadataLike): void {
    this.#facts.sendMetadata(metadata, false)
  }

  /** For the callback. */
  setTrailers(metadata: JsMetadataLike | undefined): void {
    this.#facts.setTrailers(metadata)
  }

  getPeer(): string {
    return this.#facts.getPeer()
  }

  getPath(): string {
    return this.#facts.getPath()
  }

  getDeadline(): Date | number {
    return this.#facts.getDeadline()
  }
}

export class ServerReadableStream<Req> extends Readable {
  readonly #facts: CallFacts
  readonly #items: ReadItems<Req>

  constructor(context: HandlerContext, requests: Source<Req>) {
    super({ objectMode: true })
    this.#facts = new CallFacts(context, this)
    this.#items = new ReadItems(this, (error) => endRead(this, error))
    this.#items.open(requests)
  }

  override _read(): void {
    this.#items.read()
  }

  get metadata(): Metadata {
    return this.#facts.metadata
  }

  get cancelled(): boolean {
    return this.#facts.cancelled
  }

  sendMetadata(metadata: JsMetadataLike): void {
    this.#facts.sendMetadata(metadata, false)
  }

  setTrailers(metadata: JsMetadataLike | undefined): void {
    this.#facts.setTrailers(metadata)
  }

  getPeer(): string {
    return this.#facts.getPeer()
  }

  getPath(): string {
    return this.#facts.getPath()
  }

  getDeadline(): Date | number {
    return this.#facts.getDeadline()
  }
}

export class ServerWritableStream<Req, Res> extends Writable {
  readonly request: Req
  readonly replies: Source<Res>
  readonly #facts: CallFacts
  readonly #items: WrittenItems<Res>

  constructor(context: HandlerContext, request: Req) {
    super({ objectMode: true })
    this.request = request
    this.#facts = new CallFacts(context, this)
    this.#items = new WrittenItems<Res>(() => {})
    this.replies = this.#items.source
    this.on('error', (error) => failAfterWrites(this, this.#items, error))
  }

  override _write(item: Res, _encoding: BufferEncoding, done: () => void): void {
    this.#items.write(item, done)
  }

  override _final(done: () => void): void {
    this.#items.end()
    done()
  }

  override end(...given: unknown[]): this {
    return endWith(
      this,
      given,
      (metadata) => this.#facts.setTrailers(metadata),
      (rest) => super.end(...(rest as [])),
    )
  }

  get metadata(): Metadata {
    return this.#facts.metadata
  }

  get cancelled(): boolean {
    return this.#facts.cancelled
  }

  sendMetadata(metadata: JsMetadataLike): void {
    this.#facts.sendMetadata(metadata, true)
  }

  getPeer(): string {
    return this.#facts.getPeer()
  }

  getPath(): string {
    return this.#facts.getPath()
  }

  getDeadline(): Date | number {
    return this.#facts.getDeadline()
  }
}

export class ServerDuplexStream<Req, Res> extends Duplex {
  readonly replies: Source<Res>
  readonly #facts: CallFacts
  readonly #read: ReadItems<Req>
  readonly #written: WrittenItems<Res>

  constructor(context: HandlerContext, requests: Source<Req>) {
    super({ objectMode: true })
    this.#facts = new CallFacts(context, this)
    this.#written = new WrittenItems<Res>(() => {})
    this.replies = this.#written.source
    this.on('error', (error) => failAfterWrites(this, this.#written, error))
    this.#read = new ReadItems(this, (error) => endRead(this, error))
    this.#read.open(requests)
  }

  override _read(): void {
    this.#read.read()
  }

  override _write(item: Res, _encoding: BufferEncoding, done: () => void): void {
    this.#written.write(item, done)
  }

  override _final(done: () => void): void {
    this.#written.end()
    done()
  }

  override end(...given: unknown[]): this {
    return endWith(
      this,
      given,
      (metadata) => this.#facts.setTrailers(metadata),
      (rest) => super.end(...(rest as [])),
    )
  }

  get metadata(): Metadata {
    return this.#facts.metadata
  }

  get cancelled(): boolean {
    return this.#facts.cancelled
  }

  sendMetadata(metadata: JsMetadataLike): void {
    this.#facts.sendMetadata(metadata, true)
  }

  getPeer(): string {
    return this.#facts.getPeer()
  }

  getPath(): string {
    return this.#facts.getPath()
  }

  getDeadline(): Date | number {
    return this.#facts.getDeadline()
  }
}

/**
 * `call.emit('error', …)` is how handlers end a stream with a status: after what they have written.
 * `destroy(error)` ends it at once.
 */
function failAfterWrites(
  stream: Writable,
  items: Pick<WrittenItems<unknown>, 'fail' | 'endWith'>,
  error: unknown,
): void {
  const reason = toGrpcError(error)
  if (stream.destroyed) return items.fail(reason)
  items.endWith(reason)
  if (!stream.writableEnded) stream.end()
}

/** What a handler of grpc-js says went wrong. */
export function toGrpcError(error: unknown): Error {
  if (error instanceof GrpcError) return error
  const { code, details, message = '', metadata } = (error ?? {}) as JsServiceError
  const known = typeof code === 'number' && Number.isInteger(code) && code > 0 && code <= 16
  const status = (known ? code : GrpcStatus.UNKNOWN) as GrpcStatusCode
  return new GrpcError(status, details ?? (message === '' ? 'Unknown Error' : message), {
    cause: error,
    metadata: toGrpcMetadata(isMetadata(metadata) ? metadata : undefined),
  })
}

/** `end(metadata?)` has trailers where streams of Node have a last item. */
function endWith<Stream>(
  stream: Stream,
  given: readonly unknown[],
  setTrailers: (metadata: JsMetadataLike) => void,
  end: (rest: readonly unknown[]) => void,
): Stream {
  const [first, ...rest] = given
  if (isMetadata(first)) {
    setTrailers(first)
    end(rest)
  } else end(given)
  return stream
}

/** The client's messages are over; that they broke off is told by `cancelled`. */
function endRead(stream: Readable, error: Error | undefined): void {
  if (error === undefined) stream.push(null)
  else stream.destroy()
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
