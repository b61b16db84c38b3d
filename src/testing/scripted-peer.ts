/**
 * The other end of a connection, played from a script: what it expects, byte for byte, and what it
 * does then. For tests of one side against exact wire bytes.
 *
 *     const peer = new ScriptedPeer(connection, [
 *       { expect: 'PING\r\n' },
 *       { send: '+PONG\r\n' },
 *       { expectEnd: true },
 *       { end: true },
 *     ], clock)
 *     peer.start()
 *     …
 *     peer.verify() // throws when a step failed or was not reached
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { Connection, ConnectionHandler } from '../core/connection.ts'
import { UsageError } from '../core/errors.ts'
import { describeValue } from './deep-equal.ts'

/** Text is Latin-1: one character a byte. */
export type ScriptBytes = string | Uint8Array

export type ScriptStep =
  /** Exactly these bytes come next, in whatever chunks. */
  | { readonly expect: ScriptBytes }
  /** Bytes come that the function accepts; it says how many it takes, 0 for "not yet". */
  | { readonly match: (received: Uint8Array) => number }
  | { readonly send: ScriptBytes }
  | { readonly expectEnd: true }
  | { readonly expectClose: true }
  | { readonly end: true }
  | { readonly destroy: true | Error }
  | { readonly pause: true }
  | { readonly resume: true }
  /** By the clock. */
  | { readonly waitMs: number }
  | { readonly run: () => void }

export class ScriptedPeer implements ConnectionHandler {
  readonly connection: Connection
  readonly #steps: readonly ScriptStep[]
  readonly #clock: Clock | undefined
  #at = 0
  #received: Uint8Array = new Uint8Array(0)
  #ended = false
  #closed = false
  #closeReason: Error | undefined
  #timer: Timer | undefined
  #problem: string | undefined
  #playing = false

  /** @param clock needed for `waitMs` */
  constructor(connection: Connection, steps: readonly ScriptStep[], clock?: Clock) {
    this.connection = connection
    this.#steps = steps
    this.#clock = clock
  }

  /** Opens the connection and plays what needs no input. */
  start(): this {
    this.connection.open(this)
    this.#play()
    return this
  }

  /** Every step was played. */
  get done(): boolean {
    return this.#at === this.#steps.length && this.#problem === undefined
  }

  get closeReason(): Error | undefined {
    return this.#closeReason
  }

  /** @throws Error naming the step that failed or was not reached, and what had come instead */
  verify(): void {
    if (this.#problem !== undefined) throw new Error(this.#problem)
    if (!this.done) throw new Error(this.#describe('was not reached'))
    if (this.#received.length > 0) {
      throw new Error(`more came than the script expects: ${render(this.#received)}`)
    }
  }

  onData(chunk: Uint8Array): void {
    const received = new Uint8Array(this.#received.length + chunk.length)
    received.set(this.#received)
    received.set(chunk, this.#received.length)
    this.#received = received
    this.#play()
  }

  onDrain(): void {}

  onEnd(): void {
    this.#ended = true
    this.#play()
  }

  onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#closeReason = reason
    this.#timer?.cancel()
    this.#play()
  }

  #play(): void {
    if (this.#playing) return
    this.#playing = true
    try {
      while (this.#problem === undefined) {
        const step = this.#steps[this.#at]
        if (step === undefined || this.#timer !== undefined || !this.#step(step)) return
        this.#at += 1
      }
    } finally {
      this.#playing = false
    }
  }

  /** @returns false: not yet */
  #step(step: ScriptStep): boolean {
    if ('expect' in step) return this.#expect(toBytes(step.expect))
    if ('match' in step) return this.#take(step.match(this.#received))
    if ('expectEnd' in step) return this.#ended
    if ('expectClose' in step) return this.#closed
    if ('waitMs' in step) return this.#wait(step.waitMs)
    if ('send' in step) this.connection.write(toBytes(step.send))
    else if ('end' in step) this.connection.end()
    else if ('destroy' in step) {
      this.connection.destroy(step.destroy === true ? undefined : step.destroy)
    } else if ('pause' in step) this.connection.pause()
    else if ('resume' in step) this.connection.resume()
    else step.run()
    return true
  }

  #expect(expected: Uint8Array): boolean {
    const received = this.#received
    const length = Math.min(expected.length, received.length)
    for (let at = 0; at < length; at++) {
      if (received[at] === expected[at]) continue
      this.#problem = this.#describe(`failed at byte ${at}`)
      return false
    }
    return received.length < expected.length ? false : this.#take(expected.length)
  }

  #take(count: number): boolean {
    if (count === 0) return false
    this.#received = this.#received.subarray(count)
    return true
  }

  #wait(ms: number): boolean {
    const clock = this.#clock
    if (clock === undefined) throw new UsageError('ERR_ARGUMENT', 'waitMs needs a clock')
    this.#timer = clock.setTimer(clock.now() + ms, () => {
      this.#timer = undefined
      this.#play()
    })
    return true
  }

  #describe(what: string): string {
    const step = this.#steps[this.#at] as ScriptStep
    const wanted = 'expect' in step ? render(toBytes(step.expect)) : describeValue(step)
    const state = this.#closed ? ', closed' : this.#ended ? ', ended' : ''
    return `step ${this.#at} (${wanted}) ${what}; received ${render(this.#received)}${state}`
  }
}

function toBytes(value: ScriptBytes): Uint8Array {
  if (typeof value !== 'string') return value
  const bytes = new Uint8Array(value.length)
  for (let at = 0; at < value.length; at++) bytes[at] = value.charCodeAt(at)
  return bytes
}

function render(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, MAX_SHOWN)
  const text = JSON.stringify(String.fromCharCode(...shown))
  return bytes.length > MAX_SHOWN ? `${text}… (${bytes.length} bytes)` : text
}

const MAX_SHOWN = 120
