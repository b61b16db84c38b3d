/**
 * Call objects as `@grpc/grpc-js` gives them: event emitters and streams of Node, over calls of heddle.
 *
 * | kind             | what a caller gets |
 * |------------------|--------------------|
 * | unary            | `ClientUnaryCall`, and a callback |
 * | client streaming | `ClientWritableStream`, and a callback |
 * | server streaming | `ClientReadableStream` |
 * | bidirectional    | `ClientDuplexStream` |
 *
 * All emit `metadata` and `status`, and have `cancel()` and `getPeer()`.
 */
import { EventEmitter } from 'node:events'
import { Duplex, Readable, Writable } from 'node:stream'
import { ClosedError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import { ReadItems, WrittenItems } from '../../platform/object-streams.ts'
import type { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import { Metadata } from '../../protocols/grpc/grpc-js-metadata.ts'
import type { GrpcCallOptions } from '../grpc/client-types.ts'
import {
  type ServiceError,
  type StatusObject,
  serviceError,
  statusOf,
  toBuffer,
} from './service-error.ts'

export type RequestCallback<Res> = (error: ServiceError | null, value?: Res) => void

/** A call of heddle, given what the adapter listens to. */
export type BeginCall<Reply> = (
  listeners: Pick<GrpcCallOptions, 'signal' | 'onHeader' | 'onTrailer'>,
) => Reply

/** What all calls have in common: their end is told once, as a status. */
class Ending {
  readonly #emitter: EventEmitter
  readonly #abort = new AbortController()
  readonly peer: string
  #trailers: Metadata | undefined
  #over = false

  constructor(emitter: EventEmitter, peer: string) {
    this.#emitter = emitter
    this.peer = peer
    this.#trailers = undefined
  }

  get listeners(): Required<Pick<GrpcCallOptions, 'signal' | 'onHeader' | 'onTrailer'>> {
    return {
      signal: this.#abort.signal,
      onHeader: (headers: GrpcMetadata) => {
        this.#emitter.emit('metadata', Metadata.fromGrpc(headers, toBuffer))
      },
      onTrailer: (trailers: GrpcMetadata) => {
        this.#trailers = Metadata.fromGrpc(trailers, toBuffer)
      },
    }
  }

  cancel(): void {
    this.#abort.abort(new ClosedError('ERR_ABORTED', 'Cancelled on client'))
  }

  /** @returns undefined: it was told already */
  statusOf(error: unknown): StatusObject | undefined {
    if (this.#over) return undefined
    this.#over = true
    return statusOf(error, this.#trailers)
  }
}

export class ClientUnaryCall extends EventEmitter {
  readonly #ending: Ending

  constructor(peer: string) {
    super()
    this.#ending = new Ending(this, peer)
  }

  begin<Res>(call: BeginCall<Promise<Res>>, callback: RequestCallback<Res>): this {
    answerTo(call(this.#ending.listeners), this.#ending, this, callback)
    return this
  }

  cancel(): void {
    this.#ending.cancel()
  }

  getPeer(): string {
    return this.#ending.peer
  }
}

export class ClientReadableStream<Res> extends Readable {
  readonly #ending: Ending
  readonly #items: ReadItems<Res>

  constructor(peer: string) {
    super({ objectMode: true })
    this.#ending = new Ending(this, peer)
    this.#items = new ReadItems(this, (error) => endRead(this, this.#ending, error))
  }

  begin(call: BeginCall<Source<Res>>): this {
    this.#items.open(call(this.#ending.listeners))
    return this
  }

  override _read(): void {
    this.#items.read()
  }

  cancel(): void {
    this.#ending.cancel()
  }

  getPeer(): string {
    return this.#ending.peer
  }
}

export class ClientWritableStream<Req> extends Writable {
  readonly #ending: Ending
  readonly #items = new WrittenItems<Req>(() => {})

  constructor(peer: string) {
    super({ objectMode: true })
    this.#ending = new Ending(this, peer)
  }

  begin<Res>(
    call: (requests: Source<Req>) => BeginCall<Promise<Res>>,
    callback: RequestCallback<Res>,
  ): this {
    const reply = call(this.#items.source)(this.#ending.listeners)
    answerTo(reply, this.#ending, this, callback)
    return this
  }

  override _write(item: Req, _encoding: BufferEncoding, done: () => void): void {
    this.#items.write(item, done)
  }

  override _final(done: () => void): void {
    this.#items.end()
    done()
  }

  cancel(): void {
    this.#ending.cancel()
  }

  getPeer(): string {
    return this.#ending.peer
  }
}

export class ClientDuplexStream<Req, Res> extends Duplex {
  readonly #ending: Ending
  readonly #written = new WrittenItems<Req>(() => {})
  readonly #read: ReadItems<Res>

  constructor(peer: string) {
    super({ objectMode: true })
    this.#ending = new Ending(this, peer)
    this.#read = new ReadItems(this, (error) => endRead(this, this.#ending, error))
  }

  begin(call: (requests: Source<Req>) => BeginCall<Source<Res>>): this {
    this.#read.open(call(this.#written.source)(this.#ending.listeners))
    return this
  }

  override _read(): void {
    this.#read.read()
  }

  override _write(item: Req, _encoding: BufferEncoding, done: () => void): void {
    this.#written.write(item, done)
  }

  override _final(done: () => void): void {
    this.#written.end()
    done()
  }

  cancel(): void {
    this.#ending.cancel()
  }

  getPeer(): string {
    return this.#ending.peer
  }
}

function answerTo<Res>(
  reply: Promise<Res>,
  ending: Ending,
  emitter: EventEmitter,
  callback: RequestCallback<Res>,
): void {
  reply.then(
    (value) => {
      const status = ending.statusOf(undefined)
      callback(null, value)
      emitter.emit('status', status)
    },
    (reason: unknown) => {
      const status = ending.statusOf(reason) as StatusObject
      callback(serviceError(status, reason))
      emitter.emit('status', status)
    },
  )
}

/** As grpc-js: the stream ends, then the error if there is one, then the status. */
function endRead(stream: Readable, ending: Ending, error: Error | undefined): void {
  const status = ending.statusOf(error)
  if (status === undefined) return
  stream.push(null)
  if (error !== undefined) stream.emit('error', serviceError(status, error))
  stream.emit('status', status)
}
