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
  // For each place the number, then the ending and the window: beside each other, so that a stream
  // that ends touches one line of the cache. A connection begins with a small table.
  #table = new Uint32Array(FIRST_PLACES * 2)

  /** `window`: what the peer may have sent before it heard of the end. */
  add(stream: number, ending: Ending, window: number = 0): void {
    let place = this.#placeOf(stream)
    const other = this.#table[place] as number
    if (other !== 0 && other !== stream && this.#table.length < MAX_PLACES * 2) {
      this.#grow()
      place = this.#placeOf(stream)
    }
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
/** 30 bits. No window is that large unless somebody sets it so. */
const MAX_KEPT_WINDOW = 0x3fff_ffff
