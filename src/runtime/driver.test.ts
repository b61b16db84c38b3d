/** Driver: who takes nothing is dropped, who takes slowly is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory } from '../core/address.ts'
import { ByteWriter } from '../core/byte-writer.ts'
import type { Connection, ConnectionHandler, ConnectionRole } from '../core/connection.ts'
import type { HeddleError } from '../core/errors.ts'
import type { Session, SessionState } from '../core/session.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { Driver } from './driver.ts'

/** Takes nothing until it is told how much is left. */
class StuckConnection {
  readonly facts: { readonly role: ConnectionRole; readonly remote: unknown }
  writableLength = 0
  unsentLength = 0
  ended = false
  destroyed: Error | undefined
  handler: ConnectionHandler | undefined
  readonly #highWaterMark: number
  constructor(role: ConnectionRole, highWaterMark: number) {
    this.#highWaterMark = highWaterMark
    this.facts = { role, remote: memory('x') }
  }
  open(handler: ConnectionHandler): void {
    this.handler = handler
  }
  write(chunk: Uint8Array): boolean {
    this.writableLength += chunk.length
    this.unsentLength = this.writableLength
    return this.writableLength <= this.#highWaterMark
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.write(chunk)
    return this.writableLength <= this.#highWaterMark
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.ended = true
  }
  destroy(reason?: Error): void {
    this.destroyed ??= reason
  }
  drain(): void {
    this.writableLength = 0
    this.unsentLength = 0
    this.handler?.onDrain()
  }
}

/** Sends what it is given; `close` ends it. */
class EchoSession implements Session<Uint8Array | 'close', never> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly wantsRead = true
  readonly #out = new ByteWriter()
  receive(): void {}
  receiveEnd(): void {}
  receiveClose(): void {
    this.state = 'closed'
  }
  pollEvent(): undefined {}
  submit(command: Uint8Array | 'close'): void {
    if (command === 'close') this.state = 'closed'
    else this.#out.copy(command)
  }
  pollTransmit(): ByteWriter {
    return this.#out
  }
  pollTimeout(): undefined {}
  handleTimeout(): void {}
  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }
}

/** Lets out of its queue what it is asked for, as sessions with streams do. */
class QueueSession extends EchoSession {
  left: number
  readonly #held = new ByteWriter()
  constructor(left: number) {
    super()
    this.left = left
  }
  override pollTransmit(maxBytes = 0): ByteWriter {
    const count = Math.min(maxBytes, this.left)
    this.left -= count
    if (count > 0) this.#held.copy(new Uint8Array(count))
    return this.#held
  }
}

function start(role: ConnectionRole, highWaterMark = 0) {
  const clock = new ManualClock()
  const connection = new StuckConnection(role, highWaterMark)
  const owner = { onEvent() {}, onWritable() {}, onClosed() {} }
  const driver = new Driver(
    connection as unknown as Connection,
    new EchoSession() as Session<Uint8Array | 'close', never>,
    owner,
    { clock, writeTimeoutMs: 1_000, lingerMs: 100 },
  )
  driver.start()
  driver.submit(new Uint8Array(500))
  clock.advance(1)
  assert.equal(connection.writableLength, 500)
  return { clock, connection, driver }
}

test('Driver drops a client that takes nothing, also when the session has closed', () => {
  for (const closes of [false, true]) {
    const { clock, connection, driver } = start('accepting')
    if (closes) driver.submit('close')
    clock.advance(998)
    assert.equal(connection.destroyed, undefined)
    clock.advance(2)
    assert.match(String(connection.destroyed), /took nothing of what was sent for 1000 ms/)
  }
})

test('Driver goes on while the connection takes all that a session lets out at a time', () => {
  const connection = new StuckConnection('accepting', Number.POSITIVE_INFINITY)
  const session = new QueueSession(1_000_000)
  const owner = { onEvent() {}, onWritable() {}, onClosed() {} }
  const driver = new Driver(connection as unknown as Connection, session, owner, {
    clock: new ManualClock(),
    maxTransmitBytes: 100_000,
  })
  driver.start()
  connection.handler?.onData(Uint8Array.of(1))
  assert.equal(session.left, 0)
  assert.equal(connection.writableLength, 1_000_000)
})

test('Driver leaves a client alone that takes a little at a time', () => {
  const { clock, connection } = start('accepting')
  for (let step = 0; step < 10; step++) {
    clock.advance(900)
    connection.unsentLength -= 1
  }
  assert.equal(connection.destroyed, undefined)
  connection.drain()
  clock.advance(10_000)
  assert.equal(connection.destroyed, undefined)
})

test('Driver lingers only once everything has left', () => {
  const { clock, connection, driver } = start('accepting', 1_000)
  driver.submit('close')
  clock.advance(500)
  assert.equal(connection.ended, true)
  assert.equal(connection.destroyed, undefined)
  connection.drain()
  clock.advance(99)
  assert.equal(connection.destroyed, undefined)
  clock.advance(1)
  assert.match(String(connection.destroyed), /did not close within 100 ms/)
})

test('Driver does not time the output of a client: a call has a deadline', () => {
  const { clock, connection } = start('initiating')
  clock.advance(1_000_000)
  assert.equal(connection.destroyed, undefined)
})
