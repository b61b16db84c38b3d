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
import { Http1ClientSession } from './client-session.ts'
import type {
  ClientCommand,
  ClientEvent,
  RequestCommand,
  RespondCommand,
  ServerCommand,
  ServerEvent,
} from './messages.ts'
import { Http1ServerSession } from './server-session.ts'

type Pair = SessionPair<ClientCommand, ClientEvent, ServerCommand, ServerEvent>
type Subject = SessionSubject<ClientCommand, ClientEvent, ServerCommand, ServerEvent>

const NONE = new HttpFields()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const LIMITS = { maxHeadBytes: 512, maxDiscardBytes: 64 }

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

function describeClient(event: ClientEvent): EventDescription {
  const exchange = 'exchange' in event ? String(event.exchange) : ''
  switch (event.type) {
    case 'data':
      return { exchange, bytes: event.chunk }
    case 'response':
      return { exchange, text: `response ${event.status}`, last: !event.hasBody }
    case 'end':
      return { exchange, text: `end ${[...(event.trailers ?? [])]}`, last: true }
    case 'aborted':
      return { exchange, text: `aborted ${event.error.code}`, last: true }
    case 'inform':
      return { exchange, text: `inform ${event.status}` }
    default:
      return { exchange, text: event.type }
  }
}

function describeServer(event: ServerEvent): EventDescription {
  const exchange = String(event.exchange)
  switch (event.type) {
    case 'data':
      return { exchange, bytes: event.chunk }
    case 'request':
      return { exchange, text: `${event.method} ${event.target}`, begins: true }
    case 'end':
      return { exchange, text: `end ${[...(event.trailers ?? [])]}` }
    case 'sent':
      return { exchange, text: 'sent', last: true }
    case 'aborted':
      return { exchange, text: `aborted ${event.error.code}`, last: true }
    default:
      return { exchange, text: event.type }
  }
}

/** Wants every body; answers a request when it is complete. */
function serve(event: ServerEvent, pair: Pair): void {
  const { type, exchange } = event
  if (type === 'request' && event.hasBody) {
    pair.server.submit({ type: 'demand', exchange, wanted: true })
  } else if (type === 'request' || type === 'end') pair.server.submit(respond(exchange))
}

function want(event: ClientEvent, pair: Pair): void {
  if (event.type !== 'response' || !event.hasBody) return
  pair.client.submit({ type: 'demand', exchange: event.exchange, wanted: true })
}

const hex = (text: string): string => Buffer.from(text).toString('hex')

const subject: Subject = {
  client: {
    create: (clock) =>
      new Http1ClientSession(
        { ...LIMITS, maxPipelined: 4, headTimeoutMs: 5_000, bodyTimeoutMs: 3_000 },
        clock.now(),
      ),
    describe: describeClient,
    begins: (command) => (command.type === 'request' ? String(command.exchange) : undefined),
  },
  server: {
    create: (clock) =>
      new Http1ServerSession(
        {
          ...LIMITS,
          allowHalfClose: true,
          headTimeoutMs: 1_000,
          bodyTimeoutMs: 2_000,
          keepAliveTimeoutMs: 4_000,
        },
        clock.now(),
      ),
    describe: describeServer,
  },
  scenarios: {
    'three requests in a pipeline, answered in reverse': {
      start(pair) {
        for (const exchange of [1, 2, 3]) pair.client.submit(request(exchange))
      },
      onServerEvent(event, pair) {
        if (event.type !== 'request' || event.exchange !== 3) return
        for (const exchange of [3, 2, 1]) pair.server.submit(respond(exchange))
      },
      onClientEvent: want,
      expect: {
        client: [1, 2, 3].flatMap((at) => [
          `${at}: response 200`,
          `${at}: data ${hex(`answer ${at}`)}`,
          `${at}: end `,
        ]),
        server: [1, 2, 3].flatMap((at) => [`${at}: GET /${at}`, `${at}: sent`]),
      },
    },
    'chunks and trailers both ways': {
      start(pair) {
        pair.client.submit(request(1, { method: 'POST', streams: true }))
        for (const text of ['one', 'two']) {
          const chunk = bytes(text)
          pair.client.submit({ type: 'data', exchange: 1, chunk, owned: true })
        }
        pair.client.submit({ type: 'end', exchange: 1, trailers: new HttpFields({ a: 'b' }) })
      },
      onServerEvent(event, pair) {
        const { exchange } = event
        if (event.type === 'request') {
          pair.server.submit({ type: 'demand', exchange, wanted: true })
          pair.server.submit({
            type: 'head',
            exchange,
            status: 200,
            reason: undefined,
            fields: NONE,
            bodyLength: undefined,
          })
        } else if (event.type === 'data') {
          const chunk = event.chunk.slice()
          pair.server.submit({ type: 'data', exchange, chunk, owned: false })
        } else if (event.type === 'end') {
          pair.server.submit({ type: 'end', exchange, trailers: event.trailers })
        }
      },
      onClientEvent: want,
      expect: {
        client: [': capacity', '1: response 200', `1: data ${hex('onetwo')}`, '1: end a,b'],
      },
    },
    'expecting 100 (Continue)': {
      start(pair) {
        const fields = new HttpFields({ expect: '100-continue' })
        pair.client.submit(request(1, { method: 'PUT', streams: true, bodyLength: 5, fields }))
      },
      onServerEvent: serve,
      onClientEvent(event, pair) {
        want(event, pair)
        if (event.type !== 'inform') return
        pair.client.submit({ type: 'data', exchange: 1, chunk: bytes('hello'), owned: true })
        pair.client.submit({ type: 'end', exchange: 1, trailers: undefined })
      },
      expect: {
        client: [
          ': capacity',
          '1: inform 100',
          '1: response 200',
          `1: data ${hex('answer 1')}`,
          '1: end ',
        ],
      },
    },
    'a HEAD, a 204 and a last one': {
      start(pair) {
        pair.client.submit(request(1, { method: 'HEAD' }))
        pair.client.submit(request(2))
        pair.client.submit(request(3, { fields: new HttpFields({ connection: 'close' }) }))
      },
      onServerEvent(event, pair) {
        if (event.type !== 'request') return
        const { exchange } = event
        if (exchange === 2) pair.server.submit(respond(2, { status: 204, body: undefined }))
        else pair.server.submit(respond(exchange))
      },
      onClientEvent: want,
      check(pair) {
        assert.equal(pair.server.session.state, 'closed')
        assert.equal(pair.client.session.state, 'closed')
      },
    },
    'an upload that nobody reads': {
      start(pair) {
        pair.client.submit(request(1, { method: 'POST', body: 'x'.repeat(50) }))
      },
      onServerEvent(event, pair) {
        if (event.type === 'request') pair.server.submit(respond(event.exchange, { status: 403 }))
      },
      onClientEvent(event, pair) {
        want(event, pair)
        if (event.type !== 'end' || event.exchange !== 1) return
        // A fault may have ended the connection with the response.
        if ((pair.client.session as Http1ClientSession).capacity > 0) pair.client.submit(request(2))
      },
    },
    'a response that is cut': {
      start(pair) {
        pair.client.submit(request(1))
      },
      onServerEvent(event, pair) {
        if (event.type !== 'request') return
        const { exchange } = event
        const head = { status: 200, reason: undefined, fields: NONE, bodyLength: undefined }
        pair.server.submit({ type: 'head', exchange, ...head })
        pair.server.submit({ type: 'data', exchange, chunk: bytes('half'), owned: true })
        const error = new ClosedError('ERR_ABORTED', 'upstream broke')
        pair.server.submit({ type: 'reset', exchange, error })
      },
      onClientEvent: want,
      expect: {
        client: ['1: response 200', `1: data ${hex('half')}`, '1: aborted ERR_DISCONNECTED'],
      },
    },
  },
  violations: {
    'a bare LF': {
      to: 'server',
      bytes: bytes('GET / HTTP/1.1\nHost: a\n\n'),
      code: 'ERR_MALFORMED',
      answer: (answer) => Buffer.from(answer).toString().startsWith('HTTP/1.1 400 '),
    },
    'a TLS hello': {
      to: 'server',
      bytes: Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00),
      code: 'ERR_WRONG_PROTOCOL',
    },
    'a response nobody asked for': {
      to: 'client',
      bytes: bytes('HTTP/1.1 200 OK\r\n\r\n'),
      code: 'ERR_PROTOCOL',
    },
    'two lengths in a response': {
      to: 'client',
      setUp: (pair) => pair.client.submit(request(1)),
      bytes: bytes('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
      code: 'ERR_MALFORMED',
    },
  },
  illegal: {
    'request with a line break': {
      side: 'client',
      submit: (pair) => pair.client.submit(request(1, { target: '/\r\n' })),
    },
    'request out of order': {
      side: 'client',
      submit: (pair) => pair.client.submit(request(2)),
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
    'body before its turn': {
      side: 'server',
      setUp: (pair) => pair.client.submit(request(1)),
      submit: (pair) =>
        pair.server.submit({ type: 'data', exchange: 1, chunk: bytes('x'), owned: true }),
    },
  },
  timers: {
    'a silent connection': { side: 'server', afterMs: 1_000, closes: true },
    'half a head': {
      side: 'server',
      setUp: (pair) => pair.server.inbox.push(...bytes('GET / HT')),
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
      closes: true,
      code: 'ERR_REQUEST_TIMEOUT',
    },
    'a response that does not come': {
      side: 'client',
      setUp: (pair) => pair.client.submit(request(1)),
      afterMs: 5_000,
      closes: true,
      code: 'ERR_IDLE',
    },
    'a response that stops': {
      side: 'client',
      setUp(pair) {
        pair.client.onEvent = (event) => want(event, pair)
        pair.server.onEvent = (event) => {
          if (event.type !== 'request') return
          const head = { status: 200, reason: undefined, fields: NONE, bodyLength: 9 }
          pair.server.submit({ type: 'head', exchange: 1, ...head })
        }
        pair.client.submit(request(1))
      },
      afterMs: 3_000,
      closes: true,
      code: 'ERR_IDLE',
    },
  },
  floods: {
    'requests that are not answered': {
      to: 'server',
      bytes: bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      // 32 requests, and a head more than is handed out.
      maxBytes: 32 * 28 + 512,
    },
    'a body that is not wanted': {
      to: 'server',
      setUp: (pair) =>
        pair.client.submit(request(1, { method: 'POST', streams: true, bodyLength: 1e9 })),
      bytes: new Uint8Array(512),
      maxBytes: 512,
    },
    'a response that is not wanted': {
      to: 'client',
      setUp(pair) {
        pair.server.onEvent = (event) => {
          if (event.type !== 'request') return
          const head = { status: 200, reason: undefined, fields: NONE, bodyLength: 1e9 }
          pair.server.submit({ type: 'head', exchange: 1, ...head })
        }
        pair.client.submit(request(1))
      },
      bytes: new Uint8Array(512),
      maxBytes: 512,
    },
  },
}

sessionConformance('HTTP/1.1', subject, { test, ok: assert.ok })
