/**
 * The gate: yamux, written from ARCHITECTURE.md and `npm run new-protocol`, over real drivers and the
 * memory transport. Streams of both sides at once; a slow one holds up itself and no other; urgent
 * bytes do not wait for bulk; a drain lets go of nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../../src/core/connection.ts'
import type { YamuxCommand, YamuxEvent } from '../../src/protocols/yamux/messages.ts'
import type { YamuxOptions } from '../../src/protocols/yamux/options.ts'
import {
  YamuxClientSession,
  YamuxServerSession,
  type YamuxSession,
} from '../../src/protocols/yamux/session.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memoryPair } from '../../src/transports/memory/memory-transport.ts'

const SLOW = 1

/** Sends `bytes` on each stream it opens as the session takes them; reads with credit. */
class Side implements DriverOwner<YamuxEvent> {
  readonly driver: Driver<YamuxCommand, YamuxEvent>
  readonly session: YamuxSession
  readonly received = new Map<number, number>()
  readonly log: string[] = []
  readonly ended: number[] = []
  readonly errors: unknown[] = []
  closed: { readonly reason: Error | undefined } | undefined
  readonly #unsent = new Map<number, number>()

  constructor(
    connection: Connection,
    session: YamuxSession,
    clock: ManualClock,
    maxTransmitBytes: number,
  ) {
    this.session = session
    this.driver = new Driver<YamuxCommand, YamuxEvent>(connection, session, this, {
      clock,
      maxTransmitBytes,
    })
    this.driver.start()
  }

  send(bytes: number, urgency: number = 3): number {
    const stream = this.session.nextStream
    this.driver.submit({ type: 'open', stream })
    this.driver.submit({ type: 'priority', stream, urgency })
    this.#unsent.set(stream, bytes)
    this.#feed(stream)
    return stream
  }

  credit(stream: number, bytes: number): void {
    this.driver.submit({ type: 'credit', stream, bytes })
  }

  onEvent(event: YamuxEvent): void {
    if (event.type !== 'data') this.log.push(`${event.type} ${'stream' in event && event.stream}`)
    switch (event.type) {
      case 'stream':
        this.driver.submit({ type: 'accept', stream: event.stream })
        if (event.stream !== SLOW) this.credit(event.stream, 65_536)
        return
      case 'data': {
        const { stream, bytes } = event
        const before = this.received.get(stream) ?? 0
        for (const [index, byte] of bytes.entries()) {
          if (byte !== patternAt(stream, before + index))
            throw new Error(`stream ${stream} mixed up`)
        }
        this.received.set(stream, before + bytes.length)
        this.log.push(`data ${stream}`)
        if (stream !== SLOW) this.credit(stream, bytes.length)
        return
      }
      case 'end':
        if (event.stream % 2 !== this.session.nextStream % 2) {
          this.driver.submit({ type: 'end', stream: event.stream })
        }
        return
      case 'writable':
        return this.#feed(event.stream)
      case 'stream-closed':
        this.ended.push(event.stream)
        if (event.error !== undefined) this.errors.push(event.error)
    }
  }

  onWritable(): void {}

  onClosed(reason: Error | undefined): void {
    this.closed = { reason }
  }

  /** In pieces of 7,000 bytes until the stream is stuck. */
  #feed(stream: number): void {
    let unsent = this.#unsent.get(stream) ?? 0
    const total = TOTALS.get(stream) ?? unsent
    TOTALS.set(stream, total)
    while (unsent > 0 && this.session.isWritable(stream)) {
      const from = total - unsent
      const length = Math.min(unsent, 7_000)
      const bytes = Uint8Array.from({ length }, (_, at) => patternAt(stream, from + at))
      this.driver.submit({ type: 'data', stream, bytes })
      unsent -= length
    }
    this.#unsent.set(stream, unsent)
    if (unsent === 0) this.driver.submit({ type: 'end', stream })
  }
}

const QUEUED = 20_000
const OPTIONS: YamuxOptions = { maxQueuedBytes: QUEUED }
/** What each stream of the running test sends in all. */
const TOTALS = new Map<number, number>()
const patternAt = (stream: number, at: number): number => (stream * 31 + at * 7 + (at >> 8)) & 0xff

function connect(
  maxChunkBytes: number,
  maxTransmitBytes: number = 262_144,
): { client: Side; server: Side; clock: ManualClock } {
  TOTALS.clear()
  const clock = new ManualClock()
  const [near, far] = memoryPair({ clock, maxChunkBytes })
  const client = new Side(
    near,
    new YamuxClientSession(OPTIONS, clock.now()),
    clock,
    maxTransmitBytes,
  )
  const server = new Side(
    far,
    new YamuxServerSession(OPTIONS, clock.now()),
    clock,
    maxTransmitBytes,
  )
  return { client, server, clock }
}

for (const [maxChunkBytes, maxTransmitBytes] of [
  [1, 262_144],
  [3, 262_144],
  [65_536, 262_144],
  [65_536, 1_000],
] as const) {
  test(`streams of both sides at once, a slow one among them, ${maxChunkBytes} bytes a chunk, ${maxTransmitBytes} a write`, () => {
    const { client, server, clock } = connect(maxChunkBytes, maxTransmitBytes)
    assert.equal(client.send(300_000), SLOW)
    for (const bytes of [50_000, 1, 70_000]) client.send(bytes)
    server.send(40_000)
    server.send(0)
    clock.flush()

    // Everything but the slow stream has come and gone, more than a window of it is on its way.
    assert.deepEqual(server.ended.toSorted(), [2, 3, 4, 5, 7])
    assert.deepEqual(client.ended.toSorted(), [2, 3, 4, 5, 7])
    assert.deepEqual([...server.received].toSorted(), [
      [3, 50_000],
      [5, 1],
      [7, 70_000],
    ])
    assert.deepEqual([...client.received], [[2, 40_000]])
    assert.equal(server.session.wantsRead, true)

    // A drain waits for it, and it comes whole.
    client.driver.submit({ type: 'close' })
    clock.flush()
    assert.equal(client.closed, undefined)
    for (let given = 0; given < 300_000; given += 50_000) {
      server.credit(SLOW, 50_000)
      clock.flush()
      assert.equal(server.received.get(SLOW), given + 50_000)
    }
    clock.flush()
    assert.deepEqual(client.closed, { reason: undefined })
    assert.deepEqual(server.closed, { reason: undefined })
    assert.deepEqual([...client.errors, ...server.errors], [])
    assert.equal(clock.pendingTimers + clock.pendingDeferred, 0)
  })
}

test('an urgent stream does not wait for one that has much to send', () => {
  const { client, server, clock } = connect(65_536)
  for (const bulk of [client.send(200_000, 7), client.send(200_000, 7)]) assert.ok(bulk <= 3)
  const urgent = client.send(1_000, 0)
  clock.flush()
  const order = server.log.filter((line) => line.startsWith('data'))
  assert.equal(order[0], `data ${urgent}`)
})

test('a connection that is lost ends every stream once, and the slow one with its reason', () => {
  const { client, server, clock } = connect(65_536)
  client.send(300_000)
  client.send(10)
  clock.flush()
  client.driver.destroy(new Error('cut'))
  clock.flush()
  assert.deepEqual(client.ended, [3, 1])
  assert.deepEqual(server.ended, [3, 1])
  assert.ok(client.closed?.reason !== undefined && server.closed?.reason !== undefined)
  assert.equal(clock.pendingTimers + clock.pendingDeferred, 0)
})
