/**
 * How streams ended that are no longer there, for the last ones of each side: what still arrives for
 * them means different things (RFC 9113 5.1). Numbers ascend, so a table of a few hundred places
 * indexed by the number holds exactly the last ones; older ones are `FORGOTTEN`.
 */
export type Ending = 0 | 1 | 2 | 3
export const FORGOTTEN = 0
/** The peer ended its side: nothing may follow. */
export const PEER_ENDED = 1
/** The peer reset it. */
export const PEER_RESET = 2
/** We reset it: what the peer had sent by then is ignored. */
export const WE_RESET = 3

export class ClosedStreams {
  /** number * 4 + ending would not fit 32 bits: two tables. */
  readonly #streams = new Uint32Array(PLACES)
  readonly #endings = new Uint8Array(PLACES)
  /** What the peer may have sent before it heard of the end: the window that it had left. */
  readonly #windows = new Uint32Array(PLACES)

  add(stream: number, ending: Ending, window: number = 0): void {
    const place = stream & MASK
    this.#streams[place] = stream
    this.#endings[place] = ending
    this.#windows[place] = Math.max(0, window)
  }

  /** Whether so many bytes were still granted; they are not any more. */
  take(stream: number, bytes: number): boolean {
    const place = stream & MASK
    const window = this.#windows[place] as number
    if (this.#streams[place] !== stream || bytes > window) return false
    this.#windows[place] = window - bytes
    return true
  }

  endingOf(stream: number): Ending {
    const place = stream & MASK
    return this.#streams[place] === stream ? (this.#endings[place] as Ending) : FORGOTTEN
  }
}

/** 256 streams of one side; both together when pushes are used. */
const PLACES = 512
const MASK = PLACES - 1
