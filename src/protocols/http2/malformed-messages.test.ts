/**
 * Messages that RFC 9113 section 8 calls malformed, in both directions: each ends its own stream with
 * PROTOCOL_ERROR and no other, before a server hears of it; and those that only look malformed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  block,
  converse,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GET_FIELDS,
  get,
  HEADERS,
  ok,
  PREFACE,
  post,
  RST_STREAM,
  type SentFrame,
  settings,
  WHOLE,
} from '../../../test/support/http2-raw-peer.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import { Http2Code } from './messages.ts'
import { Http2ServerSession } from './server-session.ts'

const request = (...fields: readonly string[]): Uint8Array =>
  frame(HEADERS, WHOLE, 1, block(...fields))
const withField = (name: string, value: string): Uint8Array => request(...GET_FIELDS, name, value)
/** Without the pseudo-header field. */
const without = (name: string): Uint8Array => {
  const at = GET_FIELDS.indexOf(name)
  return request(...GET_FIELDS.toSpliced(at, 2))
}
const changed = (name: string, value: string): Uint8Array => {
  const at = GET_FIELDS.indexOf(name)
  return request(...GET_FIELDS.toSpliced(at + 1, 1, value))
}
const body = (length: string, ...data: readonly Uint8Array[]): readonly Uint8Array[] => [
  frame(HEADERS, END_HEADERS, 1, block(...GET_FIELDS, 'content-length', length)),
  ...data,
]
const CONNECT = [':method', 'CONNECT', ':authority', 'a.example:443']

const malformedRequests: Readonly<Record<string, readonly Uint8Array[]>> = {
  '8.2.1: a field name in upper case': [withField('X-Upper', 'y')],
  '8.2.1: a field name with a space': [withField('x y', 'z')],
  '8.2.1: a field name with a control character': [withField('x\x01', 'z')],
  '8.2.1: a field name above ASCII': [withField('x\xe9', 'z')],
  '8.2.1: a field name with a colon': [withField('x:y', 'z')],
  '8.2.1: an empty field name': [withField('', 'z')],
  '8.2.1: a value with NUL': [withField('x', 'a\0b')],
  '8.2.1: a value with LF': [withField('x', 'a\nb: c')],
  '8.2.1: a value with CR': [withField('x', 'a\rb')],
  '8.2.1: a value that begins with a space': [withField('x', ' a')],
  '8.2.1: a value that ends with a tab': [withField('x', 'a\t')],
  '8.2.2: connection': [withField('connection', 'close')],
  '8.2.2: keep-alive': [withField('keep-alive', 'timeout=5')],
  '8.2.2: proxy-connection': [withField('proxy-connection', 'close')],
  '8.2.2: transfer-encoding': [withField('transfer-encoding', 'chunked')],
  '8.2.2: upgrade': [withField('upgrade', 'websocket')],
  '8.2.2: te other than trailers': [withField('te', 'gzip')],
  '8.3: a pseudo-header field behind others': [request('x', 'y', ...GET_FIELDS)],
  '8.3: an unknown pseudo-header field': [request(':fabric', 'x', ...GET_FIELDS)],
  '8.3: :status in a request': [request(':status', '200', ...GET_FIELDS)],
  '8.3.1: no :method': [without(':method')],
  '8.3.1: no :scheme': [without(':scheme')],
  '8.3.1: no :path': [without(':path')],
  '8.3.1: :method twice': [request(':method', 'GET', ...GET_FIELDS)],
  '8.3.1: :scheme twice': [request(':scheme', 'http', ...GET_FIELDS)],
  '8.3.1: :path twice': [request(':path', '/', ...GET_FIELDS)],
  '8.3.1: :authority twice': [request(':authority', 'a.example', ...GET_FIELDS)],
  '8.3.1: an empty :path': [changed(':path', '')],
  '8.3.1: a :path without a slash': [changed(':path', 'a')],
  '8.3.1: * for GET': [changed(':path', '*')],
  '8.3.1: a :path with a space': [changed(':path', '/a b')],
  '8.3.1: a :method that is no token': [changed(':method', 'GE T')],
  '8.3.1: user information in :authority': [changed(':authority', 'user@a.example')],
  '8.3.1: Host that differs from :authority': [withField('host', 'b.example')],
  '8.1.1: a content-length and no body': [withField('content-length', '5')],
  '8.1.1: a body longer than its content-length': [...body('2', frame(DATA, 1, 1, [1, 2, 3]))],
  '8.1.1: a body shorter than its content-length': [...body('4', frame(DATA, 1, 1, [1, 2, 3]))],
  '8.1.1: two content-lengths': [
    request(...GET_FIELDS, 'content-length', '0', 'content-length', '1'),
  ],
  '8.1.1: a content-length that is no number': [withField('content-length', '+0')],
  '8.1: trailers that do not end the stream': [
    post(1),
    frame(HEADERS, END_HEADERS, 1, block('a', 'b')),
  ],
  '8.1: a pseudo-header field in trailers': [
    post(1),
    frame(HEADERS, WHOLE, 1, block(':path', '/')),
  ],
  '8.5: CONNECT with :path': [request(...CONNECT, ':path', '/')],
  '8.5: CONNECT with :scheme': [request(...CONNECT, ':scheme', 'https')],
  '8.5: CONNECT without :authority': [request(':method', 'CONNECT')],
  '8.5: CONNECT without a port': [request(':method', 'CONNECT', ':authority', 'a.example')],
  'RFC 8441 4: :protocol without CONNECT': [request(...GET_FIELDS, ':protocol', 'websocket')],
  'RFC 8441 4: extended CONNECT without :path': [
    request(...CONNECT, ':protocol', 'websocket', ':scheme', 'https'),
  ],
}

const goodRequests: Readonly<Record<string, readonly Uint8Array[]>> = {
  'te: trailers': [withField('te', 'trailers')],
  'Host that says the same': [withField('host', 'A.example')],
  'OPTIONS *': [request(':method', 'OPTIONS', ':scheme', 'http', ':authority', 'a', ':path', '*')],
  'the same content-length twice': [
    request(...GET_FIELDS, 'content-length', '0', 'content-length', '0'),
  ],
  'crumbs of a cookie': [request(...GET_FIELDS, 'cookie', 'a=b', 'cookie', 'c=d')],
  'a value above ASCII': [withField('x', 'caf\xe9')],
  CONNECT: [request(...CONNECT)],
  'extended CONNECT': [
    request(...CONNECT, ':protocol', 'websocket', ':scheme', 'https', ':path', '/chat'),
  ],
}

const response = (...fields: readonly string[]): Uint8Array =>
  frame(HEADERS, WHOLE, 1, block(...fields))

const malformedResponses: Readonly<Record<string, readonly Uint8Array[]>> = {
  '8.3.2: no :status': [response('x', 'y')],
  '8.3.2: :status twice': [response(':status', '200', ':status', '200')],
  '8.3.2: a :status of four digits': [response(':status', '2000')],
  '8.3.2: a :status that is no number': [response(':status', 'abc')],
  '8.3: a pseudo-header field of requests': [response(':status', '200', ':path', '/')],
  '8.6: status 101': [frame(HEADERS, END_HEADERS, 1, block(':status', '101'))],
  '8.1: an interim response that ends the stream': [response(':status', '103')],
  '8.2.1: a field name in upper case': [response(':status', '200', 'X-Upper', 'y')],
  '8.2.1: a value with LF': [response(':status', '200', 'x', 'a\nb')],
  '8.2.2: transfer-encoding': [response(':status', '200', 'transfer-encoding', 'chunked')],
  '8.2.2: connection': [response(':status', '200', 'connection', 'close')],
  '8.1.1: a content-length and no body': [response(':status', '200', 'content-length', '5')],
  '8.1.1: a body longer than its content-length': [
    frame(HEADERS, END_HEADERS, 1, block(':status', '200', 'content-length', '1')),
    frame(DATA, END_STREAM, 1, [1, 2]),
  ],
  '8.1: trailers that do not end the stream': [ok(1), ok(1)],
  '8.1: a pseudo-header field in trailers': [ok(1), response(':status', '200')],
}

for (const [rule, frames] of Object.entries(malformedRequests)) {
  test(`Http2ServerSession resets a malformed request: ${rule}`, () => {
    const session = new Http2ServerSession({}, 0)
    const { sent, events } = converse(session, [PREFACE, settings(), Buffer.concat(frames), get(3)])
    assert.deepEqual(resetsOf(sent), [[1, Http2Code.PROTOCOL_ERROR]])
    assert.deepEqual(events, ['request'], 'the next one is heard of, this one is not')
    assert.equal(session.state, 'open')
    assert.equal(session.pending, 1)
  })
}

for (const [what, frames] of Object.entries(goodRequests)) {
  test(`Http2ServerSession takes a request that is well formed: ${what}`, () => {
    const session = new Http2ServerSession({}, 0)
    const { sent, events } = converse(session, [PREFACE, settings(), Buffer.concat(frames)])
    assert.deepEqual(resetsOf(sent), [])
    assert.deepEqual(events, ['request'])
  })
}

for (const [rule, frames] of Object.entries(malformedResponses)) {
  test(`Http2ClientSession resets a malformed response: ${rule}`, () => {
    const session = new Http2ClientSession({}, 0)
    const head = { method: 'GET', target: '/', authority: 'a.example', fields: new HttpFields() }
    const rest = { body: undefined, streams: false, bodyLength: undefined }
    session.submit({ type: 'request', exchange: 1, ...head, ...rest }, 0)
    const { sent, events } = converse(session, [settings(), Buffer.concat(frames)])
    // One that was complete is closed on the wire already: there is nothing to reset.
    const resets = resetsOf(sent)
    assert.ok(resets.every(([stream, code]) => stream === 1 && code === Http2Code.PROTOCOL_ERROR))
    // A head that was right is heard of; its exchange never ends well.
    assert.equal(events.at(-1), 'aborted')
    assert.ok(!events.includes('end'))
    assert.equal(session.state, 'open')
    assert.equal(session.pending, 0)
  })
}

function resetsOf(sent: readonly SentFrame[]): [number, number][] {
  return sent
    .filter(({ type }) => type === RST_STREAM)
    .map(({ stream, payload }) => [stream, new DataView(payload.buffer).getUint32(0)])
}
