/**
 * Live status as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 *     event: snapshot      everything, with the whole history; first, and after something was missed
 *     event: tick          once a second: everything, with the points since the tick before
 *
 * **Bounded.** At most `maxEventStreams` at once. Nothing is queued for a client that does not read:
 * what it misses is dropped, and it gets a snapshot when it reads again. A client that does not read
 * for `maxStallMs` is let go.
 */
import { iterate } from '../../core/channel.ts'
import { checkInteger, checkRange, TimeoutError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'

export interface EventStreamOptions {
  /**
   * Pages that may watch at the same time.
   *
   * @default 16: a team looking at an incident
   */
  maxEventStreams?: number
  /**
   * How long a stream may take nothing before it is ended.
   *
   * @default 30_000
   */
  maxStallMs?: number
}

export const eventStreamDefaults: Readonly<Required<EventStreamOptions>> = Object.freeze({
  maxEventStreams: 16,
  maxStallMs: 30_000,
})

export class EventStreams {
  readonly #maxStreams: number
  readonly #maxStallMs: number
  readonly #makeSnapshot: () => string
  readonly #streams = new Set<EventStream>()

  /** @param makeSnapshot JSON of everything; called when a stream needs it */
  constructor(makeSnapshot: () => string, options: EventStreamOptions = {}) {
    const {
      maxEventStreams = eventStreamDefaults.maxEventStreams,
      maxStallMs = eventStreamDefaults.maxStallMs,
    } = options
    this.#makeSnapshot = makeSnapshot
    this.#maxStreams = checkInteger('maxEventStreams', maxEventStreams, 0, 10_000)
    this.#maxStallMs = checkRange('maxStallMs', maxStallMs, 1_000, 3_600_000)
  }

  get size(): number {
    return this.#streams.size
  }

  get limit(): number {
    return this.#maxStreams
  }

  /** The body of a new stream; undefined: there are enough. */
  tryOpen(now: number): Source<Uint8Array> | undefined {
    if (this.#streams.size >= this.#maxStreams) return undefined
    const stream = new EventStream(
      now,
      () => encodeEvent('snapshot', this.#makeSnapshot()),
      () => this.#streams.delete(stream),
    )
    this.#streams.add(stream)
    return stream
  }

  /** @param makeTick called when somebody watches */
  tick(now: number, makeTick: () => string): void {
    if (this.#streams.size === 0) return
    // Encoded once for all.
    const bytes = encodeEvent('tick', makeTick())
    for (const stream of this.#streams) {
      stream.offer(bytes, now)
      if (now - stream.readAt >= this.#maxStallMs) stream.giveUp(this.#maxStallMs)
    }
  }

  /** Ends all streams; pages ask again, elsewhere or later. */
  close(): void {
    for (const stream of this.#streams) stream.end()
  }
}

class EventStream implements Source<Uint8Array>, Flow {
  /** When it last could take something. */
  readAt: number
  readonly #snapshot: () => Uint8Array
  readonly #onGone: () => void
  #sink: Sink<Uint8Array> | undefined
  #flowing = false
  /** The client lacks something that only a snapshot has. */
  #stale = true

  constructor(now: number, snapshot: () => Uint8Array, onGone: () => void) {
    this.readAt = now
    this.#snapshot = snapshot
    this.#onGone = onGone
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    this.#flowing = true
    if (!this.#stale) return
    this.#stale = false
    this.#write(this.#snapshot())
  }

  cancel(): void {
    this.#sink = undefined
    this.#flowing = false
    this.#onGone()
  }

  offer(bytes: Uint8Array, now: number): void {
    if (!this.#flowing) {
      this.#stale = true
      return
    }
    this.readAt = now
    this.#write(bytes)
  }

  giveUp(stalledMs: number): void {
    const message = `the client took nothing for ${stalledMs} ms`
    const sink = this.#sink
    this.cancel()
    sink?.fail(new TimeoutError('ERR_IDLE', message, { sent: 'some' }))
  }

  end(): void {
    const sink = this.#sink
    this.cancel()
    sink?.end()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }

  #write(bytes: Uint8Array): void {
    if (this.#sink?.write(bytes) === false) this.#flowing = false
  }
}

/** JSON has no raw newline, so that one `data` line holds it. */
function encodeEvent(event: string, json: string): Uint8Array {
  return new TextEncoder().encode(`event: ${event}\ndata: ${json}\n\n`)
}
