/**
 * Slice: two streams over one connection, with credit and urgency per stream.
 *
 *     | stream 1 | kind 1 | length 2 | payload |      kind 0 data, 1 credit (u16 bytes), 2 end
 *
 * What it proves: a session bounds what it queues by the credit that was given; a stream whose
 * consumer is slow holds up itself and no other; urgent frames leave before bulk ones; the driver
 * takes only so much from the queues for one write.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteQueue } from '../../src/core/byte-queue.ts'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { type HeddleError, ProtocolError, UsageError } from '../../src/core/errors.ts'
import type {
  CreditCommand,
  PriorityCommand,
  Session,
  SessionState,
} from '../../src/core/session.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memoryPair } from '../../src/transports/memory/memory-transport.ts'

type Event =
  | { readonly type: 'data'; readonly stream: number; readonly chunk: Uint8Array }
  | { readonly type: 'end'; readonly stream: number }
  /** The queue of that stream is empty: more may be submitted. */
  | { readonly type: 'writable'; readonly stream: number }
type Command =
  | CreditCommand
  | PriorityCommand
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly stream: number }

interface Stream {
  readonly id: number
  /** What the peer lets us send. */
  sendCredit: number
  /** What we let the peer send. */
  receiveCredit: number
  urgency: number
  queue: Uint8Array[]
  ending: boolean
  stuck: boolean
}

class MuxSession implements Session<Command, Event> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly wantsRead = true
  readonly #in = new ByteQueue()
  readonly #out = new ByteWriter()
  readonly #streams: Stream[]
  readonly #events: Event[] = []

  constructor(streams: readonly number[]) {
    this.#streams = streams.map((id) => ({
      id,
      sendCredit: 0,
      receiveCredit: 0,
      urgency: 3,
      queue: [],
      ending: false,
      stuck: false,
    }))
  }

  receive(chunk: Uint8Array): void {
    this.#in.push(chunk)
  }
  receiveEnd(): void {
    this.state = 'closed'
  }
  receiveClose(): void {
    this.state = 'closed'
  }

  pollEvent(): Event | undefined {
    const waiting = this.#events.shift()
    if (waiting !== undefined) return waiting
    for (;;) {
      const event = this.#next()
      if (event !== 'again') {
        // What is left is a part of a frame: the chunk is only borrowed.
        if (event === undefined) this.#in.copyBorrowed()
        return event
      }
    }
  }

  submit(command: Command): void {
    const stream = this.#stream(command.stream)
    if (stream === undefined) throw new UsageError('ERR_STATE', `no stream ${command.stream}`)
    switch (command.type) {
      case 'credit':
        stream.receiveCredit += command.bytes
        this.#frame(stream.id, CREDIT, Uint8Array.of(command.bytes >> 8, command.bytes))
        return
      case 'priority':
        stream.urgency = command.urgency
        return
      case 'data': {
        if (stream.stuck) throw new UsageError('ERR_STATE', 'wait for writable')
        stream.queue.push(command.bytes)
        stream.stuck = true
        return
      }
      case 'end':
        stream.ending = true
    }
  }

  pollTransmit(maxBytes: number): ByteWriter {
    let room = maxBytes
    for (const stream of this.#streams.toSorted((a, b) => a.urgency - b.urgency)) {
      while (room > 0 && stream.queue.length > 0 && stream.sendCredit > 0) {
        const head = stream.queue[0] as Uint8Array
        const count = Math.min(head.length, stream.sendCredit, room, MAX_FRAME)
        this.#frame(stream.id, DATA, head.subarray(0, count))
        stream.sendCredit -= count
        room -= count
        if (count === head.length) stream.queue.shift()
        else stream.queue[0] = head.subarray(count)
      }
      if (stream.queue.length > 0) continue
      if (stream.stuck) {
        stream.stuck = false
        this.#events.push({ type: 'writable', stream: stream.id })
        this.onWake?.()
      }
      if (stream.ending) {
        stream.ending = false
        this.#frame(stream.id, END, new Uint8Array(0))
      }
    }
    return this.#out
  }

  pollTimeout(): undefined {}
  handleTimeout(): void {}
  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }

  #next(): Event | 'again' | undefined {
    if (this.failure !== undefined || this.#in.length < 4) return undefined
    const [id = 0, kind = 0, high = 0, low = 0] = this.#in.peek(4)
    const length = (high << 8) | low
    if (this.#in.length < 4 + length) return undefined
    this.#in.skip(4)
    const payload = this.#in.read(length)
    const stream = this.#stream(id)
    if (stream === undefined) return this.#fail(`no stream ${id}`)
    if (kind === END) return { type: 'end', stream: id }
    if (kind === CREDIT) {
      stream.sendCredit += ((payload[0] ?? 0) << 8) | (payload[1] ?? 0)
      return 'again'
    }
    if (length > stream.receiveCredit) {
      return this.#fail(`${length} bytes on stream ${id}, ${stream.receiveCredit} were granted`)
    }
    stream.receiveCredit -= length
    return { type: 'data', stream: id, chunk: payload }
  }

  #fail(message: string): undefined {
    this.failure = new ProtocolError('ERR_LIMIT', message)
    this.state = 'closed'
  }

  #stream(id: number): Stream | undefined {
    return this.#streams.find((stream) => stream.id === id)
  }

  #frame(stream: number, kind: number, payload: Uint8Array): void {
    this.#out.uint8(stream)
    this.#out.uint8(kind)
    this.#out.uint16(payload.length)
    this.#out.copy(payload)
  }
}

const DATA = 0
const CREDIT = 1
const END = 2
const MAX_FRAME = 1_024
const [SLOW, FAST] = [1, 2]

class Side implements DriverOwner<Event> {
  readonly log: string[] = []
  readonly received = new Map<number, number>()
  readonly driver: Driver<Command, Event>
  onEventOf: ((event: Event) => void) | undefined

  constructor(connection: ConstructorParameters<typeof Driver>[0], clock: ManualClock) {
    const options = { clock, maxTransmitBytes: 4_096 }
    this.driver = new Driver(connection, new MuxSession([SLOW, FAST]), this, options)
    this.driver.start()
  }
  onEvent(event: Event): void {
    this.log.push(`${event.type} ${event.stream}`)
    if (event.type === 'data') {
      const before = this.received.get(event.stream) ?? 0
      this.received.set(event.stream, before + event.chunk.length)
    }
    this.onEventOf?.(event)
  }
  onWritable(): void {}
  onClosed(): void {}
}

function pair(maxChunkBytes = 65_536): { sender: Side; receiver: Side; clock: ManualClock } {
  const clock = new ManualClock()
  const [near, far] = memoryPair({ clock, maxChunkBytes })
  return { sender: new Side(near, clock), receiver: new Side(far, clock), clock }
}

async function settle(clock: ManualClock): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    clock.advance(1)
    await null
  }
}

const grant = (side: Side, stream: number, bytes: number): void =>
  side.driver.submit({ type: 'credit', stream, bytes })
const send = (side: Side, stream: number, length: number): void =>
  side.driver.submit({ type: 'data', stream, bytes: new Uint8Array(length) })

for (const maxChunkBytes of [1, 3, 65_536]) {
  test(`a slow stream holds up itself and no other, ${maxChunkBytes} bytes a chunk`, async () => {
    const { sender, receiver, clock } = pair(maxChunkBytes)
    grant(receiver, SLOW, 100)
    grant(receiver, FAST, 5_000)
    send(sender, SLOW, 2_000)
    send(sender, FAST, 3_000)
    sender.driver.submit({ type: 'end', stream: FAST })
    for (let round = 0; round < 100; round++) await settle(clock)
    assert.equal(receiver.received.get(SLOW), 100)
    assert.equal(receiver.received.get(FAST), 3_000)
    assert.ok(receiver.log.includes('end 2'))
    assert.ok(!sender.log.includes('writable 1'), 'the queue of the slow stream is still full')
    // More may not be queued meanwhile: that is the bound.
    assert.throws(() => send(sender, SLOW, 1), { code: 'ERR_STATE' })
    grant(receiver, SLOW, 2_000)
    for (let round = 0; round < 100; round++) await settle(clock)
    assert.equal(receiver.received.get(SLOW), 2_000)
    assert.ok(sender.log.includes('writable 1'))
  })
}

test('an urgent stream leaves first', async () => {
  const { sender, receiver, clock } = pair()
  sender.driver.submit({ type: 'priority', stream: FAST, urgency: 0 })
  grant(receiver, SLOW, 4_000)
  grant(receiver, FAST, 4_000)
  send(sender, SLOW, 4_000)
  send(sender, FAST, 4_000)
  await settle(clock)
  const order = receiver.log.filter((line) => line.startsWith('data'))
  assert.equal(order.lastIndexOf('data 2') < order.indexOf('data 1'), true)
})

test('a peer that sends over its credit is refused', async () => {
  const { sender, receiver, clock } = pair()
  grant(receiver, FAST, 10)
  await settle(clock)
  // Eleven bytes of data on stream 2, past the sender's own session.
  sender.driver.connection.write(Uint8Array.of(FAST, DATA, 0, 11, ...new Uint8Array(11)))
  await settle(clock)
  assert.equal(receiver.driver.session.failure?.code, 'ERR_LIMIT')
  assert.equal(receiver.received.get(FAST), undefined)
})
