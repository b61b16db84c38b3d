/** Every limit at its value and one past it, in both roles, however the input is cut. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { UsageError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { Http1ClientSession } from './client-session.ts'
import type { Http1ClientOptions, Http1ServerOptions } from './options.ts'
import { Http1ServerSession } from './server-session.ts'

/** Status of the refusal; undefined: accepted, and complete. */
function serve(options: Http1ServerOptions, text: string, step: number): number | undefined {
  const session = new Http1ServerSession(options, 0)
  const bytes = Buffer.from(text, 'latin1')
  let complete = false
  for (let at = 0; at < bytes.length; at += step) {
    session.receive(Uint8Array.from(bytes.subarray(at, at + step)), 0)
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type === 'request' && event.hasBody) {
        session.submit({ type: 'demand', exchange: 1, wanted: true }, 0)
      } else if (event.type === 'request' || event.type === 'end') complete = true
    }
  }
  const sent = Buffer.from(session.pollTransmit(1).take()).toString('latin1')
  const status = /^HTTP\/1\.1 (\d+)/.exec(sent)?.[1]
  if (status === undefined) assert.ok(complete, 'the request is complete')
  return status === undefined ? undefined : Number(status)
}

/** Code of the failure; undefined: accepted, and complete. */
function ask(options: Http1ClientOptions, text: string, step: number): string | undefined {
  const session = new Http1ClientSession(options)
  const request = { method: 'GET', target: '/', authority: 'a', fields: new HttpFields() }
  const noBody = { body: undefined, streams: false, bodyLength: undefined }
  session.submit({ type: 'request', exchange: 1, ...request, ...noBody }, 0)
  session.pollTransmit(1).take()
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; at += step) {
    session.receive(Uint8Array.from(bytes.subarray(at, at + step)), 0)
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type !== 'response' || !event.hasBody) continue
      session.submit({ type: 'demand', exchange: 1, wanted: true }, 0)
    }
  }
  if (session.failure === undefined) assert.equal(session.pending, 0, 'the response is complete')
  return session.failure?.code
}

const STEPS = [1_000_000, 1, 3]
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n'

// Each: the option, input that is just within it, input that is just beyond, the answer.
const REQUESTS: [string, Http1ServerOptions, string, string, number][] = [
  [
    'maxStartLineBytes',
    { maxStartLineBytes: 24 },
    `GET /${'a'.repeat(10)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET /${'a'.repeat(11)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
  ],
  [
    'maxStartLineBytes (method)',
    { maxStartLineBytes: 24 },
    `${'A'.repeat(13)} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    `${'A'.repeat(14)} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
  ],
  [
    'maxHeadBytes',
    { maxHeadBytes: 64 },
    `${GET}X: ${'a'.repeat(64 - GET.length - 7)}\r\n\r\n`,
    `${GET}X: ${'a'.repeat(64 - GET.length - 6)}\r\n\r\n`,
    431,
  ],
  [
    'maxFieldCount',
    { maxFieldCount: 3 },
    `${GET}A: 1\r\nB: 2\r\n\r\n`,
    `${GET}A: 1\r\nB: 2\r\nC: 3\r\n\r\n`,
    431,
  ],
  [
    'maxChunkExtensionBytes',
    { maxChunkExtensionBytes: 4 },
    `${POST}${CHUNKED}1;abc\r\nx\r\n0\r\n\r\n`,
    `${POST}${CHUNKED}1;abcd\r\nx\r\n0\r\n\r\n`,
    400,
  ],
  [
    'maxTrailerBytes',
    { maxTrailerBytes: 16 },
    `${POST}${CHUNKED}0\r\nA: 345678901\r\n\r\n`,
    `${POST}${CHUNKED}0\r\nA: 3456789012\r\n\r\n`,
    431,
  ],
  [
    'maxTrailerCount',
    { maxTrailerCount: 1 },
    `${POST}${CHUNKED}0\r\nA: 1\r\n\r\n`,
    `${POST}${CHUNKED}0\r\nA: 1\r\nB: 2\r\n\r\n`,
    431,
  ],
  [
    'maxBodyBytes (length)',
    { maxBodyBytes: 5 },
    `${POST}Content-Length: 5\r\n\r\nhello`,
    `${POST}Content-Length: 6\r\n\r\nhello!`,
    413,
  ],
  [
    'maxBodyBytes (chunked)',
    { maxBodyBytes: 5 },
    `${POST}${CHUNKED}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`,
    `${POST}${CHUNKED}2\r\nhe\r\n4\r\nllo!\r\n0\r\n\r\n`,
    413,
  ],
]

describe('Http1ServerSession limits', () => {
  for (const [name, options, within, beyond, status] of REQUESTS) {
    test(name, () => {
      for (const step of STEPS) {
        assert.equal(serve(options, within, step), undefined, `within, in steps of ${step}`)
        assert.equal(serve(options, beyond, step), status, `beyond, in steps of ${step}`)
      }
    })
  }

  test('a head without an end is refused at maxHeadBytes, whatever it is made of', () => {
    for (const part of ['a', 'X: y\r\n']) {
      const endless = `${GET}${part.repeat(200)}`
      const status = serve({ maxHeadBytes: 128, maxFieldCount: 1_000 }, endless, 5)
      assert.equal(status, 431, JSON.stringify(part))
    }
  })
})

const OK = 'HTTP/1.1 200 OK\r\n'
const RESPONSES: [string, Http1ClientOptions, string, string][] = [
  [
    'maxStartLineBytes',
    { maxStartLineBytes: 20 },
    'HTTP/1.1 200 1234567\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 12345678\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'maxHeadBytes',
    { maxHeadBytes: 64 },
    `${OK}Content-Length: 0\r\nX: ${'a'.repeat(64 - OK.length - 26)}\r\n\r\n`,
    `${OK}Content-Length: 0\r\nX: ${'a'.repeat(64 - OK.length - 25)}\r\n\r\n`,
  ],
  [
    'maxFieldCount',
    { maxFieldCount: 2 },
    `${OK}Content-Length: 0\r\nA: 1\r\n\r\n`,
    `${OK}Content-Length: 0\r\nA: 1\r\nB: 1\r\n\r\n`,
  ],
  [
    'maxChunkExtensionBytes',
    { maxChunkExtensionBytes: 2 },
    `${OK}${CHUNKED}1;a\r\nx\r\n0\r\n\r\n`,
    `${OK}${CHUNKED}1;ab\r\nx\r\n0\r\n\r\n`,
  ],
  [
    'maxTrailerBytes',
    { maxTrailerBytes: 8 },
    `${OK}${CHUNKED}0\r\nA: 1\r\n\r\n`,
    `${OK}${CHUNKED}0\r\nA: 12\r\n\r\n`,
  ],
  [
    'maxTrailerCount',
    { maxTrailerCount: 1 },
    `${OK}${CHUNKED}0\r\nA: 1\r\n\r\n`,
    `${OK}${CHUNKED}0\r\nA: 1\r\nB: 1\r\n\r\n`,
  ],
  [
    'maxBodyBytes',
    { maxBodyBytes: 3 },
    `${OK}Content-Length: 3\r\n\r\nabc`,
    `${OK}Content-Length: 4\r\n\r\nabcd`,
  ],
  [
    'maxInforms',
    { maxInforms: 1 },
    `HTTP/1.1 103 Early\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    `HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 103 Early\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  ],
]

describe('Http1ClientSession limits', () => {
  for (const [name, options, within, beyond] of RESPONSES) {
    test(name, () => {
      for (const step of STEPS) {
        assert.equal(ask(options, within, step), undefined, `within, in steps of ${step}`)
        assert.equal(ask(options, beyond, step), 'ERR_LIMIT', `beyond, in steps of ${step}`)
      }
    })
  }

  test('maxBodyBytes until the connection closes', () => {
    const status = ask({ maxBodyBytes: 3 }, `${OK}\r\nabcd`, 1)
    assert.equal(status, 'ERR_LIMIT')
  })
})

test('Http1 options out of range are refused', () => {
  const bad: Http1ServerOptions[] = [
    { maxStartLineBytes: 15 },
    { maxHeadBytes: 31 },
    { maxHeadBytes: Number.NaN },
    { maxFieldCount: 0 },
    { maxChunkExtensionBytes: -1 },
    { maxTrailerBytes: 1.5 },
    { maxTrailerCount: -1 },
    { maxBodyBytes: -1 },
    { maxDiscardBytes: Number.POSITIVE_INFINITY },
    { maxPipelined: 0 },
    { headTimeoutMs: 0 },
    { bodyTimeoutMs: Number.NaN },
    { minBodyBytes: 0 },
    { keepAliveTimeoutMs: -1 },
  ]
  for (const options of bad) {
    assert.throws(() => new Http1ServerSession(options), UsageError, JSON.stringify(options))
  }
  for (const options of [{ maxPipelined: 0 }, { maxInforms: -1 }, { headTimeoutMs: 0 }]) {
    assert.throws(() => new Http1ClientSession(options), UsageError, JSON.stringify(options))
  }
})
