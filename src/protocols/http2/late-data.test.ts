/** What a peer had sent before it heard that a stream was reset is no flood, as far as it was granted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import { ClosedStreams, WE_RESET } from './closed-streams.ts'

/** length (24), type, flags, stream (31), payload */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const head = [length >> 16, length >> 8, length, type, flags, 0, 0, stream >> 8, stream]
  return Uint8Array.of(...head.map((byte) => byte & 255), ...payload)
}

const SETTINGS = frame(4, 0, 0, new Uint8Array(0))
const STATUS_200 = frame(1, 4, 1, Uint8Array.of(0x88)) // END_HEADERS; :status 200 is index 8
const SHORT = frame(0, 0, 1, Uint8Array.of(7))

test('Http2ClientSession takes thousands of short frames of a stream that it has reset', () => {
  const session = resetAfterHead({ windowBytes: 5_000 })
  for (let count = 0; count < 5_000; count++) receive(session, SHORT)
  assert.equal(session.state, 'open')
})

test('Http2ClientSession counts what was never granted against its budget', () => {
  const session = resetAfterHead({ windowBytes: 10, maxIdleFrames: 20, idleFramesPerSecond: 1 })
  let taken = 0
  for (; taken < 100 && session.state !== 'closed'; taken++) receive(session, SHORT)
  assert.equal(session.failure?.status, 'ENHANCE_YOUR_CALM')
  assert.ok(taken > 30 && taken < 40, `${taken} frames`)
})

test('ClosedStreams forgets the window with its stream', () => {
  const closed = new ClosedStreams()
  closed.add(1, WE_RESET, 3)
  assert.equal(closed.take(1, 2), true)
  assert.equal(closed.take(1, 2), false)
  assert.equal(closed.take(1, 1), true)
  assert.equal(closed.take(3, 1), false)
  closed.add(1 + 512, WE_RESET, 9)
  assert.equal(closed.take(1, 1), false)
})

function resetAfterHead(options: object): Http2ClientSession {
  const session = new Http2ClientSession({ ...options }, 0)
  receive(session, SETTINGS)
  receive(session, frame(4, 1, 0, new Uint8Array(0))) // until then the window is the one of RFC 9113
  session.submit(
    {
      type: 'request',
      exchange: 1,
      method: 'GET',
      target: '/',
      authority: 'a.example',
      fields: new HttpFields(),
      body: undefined,
      streams: false,
      bodyLength: undefined,
    },
    0,
  )
  receive(session, STATUS_200)
  const error = new ClosedError('ERR_ABORTED', 'enough')
  session.submit({ type: 'reset', exchange: 1, error }, 0)
  return session
}

function receive(session: Http2ClientSession, bytes: Uint8Array): void {
  session.receive(bytes, 0)
  while (session.pollEvent() !== undefined);
}
