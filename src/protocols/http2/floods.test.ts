/**
 * Floods against a session with the default options: ENHANCE_YOUR_CALM at exactly the frame that the
 * options say, little written back, nothing kept. interop/http2-floods.interop.ts measures the same
 * over a real server.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floods } from '../../../test/support/http2-floods.ts'
import {
  block,
  converse,
  DATA,
  END_HEADERS,
  frame,
  framesOf,
  GOAWAY,
  HEADERS,
  ok,
  PING,
  PREFACE,
  RST_STREAM,
  type SentFrame,
  settings,
  uint32,
} from '../../../test/support/http2-raw-peer.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import { Http2Code, http2CodeName } from './messages.ts'
import { http2ClientDefaults, http2ServerDefaults } from './options.ts'
import { Http2ServerSession } from './server-session.ts'

/** Answers are small: what comes back is no more than what was sent, and some SETTINGS. */
const SPARE_BYTES = 1_024

for (const { name, before, round, rounds } of floods) {
  test(`Http2ServerSession ends ${name} after ${rounds} rounds`, () => {
    const session = new Http2ServerSession({}, 0)
    // A client that knows the limits.
    converse(session, [PREFACE, settings(), frame(4, 1, 0), before])
    let sentBytes = SPARE_BYTES
    let saidBytes = 0
    let index = 0
    const said: SentFrame[] = []
    while (session.state !== 'closed' && index < rounds * 2) {
      for (const bytes of round(index)) {
        sentBytes += bytes.length
        session.receive(bytes, 0)
        while (session.pollEvent() !== undefined);
        const answer = session.pollTransmit(65_536).take()
        saidBytes += answer.length
        said.push(...framesOf(answer))
      }
      index++
    }
    assert.equal(index, rounds)
    const last = said.at(-1)
    assert.equal(last?.type, GOAWAY)
    const code = new DataView((last as SentFrame).payload.buffer).getUint32(4)
    assert.equal(http2CodeName(code), 'ENHANCE_YOUR_CALM')
    assert.equal(session.failure?.code, 'ERR_LIMIT')
    assert.ok(saidBytes <= sentBytes, `${saidBytes} bytes for ${sentBytes}`)
    assert.equal(session.pending, 0)
    assert.equal(session.buffered, 0)
  })
}

test('Http2ServerSession: what is reset at the pace of a person is no flood', () => {
  const session = new Http2ServerSession({}, 0)
  converse(session, [PREFACE, settings()])
  const { resetsPerSecond } = http2ServerDefaults
  for (let index = 0; index < 2_000; index++) {
    const id = 1 + 2 * index
    const bytes = [
      frame(HEADERS, 5, id, block(':method', 'GET', ':scheme', 'http', ':path', '/')),
      frame(RST_STREAM, 0, id, uint32(8)),
    ]
    converse(session, bytes, (index * 1_000) / resetsPerSecond)
  }
  assert.equal(session.state, 'open')
})

test('Http2ServerSession ends PINGs whose answers nobody reads', () => {
  // Never flushed: the answers wait.
  const session = new Http2ServerSession({ maxIdleFrames: 100_000, maxControlBytes: 1_700 }, 0)
  converse(session, [PREFACE, settings()])
  let pings = 0
  for (; session.state !== 'closed' && pings < 1_000; pings++) {
    session.receive(frame(PING, 0, 0, new Uint8Array(8)), 0)
    while (session.pollEvent() !== undefined);
  }
  assert.equal(pings, 101, '100 answers of 17 bytes wait, one more is over')
  assert.match(session.failure?.message ?? '', /ENHANCE_YOUR_CALM/)
})

const clientFloods: readonly {
  readonly name: string
  readonly frames: (index: number) => Uint8Array
  readonly before?: Uint8Array
  readonly rounds: number
  /** Of the stream; else the connection ends. */
  readonly stream?: true
}[] = [
  { name: 'SETTINGS', frames: () => settings(), rounds: http2ClientDefaults.maxIdleFrames },
  {
    name: 'PING',
    frames: () => frame(PING, 0, 0, new Uint8Array(8)),
    rounds: http2ClientDefaults.maxIdleFrames,
  },
  {
    name: 'empty DATA',
    before: ok(1),
    frames: () => frame(DATA, 0, 1),
    // The head of the response is work, and the budget was full but for the SETTINGS.
    rounds: http2ClientDefaults.maxIdleFrames + 1,
  },
  {
    name: 'interim responses',
    frames: () => frame(HEADERS, END_HEADERS, 1, block(':status', '103')),
    rounds: http2ClientDefaults.maxInforms + 1,
    stream: true,
  },
]

for (const { name, frames, before, rounds, stream = false } of clientFloods) {
  test(`Http2ClientSession ends ${name} of a server after ${rounds} frames`, () => {
    const session = new Http2ClientSession({}, 0)
    const request = { method: 'GET', target: '/', authority: 'a', fields: new HttpFields() }
    const rest = { body: undefined, streams: false, bodyLength: undefined }
    session.submit({ type: 'request', exchange: 1, ...request, ...rest }, 0)
    converse(session, before === undefined ? [settings()] : [settings(), before])
    let index = 0
    let code = -1
    while (code < 0 && index < rounds * 2) {
      for (const { type, payload } of converse(session, [frames(index)]).sent) {
        const view = new DataView(payload.buffer)
        if (type === GOAWAY && !stream) code = view.getUint32(4)
        if (type === RST_STREAM && stream) code = view.getUint32(0)
      }
      index++
    }
    assert.equal(index, rounds)
    assert.equal(code, Http2Code.ENHANCE_YOUR_CALM)
    assert.equal(session.state, stream ? 'open' : 'closed')
    assert.equal(session.pending, 0)
  })
}
