/**
 * In which order streams send what they have (RFC 9218 section 10): the most urgent first; of one
 * urgency, incremental ones in turn, the others one after the other. A stream is in it while it has
 * something to send and a window to send it in.
 */
import type { Http2Stream } from './stream.ts'
import { INCREMENTAL, ORDERED } from './stream.ts'

export class SendOrder<Head> {
  readonly #first: (Http2Stream<Head> | undefined)[] = new Array(URGENCIES).fill(undefined)
  readonly #last: (Http2Stream<Head> | undefined)[] = new Array(URGENCIES).fill(undefined)
  #count = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Whose turn it is. */
  get next(): Http2Stream<Head> | undefined {
    if (this.#count === 0) return undefined
    for (let urgency = 0; urgency < URGENCIES; urgency++) {
      const stream = this.#first[urgency]
      if (stream !== undefined) return stream
    }
    return undefined
  }

  add(stream: Http2Stream<Head>): void {
    if ((stream.flags & ORDERED) !== 0) return
    stream.flags |= ORDERED
    const { urgency } = stream
    const last = this.#last[urgency]
    stream.before = last
    if (last === undefined) this.#first[urgency] = stream
    else last.behind = stream
    this.#last[urgency] = stream
    this.#count++
  }

  remove(stream: Http2Stream<Head>): void {
    if ((stream.flags & ORDERED) === 0) return
    stream.flags &= ~ORDERED
    const { urgency, before, behind } = stream
    if (before === undefined) this.#first[urgency] = behind
    else before.behind = behind
    if (behind === undefined) this.#last[urgency] = before
    else behind.before = before
    stream.before = undefined
    stream.behind = undefined
    this.#count--
  }

  /** It has sent a frame: the next one's turn, where turns are taken. */
  rotate(stream: Http2Stream<Head>): void {
    if ((stream.flags & INCREMENTAL) === 0 || stream.behind === undefined) return
    this.remove(stream)
    this.add(stream)
  }

  setPriority(stream: Http2Stream<Head>, urgency: number, incremental: boolean): void {
    const ordered = (stream.flags & ORDERED) !== 0
    this.remove(stream)
    stream.urgency = urgency
    if (incremental) stream.flags |= INCREMENTAL
    else stream.flags &= ~INCREMENTAL
    if (ordered) this.add(stream)
  }
}

const URGENCIES = 8
