/**
 * Joins two connections: what one receives the other sends, both ways, until both have ended.
 *
 *     a ── onData ──▸ b.write        b's writes are stuck ──▸ a pauses, until b's onDrain
 *     a.write ◂── onData ── b        a's writes are stuck ──▸ b pauses, until a's onDrain
 *
 * Each direction pauses on the *other* connection's writes, so that a slow receiver slows its sender
 * and nothing is buffered beyond a high-water mark. Half-close passes; a connection that breaks
 * takes the other with it.
 *
 * A chunk is borrowed. Nearly always the kernel takes it at once; if not, its memory is leased until
 * the drain, and what comes meanwhile is copied: at most one lease a direction.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { ChunkLease, Connection, ConnectionHandler } from '../core/connection.ts'
import { checkRange, TimeoutError } from '../core/errors.ts'

export interface SpliceOptions {
  /** Needed for `idleTimeoutMs`. */
  clock?: Clock
  /**
   * Ends both when neither has sent for so long.
   *
   * @default Infinity: tunnels may be silent for hours, and their peers have timeouts of their own
   */
  idleTimeoutMs?: number
  /** Exactly once, after both are closed. */
  onDone?: (outcome: SpliceOutcome) => void
}

export interface SpliceOutcome {
  readonly bytesFromA: number
  readonly bytesFromB: number
  /** Why it ended early; undefined: both sides ended. */
  readonly reason: Error | undefined
}

/** A running splice. */
export interface Splice {
  readonly bytesFromA: number
  readonly bytesFromB: number
  /** Ends both now. */
  destroy(reason?: Error): void
}

/** Both connections must be unopened or detached; they belong to the splice from here on. */
export function splice(a: Connection, b: Connection, options: SpliceOptions = {}): Splice {
  return new ConnectionSplice(a, b, options)
}

class ConnectionSplice implements Splice {
  readonly #options: SpliceOptions
  readonly #idleTimeoutMs: number
  readonly #fromA: Direction
  readonly #fromB: Direction
  #reason: Error | undefined
  #open = 2
  #timer: Timer | undefined
  /** Monotonic time of the last byte. */
  #activeAt = 0

  constructor(a: Connection, b: Connection, options: SpliceOptions) {
    const { clock, idleTimeoutMs = Number.POSITIVE_INFINITY } = options
    this.#options = options
    this.#idleTimeoutMs = checkRange('idleTimeoutMs', idleTimeoutMs, 1, Number.POSITIVE_INFINITY)
    this.#fromA = new Direction(a, b, this)
    this.#fromB = new Direction(b, a, this)
    this.#fromA.reverse = this.#fromB
    this.#fromB.reverse = this.#fromA
    if (clock !== undefined && idleTimeoutMs < Number.POSITIVE_INFINITY) this.#arm(clock)
    // `open` may deliver bytes at once, and they may close either side.
    a.open(this.#fromA)
    b.open(this.#fromB)
  }

  get bytesFromA(): number {
    return this.#fromA.bytes
  }

  get bytesFromB(): number {
    return this.#fromB.bytes
  }

  destroy(reason?: Error): void {
    this.#reason ??= reason
    this.#fromA.source.destroy(reason)
    this.#fromB.source.destroy(reason)
  }

  onActive(): void {
    if (this.#timer !== undefined) this.#activeAt = (this.#options.clock as Clock).now()
  }

  onClosed(reason: Error | undefined, other: Connection): void {
    this.#reason ??= reason
    this.#open--
    if (this.#open > 0) {
      // A clean close ended the other side already, which may still have something to send.
      if (reason !== undefined) other.destroy(reason)
      return
    }
    this.#timer?.cancel()
    const { bytesFromA, bytesFromB } = this
    this.#options.onDone?.({ bytesFromA, bytesFromB, reason: this.#reason })
  }

  /** One timer that is late rather than moved: activity only writes down the time. */
  #arm(clock: Clock): void {
    this.#activeAt = clock.now()
    const check = (): void => {
      const due = this.#activeAt + this.#idleTimeoutMs
      if (clock.now() >= due) {
        const message = `neither side sent for ${this.#idleTimeoutMs} ms`
        return this.destroy(new TimeoutError('ERR_IDLE', message, { sent: 'all' }))
      }
      this.#timer = clock.setTimer(due, check)
      this.#timer.unref()
    }
    this.#timer = clock.setTimer(this.#activeAt + this.#idleTimeoutMs, check)
    this.#timer.unref()
  }
}

/** Handler of one connection: its bytes go to `target`. */
class Direction implements ConnectionHandler {
  readonly source: Connection
  reverse: Direction | undefined
  bytes = 0
  readonly #target: Connection
  readonly #splice: ConnectionSplice
  #lease: ChunkLease | undefined
  #paused = false

  constructor(source: Connection, target: Connection, splice: ConnectionSplice) {
    this.source = source
    this.reverse = undefined
    this.#target = target
    this.#splice = splice
  }

  onData(chunk: Uint8Array): void {
    const target = this.#target
    this.bytes += chunk.length
    this.#splice.onActive()
    const stuck = target.writableLength > 0
    // Everything has left, though `onDrain` has not said so yet: the lease before this one is over.
    if (!stuck) this.#releaseLease()
    const writable = target.write(stuck ? chunk.slice() : chunk)
    if (!stuck && target.writableLength > 0) this.#lease = this.source.leaseChunk()
    if (writable) return
    this.#paused = true
    this.source.pause()
  }

  /** What the other direction had written here has left. */
  onDrain(): void {
    this.reverse?.onTargetDrained()
  }

  onTargetDrained(): void {
    this.#releaseLease()
    if (!this.#paused) return
    this.#paused = false
    this.source.resume()
  }

  onEnd(): void {
    this.#target.end()
  }

  onClose(reason: Error | undefined): void {
    this.reverse?.onTargetClosed()
    this.#splice.onClosed(reason, this.#target)
  }

  /** Nothing will be sent there any more: the leased memory is free. */
  onTargetClosed(): void {
    this.#releaseLease()
    // What still comes is dropped by `write`; reading on is how the end is noticed.
    if (!this.#paused) return
    this.#paused = false
    this.source.resume()
  }

  #releaseLease(): void {
    this.#lease?.release()
    this.#lease = undefined
  }
}
