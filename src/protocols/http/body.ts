/**
 * The content of an HTTP message: nothing, bytes that are there, or a stream that is read once.
 *
 * Bytes that are there can be sent again by a retry; a stream cannot (`replayable`).
 */
import { OverloadError, ProtocolError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import type { HttpFields } from './fields.ts'

export type BodyInit = Body | Source<Uint8Array> | Uint8Array | string | undefined

/**
 * Longest body that `bytes`, `text` and `json` collect unless told otherwise: what one careless
 * call may make a process hold.
 */
export const DEFAULT_MAX_COLLECT_BYTES: number = 16 * 1024 * 1024

export class Body implements Source<Uint8Array> {
  static readonly empty: Body = new Body(undefined, undefined, 0)

  /** Bytes or text that are there; undefined for a stream. */
  readonly content: Uint8Array | string | undefined
  /** Length in bytes where it is known before reading. */
  readonly length: number | undefined
  /** Trailer fields, once a stream that has them has ended. */
  trailers: HttpFields | undefined
  readonly #source: Source<Uint8Array> | undefined
  #used = false

  private constructor(
    content: Uint8Array | string | undefined,
    source: Source<Uint8Array> | undefined,
    length: number | undefined,
  ) {
    this.content = content
    this.#source = source
    this.length = length
  }

  static from(init: BodyInit, length?: number): Body {
    if (init === undefined) return Body.empty
    if (init instanceof Body) return init
    if (typeof init === 'string')
      return init === '' ? Body.empty : new Body(init, undefined, undefined)
    if (init instanceof Uint8Array) return new Body(init, undefined, init.length)
    return new Body(undefined, init, length)
  }

  get isEmpty(): boolean {
    return this.content === undefined && this.#source === undefined
  }

  /** False once a stream was opened. */
  get replayable(): boolean {
    return this.#source === undefined
  }

  get used(): boolean {
    return this.#used
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#source !== undefined) {
      if (this.#used) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
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
    return new TextDecoder().decode(await this.bytes(maxBytes))
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
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#source === undefined) {
      const bytes = this.#toBytes()
      if (bytes !== undefined) yield bytes
      return
    }
    yield* iterate(this)
  }

  #toBytes(): Uint8Array | undefined {
    if (typeof this.content === 'string') return new TextEncoder().encode(this.content)
    return this.content
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

/** Async iteration over any byte source, one chunk ahead, each chunk copied. */
export async function* iterate(source: Source<Uint8Array>): AsyncGenerator<Uint8Array> {
  const queue: Uint8Array[] = []
  let state = 'open' as 'open' | 'ended' | Error // widened: it changes in callbacks
  let wake: (() => void) | undefined
  const changed = (): void => {
    const call = wake
    wake = undefined
    call?.()
  }
  const flow = source.open({
    write(chunk) {
      queue.push(chunk.slice())
      changed()
      return false
    },
    end() {
      state = 'ended'
      changed()
    },
    fail(reason) {
      state = reason
      changed()
    },
  })
  let finished = false
  try {
    for (;;) {
      const chunk = queue.shift()
      if (chunk !== undefined) {
        yield chunk
        continue
      }
      if (state === 'ended') break
      if (typeof state === 'object') throw state
      const waiting = new Promise<void>((resolve) => {
        wake = resolve
      })
      flow.resume()
      await waiting
    }
    finished = true
  } finally {
    if (!finished && state === 'open') flow.cancel()
  }
}

/**
 * A body whose other end is written by hand: the bridge from sessions (and from users) to sources.
 *
 * Until it is opened it refuses to buffer: `write` before `open` is an error of the writer.
 */
export class BodyChannel implements Source<Uint8Array>, Flow {
  #sink: Sink<Uint8Array> | undefined
  #opened = false
  #flowing = false
  #ending: 'no' | 'end' | Error = 'no'
  #done = false
  readonly #onDemand: (wanted: boolean) => void
  readonly #onCancel: (reason: Error | undefined) => void

  /**
   * @param onDemand true when the taker can take more: give or ask the peer for more
   * @param onCancel the taker wants no more
   */
  constructor(onDemand: (wanted: boolean) => void, onCancel: (reason: Error | undefined) => void) {
    this.#onDemand = onDemand
    this.#onCancel = onCancel
  }

  /** Whether a chunk may be written now. */
  get flowing(): boolean {
    return this.#flowing
  }

  /** Nobody will read it any more, or everything was delivered. */
  get done(): boolean {
    return this.#done
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#sink = sink
    return this
  }

  /** @returns false: no more until `onDemand(true)` */
  write(chunk: Uint8Array): boolean {
    if (this.#done) return true
    if (!this.#flowing) throw new OverloadError('ERR_BUSY', 'body chunk without demand')
    this.#flowing = (this.#sink as Sink<Uint8Array>).write(chunk)
    return this.#flowing
  }

  /** No more chunks. Delivered at once when the taker flows or has paused, else when it resumes. */
  end(): void {
    if (this.#ending !== 'no') return
    this.#ending = 'end'
    if (this.#flowing) this.#settle()
  }

  fail(reason: unknown): void {
    if (this.#done || this.#ending !== 'no') return
    this.#ending = toError(reason)
    if (this.#opened) this.#settle()
  }

  resume(): void {
    if (this.#done) return
    this.#flowing = true
    if (this.#ending !== 'no') return this.#settle()
    this.#onDemand(true)
  }

  cancel(reason?: Error): void {
    if (this.#done) return
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    this.#onCancel(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this)
  }

  #settle(): void {
    const sink = this.#sink
    if (this.#done || sink === undefined) return
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    if (typeof this.#ending === 'object') sink.fail(this.#ending)
    else sink.end()
  }
}
