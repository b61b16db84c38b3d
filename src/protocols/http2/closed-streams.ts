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
  // number * 4 + ending would not fit 32 bits: tables side by side. A connection begins with small ones.
  #streams = new Uint32Array(FIRST_PLACES)
  #endings = new Uint8Array(FIRST_PLACES)
  /** What the peer may have sent before it heard of the end: the window that it had left. */
  #windows = new Uint32Array(FIRST_PLACES)

  add(stream: number, ending: Ending, window: number = 0): void {
    let place = stream & (this.#streams.length - 1)
    const other = this.#streams[place] as number
    if (other !== 0 && other !== stream && this.#streams.length < MAX_PLACES) {
      this.#grow()
      place = stream & (this.#streams.length - 1)
    }
    this.#streams[place] = stream
    this.#endings[place] = ending
    this.#windows[place] = Math.max(0, window)
  }

  /** Whether so many bytes were still granted; they are not any more. */
  take(stream: number, bytes: number): boolean {
    const place = stream & (this.#streams.length - 1)
    const window = this.#windows[place] as number
    if (this.#streams[place] !== stream || bytes > window) return false
    this.#windows[place] = window - bytes
    return true
  }

  endingOf(stream: number): Ending {
    const place = stream & (this.#streams.length - 1)
    return this.#streams[place] === stream ? (this.#endings[place] as Ending) : FORGOTTEN
  }

  #grow(): void {
    const streams = this.#streams
    const endings = this.#endings
    const windows = this.#windows
    const places = Math.min(MAX_PLACES, streams.length * 4)
    this.#streams = new Uint32Array(places)
    this.#endings = new Uint8Array(places)
    this.#windows = new Uint32Array(places)
    streams.forEach((stream, index) => {
      const place = stream & (places - 1)
      this.#streams[place] = stream
      this.#endings[place] = endings[index] as number
      this.#windows[place] = windows[index] as number
    })
  }
}

/** Powers of two. */
const FIRST_PLACES = 8
/** 256 streams of one side; both together when pushes are used. */
const MAX_PLACES = 512
