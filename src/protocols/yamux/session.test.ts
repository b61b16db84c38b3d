import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { OverloadError } from '../../core/errors.ts'
import {
  type SessionPair,
  type SessionViolation,
  type SideSubject,
  sessionConformance,
} from '../../testing/session-conformance.ts'
import { encodeYamux } from './encoder.ts'
import {
  YAMUX_INITIAL_WINDOW,
  type YamuxCommand,
  type YamuxEvent,
  YamuxFlag,
  type YamuxFrame,
  YamuxType,
} from './messages.ts'
import type { YamuxOptions } from './options.ts'
import { yamuxDefaults } from './options.ts'
import { YamuxClientSession, YamuxServerSession, type YamuxSession } from './session.ts'

type Pair = SessionPair<YamuxCommand, YamuxEvent, YamuxCommand, YamuxEvent>
type Side = Pair['client']
type Violation = SessionViolation<YamuxCommand, YamuxEvent, YamuxCommand, YamuxEvent>

const { DATA, WINDOW_UPDATE, PING, GO_AWAY } = YamuxType
const { SYN, ACK, FIN, RST } = YamuxFlag
const NOW = 1_000
const OPTIONS: YamuxOptions = { maxStreams: 4, maxBufferedBytes: 4_096, maxAnswers: 8 }

function side(create: (now: number) => YamuxSession): SideSubject<YamuxCommand, YamuxEvent> {
  return {
    create: (clock) => create(clock.now()),
    begins: (command) => (command.type === 'open' ? String(command.stream) : undefined),
    describe(event) {
      if (event.type === 'data') return { exchange: String(event.stream), bytes: event.bytes }
      const error = 'error' in event && event.error !== undefined ? ` ${event.error.code}` : ''
      return {
        exchange: 'stream' in event ? String(event.stream) : '',
        text: `${event.type}${error}`,
        begins: event.type === 'stream',
        last: event.type === 'stream-closed',
      }
    },
  }
}

const open = (to: Side): number => {
  const stream = (to.session as YamuxSession).nextStream
  to.submit({ type: 'open', stream })
  return stream
}
const credit = (to: Side, stream: number, bytes: number = 1_000): void =>
  to.submit({ type: 'credit', stream, bytes })
const data = (to: Side, stream: number, ...bytes: number[]): void =>
  to.submit({ type: 'data', stream, bytes: Uint8Array.from(bytes) })
const end = (to: Side, stream: number): void => to.submit({ type: 'end', stream })

/** Accepts, answers each piece of data with itself, ends when the peer ends. */
function echo(event: YamuxEvent, to: Side): void {
  if (event.type === 'stream') {
    to.submit({ type: 'accept', stream: event.stream })
    credit(to, event.stream)
  } else if (event.type === 'data') data(to, event.stream, ...event.bytes)
  else if (event.type === 'end') end(to, event.stream)
}

function frames(...list: readonly YamuxFrame[]): Uint8Array {
  const out = new ByteWriter()
  for (const frame of list) encodeYamux(frame, out)
  return out.take()
}

function frame(type: number, flags: number, stream: number, length: number = 0): YamuxFrame {
  return { type, flags, stream, length }
}

const payload = (stream: number, flags: number, length: number): YamuxFrame => ({
  ...frame(DATA, flags, stream, length),
  payload: new Uint8Array(length),
})

/** Ends with the go away that says whose fault it is. */
const wentAway =
  (code: number) =>
  (bytes: Uint8Array): boolean =>
    Buffer.from(bytes)
      .subarray(-12)
      .equals(Buffer.from(frames(frame(GO_AWAY, 0, 0, code))))

const refused = (bytes: Uint8Array, code: string = 'ERR_PROTOCOL'): Violation => ({
  to: 'server',
  bytes,
  code,
  answer: wentAway(1),
})

sessionConformance(
  'yamux',
  {
    client: side((now) => new YamuxClientSession(OPTIONS, now)),
    server: side((now) => new YamuxServerSession(OPTIONS, now)),
    scenarios: {
      'two streams of the client and one of the server, at once': {
        start({ client, server }) {
          for (const stream of [open(client), open(client)]) {
            credit(client, stream)
            data(client, stream, stream, 10, 11)
            end(client, stream)
          }
          const stream = open(server)
          credit(server, stream)
          data(server, stream, 42)
          end(server, stream)
        },
        onServerEvent: (event, { server }) => {
          if (!('stream' in event) || event.stream % 2 === 1) echo(event, server)
        },
        onClientEvent: (event, { client }) => {
          if ('stream' in event && event.stream % 2 === 0) echo(event, client)
        },
        expect: {
          client: [
            ': closed',
            '1: accepted',
            '1: data 010a0b',
            '1: end',
            '1: stream-closed',
            '2: stream',
            '2: data 2a',
            '2: end',
            '2: stream-closed',
            '3: accepted',
            '3: data 030a0b',
            '3: end',
            '3: stream-closed',
          ],
          server: [
            ': closed',
            '1: stream',
            '1: data 010a0b',
            '1: end',
            '1: stream-closed',
            '2: accepted',
            '2: data 2a',
            '2: end',
            '2: stream-closed',
            '3: stream',
            '3: data 030a0b',
            '3: end',
            '3: stream-closed',
          ],
        },
      },
      // Nothing else happens meanwhile: what is left for want of room must be asked for.
      'much data in one direction': {
        start: ({ client }) => data(client, open(client), ...new Array(20).fill(5)),
        onServerEvent(event, { server }) {
          if (event.type === 'stream') echo(event, server)
        },
        expect: {
          server: [
            ': closed ERR_DISCONNECTED',
            '1: stream',
            `1: data ${'05'.repeat(20)}`,
            '1: stream-closed ERR_DISCONNECTED',
          ],
        },
      },
      'a stream that is refused and one that is reset': {
        start({ client }) {
          for (const stream of [open(client), open(client)]) data(client, stream, 1)
        },
        onServerEvent(event, { server }) {
          if (event.type !== 'stream') return
          const { stream } = event
          if (stream === 3) server.submit({ type: 'accept', stream })
          if (server.session.state !== 'closed') server.submit({ type: 'reset', stream })
        },
        expect: {
          client: [
            ': closed',
            '1: stream-closed ERR_BUSY',
            '3: accepted',
            '3: stream-closed ERR_RESET',
          ],
          server: [
            ': closed',
            '1: stream',
            '1: stream-closed ERR_ABORTED',
            '3: stream',
            '3: stream-closed ERR_ABORTED',
          ],
        },
      },
      'a drain with a stream in flight': {
        start({ client }) {
          const stream = open(client)
          credit(client, stream)
          data(client, stream, 7)
          client.submit({ type: 'close' })
          end(client, stream)
        },
        onServerEvent: (event, { server }) => echo(event, server),
        expect: {
          client: [': closed', '1: accepted', '1: data 07', '1: end', '1: stream-closed'],
          // The drain reached the server behind the opening: it was taken.
          server: [
            ': go-away',
            ': closed',
            '1: stream',
            '1: data 07',
            '1: end',
            '1: stream-closed',
          ],
        },
      },
    },
    violations: {
      'another version': refused(Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0), 'ERR_VERSION'),
      'an unknown type': refused(frames(frame(4, 0, 1)), 'ERR_MALFORMED'),
      'a stream of the wrong parity': refused(frames(frame(DATA, SYN, 2))),
      'a stream opened twice': refused(frames(frame(DATA, SYN, 1), frame(DATA, SYN, 1))),
      'data on a stream that was never opened': refused(frames(payload(1, 0, 3))),
      'a window update on a stream of ours that was never opened': refused(
        frames(frame(WINDOW_UPDATE, 0, 2, 1)),
      ),
      'data after the end': refused(frames(frame(DATA, SYN | FIN, 1), payload(1, 0, 1))),
      'a second end': refused(frames(frame(DATA, SYN | FIN, 1), frame(DATA, FIN, 1))),
      'an answer to a ping that nobody sent': refused(frames(frame(PING, ACK, 0, 3))),
      'one byte over the window': refused(
        frames(frame(DATA, SYN, 1), frame(DATA, 0, 1, YAMUX_INITIAL_WINDOW + 1)),
        'ERR_LIMIT',
      ),
      'a window of 2^32': refused(
        frames(
          frame(DATA, SYN, 1),
          frame(WINDOW_UPDATE, 0, 1, 0xffff_ffff - YAMUX_INITIAL_WINDOW),
          frame(WINDOW_UPDATE, 0, 1, 1),
        ),
        'ERR_LIMIT',
      ),
      'to be told of a protocol error': {
        to: 'client',
        bytes: frames(frame(GO_AWAY, 0, 0, 1)),
        code: 'ERR_REMOTE',
      },
    },
    illegal: {
      'to close again while a stream is open': {
        side: 'client',
        setUp({ client }) {
          open(client)
          client.submit({ type: 'close' })
        },
        submit: ({ client }) => client.submit({ type: 'close' }),
      },
      'to open another stream than the next': {
        side: 'client',
        submit: ({ client }) => client.submit({ type: 'open', stream: 3 }),
      },
      'credit for a stream there is not': {
        side: 'client',
        submit: ({ client }) => credit(client, 1),
      },
      'data on a stream that was not accepted': {
        side: 'server',
        setUp: ({ client }) => void open(client),
        submit: ({ server }) => data(server, 1, 1),
      },
      'data after the end of a stream': {
        side: 'client',
        setUp: ({ client }) => end(client, open(client)),
        submit: ({ client }) => data(client, 1, 1),
      },
      'to end twice': {
        side: 'client',
        setUp: ({ client }) => end(client, open(client)),
        submit: ({ client }) => end(client, 1),
      },
      'an urgency of 8': {
        side: 'client',
        setUp: ({ client }) => void open(client),
        submit: ({ client }) => client.submit({ type: 'priority', stream: 1, urgency: 8 }),
      },
    },
    timers: {
      'keep-alive': {
        side: 'client',
        afterMs: yamuxDefaults.keepAliveMs,
        check: ({ client }) => assert.ok(client.transcript.lines.includes(': pong')),
      },
      'a ping without answer': {
        side: 'client',
        setUp({ client, server }) {
          server.reads = false
          client.submit({ type: 'ping' })
        },
        afterMs: yamuxDefaults.pingTimeoutMs,
        closes: true,
        code: 'ERR_IDLE',
      },
    },
    floods: {
      'data without credit': {
        to: 'server',
        setUp: ({ client }) => void open(client),
        bytes: frames(payload(1, 0, 500)),
        maxBytes: 4_096 + 9 * 12,
      },
    },
  },
  { test, ok: assert.ok },
)

/** A server session to which a test plays the client. */
class Peer {
  readonly session: YamuxSession
  readonly events: YamuxEvent[] = []
  wakes = 0

  constructor(options: YamuxOptions = {}, session?: YamuxSession) {
    this.session = session ?? new YamuxServerSession(options, NOW)
    this.session.onWake = () => {
      this.wakes += 1
    }
  }

  /** @returns the events it gave */
  give(...list: readonly YamuxFrame[]): readonly YamuxEvent[] {
    this.session.receive(frames(...list), NOW)
    return this.poll()
  }

  poll(): readonly YamuxEvent[] {
    const from = this.events.length
    for (let event = this.session.pollEvent(); event; event = this.session.pollEvent()) {
      this.events.push(event.type === 'data' ? { ...event, bytes: event.bytes.slice() } : event)
    }
    return this.events.slice(from)
  }

  submit(...commands: readonly YamuxCommand[]): void {
    for (const command of commands) this.session.submit(command, NOW)
  }

  /** What leaves, as `type flags stream length` of each frame. */
  sent(room: number = 1_000_000): readonly string[] {
    const bytes = Buffer.from(this.session.pollTransmit(room).take())
    const lines: string[] = []
    for (let at = 0; at < bytes.length; ) {
      const [type, length] = [bytes.readUint8(at + 1), bytes.readUint32BE(at + 8)]
      lines.push(`${type} ${bytes.readUint16BE(at + 2)} ${bytes.readUint32BE(at + 4)} ${length}`)
      at += 12 + (type === DATA ? length : 0)
    }
    return lines
  }
}

const accept = (stream: number): YamuxCommand => ({ type: 'accept', stream })
const give = (stream: number, bytes: number): YamuxCommand => ({ type: 'credit', stream, bytes })
const write = (stream: number, length: number): YamuxCommand => ({
  type: 'data',
  stream,
  bytes: new Uint8Array(length),
})

describe('limits, at the limit and one past it', () => {
  test('maxStreams: one more is refused, until one has ended', () => {
    const peer = new Peer({ maxStreams: 2 })
    peer.give(frame(DATA, SYN, 1), frame(DATA, SYN, 3))
    assert.deepEqual(peer.sent(), [])
    assert.deepEqual(peer.give(frame(DATA, SYN, 5)), [])
    assert.deepEqual(peer.sent(), [`1 ${RST} 5 0`])
    peer.submit({ type: 'reset', stream: 1 })
    assert.equal(peer.give(frame(DATA, SYN, 7)).at(-1)?.type, 'stream')
  })

  test('acceptBacklog: one more is refused, until one is accepted', () => {
    const peer = new Peer({ acceptBacklog: 1 })
    peer.give(frame(DATA, SYN, 1), frame(DATA, SYN, 3))
    assert.deepEqual(peer.sent(), [`1 ${RST} 3 0`])
    peer.submit(accept(1))
    assert.deepEqual(peer.sent(), [`1 ${ACK} 1 0`])
    assert.deepEqual(peer.give(frame(DATA, SYN, 5)), [{ type: 'stream', stream: 5 }])
  })

  test('acceptBacklog: one more of ours is not opened, until one is acknowledged', () => {
    const peer = new Peer({}, new YamuxClientSession({ acceptBacklog: 2 }, NOW))
    peer.submit({ type: 'open', stream: 1 }, { type: 'open', stream: 3 })
    assert.equal(peer.session.openableStreams, 0)
    assert.throws(() => peer.submit({ type: 'open', stream: 5 }), { code: 'ERR_STATE' })
    assert.deepEqual(peer.give(frame(WINDOW_UPDATE, ACK, 3)), [
      { type: 'accepted', stream: 3 },
      { type: 'openable' },
    ])
    peer.submit({ type: 'open', stream: 5 })
  })

  test('maxFrameBytes', () => {
    for (const [length, code] of [
      [100, undefined],
      [101, 'ERR_FRAME_TOO_LARGE'],
    ] as const) {
      const peer = new Peer({ maxFrameBytes: 100 })
      peer.give(frame(DATA, SYN, 1), payload(1, 0, length))
      assert.equal(peer.session.failure?.code, code)
    }
  })

  test('the window: all of it may come without credit, and is held', () => {
    const peer = new Peer()
    const events = peer.give(frame(DATA, SYN, 1), payload(1, 0, YAMUX_INITIAL_WINDOW))
    assert.deepEqual(
      events.map(({ type }) => type),
      ['stream'],
    )
    assert.equal(peer.session.state, 'open')
    peer.give(payload(1, 0, 1))
    assert.equal(peer.session.failure?.code, 'ERR_LIMIT')
  })

  test('maxBufferedBytes: nothing is read from there on, until some is taken', () => {
    const peer = new Peer({ maxBufferedBytes: 100 })
    peer.give(frame(DATA, SYN, 1), payload(1, 0, 99))
    assert.equal(peer.session.wantsRead, true)
    peer.give(payload(1, 0, 1), frame(DATA, SYN, 3))
    assert.equal(peer.session.wantsRead, false)
    assert.equal(peer.events.length, 1, 'the second stream waits')
    peer.submit(accept(1), give(1, 1))
    assert.deepEqual(
      peer.poll().map(({ type }) => type),
      ['data', 'stream'],
    )
  })

  test('maxQueuedBytes: stuck from there on, until all has left', () => {
    const peer = new Peer({ maxQueuedBytes: 100 })
    peer.give(frame(DATA, SYN, 1))
    assert.equal(peer.session.isWritable(1), false, 'not accepted')
    peer.submit(accept(1), write(1, 99))
    assert.equal(peer.session.isWritable(1), true)
    peer.submit(write(1, 1))
    assert.equal(peer.session.isWritable(1), false)
    assert.throws(() => peer.submit(write(1, 1)), { code: 'ERR_STATE' })
    peer.sent(60)
    assert.deepEqual(peer.poll(), [])
    peer.sent()
    assert.deepEqual(peer.poll(), [{ type: 'writable', stream: 1 }])
    peer.submit(write(1, 1))
  })

  test('maxAnswers: nothing is read until the answers have left', () => {
    const peer = new Peer({ maxAnswers: 2 })
    const ping = (id: number): YamuxFrame => frame(PING, SYN, 0, id)
    peer.give(ping(1))
    assert.equal(peer.session.wantsRead, true)
    peer.give(ping(2), ping(3))
    assert.equal(peer.session.wantsRead, false)
    assert.deepEqual(peer.sent(), ['2 2 0 1', '2 2 0 2'])
    assert.ok(peer.wakes > 0, 'somebody must poll again')
    peer.poll()
    assert.deepEqual(peer.sent(), ['2 2 0 3'])
  })

  test('maxAnswers: streams that come and go make no more output than 1,024 times as many frames', () => {
    const peer = new Peer({ maxAnswers: 1 })
    let opened = 0
    const open = (): void => {
      opened += 1
      const id = 2 * opened - 1
      peer.give(frame(WINDOW_UPDATE, SYN, id, 0))
      peer.submit({ type: 'accept', stream: id }, { type: 'reset', stream: id })
      peer.poll()
    }
    while (opened < 511) open()
    assert.equal(peer.session.wantsRead, true)
    open()
    assert.equal(peer.session.wantsRead, false, '1,024 frames wait')
    assert.equal(peer.sent().length, 1_024)
    assert.equal(peer.session.wantsRead, true)
  })

  test('maxPings', () => {
    const peer = new Peer({ maxPings: 2 })
    peer.submit({ type: 'ping' }, { type: 'ping' })
    assert.throws(() => peer.submit({ type: 'ping' }), { code: 'ERR_STATE' })
    assert.deepEqual(peer.sent(), ['2 1 0 0', '2 1 0 1'])
    assert.deepEqual(peer.give(frame(PING, ACK, 0, 0)), [{ type: 'pong', roundTripMs: 0 }])
    peer.submit({ type: 'ping' })
  })

  test('every option refuses what is out of its range', () => {
    for (const name of Object.keys(yamuxDefaults)) {
      for (const value of [-1, Number.NaN]) {
        const create = (): unknown => new YamuxClientSession({ [name]: value }, NOW)
        assert.throws(create, { code: 'ERR_OPTION_RANGE' }, name)
      }
    }
  })
})

describe('credit', () => {
  test('reaches the peer in updates of half a window or more', () => {
    const peer = new Peer()
    const half = YAMUX_INITIAL_WINDOW / 2
    peer.give(frame(DATA, SYN, 1))
    peer.submit(accept(1))
    peer.sent()
    for (let given = 0; given < half - 1_024; given += 1_024) peer.submit(give(1, 1_024))
    assert.deepEqual(peer.sent(), [])
    peer.submit(give(1, 1_024))
    assert.deepEqual(peer.sent(), [`1 0 1 ${half}`])
  })

  test('a peer is never stuck with credit that it was not told of', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1), payload(1, 0, YAMUX_INITIAL_WINDOW))
    peer.submit(accept(1))
    peer.sent()
    let left = YAMUX_INITIAL_WINDOW
    while (left > 0) {
      peer.submit(give(1, 1_000))
      left -= 1_000
      peer.poll()
      if (peer.sent().length > 0) return
    }
    assert.fail('everything was taken and the peer was told of nothing')
  })

  test('a stream on hold delivers nothing, whatever its credit, and counts what it keeps', () => {
    const peer = new Peer({ maxBufferedBytes: 100 })
    const hold = (held: boolean): YamuxCommand => ({ type: 'hold', stream: 1, held })
    peer.give(frame(DATA, SYN, 1))
    peer.submit(accept(1), hold(true), give(1, 500))
    assert.deepEqual(peer.give(payload(1, 0, 60)), [])
    peer.submit(give(1, 10))
    assert.deepEqual(peer.poll(), [])
    assert.ok(peer.session.wantsRead)
    peer.give(payload(1, 0, 40))
    assert.ok(!peer.session.wantsRead)
    peer.submit(hold(false))
    assert.equal(peer.poll().length, 1)
    assert.ok(peer.session.wantsRead)
    assert.equal(peer.give(payload(1, FIN, 5)).length, 2)
  })

  test('what a window cannot hold is told when it can', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1))
    peer.submit(accept(1), give(1, 0x7fff_ffff), give(1, 0x7fff_ffff), give(1, 0x7fff_ffff))
    const told = peer.sent().map((line) => Number(line.split(' ')[3]))
    assert.equal(
      told.reduce((sum, bytes) => sum + bytes, YAMUX_INITIAL_WINDOW),
      0xffff_ffff,
    )
  })
})

describe('what leaves', () => {
  test('urgent first, in turn within one urgency, no more than there is room for', () => {
    const peer = new Peer({ sendFrameBytes: 100 })
    peer.give(frame(DATA, SYN, 1), frame(DATA, SYN, 3), frame(DATA, SYN, 5))
    for (const stream of [1, 3, 5]) peer.submit(accept(stream), write(stream, 200))
    peer.submit({ type: 'priority', stream: 5, urgency: 0 })
    assert.equal(peer.sent(1).length, 4, 'three acknowledgements and a byte')
    assert.ok(peer.wakes > 0, 'somebody must ask for the rest')
    assert.deepEqual(peer.sent(), [
      '0 0 5 100',
      '0 0 5 99',
      '0 0 1 100',
      '0 0 3 100',
      '0 0 1 100',
      '0 0 3 100',
    ])
  })

  test('no more than the window, and the rest after an update, then the end in a frame of its own', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1))
    peer.submit(accept(1), write(1, YAMUX_INITIAL_WINDOW + 5), { type: 'end', stream: 1 })
    peer.sent()
    assert.deepEqual(peer.sent(), [])
    peer.give(frame(WINDOW_UPDATE, 0, 1, 5))
    assert.deepEqual(peer.sent(), ['0 0 1 5', `1 ${FIN} 1 0`])
  })
})

describe('the ends', () => {
  test('a refused stream may be opened elsewhere: nobody has seen it', () => {
    const peer = new Peer({}, new YamuxClientSession({}, NOW))
    peer.submit({ type: 'open', stream: 1 })
    const [event] = peer.give(frame(WINDOW_UPDATE, RST, 1))
    assert.ok(event?.type === 'stream-closed' && event.error instanceof OverloadError)
    assert.equal(event.error.sent, 'nothing')
    assert.equal(event.error.retryable, 'yes')
  })

  test('data for a stream that was reset here is dropped', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1))
    peer.submit({ type: 'reset', stream: 1 })
    peer.give(payload(1, 0, 10), frame(WINDOW_UPDATE, 0, 1, 5), frame(PING, SYN, 0, 1))
    assert.equal(peer.session.failure, undefined)
    assert.deepEqual(peer.sent(), [`1 ${RST} 1 0`, '2 2 0 1'])
  })

  test('commands for a stream that has ended are ignored until its owner heard of it', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1), frame(DATA, SYN, 3))
    peer.submit(accept(1), accept(3))
    peer.session.receiveClose(undefined, NOW)
    assert.deepEqual(
      [peer.session.pollEvent()].map((event) => event?.type),
      ['stream-closed'],
    )
    peer.submit(give(3, 1))
    assert.throws(() => peer.submit(give(1, 1)), { code: 'ERR_STATE' })
  })

  test('a new stream while draining is refused', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1))
    peer.submit({ type: 'close' })
    peer.give(frame(DATA, SYN, 3))
    assert.deepEqual(peer.sent(), ['3 0 0 0', `1 ${RST} 3 0`])
    assert.equal(peer.session.state, 'closing')
  })

  test('a stream that was not taken before the peer drained may be opened elsewhere', () => {
    const peer = new Peer({}, new YamuxClientSession({}, NOW))
    peer.submit({ type: 'open', stream: 1 })
    peer.give(frame(GO_AWAY, 0, 0, 0))
    peer.session.receiveEnd(NOW)
    const closed = peer.poll().find((event) => event.type === 'stream-closed')
    assert.equal(closed?.error?.code, 'ERR_DRAINING')
    assert.equal(peer.session.failure, undefined)
  })

  test('what a complete stream holds is delivered after the end of the connection', () => {
    const peer = new Peer()
    peer.give(frame(DATA, SYN, 1), payload(1, FIN, 3))
    peer.submit(accept(1), { type: 'end', stream: 1 })
    peer.sent()
    peer.session.receiveEnd(NOW)
    assert.deepEqual(peer.poll(), [])
    peer.submit(give(1, 3))
    assert.deepEqual(
      peer.poll().map(({ type }) => type),
      ['data', 'end', 'stream-closed', 'closed'],
    )
    assert.equal(peer.session.failure, undefined)
  })

  test('a lost connection keeps its reason', () => {
    const session = new YamuxClientSession({}, NOW)
    const reason = new Error('reset')
    session.receiveClose(reason, NOW)
    assert.equal(session.failure?.code, 'ERR_DISCONNECTED')
    assert.equal(session.failure?.cause, reason)
  })

  test('a ping is not missed while this side does not read', () => {
    const peer = new Peer({ maxBufferedBytes: 1 })
    peer.submit({ type: 'ping' })
    peer.give(frame(DATA, SYN, 1), payload(1, 0, 1))
    peer.session.handleTimeout(NOW + yamuxDefaults.pingTimeoutMs)
    assert.equal(peer.session.failure, undefined)
    assert.equal(peer.session.pollTimeout(), NOW + 2 * yamuxDefaults.pingTimeoutMs)
  })
})
