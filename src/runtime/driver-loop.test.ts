/** Driver: the loop between a session and a connection; driver.test.ts has what concerns stuck peers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../core/byte-writer.ts'
import type { Connection, ConnectionHandler } from '../core/connection.ts'
import { type HeddleError, ProtocolError } from '../core/errors.ts'
import type { Session, SessionState } from '../core/session.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { memoryPair } from '../transports/memory/memory-transport.ts'
import { Driver, type DriverOptions, type DriverOwner } from './driver.ts'

/** Every byte is an event; a command is bytes. `x` breaks the protocol, `u` hands over, `c` closes. */
class ByteSession implements Session<Uint8Array, number> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  wantsRead = true
  onWake: (() => void) | undefined
  timeoutAt: number | undefined
  timeouts = 0
  closedWith: Error | undefined | 'open' = 'open'
  readonly #out = new ByteWriter()
  #in: number[] = []

  receive(chunk: Uint8Array): void {
    this.#in.push(...chunk)
  }
  receiveEnd(): void {
    this.state = 'closed'
  }
  receiveClose(reason: Error | undefined): void {
    this.closedWith = reason
    this.state = 'closed'
  }
  pollEvent(): number | undefined {
    if (this.state !== 'open') return undefined
    const byte = this.#in.shift()
    if (byte === 0x78) {
      this.failure = new ProtocolError('ERR_MALFORMED', 'an x')
      this.#out.latin1('bad')
      this.state = 'closed'
      return undefined
    }
    if (byte === 0x75) this.state = 'detached'
    if (byte === 0x63) this.state = 'closed'
    return byte
  }
  submit(bytes: Uint8Array): void {
    this.#out.copy(bytes)
  }
  pollTransmit(): ByteWriter {
    return this.#out
  }
  pollTimeout(): number | undefined {
    return this.timeoutAt
  }
  handleTimeout(): void {
    this.timeouts++
    this.timeoutAt = undefined
  }
  takeUnread(): Uint8Array {
    return Uint8Array.from(this.#in.splice(0))
  }
}

interface World {
  readonly clock: ManualClock
  readonly session: ByteSession
  readonly driver: Driver<Uint8Array, number>
  readonly peer: Connection
  readonly log: string[]
  /** Writes that reached the connection. */
  readonly writes: number[]
  received(): string
}

function world(
  options: Partial<DriverOptions> & { role?: 'accepting' | 'initiating'; peerReads?: boolean } = {},
  onEvent: (event: number, driver: Driver<Uint8Array, number>) => void = () => {},
): World {
  const { role = 'accepting', peerReads = true, ...driverOptions } = options
  const clock = new ManualClock()
  const [initiating, accepting] = memoryPair({
    clock,
    bufferBytes: 1_000,
    highWaterMarkBytes: 1_000,
  })
  const [own, peer] = role === 'accepting' ? [accepting, initiating] : [initiating, accepting]
  const log: string[] = []
  const writes: number[] = []
  let received = ''
  const handler: ConnectionHandler = {
    onData(chunk) {
      received += Buffer.from(chunk).toString('latin1')
    },
    onDrain() {},
    onEnd() {
      log.push('peer: end')
    },
    onClose() {},
  }
  peer.open(handler)
  if (!peerReads) peer.pause()
  const write = own.write.bind(own)
  own.write = (chunk) => {
    writes.push(chunk.length)
    return write(chunk)
  }
  const session = new ByteSession()
  const owner: DriverOwner<number> = {
    onEvent(event) {
      log.push(String.fromCharCode(event))
      onEvent(event, driver)
    },
    onWritable: () => log.push('writable'),
    onClosed: (reason) => log.push(`closed: ${(reason as HeddleError | undefined)?.code}`),
  }
  const driver = new Driver(own, session, owner, { clock, ...driverOptions })
  driver.start()
  return { clock, session, driver, peer, log, writes, received: () => received }
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

test('Driver flushes everything that one input batch gave in one write', () => {
  const { clock, peer, writes, received } = world({}, (event, driver) =>
    driver.submit(Uint8Array.of(event, event)),
  )
  peer.write(bytes('abc'))
  clock.advance(10)
  assert.deepEqual(writes, [6])
  assert.equal(received(), 'aabbcc')
})

test('Driver flushes what is submitted at any other time together, after the tick', () => {
  const { clock, driver, writes } = world()
  for (const text of ['a', 'b', 'c']) driver.submit(bytes(text))
  assert.deepEqual(writes, [])
  clock.advance(0)
  assert.deepEqual(writes, [3])
})

test('Driver flushes at once when a lot is pending, so that blocked is true in time', () => {
  const { driver, writes } = world({ peerReads: false })
  driver.submit(new Uint8Array(65_536))
  assert.equal(writes.length, 1)
  assert.equal(driver.blocked, true)
})

test('Driver stops reading on the accepting side only while its own output is stuck', () => {
  for (const role of ['accepting', 'initiating'] as const) {
    const { clock, driver, peer, log } = world({ role, peerReads: false })
    driver.submit(new Uint8Array(10_000))
    clock.advance(1)
    peer.write(bytes('a'))
    clock.advance(10)
    assert.deepEqual(log, role === 'accepting' ? [] : ['a'], role)
    peer.resume()
    clock.advance(10)
    assert.ok(log.includes('writable') && log.includes('a'), role)
  }
})

test('Driver flushes the answer to a violation, ends, and waits for the peer to end', () => {
  const { clock, driver, peer, log, received } = world({ lingerMs: 50 })
  peer.write(bytes('axb'))
  clock.advance(10)
  assert.equal(received(), 'bad')
  assert.deepEqual(log, ['a', 'peer: end'])
  peer.write(bytes('more, dropped'))
  clock.advance(10)
  peer.end()
  clock.advance(10)
  assert.deepEqual(log, ['a', 'peer: end', 'closed: ERR_MALFORMED'])
  assert.equal(driver.session.failure?.code, 'ERR_MALFORMED')
  assert.equal(clock.pendingTimers, 0)
})

test('Driver destroys the connection when the peer does not end within lingerMs', () => {
  const { clock, peer, log } = world({ lingerMs: 50 })
  peer.write(bytes('c'))
  clock.advance(49)
  assert.deepEqual(log, ['c', 'peer: end'])
  clock.advance(10)
  assert.equal(log.at(-1), 'closed: ERR_IDLE')
  assert.equal(clock.pendingTimers, 0)
})

test('Driver arms its timer lazily: moved later it fires late, moved earlier in time', () => {
  const { clock, session, driver } = world()
  const start = clock.now()
  session.timeoutAt = start + 100
  driver.submit(bytes('a'))
  clock.advance(50)
  session.timeoutAt = start + 200
  driver.submit(bytes('a'))
  clock.advance(100)
  assert.equal(session.timeouts, 0)
  clock.advance(50)
  assert.equal(session.timeouts, 1)
  session.timeoutAt = start + 1_000
  driver.submit(bytes('a'))
  clock.advance(1)
  session.timeoutAt = start + 300
  driver.submit(bytes('a'))
  clock.advance(99)
  assert.equal(session.timeouts, 2)
})

test('Driver detaches with the unread bytes in front of the stream', () => {
  let taken: Connection | undefined
  const { clock, peer, log } = world({}, (event, driver) => {
    if (event === 0x75) taken = driver.detach()
  })
  peer.write(bytes('aurest'))
  clock.advance(10)
  assert.ok(taken)
  let rest = ''
  taken.open({
    onData(chunk) {
      rest += Buffer.from(chunk).toString()
    },
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  peer.write(bytes(' and more'))
  clock.advance(10)
  assert.equal(rest, 'rest and more')
  assert.deepEqual(log, ['a', 'u'])
})

test('Driver turns an error of its owner into the end of that connection only', () => {
  const { clock, peer, log } = world({}, () => {
    throw new Error('a bug')
  })
  peer.write(bytes('a'))
  clock.advance(10)
  assert.deepEqual(log, ['a', 'closed: ERR_INVARIANT'])
})

test('Driver tells the session and then the owner when the peer is gone, once', () => {
  const { clock, session, peer, log } = world()
  peer.destroy()
  clock.advance(10)
  assert.notEqual(session.closedWith, 'open')
  assert.equal(log.length, 1)
  assert.match(log[0] as string, /^closed/)
})

test('Driver refuses options out of range', () => {
  for (const options of [{ lingerMs: -1 }, { maxTransmitBytes: 0 }]) {
    assert.throws(() => world(options), { code: 'ERR_OPTION_RANGE' })
  }
})
