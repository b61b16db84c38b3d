/** Streams that could send now: the most urgent first, in turn within one urgency. */
import type { YamuxStream } from './stream.ts'

export class SendOrder {
  readonly #ready: readonly Set<YamuxStream>[] = Array.from({ length: 8 }, () => new Set())
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Puts a stream last in its urgency, once. */
  add(stream: YamuxStream): void {
    const ready = this.#ready[stream.urgency] as Set<YamuxStream>
    if (ready.has(stream)) return
    ready.add(stream)
    this.#size += 1
  }

  /** Before its urgency changes, or when it has ended. */
  delete(stream: YamuxStream): void {
    if (this.#ready[stream.urgency]?.delete(stream) === true) this.#size -= 1
  }

  /** Takes out the stream whose turn it is. */
  take(): YamuxStream | undefined {
    if (this.#size === 0) return undefined
    for (const ready of this.#ready) {
      for (const stream of ready) {
        this.delete(stream)
        return stream
      }
    }
    return undefined
  }
}
