/**
 * How large a window must be: as many bytes as the path holds (bandwidth times delay). A PING is
 * sent while data arrives; what arrived until its answer is what is on the way in one round trip.
 * Where that fills most of the window, the window was the limit, and it grows.
 *
 * The method is that of gRPC. Only growth is safe: what was given cannot be taken back.
 */
export class Bandwidth {
  /** Bytes that a stream's window should have. */
  target: number
  /** The last round trip in milliseconds; undefined: none was measured. */
  rttMs: number | undefined
  readonly #max: number
  #sampling = false
  #sampledSince = 0
  #bytes = 0
  #fastest = 0

  constructor(windowBytes: number, maxWindowBytes: number) {
    this.target = windowBytes
    this.#max = maxWindowBytes
  }

  /**
   * Data arrived. @returns whether a PING should be sent now: it is when a quarter of the window has
   * come since the last one was answered, so that short calls cost none.
   */
  received(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#sampling || this.target >= this.#max) return false
    return this.#bytes * 4 >= this.target
  }

  /**
   * The PING leaves. What has come in its batch counts: where the window is the limit, a whole window
   * comes at once, and the next one behind the answer.
   */
  start(now: number): void {
    this.#sampling = true
    this.#sampledSince = now
  }

  /** Its answer came. @returns whether `target` grew */
  finish(now: number): boolean {
    if (!this.#sampling) return false
    this.#sampling = false
    const bytes = this.#bytes
    this.#bytes = 0
    // Within one tick of the clock there is no path to speak of.
    const rttMs = Math.max(now - this.#sampledSince, 0.01)
    this.rttMs = rttMs
    const speed = bytes / rttMs
    if (speed < this.#fastest) return false
    this.#fastest = speed
    if (bytes * 3 < this.target * 2) return false
    // What was counted left a round trip ago, under the window of that time: by the time that it is
    // known, doubling each round trip, as TCP begins, is four times as much.
    this.target = Math.min(this.#max, Math.max(this.target, bytes * 4))
    return true
  }
}
