/** Both sessions against the published kit: cut, delayed, broken and silent at every offset. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError } from '../../core/errors.ts'
import {
  type EventDescription,
  type SessionPair,
  type SessionSubject,
  sessionConformance,
} from '../../testing/session-conformance.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import type {
  ClientEvent,
  Http2ClientCommand,
  Http2ServerCommand,
  RequestCommand,
  RequestEvent,
  RespondCommand,
  ResponseEvent,
  ServerEvent,
} from './messages.ts'
import { Http2ServerSession } from './server-session.ts'

type Pair = SessionPair<Http2ClientCommand, ClientEvent, Http2ServerCommand, ServerEvent>
type Subject = SessionSubject<Http2ClientCommand, ClientEvent, Http2ServerCommand, ServerEvent>

const NONE = new HttpFields()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const hex = (text: string): string => Buffer.from(text).toString('hex')
/** A frame: type, flags, stream, payload. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const header = [length >> 16, length >> 8, length, type, flags, 0, 0, stream >> 8, stream]
  return Uint8Array.from([...header, ...payload])
}
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

function request(exchange: number, init: Partial<RequestCommand> = {}): RequestCommand {
  return {
    type: 'request',
    exchange,
    method: 'GET',
    target: `/${exchange}`,
    authority: 'a',
    fields: NONE,
    body: undefined,
    streams: false,
    bodyLength: undefined,
    ...init,
  }
}

function respond(exchange: number, init: Partial<RespondCommand> = {}): RespondCommand {
  return {
    type: 'respond',
    exchange,
    status: 200,
    reason: undefined,
    fields: NONE,
    body: `answer ${exchange}`,
    ...init,
  }
}

/** A head with its content is what it would have been in several events. */
function describeHead(
  event: RequestEvent | ResponseEvent,
  text: string,
  ends: boolean,
): EventDescription {
  const exchange = String(event.exchange)
  const begins = event.type === 'request'
  if (!event.hasBody) return { exchange, text, begins, last: ends }
  if (event.content === undefined) return { exchange, text, begins }
  const end = { exchange, text: `end ${[...(event.trailers ?? [])]}`, last: ends }
  return { exchange, text, begins, next: { exchange, bytes: event.content, next: end } }
}

function describeClient(event: ClientEvent): EventDescription {
  const exchange = 'exchange' in event && event.exchange > 0 ? String(event.exchange) : ''
  switch (event.type) {
    case 'data':
      return { exchange, bytes: event.chunk }
    case 'response':
      return describeHead(event, `response ${event.status}`, true)
    case 'end':
      return { exchange, text: `end ${[...(event.trailers ?? [])]}`, last: true }
    case 'aborted':
      return { exchange, text: `aborted ${event.error.code}`, last: true }
    case 'inform':
      return { exchange, text: `inform ${event.status}` }
    default:
      return { exchange, text: event.type, begins: event.type === 'pushed' }
  }
}

function describeServer(event: ServerEvent): EventDescription {
  const exchange = event.exchange > 0 ? String(event.exchange) : ''
  switch (event.type) {
    case 'data':
      return { exchange, bytes: event.chunk }
    case 'request':
      return describeHead(event, `${event.method} ${event.target}`, false)
    case 'end':
      return { exchange, text: `end ${[...(event.trailers ?? [])]}` }
    case 'sent':
      return { exchange, text: 'sent', last: true }
    case 'aborted':
      return { exchange, text: `aborted ${event.error.code}`, last: true }
    default:
      // Whether it comes before the body depends on how that was cut.
      return { exchange: `${exchange} ${event.type}`, text: event.type }
  }
}

/** Wants every body; answers a request when it is complete. */
function serve(event: ServerEvent, pair: Pair): void {
  const { type, exchange } = event
  if (type === 'request' && event.hasBody && event.content === undefined) {
    pair.server.submit({ type: 'demand', exchange, wanted: true })
  } else if (type === 'request' || type === 'end') pair.server.submit(respond(exchange))
}

function want(event: ClientEvent, pair: Pair): void {
  if (event.type !== 'response' || !event.hasBody || event.content !== undefined) return
  pair.client.submit({ type: 'demand', exchange: event.exchange, wanted: true })
}

const head = { status: 200, reason: undefined, fields: NONE, bodyLength: undefined }

const scenarios: Subject['scenarios'] = {
  'bodies and trailers both ways': {
    start(pair) {
      pair.client.submit(request(1, { method: 'POST', streams: true }))
      for (const text of ['one', 'two']) {
        pair.client.submit({ type: 'data', exchange: 1, chunk: bytes(text), owned: true })
      }
      pair.client.submit({ type: 'end', exchange: 1, trailers: new HttpFields({ a: 'b' }) })
    },
    onServerEvent(event, pair) {
      const { exchange } = event
      const reply = (chunk: Uint8Array) =>
        pair.server.submit({ type: 'data', exchange, chunk: chunk.slice(), owned: true })
      if (event.type === 'request') {
        pair.server.submit({ type: 'demand', exchange, wanted: true })
        pair.server.submit({ type: 'head', exchange, ...head })
        if (event.content === undefined) return
        reply(event.content)
        pair.server.submit({ type: 'end', exchange, trailers: event.trailers })
      } else if (event.type === 'data') reply(event.chunk)
      else if (event.type === 'end') {
        pair.server.submit({ type: 'end', exchange, trailers: event.trailers })
      }
    },
    onClientEvent: want,
    expect: { client: ['1: response 200', `1: data ${hex('onetwo')}`, '1: end a,b'] },
  },
  'a HEAD, a 204, a reset either way, a ping and a drain': {
    start(pair) {
      pair.client.submit(request(1, { method: 'HEAD' }))
      pair.client.submit(request(3))
      pair.client.submit(request(5))
      pair.client.submit(request(7, { method: 'POST', streams: true }))
      pair.client.submit({ type: 'ping' })
    },
    onServerEvent(event, pair) {
      if (event.type !== 'request') return
      const { exchange } = event
      if (exchange === 1) pair.server.submit(respond(1))
      else if (exchange === 3) pair.server.submit(respond(3, { status: 204, body: undefined }))
      else if (exchange === 5) {
        pair.server.submit({ type: 'head', exchange, ...head })
        const error = new ClosedError('ERR_ABORTED', 'upstream broke')
        pair.server.submit({ type: 'reset', exchange, error })
        pair.server.submit({ type: 'drain' })
      }
    },
    onClientEvent(event, pair) {
      want(event, pair)
      if (event.type !== 'aborted' || event.exchange !== 5) return
      const error = new ClosedError('ERR_ABORTED', 'not wanted')
      pair.client.submit({ type: 'reset', exchange: 7, error })
    },
    check(pair) {
      assert.equal(pair.server.session.state, 'closed')
      assert.equal(pair.client.session.state, 'closed')
    },
  },
  'a body larger than the window, behind a 100 (Continue)': {
    start(pair) {
      const fields = new HttpFields({ expect: '100-continue' })
      pair.client.submit(request(1, { method: 'PUT', streams: true, bodyLength: 90, fields }))
      pair.client.submit(request(3))
    },
    onServerEvent: serve,
    onClientEvent(event, pair) {
      want(event, pair)
      if (event.type !== 'inform') return
      const chunk = bytes('x'.repeat(90))
      pair.client.submit({ type: 'data', exchange: 1, chunk, owned: true })
      pair.client.submit({ type: 'end', exchange: 1, trailers: undefined })
    },
    expect: {
      client: [1, 3].flatMap((at) => [
        ...(at === 1 ? ['1: inform 100'] : []),
        `${at}: response 200`,
        `${at}: data ${hex(`answer ${at}`)}`,
        `${at}: end `,
      ]),
    },
  },
}

const SHORT = { windowBytes: 64, maxWindowBytes: 128, maxHeaderListBytes: 512 }

const subject: Subject = {
  client: {
    create: (clock) =>
      new Http2ClientSession(
        { ...SHORT, headTimeoutMs: 5_000, bodyTimeoutMs: 3_000, pingTimeoutMs: 7_000 },
        clock.now(),
      ),
    describe: describeClient,
    begins: (command) => (command.type === 'request' ? String(command.exchange) : undefined),
  },
  server: {
    create: (clock) =>
      new Http2ServerSession(
        {
          ...SHORT,
          headTimeoutMs: 1_000,
          bodyTimeoutMs: 2_000,
          keepAliveTimeoutMs: 4_000,
          settingsTimeoutMs: 3_000,
        },
        clock.now(),
      ),
    describe: describeServer,
  },
  scenarios,
  violations: {
    'HTTP/1.1 where the preface should be': {
      to: 'server',
      setUp(pair) {
        pair.server.inbox.length = 0
        pair.client.session.pollTransmit(0).take()
      },
      bytes: bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      code: 'ERR_WRONG_PROTOCOL',
      answer: (answer) => answer.length < 100,
    },
    'HEADERS that HPACK cannot decode': {
      to: 'server',
      bytes: frame(1, 5, 1, fromHex('ff80808080808080')),
      code: 'ERR_MALFORMED',
      answer: (answer) => answer[3] === 7 && answer[16] === 9,
    },
    'a PING on a stream': {
      to: 'server',
      bytes: frame(6, 0, 1, new Uint8Array(8)),
      code: 'ERR_PROTOCOL',
      answer: (answer) => answer[3] === 7 && answer[16] === 1,
    },
    'a frame over the limit': {
      to: 'client',
      bytes: fromHex('004001000000000001'),
      code: 'ERR_FRAME_TOO_LARGE',
      answer: (answer) => answer[3] === 7 && answer[16] === 6,
    },
    'DATA on a stream that nobody opened': {
      to: 'client',
      bytes: frame(0, 1, 9, bytes('x')),
      code: 'ERR_PROTOCOL',
    },
  },
  illegal: {
    'request with a space in its target': {
      side: 'client',
      submit: (pair) => pair.client.submit(request(1, { target: '/ ' })),
    },
    'request out of order': {
      side: 'client',
      submit: (pair) => pair.client.submit(request(3)),
    },
    'body of an exchange without one': {
      side: 'client',
      setUp: (pair) => pair.client.submit(request(1)),
      submit: (pair) =>
        pair.client.submit({ type: 'data', exchange: 1, chunk: bytes('x'), owned: true }),
    },
    'response to nothing': {
      side: 'server',
      submit: (pair) => pair.server.submit(respond(1)),
    },
    'second response': {
      side: 'server',
      setUp(pair) {
        pair.server.onEvent = (event) => serve(event, pair)
        pair.client.submit(request(1))
      },
      submit: (pair) => pair.server.submit(respond(1)),
    },
    'body before its head': {
      side: 'server',
      setUp: (pair) => pair.client.submit(request(1)),
      submit: (pair) =>
        pair.server.submit({ type: 'data', exchange: 1, chunk: bytes('x'), owned: true }),
    },
  },
  timers: {
    'a silent client': {
      side: 'server',
      setUp(pair) {
        pair.client.session.pollTransmit(0).take()
        pair.client.reads = false
      },
      afterMs: 1_000,
      closes: true,
      code: 'ERR_REQUEST_TIMEOUT',
    },
    'SETTINGS without an acknowledgement': {
      side: 'server',
      setUp(pair) {
        pair.client.step()
        pair.client.step()
        pair.client.reads = false
      },
      afterMs: 3_000,
      closes: true,
      code: 'ERR_IDLE',
    },
    'a header block that stops': {
      side: 'server',
      setUp(pair) {
        pair.settle()
        pair.server.inbox.push(...frame(1, 0, 1, fromHex('82')))
      },
      afterMs: 1_000,
      closes: true,
      code: 'ERR_REQUEST_TIMEOUT',
    },
    'an idle connection': {
      side: 'server',
      setUp(pair) {
        pair.server.onEvent = (event) => serve(event, pair)
        pair.client.onEvent = (event) => want(event, pair)
        pair.client.submit(request(1))
      },
      afterMs: 4_000,
      closes: true,
    },
    'a body that does not come': {
      side: 'server',
      setUp(pair) {
        pair.server.onEvent = (event) => serve(event, pair)
        pair.client.submit(request(1, { method: 'POST', streams: true }))
      },
      afterMs: 2_000,
      check: (pair) =>
        assert.deepEqual(pair.server.transcript.of('1'), [
          'POST /1',
          'aborted ERR_REQUEST_TIMEOUT',
        ]),
    },
    'a response that does not come': {
      side: 'client',
      setUp: (pair) => pair.client.submit(request(1)),
      afterMs: 5_000,
      check: (pair) => assert.deepEqual(pair.client.transcript.of('1'), ['aborted ERR_IDLE']),
    },
    'a response that stops': {
      side: 'client',
      setUp(pair) {
        pair.client.onEvent = (event) => want(event, pair)
        pair.server.onEvent = (event) => {
          if (event.type !== 'request') return
          pair.server.submit({ type: 'head', exchange: 1, ...head })
        }
        pair.client.submit(request(1))
      },
      afterMs: 3_000,
      check: (pair) =>
        assert.deepEqual(pair.client.transcript.of('1'), ['response 200', 'aborted ERR_IDLE']),
    },
    'a PING that nobody answers': {
      side: 'client',
      setUp(pair) {
        pair.settle()
        pair.client.reads = false
        pair.client.submit({ type: 'ping' })
      },
      afterMs: 7_000,
      closes: true,
    },
  },
}

sessionConformance('HTTP/2', subject, { test, ok: assert.ok })
