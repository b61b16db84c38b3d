/**
 * The body of a response that is to be stored: it goes to the client, and is kept until it is whole.
 *
 *     origin ──▶ kept chunks ──▶ client       as fast as the origin sends, while it may be stored
 *     origin ──────────────────▶ client       at the client's pace, once it may not
 *
 * A slow client must not hold up those who wait for the stored response, so the origin is not slowed
 * down by it as long as there is room. What is kept counts in the store's room for arriving bytes.
 */
import { iterate } from '../../../core/channel.ts'
import { UsageError } from '../../../core/errors.ts'
import type { Flow, Sink, Source } from '../../../core/flow.ts'
import type { Body } from '../body.ts'
import type { HttpFields } from '../fields.ts'
import type { CacheStore } from './cache-store.ts'

/** `lost`: longer than allowed, or no room; it reaches its client nevertheless. */
export type ArrivalEnd = { readonly bytes: Uint8Array } | 'lost' | Error

export class ArrivingBody implements Source<Uint8Array>, Sink<Uint8Array>, Flow {
  readonly #body: Body
  readonly #store: CacheStore
  readonly #onEnd: (end: ArrivalEnd) => void
  #flow: Flow | undefined
  /** Everything that came, while it may be stored; then what the client has not taken. */
  #chunks: Uint8Array[] = []
  #given = 0
  #givenBytes = 0
  #bytes = 0
  #keeping = true
  #sink: Sink<Uint8Array> | undefined
  #opened = false
  #flowing = false
  #giving = false
  #finished: 'no' | 'end' | Error = 'no'

  /** @param onEnd called once, perhaps before `start` returns */
  constructor(body: Body, store: CacheStore, onEnd: (end: ArrivalEnd) => void) {
    this.#body = body
    this.#store = store
    this.#onEnd = onEnd
  }

  get trailers(): HttpFields | undefined {
    return this.#body.trailers
  }

  /** Begins to read, whether the client does or not. */
  start(): void {
    this.#flow = this.#body.open(this)
    this.#flow.resume()
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#sink = sink
    return this
  }

  resume(): void {
    if (this.#sink === undefined) return
    this.#flowing = true
    this.#give()
  }

  /** The client wants no more; whoever waits for the stored response may, so it goes on arriving. */
  cancel(reason?: Error): void {
    if (this.#sink === undefined && this.#opened) return
    this.#sink = undefined
    this.#opened = true
    this.#flowing = false
    if (!this.#keeping && this.#finished === 'no') this.#flow?.cancel(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  // What the origin's body calls.

  write(chunk: Uint8Array): boolean {
    if (this.#keeping) {
      const length = this.#bytes + chunk.length
      if (length <= this.#store.options.maxEntryBytes && this.#store.reserve(chunk.length)) {
        this.#bytes = length
        this.#chunks.push(chunk.slice())
        this.#give()
        return true
      }
      this.#stopKeeping('lost')
    }
    // Of a body that is not kept only what the client has not taken stays, one chunk more at most.
    if (this.#flowing && this.#chunks.length === 0) {
      this.#flowing = (this.#sink as Sink<Uint8Array>).write(chunk)
      return this.#flowing
    }
    if (this.#sink === undefined && this.#opened) return false
    this.#chunks.push(chunk.slice())
    return false
  }

  end(): void {
    this.#finished = 'end'
    if (this.#keeping) {
      const bytes = concat(this.#chunks, this.#bytes)
      this.#keeping = false
      this.#store.release(this.#bytes)
      // A client that is slow reads the stored bytes: they are not in memory twice.
      const left = bytes.subarray(this.#givenBytes)
      this.#chunks = left.length > 0 ? [left] : []
      this.#onEnd({ bytes })
    }
    this.#give()
  }

  fail(reason: Error): void {
    this.#finished = reason
    if (this.#keeping) this.#stopKeeping(reason)
    this.#give()
  }

  #stopKeeping(end: ArrivalEnd): void {
    this.#keeping = false
    this.#store.release(this.#bytes)
    this.#chunks = this.#chunks.slice(this.#given)
    // Nobody reads it, and nobody will.
    if (this.#opened && this.#sink === undefined && this.#finished === 'no') this.#flow?.cancel()
    this.#onEnd(end)
  }

  /** To the client, what is there and as much as it takes. */
  #give(): void {
    if (this.#giving) return
    this.#giving = true
    while (this.#flowing) {
      const chunk = this.#keeping ? this.#chunks[this.#given] : this.#chunks.shift()
      if (chunk === undefined) break
      if (this.#keeping) {
        this.#given++
        this.#givenBytes += chunk.length
      }
      this.#flowing = (this.#sink as Sink<Uint8Array>).write(chunk)
      if (this.#sink === undefined) break
    }
    this.#giving = false
    const sink = this.#sink
    if (!this.#flowing || sink === undefined) return
    if (this.#finished === 'no') {
      if (!this.#keeping) this.#flow?.resume()
      return
    }
    this.#sink = undefined
    this.#flowing = false
    if (this.#finished === 'end') sink.end()
    else sink.fail(this.#finished)
  }
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
