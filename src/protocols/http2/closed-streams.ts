/**
 * How streams ended that are no longer there, for the last ones of each side: what still arrives for
 * them means different things (RFC 9113 5.1). Numbers ascend, so a table of a few hundred places
 * indexed by the number holds exactly the last ones; older ones are `FORGOTTEN`.
 *
 * Most streams end by themselves, one after the other: those are a run, of which the ends are enough.
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
  // For each place the number, then the ending and the window: beside each other, so that a stream
  // that ends touches one line of the cache. A connection begins with a small table.
  #table: Uint32Array = EMPTY
  /** Streams of one side that the peer ended, without a gap, and that are not in the table. */
  #runFrom = 0
  #runTo = NO_RUN

  /** `window`: what the peer may have sent before it heard of the end. */
  add(stream: number, ending: Ending, window: number = 0): void {
    if (ending !== PEER_ENDED) return this.#put(stream, ending, window)
    if (stream !== this.#runTo + 2) {
      this.#putRun()
      this.#runFrom = stream
    }
    this.#runTo = stream
  }

  /** The last of the run: no more than what the table would know of them. */
  #putRun(): void {
    if (this.#runTo === NO_RUN) return
    const first = Math.max(this.#runFrom, this.#runTo - MAX_RUN + 2)
    for (let stream = first; stream <= this.#runTo; stream += 2) this.#put(stream, PEER_ENDED, 0)
  }

  #isInRun(stream: number): boolean {
    const isBetween = stream <= this.#runTo && stream >= this.#runFrom
    return isBetween && stream > this.#runTo - MAX_RUN && ((stream ^ this.#runTo) & 1) === 0
  }

  #put(stream: number, ending: Ending, window: number): void {
    if (this.#table.length === 0) this.#table = new Uint32Array(FIRST_PLACES * 2)
    let place = this.#placeOf(stream)
    let other = this.#table[place] as number
    while (other !== 0 && other !== stream && this.#table.length < MAX_PLACES * 2) {
      this.#grow()
      place = this.#placeOf(stream)
      other = this.#table[place] as number
    }
    // What is told late, at the end of a run, takes no later one's place.
    if (other > stream) return
    this.#table[place] = stream
    this.#table[place + 1] = pack(ending, window)
  }

  /** Whether so many bytes were still granted; they are not any more. */
  take(stream: number, bytes: number): boolean {
    const place = this.#placeOf(stream)
    const packed = this.#table[place + 1] as number
    const window = packed >>> 2
    if (this.#table[place] !== stream || bytes > window) return false
    this.#table[place + 1] = pack((packed & 3) as Ending, window - bytes)
    return true
  }

  endingOf(stream: number): Ending {
    if (this.#isInRun(stream)) return PEER_ENDED
    const place = this.#placeOf(stream)
    if (this.#table[place] !== stream) return FORGOTTEN
    return ((this.#table[place + 1] as number) & 3) as Ending
  }

  #placeOf(stream: number): number {
    return (stream << 1) & (this.#table.length - 1)
  }

  #grow(): void {
    const old = this.#table
    this.#table = new Uint32Array(Math.min(MAX_PLACES * 2, old.length * 4))
    for (let at = 0; at < old.length; at += 2) {
      const stream = old[at] as number
      if (stream === 0) continue
      const place = this.#placeOf(stream)
      this.#table[place] = stream
      this.#table[place + 1] = old[at + 1] as number
    }
  }
}

function pack(ending: Ending, window: number): number {
  return Math.min(Math.max(0, window), MAX_KEPT_WINDOW) * 4 + ending
}

/** Powers of two. */
const FIRST_PLACES = 8
/** 256 streams of one side; both together when pushes are used. */
const MAX_PLACES = 512
/** As far as the table reaches back. */
const MAX_RUN = MAX_PLACES
/** No stream is two behind it. */
const NO_RUN = -4
const EMPTY: Uint32Array = new Uint32Array(0)
/** 30 bits. No window is that large unless somebody sets it so. */
const MAX_KEPT_WINDOW = 0x3fff_ffff
