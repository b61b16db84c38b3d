import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  announcedWindow,
  announceFlow,
  formatControl,
  MAX_WINDOW_BYTES,
  MESSAGE_COST_BYTES,
  MIN_WINDOW_BYTES,
  parseControl,
  ReceiveWindow,
  SendCredit,
} from './channel-flow.ts'

test('a description carries the window, and gives it back', () => {
  for (const sdp of ['v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n', 'v=0']) {
    assert.equal(announcedWindow(sdp, 'offer'), undefined)
    const offer = announceFlow(sdp, 'offer', 4_194_304)
    assert.equal(announcedWindow(offer, 'offer'), 4_194_304)
    assert.ok(offer.endsWith('\r\na=heddle-flow:1 offer 4194304\r\n'))
    // What a library copies into its answer is not an answer.
    assert.equal(announcedWindow(offer, 'answer'), undefined)
    assert.equal(announcedWindow(announceFlow(offer, 'answer', 99_999), 'answer'), 99_999)
  }
})

test('a window out of range, or of another version, counts as none', () => {
  for (const window of [MIN_WINDOW_BYTES, MAX_WINDOW_BYTES]) {
    assert.equal(announcedWindow(`a=heddle-flow:1 offer ${window}\r\n`, 'offer'), window)
  }
  for (const line of [
    `a=heddle-flow:1 offer ${MIN_WINDOW_BYTES - 1}`,
    `a=heddle-flow:1 offer ${MAX_WINDOW_BYTES + 1}`,
    'a=heddle-flow:2 offer 4194304',
    'a=heddle-flow:1 4194304',
    'a=heddle-flow:1 offer -1',
    'a=heddle-flow:1 offer 4194304 more',
    'x a=heddle-flow:1 offer 4194304',
  ]) {
    assert.equal(announcedWindow(`${line}\r\n`, 'offer'), undefined, line)
  }
})

test('control messages are read as they are written, and nothing else is one', () => {
  for (const message of [
    { type: 'end' },
    { type: 'done' },
    { type: 'credit', bytes: 77 },
  ] as const) {
    assert.deepEqual(parseControl(formatControl(message)), message)
  }
  for (const text of ['', 'END', 'credit', 'credit 0', 'credit -1', 'credit 1e3', 'hello']) {
    assert.throws(() => parseControl(text), { code: 'ERR_MALFORMED' }, text)
  }
})

test('SendCredit lets a message through at its last byte, and not one past it', () => {
  const credit = new SendCredit(1_000 + MESSAGE_COST_BYTES)
  assert.equal(credit.take(1_001), false)
  assert.equal(credit.take(1_000), true)
  assert.equal(credit.take(0), false)
  credit.add(MESSAGE_COST_BYTES)
  assert.equal(credit.take(0), true)
})

test('SendCredit refuses a sum that makes no sense', () => {
  const credit = new SendCredit(0)
  credit.add(MAX_WINDOW_BYTES)
  assert.throws(() => credit.add(1), { code: 'ERR_LIMIT' })
})

test('ReceiveWindow grants half a window at a time, and what it grants is what was taken', () => {
  const window = new ReceiveWindow(10_000)
  const cost = 1_000 + MESSAGE_COST_BYTES
  let granted = 0
  for (let count = 1; count <= 100; count++) {
    window.received(1_000)
    const grant = window.consumed(1_000)
    granted += grant
    if (grant > 0) assert.equal(grant, 5 * cost)
  }
  assert.equal(granted, 100 * cost)
})

test('ReceiveWindow refuses a message at one byte over the credit', () => {
  new ReceiveWindow(1_000).received(1_000 - MESSAGE_COST_BYTES)
  assert.throws(() => new ReceiveWindow(1_000).received(1_001 - MESSAGE_COST_BYTES), {
    code: 'ERR_LIMIT',
    message: 'message of 937 bytes is 1 over the credit of its sender',
  })
})
