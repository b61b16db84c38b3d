/**
 * Joins a session (sans-I/O) to a connection (I/O). The only code that knows both.
 *
 *     connection --onData--> session.receive --pollEvent--> owner.onEvent
 *     connection <--write--- session.pollTransmit <--submit-- owner
 *
 * - **One write per tick.** Commands submitted while events are handed out are flushed together at
 *   the end of the input batch; commands submitted at any other time are flushed by `clock.defer`.
 * - **Backpressure.** When the connection takes no more, output stays in the session's writer and
 *   the owner hears `onWritable` after the drain. Only the accepting side also stops reading: if
 *   both did, two peers that are stuck writing would wait for each other for ever.
 * - **Lazy timer.** A timer that fires too early is armed again; moving a timeout later costs
 *   nothing, which is what every request does.
 * - **Lingering close** (RFC 9112 9.6): after a session closed, output is flushed, the stream is
 *   ended, and input is dropped until the peer ends too or `lingerMs` passed. Closing at once would
 *   reset the connection and could destroy the last answer on its way.
 * - **Nobody is waited for that takes nothing.** A client that asks and never reads would keep its
 *   connection and everything queued for it: after `writeTimeoutMs` without a byte it is dropped.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { Connection, ConnectionHandler } from '../core/connection.ts'
import { checkRange, InternalError, TimeoutError, toError, UsageError } from '../core/errors.ts'
import type { Session } from '../core/session.ts'

export interface DriverOptions {
  clock: Clock
  /**
   * How long to wait for the peer's end after ours, in milliseconds.
   *
   * @default 2_000
   */
  lingerMs?: number
  /**
   * Most bytes taken from a session's stream queues for one write: small enough that an urgent
   * frame never waits behind much, large enough to fill a socket buffer.
   *
   * @default 262_144
   */
  maxTransmitBytes?: number
  /**
   * On the accepting side: how long output may be stuck without a byte leaving, in milliseconds.
   * As long as a slow client takes something it may take as long as it likes. Kernels ask for more
   * only when a good part of their buffer is free, a megabyte and more, so less is no proof.
   *
   * @default 120_000
   */
  writeTimeoutMs?: number
}

export const driverDefaults: Readonly<{
  lingerMs: number
  maxTransmitBytes: number
  writeTimeoutMs: number
}> = Object.freeze({ lingerMs: 2_000, maxTransmitBytes: 262_144, writeTimeoutMs: 120_000 })

export interface DriverOwner<Event> {
  /** One event; what it points to is borrowed until the call returns. */
  onEvent(event: Event): void
  /** Everything that one input batch gave has been handed out; what was submitted has not left. */
  onBatchEnd?(): void
  /** Output that was stuck has left: go on writing. */
  onWritable(): void
  /** Everything that was submitted has left, stuck or not. */
  onDrained?(): void
  /** Exactly once and last. The session has already ended every call in flight. */
  onClosed(reason: Error | undefined): void
}

export class Driver<Command, Event> implements ConnectionHandler {
  readonly connection: Connection
  readonly session: Session<Command, Event>
  readonly #owner: DriverOwner<Event>
  readonly #clock: Clock
  readonly #lingerMs: number
  readonly #maxTransmitBytes: number
  readonly #writeTimeoutMs: number
  readonly #stopsReadingWhenStuck: boolean
  readonly #runDeferred: () => void
  #pumping = false
  #deferred = false
  #postponed = false
  #blocked = false
  #reading = true
  #ending = false
  #closed = false
  #peerEnded = false
  #timer: Timer | undefined
  #timerAt = 0
  /** Runs from when output got stuck, and is late rather than moved. */
  #stuckTimer: Timer | undefined
  /** What was stuck when the timer was set; -1: all of it has left since. */
  #stuckBytes = 0
  /** Time of the input batch: one look at the clock serves every command given in it. */
  #now = 0

  constructor(
    connection: Connection,
    session: Session<Command, Event>,
    owner: DriverOwner<Event>,
    options: DriverOptions,
  ) {
    const {
      clock,
      lingerMs = driverDefaults.lingerMs,
      maxTransmitBytes = driverDefaults.maxTransmitBytes,
      writeTimeoutMs = driverDefaults.writeTimeoutMs,
    } = options
    this.connection = connection
    this.session = session
    this.#owner = owner
    this.#clock = clock
    this.#lingerMs = checkRange('lingerMs', lingerMs, 0, 3_600_000)
    this.#maxTransmitBytes = checkRange('maxTransmitBytes', maxTransmitBytes, 1, 0x4000_0000)
    const accepting = connection.facts.role === 'accepting'
    this.#stopsReadingWhenStuck = accepting
    const limit = checkRange('writeTimeoutMs', writeTimeoutMs, 1, Number.POSITIVE_INFINITY)
    this.#writeTimeoutMs = accepting ? limit : Number.POSITIVE_INFINITY
    this.#runDeferred = () => {
      this.#deferred = false
      this.#pump(this.#clock.now())
    }
    session.onWake = () => this.#schedule(this.#clock.now())
  }

  /** True: output is stuck, wait for `onWritable`. */
  get blocked(): boolean {
    return this.#blocked
  }

  /**
   * Monotonic time, read once for all events of an input batch and for all commands of a tick: on
   * many virtual machines reading a clock costs as much as parsing a request head.
   */
  get now(): number {
    if (!this.#pumping && !this.#deferred) this.#now = this.#clock.now()
    return this.#now
  }

  /** Opens the connection and sends what the session has to say first. */
  start(): void {
    this.connection.open(this)
    // Opening starts to read; a session that wants nothing yet was asked before.
    if (!this.#reading) this.connection.pause()
    this.#pump(this.#clock.now())
  }

  /**
   * Gives the session a command; it leaves with everything else of this tick, or at once when that
   * is a lot already: so `blocked` is true in time for whoever writes in a loop.
   */
  submit(command: Command): void {
    const { now } = this
    this.session.submit(command, now)
    this.#sendSoon(now)
  }

  /** As after `submit`, for an owner that gave its session something without a command. */
  flushSoon(): void {
    this.#sendSoon(this.now)
  }

  /**
   * Inside `onEvent`: what is pending waits until the promises of this turn have run. A head whose
   * body comes from a stream that has it already then leaves together with it, in one write.
   */
  postpone(): void {
    this.#postponed = true
  }

  /** Closes at once. */
  destroy(reason?: Error): void {
    this.connection.destroy(reason)
  }

  /**
   * After the session handed the connection over: returns it, unopened, with the bytes that came
   * behind the last message in front of its stream. The owner hears nothing more.
   */
  detach(): Connection {
    if (this.session.state !== 'detached') {
      throw new UsageError(
        'ERR_STATE',
        `cannot detach from a session that is ${this.session.state}`,
      )
    }
    this.#flush()
    this.#closed = true
    this.#cancelTimer()
    this.session.onWake = undefined
    this.connection.detach(this.session.takeUnread())
    return this.connection
  }

  onData(chunk: Uint8Array): void {
    if (this.#closed || this.#ending) return
    const now = this.#clock.now()
    this.session.receive(chunk, now)
    this.#pump(now)
  }

  onDrain(): void {
    if (this.#closed) return
    this.#stuckBytes = -1
    this.session.pollTransmit(0).recycle()
    if (this.#ending) return this.#linger()
    if (!this.#blocked) return this.#tellDrained()
    this.#blocked = false
    this.#flush()
    if (!this.#blocked) this.#owner.onWritable()
    this.#pump(this.#clock.now())
  }

  onEnd(): void {
    this.#peerEnded = true
    if (this.#closed || this.#ending) return
    const now = this.#clock.now()
    this.session.receiveEnd(now)
    this.#pump(now)
  }

  onClose(reason: Error | undefined): void {
    if (this.#closed) return
    const now = this.#clock.now()
    this.session.receiveClose(reason, now)
    this.#handOutEvents(now)
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer()
    this.session.onWake = undefined
    this.#owner.onClosed(this.session.failure ?? reason)
  }

  #sendSoon(now: number): void {
    if (this.session.pollTransmit(0).pending >= FLUSH_BYTES) this.#flush()
    this.#schedule(now)
  }

  #schedule(now: number): void {
    if (this.#pumping || this.#deferred || this.#closed) return
    this.#now = now
    this.#deferred = true
    this.#clock.defer(this.#runDeferred)
  }

  #pump(now: number): void {
    if (this.#pumping || this.#closed) return
    this.#handOutEvents(now)
    if (this.#closed) return
    if (this.#postponed) this.#flushLater()
    else this.#flush()
    this.#tellDrained()
    if (this.session.state === 'closed') return this.#finish()
    this.#updateReading()
    this.#updateTimer()
  }

  #handOutEvents(now: number): void {
    const { session } = this
    const owner = this.#owner
    this.#now = now
    this.#pumping = true
    try {
      let event = session.pollEvent()
      while (event !== undefined) {
        owner.onEvent(event)
        event = session.pollEvent()
        if (event === undefined && owner.onBatchEnd !== undefined) {
          owner.onBatchEnd()
          event = session.pollEvent()
        }
      }
    } catch (thrown) {
      // An owner answers errors of its services itself; what comes here is a bug of the owner.
      const cause = toError(thrown)
      const message = `handling an event failed: ${cause.message}`
      this.connection.destroy(new InternalError('ERR_INVARIANT', message, { cause }))
    } finally {
      this.#pumping = false
    }
  }

  /** A deferred call comes before promises, a deferred call made by a promise after them. */
  #flushLater(): void {
    this.#postponed = false
    if (this.session.state !== 'open') return this.#flush()
    void Promise.resolve().then(() => this.#schedule(this.#clock.now()))
  }

  #flush(): void {
    if (this.#blocked) return
    const room = this.#maxTransmitBytes
    for (;;) {
      const output = this.session.pollTransmit(room)
      const { pending } = output
      if (pending === 0) return
      if (!output.flushTo(this.connection)) break
      // The session held back what went over the room; all of this was taken, and no drain comes.
      if (pending < room) return
    }
    this.#blocked = true
    this.#watchStuck()
  }

  /** Never from within `submit`, whose caller is in the middle of work. */
  #tellDrained(): void {
    const owner = this.#owner
    if (owner.onDrained === undefined || this.connection.writableLength > 0) return
    if (this.session.pollTransmit(0).pending === 0) owner.onDrained()
  }

  #watchStuck(): void {
    if (this.#stuckTimer !== undefined || this.#writeTimeoutMs === Number.POSITIVE_INFINITY) return
    this.#stuckBytes = this.#progressMark()
    const at = this.#clock.now() + this.#writeTimeoutMs
    this.#stuckTimer = this.#clock.setTimer(at, () => this.#onStuck())
    this.#stuckTimer.unref()
  }

  #onStuck(): void {
    this.#stuckTimer = undefined
    const bytes = this.#progressMark()
    // Nothing queued and no drain either: the connection cannot be written to any more.
    const moved = bytes !== this.#stuckBytes || (bytes === 0 && !this.#blocked)
    if (moved && bytes > 0) return this.#watchStuck()
    if (moved) return this.#ending ? this.#linger() : undefined
    const message = `the peer took nothing of what was sent for ${this.#writeTimeoutMs} ms`
    this.connection.destroy(new TimeoutError('ERR_IDLE', message, { sent: 'some' }))
  }

  /** Another number whenever something has left; 0: all has. */
  #progressMark(): number {
    const { unsentLength = 0, writableLength } = this.connection
    return writableLength === 0 ? 0 : writableLength + unsentLength
  }

  #updateReading(): void {
    const wanted = this.session.wantsRead && !(this.#blocked && this.#stopsReadingWhenStuck)
    if (wanted === this.#reading) return
    this.#reading = wanted
    if (wanted) this.connection.resume()
    else this.connection.pause()
  }

  #updateTimer(): void {
    const at = this.session.pollTimeout()
    if (at === undefined) return
    if (this.#timer !== undefined && this.#timerAt <= at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#clock.setTimer(at, () => this.#onTimer())
    this.#timer.unref()
  }

  #onTimer(): void {
    this.#timer = undefined
    const at = this.session.pollTimeout()
    const now = this.#clock.now()
    if (at !== undefined && at <= now) this.session.handleTimeout(now)
    this.#pump(now)
  }

  /** The session is closed: what is left goes out, then the stream is ended. */
  #finish(): void {
    if (this.#ending || this.#blocked) return
    this.#ending = true
    this.#cancelTimer()
    if (this.session.cut === true) return this.connection.destroy(this.session.failure)
    this.connection.end()
    if (this.#closed) return
    if (!this.#reading) {
      this.#reading = true
      this.connection.resume()
    }
    // The time to linger begins when the last answer has left: a slow reader gets all of it.
    const watched = this.#writeTimeoutMs < Number.POSITIVE_INFINITY
    if (watched && this.connection.writableLength > 0) return this.#watchStuck()
    this.#linger()
  }

  #linger(): void {
    if (this.#peerEnded || this.#timer !== undefined) return
    const failure = this.session.failure
    const at = this.#clock.now() + this.#lingerMs
    this.#timer = this.#clock.setTimer(at, () => {
      const message = `peer did not close within ${this.#lingerMs} ms`
      this.connection.destroy(failure ?? new TimeoutError('ERR_IDLE', message, { sent: 'all' }))
    })
    this.#timer.unref()
  }

  #cancelTimer(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#closed) return
    this.#stuckTimer?.cancel()
    this.#stuckTimer = undefined
  }
}

/** As much as a socket usually takes at once: above it, waiting for the end of the tick gains nothing. */
const FLUSH_BYTES = 65_536
