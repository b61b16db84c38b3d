/**
 * A request body on its way through, with somebody looking at it: a limit, or a copy for a mirror.
 *
 * Chunks are passed on as they come, never collected; only a mirror keeps a copy, up to its bound.
 */
import { iterate } from '../../core/channel.ts'
import { ClosedError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { Body } from '../../protocols/http/body.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { deleteSpellings } from './header-kind.ts'

/** Looks at the bytes that pass. */
export interface BodyWatcher {
  /** `chunk` is borrowed. Throws to cut the body. */
  onChunk(chunk: Uint8Array): void
  /** The body came to its end. */
  onEnd?(): void
  /** It did not; without a reason: nobody reads it any more. */
  onFail?(reason?: Error): void
  /** Before they are passed on; may be changed. */
  onTrailers?(trailers: HttpFields): void
}

/** The same body, watched. Trailers pass. */
export function watchBody(body: Body, watcher: BodyWatcher): Body {
  const source = new WatchedSource(body, watcher)
  const watched = Body.from(source, body.length)
  source.outer = watched
  return watched
}

/** Cuts a body whose length nobody announced, and cleans its trailers. */
export class BodyLimit implements BodyWatcher {
  readonly #maxBytes: number
  readonly #onExceeded: () => void
  readonly #forbidden: readonly string[]
  #bytes = 0

  /** @param forbidden names that no trailer may have */
  constructor(maxBytes: number, onExceeded: () => void, forbidden: readonly string[] = []) {
    this.#maxBytes = maxBytes
    this.#onExceeded = onExceeded
    this.#forbidden = forbidden
  }

  onTrailers(trailers: HttpFields): void {
    for (const name of this.#forbidden) deleteSpellings(trailers, name)
  }

  onChunk(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes <= this.#maxBytes) return
    this.#onExceeded()
    const message = `request body of over ${this.#bytes} bytes is over ${this.#maxBytes}`
    // Our own doing: an upstream must not be blamed for what its client sent.
    throw new ClosedError('ERR_ABORTED', message, { sent: 'some' })
  }
}

/** Keeps a copy of a body that is not too long. */
export class BodyCopy implements BodyWatcher {
  readonly #maxBytes: number
  readonly #onCopied: (bytes: Uint8Array) => void
  #chunks: Uint8Array[] | undefined = []
  #bytes = 0

  constructor(maxBytes: number, onCopied: (bytes: Uint8Array) => void) {
    this.#maxBytes = maxBytes
    this.#onCopied = onCopied
  }

  onChunk(chunk: Uint8Array): void {
    if (this.#chunks === undefined) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) this.#chunks = undefined
    else this.#chunks.push(chunk.slice())
  }

  onEnd(): void {
    const chunks = this.#chunks
    this.#chunks = undefined
    if (chunks === undefined) return
    const whole = new Uint8Array(this.#bytes)
    let at = 0
    for (const chunk of chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    this.#onCopied(whole)
  }

  onFail(): void {
    this.#chunks = undefined
  }
}

class WatchedSource implements Source<Uint8Array>, Sink<Uint8Array>, Flow {
  outer: Body | undefined
  readonly #body: Body
  readonly #watcher: BodyWatcher
  #sink: Sink<Uint8Array> | undefined
  #flow: Flow | undefined

  constructor(body: Body, watcher: BodyWatcher) {
    this.outer = undefined
    this.#body = body
    this.#watcher = watcher
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    this.#flow = this.#body.open(this)
    return this
  }

  resume(): void {
    this.#flow?.resume()
  }

  cancel(reason?: Error): void {
    this.#sink = undefined
    this.#watcher.onFail?.()
    this.#flow?.cancel(reason)
  }

  write(chunk: Uint8Array): boolean {
    const sink = this.#sink
    if (sink === undefined) return false
    try {
      this.#watcher.onChunk(chunk)
    } catch (error) {
      this.#sink = undefined
      this.#watcher.onFail?.()
      this.#flow?.cancel(error as Error)
      sink.fail(error as Error)
      return false
    }
    return sink.write(chunk)
  }

  end(): void {
    const sink = this.#sink
    this.#sink = undefined
    const { trailers } = this.#body
    if (trailers !== undefined) this.#watcher.onTrailers?.(trailers)
    if (this.outer !== undefined) this.outer.trailers = trailers
    this.#watcher.onEnd?.()
    sink?.end()
  }

  fail(reason: Error): void {
    const sink = this.#sink
    this.#sink = undefined
    this.#watcher.onFail?.(reason)
    sink?.fail(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }
}
