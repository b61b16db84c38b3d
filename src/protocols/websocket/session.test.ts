import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Host } from '../../core/host.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { nodeRawDeflate } from '../../platform/node-raw-deflate.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import {
  type SessionPair,
  type SessionViolation,
  type SideSubject,
  sessionConformance,
} from '../../testing/session-conformance.ts'
import { encodeFrame } from './encoder.ts'
import { Opcode, type WebSocketCommand, type WebSocketEvent } from './messages.ts'
import { type WebSocketOptions, webSocketDefaults } from './options.ts'
import { WebSocketSession } from './session.ts'

type Pair = SessionPair<WebSocketCommand, WebSocketEvent, WebSocketCommand, WebSocketEvent>
type Violation = SessionViolation<
  WebSocketCommand,
  WebSocketEvent,
  WebSocketCommand,
  WebSocketEvent
>
type Role = 'client' | 'server'

const { CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = Opcode
const KEY = 0x0a0b_0c0d
const OPTIONS: WebSocketOptions = { maxFrameBytes: 1_000, maxMessageBytes: 2_000, maxAnswers: 4 }

function host(): Host {
  const random = new SeededRandom(5)
  return { ...nodeHost, randomBytes: (into) => into.set(random.bytes(into.length)) }
}

function session(role: Role, options: WebSocketOptions = OPTIONS, now = 0): WebSocketSession {
  const deflate = options.compression === undefined ? undefined : { windowBits: 15 }
  return new WebSocketSession({ role, host: host(), options, deflate, now })
}

function side(
  role: Role,
  options: WebSocketOptions = OPTIONS,
): SideSubject<WebSocketCommand, WebSocketEvent> {
  return {
    create: (clock) => session(role, options, clock.now()),
    begins: () => undefined,
    describe(event) {
      const exchange = 'all'
      if (event.type === 'message' && event.text) {
        return { exchange, text: `text ${Buffer.from(event.payload).toString()}` }
      }
      if (event.type === 'message') return { exchange: 'binary', bytes: event.payload }
      if (event.type === 'pong') return { exchange, text: 'pong' }
      return { exchange, text: `close ${event.code} ${event.reason}` }
    },
  }
}

const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list)
const send = (to: Pair['client'], ...list: number[]): void =>
  to.submit({ type: 'send', payload: bytes(...list), text: false })
const text = (to: Pair['client'], value: string): void => to.submit({ type: 'text', text: value })
const close = (to: Pair['client'], code = 1000, reason = ''): void =>
  to.submit({ type: 'close', code, reason })

function frame(
  opcode: number,
  payload: Uint8Array,
  options: { final?: boolean; key?: number } = {},
): Uint8Array {
  const out = new ByteWriter()
  const { final = true, key } = options
  encodeFrame(out, { opcode, final, compressed: false }, payload, key, false)
  return out.take()
}
const masked = (opcode: number, payload: Uint8Array, final = true): Uint8Array =>
  frame(opcode, payload, { final, key: KEY })
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** Whether a server's output ends with a close frame of this code. */
const closedWith =
  (code: number) =>
  (output: Uint8Array): boolean => {
    const at = output.lastIndexOf(0x88)
    return output[at + 2] === code >> 8 && output[at + 3] === (code & 0xff)
  }

const refused = (input: Uint8Array, status: number, code: string): Violation => ({
  to: 'server',
  bytes: input,
  code,
  answer: closedWith(status),
})

sessionConformance(
  'WebSocket',
  {
    client: side('client'),
    server: side('server'),
    scenarios: {
      'messages both ways, then the client closes': {
        start({ client, server }) {
          text(client, 'héllo')
          send(client, 1, 2, 3)
          send(server, 4)
          send(server)
          close(client, 1000, 'bye')
        },
        onServerEvent: (event, { server }) => {
          if (event.type === 'message' && event.text) text(server, 'too late or not')
        },
        expect: {
          server: ['all: text héllo', 'all: close 1000 bye', 'binary: data 010203'],
        },
      },
      'the server closes, with a ping before': {
        start({ client, server }) {
          client.submit({ type: 'ping', payload: bytes(7) })
          text(server, 'first')
          close(server, 1012, 'restart')
        },
        expect: {
          client: ['all: text first', 'all: close 1012 restart'],
          server: ['all: close 1012 '],
        },
      },
      'both close at once': {
        start({ client, server }) {
          close(client, 1001)
          close(server, 4000, 'ours')
        },
        expect: { client: ['all: close 4000 ours'], server: ['all: close 1001 '] },
      },
    },
    violations: {
      'a client frame without a mask': refused(frame(BINARY, bytes(1)), 1002, 'ERR_PROTOCOL'),
      'a server frame with a mask': {
        to: 'client',
        bytes: masked(BINARY, bytes(1)),
        code: 'ERR_PROTOCOL',
      },
      'a reserved bit': refused(bytes(0x92, 0x80), 1002, 'ERR_PROTOCOL'),
      'a compressed message nobody agreed on': refused(bytes(0xc2, 0x80), 1002, 'ERR_PROTOCOL'),
      'a reserved opcode': refused(bytes(0x83, 0x80), 1002, 'ERR_PROTOCOL'),
      'a fragmented control frame': refused(bytes(0x09, 0x80), 1002, 'ERR_PROTOCOL'),
      'a control frame over 125 bytes': refused(bytes(0x89, 0xfe), 1002, 'ERR_PROTOCOL'),
      'text that is not UTF-8': refused(masked(TEXT, bytes(0xc3, 0x28)), 1007, 'ERR_ENCODING'),
      'text cut between fragments': refused(
        join(masked(TEXT, bytes(0xc3), false), masked(CONTINUATION, bytes(0x28))),
        1007,
        'ERR_ENCODING',
      ),
      'half a close code': refused(masked(CLOSE, bytes(3)), 1002, 'ERR_PROTOCOL'),
      'close code 1005': refused(masked(CLOSE, bytes(3, 237)), 1002, 'ERR_PROTOCOL'),
      'close code 2999': refused(masked(CLOSE, bytes(0x0b, 0xb7)), 1002, 'ERR_PROTOCOL'),
      'a reason that is not UTF-8': refused(
        masked(CLOSE, bytes(3, 232, 0xff)),
        1007,
        'ERR_ENCODING',
      ),
      'a frame that is too long': refused(
        bytes(0x82, 0xfe, 3, 233, 0, 0, 0, 0),
        1009,
        'ERR_FRAME_TOO_LARGE',
      ),
      'fragments that are too long together': refused(
        join(
          masked(BINARY, new Uint8Array(1_000), false),
          masked(CONTINUATION, new Uint8Array(1_000), false),
          masked(CONTINUATION, bytes(1)),
        ),
        1009,
        'ERR_FRAME_TOO_LARGE',
      ),
      'length 2^63': refused(
        bytes(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        1002,
        'ERR_PROTOCOL',
      ),
      'length 2^32-1': refused(
        bytes(0x82, 0xff, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0),
        1009,
        'ERR_FRAME_TOO_LARGE',
      ),
    },
    illegal: {
      'send after close': {
        side: 'client',
        setUp: ({ client }) => close(client),
        submit: ({ client }) => send(client, 1),
      },
      'a message over maxMessageBytes': {
        side: 'server',
        submit: ({ server }) => {
          const tooLong = { type: 'send' as const, payload: new Uint8Array(2_001), text: false }
          assert.throws(() => server.session.submit(tooLong, 0), { code: 'ERR_FRAME_TOO_LARGE' })
          close(server, 1005)
        },
      },
      'a ping of 126 bytes': {
        side: 'client',
        submit: ({ client }) => client.submit({ type: 'ping', payload: new Uint8Array(126) }),
      },
      'close with a code that may not be sent': {
        side: 'client',
        submit: ({ client }) => close(client, 999),
      },
    },
    timers: {
      'a peer that is silent: a ping': { side: 'server', afterMs: 30_000 },
      'a close frame that nobody answers': {
        side: 'server',
        setUp: ({ server, client }) => {
          client.reads = false
          close(server)
        },
        afterMs: 5_000,
        closes: true,
        code: 'ERR_IDLE',
      },
    },
    floods: {
      'messages that nobody wants': {
        to: 'server',
        setUp: ({ server }) => server.submit({ type: 'demand', wanted: false }),
        bytes: masked(BINARY, bytes(1, 2, 3)),
        maxBytes: 0,
      },
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

/** All events of some input, described. */
function events(subject: WebSocketSession, input: Uint8Array, now = 0): string[] {
  const described: string[] = []
  subject.receive(input, now)
  for (let event = subject.pollEvent(); event !== undefined; event = subject.pollEvent()) {
    const payload = 'payload' in event ? ` ${Buffer.from(event.payload).toString('latin1')}` : ''
    described.push(event.type + payload)
  }
  return described
}

test('WebSocketSession pings a silent peer twice, then closes with 1001', () => {
  const subject = session('server')
  assert.equal(subject.pollTimeout(), 30_000)
  for (const at of [30_000, 60_000]) {
    subject.handleTimeout(at)
    assert.equal(subject.pollTransmit(0).take()[0], 0x89, 'a ping')
  }
  assert.equal(subject.state, 'open')
  assert.equal(subject.pollTimeout(), 90_000)
  subject.handleTimeout(90_000)
  assert.ok(closedWith(1001)(subject.pollTransmit(0).take()))
  assert.equal(subject.state, 'closed')
  assert.equal(subject.failure?.code, 'ERR_IDLE')
  assert.match(subject.failure?.message ?? '', /nothing arrived for 90000 ms, with 2 pings/)
})

test('WebSocketSession takes any byte for a sign of life, and knows the round trip of its ping', () => {
  const subject = session('server')
  subject.handleTimeout(30_000)
  const ping = subject.pollTransmit(0).take()
  assert.deepEqual(events(subject, masked(PONG, ping.subarray(2)), 30_040), ['pong \0\0\0\x01'])
  assert.equal(subject.roundTripMs, 40)
  assert.equal(subject.pollTimeout(), 60_040)
  assert.deepEqual(events(subject, masked(PONG, bytes(9)), 31_000), ['pong \t'])
  assert.equal(subject.roundTripMs, 40, 'that was no answer to ours')
})

test('WebSocketSession waits for nobody while it does not read, and pings nobody', () => {
  const subject = session('server')
  subject.submit({ type: 'demand', wanted: false }, 0)
  assert.equal(subject.pollTimeout(), undefined)
  subject.submit({ type: 'demand', wanted: true }, 500_000)
  assert.equal(subject.pollTimeout(), 530_000)
})

test('WebSocketSession never pings when pingIntervalMs is Infinity', () => {
  const subject = session('client', { pingIntervalMs: Number.POSITIVE_INFINITY })
  assert.equal(subject.pollTimeout(), undefined)
})

test('WebSocketSession answers maxAnswers pings behind stuck output, then only the last', () => {
  const subject = session('server')
  for (let count = 0; count < 20; count++) events(subject, masked(PING, bytes(count)))
  const stuck = subject.pollTransmit(0).take()
  assert.deepEqual(
    [...stuck],
    [0, 1, 2, 3].flatMap((count) => [0x8a, 1, count]),
  )
  assert.deepEqual([...subject.pollTransmit(0).take()], [0x8a, 1, 19])
  assert.equal(subject.pollTransmit(0).pending, 0)
})

test('WebSocketSession sends a long message in fragments of sendFrameBytes', () => {
  const subject = session('server', { sendFrameBytes: 4 })
  subject.send(bytes(1, 2, 3, 4, 5, 6, 7, 8, 9), false)
  const sent = subject.pollTransmit(0).take()
  assert.deepEqual([...sent], [0x02, 4, 1, 2, 3, 4, 0x00, 4, 5, 6, 7, 8, 0x80, 1, 9])
  subject.sendText('12345')
  assert.deepEqual([...subject.pollTransmit(0).take()], [0x01, 4, 49, 50, 51, 52, 0x80, 1, 53])
  subject.send(bytes(1, 2, 3, 4), false)
  assert.deepEqual([...subject.pollTransmit(0).take()], [0x82, 4, 1, 2, 3, 4])
})

test('WebSocketSession drops what comes behind a close frame, and says so once', () => {
  const subject = session('client')
  const input = join(
    frame(CLOSE, bytes(3, 232)),
    frame(TEXT, bytes(65)),
    frame(CLOSE, bytes(3, 233)),
  )
  assert.deepEqual(events(subject, input), ['close'])
  assert.deepEqual(subject.peerClose, { code: 1000, reason: '' })
  assert.equal(subject.state, 'closing', 'a client waits for the server to end the connection')
  subject.receiveEnd(1)
  subject.pollEvent()
  assert.equal(subject.state, 'closed')
  assert.equal(subject.failure, undefined)
})

test('WebSocketSession cuts a long reason between code points', () => {
  const subject = session('server')
  subject.submit({ type: 'close', code: 1000, reason: '€'.repeat(60) }, 0)
  const sent = subject.pollTransmit(0).take()
  assert.equal(sent[1], 2 + 123)
  assert.equal(Buffer.from(sent.subarray(4)).toString(), '€'.repeat(41))
})

// permessage-deflate.

const DEFLATE: WebSocketOptions = { compression: { minBytes: 100 }, maxMessageBytes: 100_000 }

/** A compressed message, masked as a client's. */
function packed(payload: Uint8Array, opcode: number = BINARY): Uint8Array {
  const out = new ByteWriter()
  encodeFrame(out, { opcode, final: true, compressed: true }, payload, KEY, false)
  return out.take()
}

test('WebSocketSession compresses from minBytes on and what shrinks, alone each', () => {
  const [client, server] = [session('client', DEFLATE), session('server', DEFLATE)]
  const long = 'heddle '.repeat(100)
  for (let round = 0; round < 2; round++) {
    client.sendText(long)
    const wire = client.pollTransmit(0).take()
    assert.equal(wire[0], 0xc1)
    assert.ok(wire.length < 60, `${wire.length} bytes`)
    assert.deepEqual(events(server, wire), [`message ${long}`])
  }
  client.sendText('x'.repeat(99))
  assert.equal(client.pollTransmit(0).take()[0], 0x81, 'one byte below minBytes')
  client.sendText('x'.repeat(100))
  assert.equal(client.pollTransmit(0).take()[0], 0xc1, 'at minBytes')
  client.send(new SeededRandom(1).bytes(200), false)
  assert.equal(client.pollTransmit(0).take()[0], 0x82, 'noise does not shrink')
})

test('WebSocketSession sends what is over maxBytes of compression as it is', () => {
  const subject = session('server', { compression: { minBytes: 0, maxBytes: 500 } })
  subject.send(new Uint8Array(500), false)
  assert.equal(subject.pollTransmit(0).take()[0], 0xc2)
  subject.send(new Uint8Array(501), false)
  assert.equal(subject.pollTransmit(0).take()[0], 0x82)
})

test('WebSocketSession compresses nothing for a peer with a window of 256 bytes', () => {
  const deflate = { windowBits: 8 }
  const subject = new WebSocketSession({
    role: 'client',
    host: host(),
    options: DEFLATE,
    deflate,
    now: 0,
  })
  subject.send(new Uint8Array(1_000), false)
  assert.equal(subject.pollTransmit(0).take()[0], 0x82)
})

test('WebSocketSession inflates up to maxMessageBytes, and one byte more is a bomb: 1009', () => {
  const deflate = (length: number) => nodeRawDeflate.deflate(new Uint8Array(length), 15, 9).slice()
  const fits = session('server', DEFLATE)
  assert.equal(events(fits, packed(deflate(100_000)))[0]?.length, 100_008)
  const bomb = session('server', DEFLATE)
  assert.deepEqual(events(bomb, packed(deflate(100_001))), [])
  assert.equal(bomb.failure?.code, 'ERR_EXPANSION')
  assert.ok(closedWith(1009)(bomb.pollTransmit(0).take()))
})

test('WebSocketSession bounds what a compressed message becomes for each byte of it', () => {
  const compression = { expansionFreeBytes: 1_000, maxExpansion: 100 }
  const options = { ...DEFLATE, compression }
  const wire = nodeRawDeflate.deflate(new Uint8Array(50_000), 15, 9).slice()
  assert.ok(wire.length * 100 < 50_000)
  const subject = session('server', options)
  assert.deepEqual(events(subject, packed(wire)), [])
  assert.equal(subject.failure?.code, 'ERR_EXPANSION')
})

test('WebSocketSession refuses corrupt deflate, and text that is not UTF-8 inside: 1007', () => {
  for (const payload of [
    bytes(255, 255, 1, 2),
    nodeRawDeflate.deflate(bytes(0x61, 0xff), 15, 1).slice(),
  ]) {
    const subject = session('server', DEFLATE)
    assert.deepEqual(events(subject, packed(payload, TEXT)), [])
    assert.equal(subject.failure?.code, 'ERR_ENCODING')
    assert.ok(closedWith(1007)(subject.pollTransmit(0).take()))
  }
})

test('webSocketDefaults are those of seed 004, but for compression', () => {
  const { maxFrameBytes, maxMessageBytes, compression } = webSocketDefaults
  assert.deepEqual([maxFrameBytes, maxMessageBytes, compression], [2 ** 24, 2 ** 26, false])
})
