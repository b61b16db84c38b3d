/**
 * Slice: `MultiplexedConnection`, each of whose streams is a `Connection`.
 *
 * What it proves: the shape carries a session with credit per stream on the ordinary driver; a
 * stream passes the whole transport kit; a consumer that does not read holds up its own stream and
 * no other, within one window; openable streams are counted and told.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Address, memory as address } from '../../src/core/address.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { MultiplexedHandler } from '../../src/core/multiplexed-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../src/core/transport.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { type SideSubject, sessionConformance } from '../../src/testing/session-conformance.ts'
import { ConnectionLog, pattern } from '../../src/testing/transport/connection-log.ts'
import { transportConformance } from '../../src/testing/transport-conformance.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import {
  type MemoryOptions,
  memory,
  memoryPair,
} from '../../src/transports/memory/memory-transport.ts'
import { MuxConnection } from './mux-connection.ts'
import { type MuxCommand, type MuxEvent, MuxSession } from './mux-session.ts'

const ignore: MultiplexedHandler = { onStream() {}, onStreamsAvailable() {}, onClose() {} }

/** A stream for each connect, on a carrier of its own that closes after it. */
class MuxTransport implements Transport {
  readonly name = 'mux'
  readonly traits: TransportTraits
  readonly #carrier: Transport
  readonly #clock: Clock

  constructor(carrier: Transport, clock: Clock) {
    this.traits = carrier.traits
    this.#carrier = carrier
    this.#clock = clock
  }

  async connect(to: Address, options?: ConnectOptions): Promise<Connection> {
    const mux = new MuxConnection(await this.#carrier.connect(to, options), this.#clock)
    mux.open(ignore)
    const stream = mux.openStream() as Connection
    void mux.close()
    return stream
  }

  listen(at: Address, options: ListenOptions): Promise<Listener> {
    return this.#carrier.listen(at, {
      ...options,
      onConnection: (carrier) => {
        const mux = new MuxConnection(carrier, this.#clock)
        mux.open({ ...ignore, onStream: (stream) => options.onConnection(stream) })
      },
    })
  }
}

transportConformance(
  'mux',
  {
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    bulkBytes: 300_000,
    maxTurns: 500,
    create() {
      const clock = new ManualClock()
      const network = new MemoryNetwork()
      const carrier = memory({ clock, network, strict: true, maxChunkBytes: 1_000 })
      return {
        transport: new MuxTransport(carrier, clock),
        address: address('0'),
        clock,
        turn() {
          clock.advance(1) // a carrier that has ended lingers until its peer has too
          return clock.settle()
        },
        leaks: { timers: () => clock.pendingTimers, leases: () => network.leaseCount },
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

describe('session kit', () => {
  const side = (role: 'initiating' | 'accepting'): SideSubject<MuxCommand, MuxEvent> => ({
    create: () => new MuxSession(role, { windowBytes: 10, maxStreams: 2 }),
    begins: (command) => (command.type === 'open' ? String(command.stream) : undefined),
    describe(event) {
      if (event.type === 'available') return { exchange: '', text: 'available' }
      const exchange = String(event.stream)
      if (event.type === 'data') return { exchange, bytes: event.bytes }
      // How often a queue runs empty depends on how fast it is emptied.
      if (event.type === 'drained') return { exchange: `drains of ${exchange}` }
      if (event.type === 'opened') return { exchange, text: 'opened', begins: true }
      if (event.type === 'end') return { exchange, text: 'end' }
      return { exchange, text: `finished ${event.error?.code}`, last: true }
    },
  })
  const data = (stream: number, length: number): MuxCommand => ({
    type: 'data',
    stream,
    bytes: new Uint8Array(length).fill(stream),
  })
  sessionConformance<MuxCommand, MuxEvent, MuxCommand, MuxEvent>(
    'mux',
    {
      client: side('initiating'),
      server: side('accepting'),
      scenarios: {
        'two streams over their windows, echoed': {
          start({ client }) {
            for (const stream of [1, 3]) {
              client.submit({ type: 'open', stream, urgency: stream })
              client.submit(data(stream, 14))
              client.submit({ type: 'end', stream })
            }
          },
          onServerEvent(event, { server }) {
            if (server.session.state === 'closed') return
            if (event.type === 'data') {
              const { stream, bytes } = event
              server.submit({ type: 'credit', stream, bytes: bytes.length })
              server.submit({ type: 'data', stream, bytes: bytes.slice() })
            }
            if (event.type === 'end') server.submit({ type: 'end', stream: event.stream })
          },
          onClientEvent(event, { client }) {
            if (event.type !== 'data' || client.session.state === 'closed') return
            client.submit({ type: 'credit', stream: event.stream, bytes: event.bytes.length })
          },
          expect: {
            client: [
              ': available',
              `1: data ${'01'.repeat(14)}`,
              '1: end',
              '1: finished undefined',
              `3: data ${'03'.repeat(14)}`,
              '3: end',
              '3: finished undefined',
            ],
          },
        },
      },
      violations: {
        'a frame for a stream that was never opened': {
          to: 'server',
          bytes: Uint8Array.of(0, 0, 0, 1, 3, 0, 0),
          code: 'ERR_PROTOCOL',
        },
        'a stream with the parity of the other side': {
          to: 'server',
          bytes: Uint8Array.of(0, 0, 0, 2, 0, 0, 1, 3),
          code: 'ERR_PROTOCOL',
        },
        'one byte over the credit': {
          to: 'server',
          setUp: ({ client }) => client.submit({ type: 'open', stream: 1, urgency: 3 }),
          bytes: Uint8Array.of(0, 0, 0, 1, 1, 0, 11, ...new Array<number>(11).fill(7)),
          code: 'ERR_LIMIT',
        },
        'a stream over maxStreams': {
          to: 'server',
          setUp({ client }) {
            for (const stream of [1, 3]) client.submit({ type: 'open', stream, urgency: 3 })
          },
          bytes: Uint8Array.of(0, 0, 0, 5, 0, 0, 1, 3),
          code: 'ERR_LIMIT',
        },
      },
      illegal: {
        'to write to a stream that is not open': {
          side: 'client',
          submit: ({ client }) => client.submit(data(1, 1)),
        },
      },
    },
    { test, ok: assert.ok },
  )
})

test('a stream that nobody reads holds up itself and no other, within one window', () => {
  const { clock, client, accepted } = setUp()
  const slow = new ConnectionLog(client.openStream() as Connection).open()
  const fast = new ConnectionLog(client.openStream() as Connection).open()
  clock.flush()
  const [slowEnd, fastEnd] = accepted as [ConnectionLog, ConnectionLog]
  slowEnd.connection.pause()
  slow.send(pattern(1, 0, 500_000))
  fast.send(pattern(2, 0, 500_000))
  fastEnd.expectedKey = 2
  clock.flush()
  assert.equal(fastEnd.received, 500_000)
  assert.deepEqual(fastEnd.violations, [])
  assert.equal(slowEnd.received, 0)
  assert.equal(slow.connection.writableLength, 500_000 - 65_536)
  slowEnd.connection.resume()
  clock.flush()
  assert.equal(slowEnd.received, 500_000)
})

test('an urgent stream overtakes a bulk one that is stuck in the carrier', () => {
  const { clock, client, accepted } = setUp({ bufferBytes: 1_000 })
  const bulk = new ConnectionLog(client.openStream({ urgency: 7 }) as Connection).open()
  const urgent = new ConnectionLog(client.openStream({ urgency: 0 }) as Connection).open()
  clock.flush()
  const order: string[] = []
  accepted[0]!.hooks = { onData: () => void order.push('bulk') }
  accepted[1]!.hooks = { onData: () => void order.push('urgent') }
  bulk.send(pattern(1, 0, 60_000))
  urgent.write('now')
  clock.flush()
  assert.equal(order[0], 'urgent')
  assert.equal(accepted[0]!.received, 60_000)
})

test('openStream gives undefined at the peer’s limit, and onStreamsAvailable says when to ask again', () => {
  let available = 0
  const { clock, client, accepted } = setUp({}, 2, { onStreamsAvailable: () => available++ })
  const first = new ConnectionLog(client.openStream() as Connection).open()
  assert.equal(client.openableStreams, 1)
  client.openStream()
  assert.equal(client.openableStreams, 0)
  assert.equal(client.openStream(), undefined)
  clock.flush()
  first.connection.end()
  accepted[0]!.connection.end()
  clock.flush()
  assert.ok(first.closed)
  assert.equal(available, 1)
  assert.equal(client.streamCount, 1)
  assert.ok(client.openStream() !== undefined)
})

test('close waits for the open streams and opens no more', async () => {
  let closes = 0
  const { clock, client, server, accepted } = setUp({}, 100, { onClose: () => closes++ })
  const stream = new ConnectionLog(client.openStream() as Connection).open()
  clock.flush()
  let closed = false
  const closing = client.close().then(() => {
    closed = true
  })
  await clock.settle()
  assert.equal(closed, false)
  assert.equal(client.openStream(), undefined)
  stream.write('still')
  stream.connection.end()
  accepted[0]!.connection.end()
  await clock.settle()
  await closing
  assert.equal(accepted[0]!.text, 'still')
  assert.equal(closes, 1)
  assert.equal(server.streamCount, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('a carrier that goes takes its streams along, each closed before the connection is', () => {
  const order: string[] = []
  const { clock, client, accepted } = setUp({}, 100, { onClose: () => order.push('connection') })
  const stream = new ConnectionLog(client.openStream() as Connection, {
    onClose: () => void order.push('stream'),
  }).open()
  clock.flush()
  client.destroy(new Error('gone'))
  clock.flush()
  assert.ok(stream.closed && accepted[0]!.closed)
  assert.equal((accepted[0]!.closeReason as { code?: string }).code, 'ERR_RESET')
  assert.deepEqual(order, ['stream', 'connection'])
})

function setUp(
  options: Partial<MemoryOptions> = {},
  maxStreams: number = 100,
  handler: Partial<MultiplexedHandler> = {},
) {
  const clock = new ManualClock()
  const [a, b] = memoryPair({ clock, ...options })
  const client = new MuxConnection(a, clock, { maxStreams })
  const server = new MuxConnection(b, clock, { maxStreams })
  const accepted: ConnectionLog[] = []
  client.open({ ...ignore, ...handler })
  server.open({
    ...ignore,
    onStream: (stream) => void accepted.push(new ConnectionLog(stream).open()),
  })
  clock.flush()
  return { clock, client, server, accepted }
}
