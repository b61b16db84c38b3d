/**
 * One side of a session under test: does with it what the driver (runtime/driver.ts) does, with a
 * connection that shows mistakes.
 *
 * - A chunk lives in memory that is overwritten once `pollEvent` has returned undefined.
 * - Output is taken by reference, and checked to be unchanged when it "leaves".
 * - After every call the rules of core/session.ts that can be seen from outside are checked.
 */
import type { WriteTarget } from '../../core/byte-writer.ts'
import type { Clock } from '../../core/clock.ts'
import type { HeddleError } from '../../core/errors.ts'
import type { Session, SessionState } from '../../core/session.ts'
import { equalBytes } from '../deep-equal.ts'
import { type EventDescription, Transcript } from './transcript.ts'

export interface SideSubject<Command, Event> {
  create(clock: Clock): Session<Command, Event>
  /** What an event means. Called while what it points to is valid. */
  describe(event: Event): EventDescription
  /** The exchange that a command begins: it is owed exactly one last event. */
  begins?(command: Command): string | undefined
}

/** How much a side does at a time. */
export interface SidePace {
  /** Length of the next chunk. */
  chunkBytes(): number
  /** Given to `pollTransmit`. */
  readonly room: number
  /** Output leaves in every n-th round only. */
  readonly flushEvery: number
}

export class SessionSide<Command, Event> implements WriteTarget {
  readonly name: string
  readonly session: Session<Command, Event>
  readonly transcript: Transcript
  /** Bytes on their way to this side. */
  inbox: number[] = []
  inboxEnded = false
  endDelivered = false
  closed = false
  /** Bytes that `receive` was given. */
  receivedBytes = 0
  sentBytes = 0
  /** False: bytes are not handed over for now. */
  reads = true
  onEvent: ((event: Event) => void) | undefined
  peer!: { inbox: number[]; inboxEnded: boolean }
  writableLength = 0
  readonly #subject: SideSubject<Command, Event>
  readonly #clock: Clock
  readonly #pace: SidePace
  #wire: { readonly region: Uint8Array; readonly snapshot: Uint8Array }[] = []
  #round = 0
  #woken = true
  #endSent = false
  #failure: HeddleError | undefined
  #lastState: SessionState = 'opening'

  constructor(name: string, subject: SideSubject<Command, Event>, clock: Clock, pace: SidePace) {
    this.name = name
    this.#subject = subject
    this.#clock = clock
    this.#pace = pace
    this.session = subject.create(clock)
    this.transcript = new Transcript(name)
    this.session.onWake = () => {
      this.#woken = true
    }
  }

  get endSent(): boolean {
    return this.#endSent
  }

  submit(command: Command): void {
    const exchange = this.#subject.begins?.(command)
    this.session.submit(command, this.#clock.now())
    if (exchange !== undefined) this.transcript.begin(exchange)
    this.#woken = true
    this.check()
  }

  /** Does what there is to do. @returns whether there was anything */
  step(): boolean {
    this.#round += 1
    let progress = this.#takeWire()
    if (this.#woken) {
      this.#woken = false
      progress = true
      this.drain()
    }
    progress = this.#deliver() || progress
    if (this.#round % this.#pace.flushEvery === 0) progress = this.#flush() || progress
    else if (this.session.pollTransmit(0).pending > 0) progress = true
    return this.#sendEnd() || progress
  }

  /** As the connection of a driver does when it closes. */
  receiveClose(reason: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.session.receiveClose(reason, this.#clock.now())
    this.drain()
  }

  receiveEnd(): void {
    this.endDelivered = true
    this.session.receiveEnd(this.#clock.now())
    this.drain()
  }

  /** One chunk, at once, whatever `wantsRead` says. */
  give(bytes: Uint8Array): void {
    const memory = bytes.slice()
    this.receivedBytes += bytes.length
    this.session.receive(memory, this.#clock.now())
    this.drain()
    memory.fill(POISON)
  }

  handleTimeout(): void {
    this.session.handleTimeout(this.#clock.now())
    this.drain()
  }

  drain(): void {
    const { session } = this
    for (let events = 0; ; events++) {
      const event = session.pollEvent()
      if (event === undefined) break
      this.transcript.add(this.#subject.describe(event))
      this.onEvent?.(event)
      if (events > MAX_EVENTS) throw this.#broken('pollEvent does not come to an end')
    }
    if (session.pollEvent() !== undefined) {
      throw this.#broken('pollEvent gave an event after undefined, without input')
    }
    this.check()
  }

  /** What of core/session.ts can be seen at any time. */
  check(): void {
    const { state, failure } = this.session
    if (ORDER[state] < ORDER[this.#lastState]) {
      throw this.#broken(`state went back from ${this.#lastState} to ${state}`)
    }
    this.#lastState = state
    if (this.#failure !== undefined && failure !== this.#failure) {
      throw this.#broken(`failure changed from ${this.#failure.code} to ${failure?.code}`)
    }
    this.#failure = failure
    const at = this.session.pollTimeout()
    if (at !== undefined && !Number.isFinite(at)) throw this.#broken(`pollTimeout is ${at}`)
  }

  write(chunk: Uint8Array): boolean {
    this.#wire.push({ region: chunk, snapshot: chunk.slice() })
    this.writableLength += chunk.length
    this.sentBytes += chunk.length
    return true
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.write(chunk)
    return true
  }

  get idle(): boolean {
    return this.#wire.length === 0 && this.session.pollTransmit(0).pending === 0
  }

  #deliver(): boolean {
    const { state, wantsRead } = this.session
    if (state === 'closed' || state === 'detached') return false
    if (!wantsRead || !this.reads) return false
    if (this.inbox.length > 0) {
      this.give(Uint8Array.from(this.inbox.splice(0, this.#pace.chunkBytes())))
      return true
    }
    if (!this.inboxEnded || this.endDelivered) return false
    this.receiveEnd()
    return true
  }

  #flush(): boolean {
    const out = this.session.pollTransmit(this.#pace.room)
    if (out.pending === 0) return false
    out.flushTo(this)
    return true
  }

  /** The connection has sent everything: its regions are the session's again. */
  #takeWire(): boolean {
    if (this.#wire.length === 0) return false
    for (const { region, snapshot } of this.#wire) {
      if (!equalBytes(region, snapshot)) {
        throw this.#broken('a region given to the connection was changed before it had left')
      }
      for (const byte of snapshot) this.peer.inbox.push(byte)
    }
    this.#wire = []
    this.writableLength = 0
    this.session.pollTransmit(0).recycle()
    return true
  }

  #sendEnd(): boolean {
    if (this.session.state !== 'closed' || this.#endSent || !this.idle) return false
    this.#endSent = true
    this.peer.inboxEnded = true
    return true
  }

  #broken(what: string): Error {
    return new Error(`${this.name}: ${what}`)
  }
}

const ORDER: Readonly<Record<SessionState, number>> = Object.freeze({
  opening: 0,
  open: 1,
  closing: 2,
  detached: 3,
  closed: 3,
})
const MAX_EVENTS = 1_000_000
const POISON = 0xdb
