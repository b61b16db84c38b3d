import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { ClosedError } from '../../core/errors.ts'
import { encodeAck, encodeData } from './datagram-format.ts'
import type { ReliableDatagramEvent } from './messages.ts'
import type { ReliableDatagramOptions } from './options.ts'
import { ReliableDatagramSession } from './session.ts'

const PEER = ip('192.0.2.1', 4_000)
const EPOCH = 0x0102_0304
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

function session(options: ReliableDatagramOptions = {}): ReliableDatagramSession {
  return new ReliableDatagramSession(EPOCH, options)
}
function send(to: ReliableDatagramSession, text: string, reference: number, now = 0): void {
  to.submit({ type: 'send', payload: bytes(text), to: PEER, reference }, now)
}
function sent(from: ReliableDatagramSession, now: number): string[] {
  const datagrams: string[] = []
  for (let out = from.pollTransmit(now); out !== undefined; out = from.pollTransmit(now)) {
    datagrams.push(hex(out.payload))
  }
  return datagrams
}
function events(of: ReliableDatagramSession): ReliableDatagramEvent[] {
  const all: ReliableDatagramEvent[] = []
  for (let event = of.pollEvent(); event !== undefined; event = of.pollEvent()) all.push(event)
  return all
}

test('ReliableDatagramSession sends a message and takes its acknowledgement', () => {
  const one = session()
  send(one, 'hi', 42)
  // version, kind, epoch, number, payload
  assert.deepEqual(sent(one, 0), ['01 00 01020304 00000000 6869'.replaceAll(' ', '')])
  one.receive(encodeAck(EPOCH, [0], 1_400), PEER, 5)
  assert.deepEqual(events(one), [{ type: 'delivered', reference: 42, attempts: 1 }])
  assert.equal(one.inFlight, 0)
  assert.equal(one.pollTimeout(), undefined)
})

test('ReliableDatagramSession sends again after 250 ms, twice as long each time, five times in all', () => {
  const one = session()
  send(one, 'x', 1)
  const times: number[] = []
  let now = 0
  for (;;) {
    if (sent(one, now).length > 0) times.push(now)
    const next = one.pollTimeout()
    if (next === undefined) break
    now = next
    one.handleTimeout(now - 1)
    assert.equal(sent(one, now - 1).length, 0, `nothing before ${now}`)
    one.handleTimeout(now)
  }
  assert.deepEqual(times, [0, 250, 750, 1_750, 3_750])
  assert.equal(now, 7_750)
  const [failed, ...rest] = events(one)
  assert.equal(rest.length, 0)
  assert.ok(failed?.type === 'failed')
  assert.deepEqual(
    [failed.reference, failed.error.code, failed.error.sent],
    [1, 'ERR_ATTEMPT_TIMEOUT', 'all'],
  )
})

test('ReliableDatagramSession hands out a message once and acknowledges each copy', () => {
  const one = session()
  const datagram = encodeData(9, 5, bytes('once'))
  for (let copies = 0; copies < 3; copies++) {
    one.receive(datagram, PEER, copies)
    assert.deepEqual(sent(one, copies), [hex(encodeAck(9, [5], 1_400))])
  }
  assert.deepEqual(
    events(one).map((event) => event.type),
    ['message'],
  )
})

test('ReliableDatagramSession tells a process that was started anew from the one before', () => {
  const one = session()
  one.receive(encodeData(1, 0, bytes('old')), PEER, 0)
  one.receive(encodeData(2, 0, bytes('new')), PEER, 0)
  one.receive(encodeData(1, 0, bytes('old')), PEER, 0) // was still on its way
  assert.equal(events(one).length, 2)
})

test('ReliableDatagramSession acknowledges many messages in one datagram', () => {
  const one = session({ maxDatagramBytes: 64 })
  for (let number = 0; number < 20; number++)
    one.receive(encodeData(9, number, bytes('m')), PEER, 0)
  const acks = sent(one, 0)
  assert.deepEqual(
    acks.map((ack) => ack.length / 2),
    [6 + 4 * 14, 6 + 4 * 6],
  )
})

test('ReliableDatagramSession never answers with more than it received', () => {
  const one = session()
  const datagram = encodeData(9, 5, new Uint8Array(0))
  one.receive(datagram, PEER, 0)
  assert.ok((one.pollTransmit(0)?.payload.length ?? 0) <= datagram.length)
  one.receive(bytes('no datagram of ours'), PEER, 0)
  assert.equal(one.pollTransmit(0), undefined)
})

test('ReliableDatagramSession ignores acknowledgements that prove nothing', () => {
  const one = session()
  send(one, 'x', 1)
  one.receive(encodeAck(EPOCH, [0], 1_400), PEER, 0) // nothing was sent yet
  sent(one, 0)
  one.receive(encodeAck(EPOCH, [0], 1_400), ip('192.0.2.2', 4_000), 0) // somebody else
  one.receive(encodeAck(EPOCH + 1, [0], 1_400), PEER, 0) // of another process
  one.receive(encodeAck(EPOCH, [1, 0xffff_ffff], 1_400), PEER, 0) // of other messages
  assert.deepEqual(events(one), [])
  assert.equal(one.inFlight, 1)
  one.receive(encodeAck(EPOCH, [0, 0], 1_400), ip('192.0.2.1', 4_000), 0) // another object
  assert.equal(events(one).length, 1)
})

test('ReliableDatagramSession drops what it does not understand, with its reason', () => {
  const one = session()
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(0), 'ERR_TRUNCATED'],
    [encodeData(1, 1, new Uint8Array(0)).slice(0, 9), 'ERR_TRUNCATED'],
    [Uint8Array.of(2, ...encodeData(1, 1, new Uint8Array(9)).slice(1)), 'ERR_VERSION'],
    [Uint8Array.of(1, 7, ...encodeData(1, 1, new Uint8Array(9)).slice(2)), 'ERR_MALFORMED'],
    [encodeAck(1, [1, 2], 1_400).slice(0, 13), 'ERR_MALFORMED'],
  ]
  for (const [datagram, code] of cases) {
    one.receive(datagram, PEER, 0)
    const [event] = events(one)
    assert.ok(event?.type === 'malformed', code)
    assert.equal(event.error.code, code)
  }
  assert.equal(one.state, 'open')
})

test('ReliableDatagramSession takes a message of maxMessageBytes and refuses one more', () => {
  const one = session({ maxDatagramBytes: 100 })
  assert.equal(one.maxMessageBytes, 90)
  one.submit({ type: 'send', payload: new Uint8Array(90), to: PEER, reference: 1 }, 0)
  const command = { type: 'send', payload: new Uint8Array(91), to: PEER, reference: 2 } as const
  assert.throws(() => one.submit(command, 0), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: 'message of 91 bytes is over 90',
  })
})

test('ReliableDatagramSession takes maxInFlight messages and refuses one more until one is done', () => {
  const one = session({ maxInFlight: 3 })
  for (let reference = 0; reference < 3; reference++) send(one, 'x', reference)
  assert.equal(one.writable, false)
  assert.throws(() => send(one, 'x', 3), { code: 'ERR_BUSY' })
  sent(one, 0)
  one.receive(encodeAck(EPOCH, [1], 1_400), PEER, 0)
  assert.equal(one.writable, true)
  send(one, 'x', 3)
})

test('ReliableDatagramSession keeps messages in flight no further apart than peers remember', () => {
  const one = session({ maxInFlight: 4, rememberedMessages: 4 })
  send(one, 'stuck', 0)
  for (let reference = 1; reference < 4; reference++) {
    send(one, 'x', reference)
    sent(one, 0)
    one.receive(encodeAck(EPOCH, [reference], 1_400), PEER, 0)
  }
  assert.equal(one.inFlight, 1)
  assert.throws(() => send(one, 'x', 4), { code: 'ERR_BUSY' })
})

test('ReliableDatagramSession remembers rememberedMessages numbers, and not one more', () => {
  const one = session({ maxInFlight: 1, rememberedMessages: 4 })
  const receive = (number: number): void => one.receive(encodeData(9, number, bytes('m')), PEER, 0)
  for (let number = 0; number < 4; number++) receive(number)
  receive(0) // known, and moved to the end
  assert.equal(events(one).length, 4)
  receive(4) // pushes out 1
  receive(0)
  assert.equal(events(one).length, 1)
  receive(1)
  assert.equal(events(one).length, 1)
})

test('ReliableDatagramSession remembers maxPeers peers, and forgets the one longest silent', () => {
  const one = session({ maxPeers: 2 })
  const receive = (port: number): void => {
    one.receive(encodeData(9, 0, bytes('m')), ip('192.0.2.1', port), 0)
  }
  receive(1)
  receive(2)
  receive(1)
  assert.equal(one.peerCount, 2)
  receive(3) // instead of 2
  assert.equal(one.peerCount, 2)
  receive(1)
  assert.equal(events(one).length, 3)
  receive(2)
  assert.equal(events(one).length, 1)
})

test('ReliableDatagramSession closes when what is in flight has come to an end', () => {
  const one = session()
  send(one, 'x', 1)
  sent(one, 0)
  one.close()
  assert.equal(one.state, 'closing')
  assert.throws(() => send(one, 'y', 2), { code: 'ERR_STATE' })
  one.receive(encodeAck(EPOCH, [0], 1_400), PEER, 0)
  assert.equal(one.state, 'closed')
  const other = session()
  send(other, 'x', 1)
  other.abort(new ClosedError('ERR_CLOSED', 'gone'))
  assert.equal(other.state, 'closed')
  assert.deepEqual(
    events(other).map((event) => event.type),
    ['failed'],
  )
  assert.equal(other.pollTransmit(0), undefined)
  assert.equal(other.pollTimeout(), undefined)
})

test('ReliableDatagramSession refuses options out of range', () => {
  for (const options of [
    { maxDatagramBytes: 63 },
    { maxAttempts: 0 },
    { maxInFlight: 5, rememberedMessages: 4 },
    { maxPeers: 0 },
    { retransmitMs: 0 },
  ]) {
    assert.throws(() => session(options), { code: 'ERR_OPTION_RANGE' })
  }
  assert.throws(() => new ReliableDatagramSession(-1), { code: 'ERR_OPTION_RANGE' })
})
