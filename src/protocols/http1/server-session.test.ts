/** Server session: what it hands out, what it answers, when it closes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClosedError, UsageError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import type { RequestEvent, RespondCommand, ServerCommand, ServerEvent } from './messages.ts'
import type { Http1ServerOptions } from './options.ts'
import { Http1ServerSession } from './server-session.ts'

const NONE = new HttpFields()

/** A session with short ways to feed it, answer and look. */
class Bench {
  readonly session: Http1ServerSession
  now = 0
  constructor(options: Http1ServerOptions = {}) {
    this.session = new Http1ServerSession(options, 0)
  }
  feed(text: string): ServerEvent[] {
    this.session.receive(Buffer.from(text, 'latin1'), this.now)
    return this.poll()
  }
  end(): ServerEvent[] {
    this.session.receiveEnd(this.now)
    return this.poll()
  }
  poll(): ServerEvent[] {
    const events: ServerEvent[] = []
    for (;;) {
      const event = this.session.pollEvent()
      if (event === undefined) return events
      events.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
    }
  }
  do(command: ServerCommand): ServerEvent[] {
    this.session.submit(command, this.now)
    return this.poll()
  }
  respond(exchange: number, body = '', status = 200, fields = NONE): ServerEvent[] {
    return this.do({ type: 'respond', exchange, status, reason: undefined, fields, body })
  }
  head(exchange: number, bodyLength?: number, status = 200): ServerEvent[] {
    return this.do({
      type: 'head',
      exchange,
      status,
      reason: undefined,
      fields: NONE,
      bodyLength,
    })
  }
  data(exchange: number, text: string): ServerEvent[] {
    return this.do({ type: 'data', exchange, chunk: Buffer.from(text), owned: true })
  }
  endBody(exchange: number, trailers?: HttpFields): ServerEvent[] {
    return this.do({ type: 'end', exchange, trailers })
  }
  demand(exchange: number, wanted = true): ServerEvent[] {
    return this.do({ type: 'demand', exchange, wanted })
  }
  advance(ms: number): ServerEvent[] {
    this.now += ms
    this.session.handleTimeout(this.now)
    return this.poll()
  }
  get sent(): string {
    return Buffer.from(this.session.pollTransmit(1e9).take()).toString('latin1')
  }
}

const types = (events: readonly ServerEvent[]): string =>
  events.map((event) => event.type).join(' ')
const text = (events: readonly ServerEvent[]): string =>
  events.map((event) => (event.type === 'data' ? Buffer.from(event.chunk).toString() : '')).join('')
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = (body: string): string =>
  `POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`

describe('Http1ServerSession requests', () => {
  test('hands out a request with all its parts', () => {
    const bench = new Bench()
    const [event] = bench.feed('GET /a?b=c HTTP/1.1\r\nHost: x.example:80\r\nX-One:  1 \t\r\n\r\n')
    const request = event as RequestEvent
    assert.equal(request.method, 'GET')
    assert.equal(request.target, '/a?b=c')
    assert.equal(request.authority, 'x.example:80')
    assert.equal(request.version, '1.1')
    assert.equal(request.hasBody, false)
    assert.equal(request.upgrade, undefined)
    assert.deepEqual(
      [...request.fields],
      [
        ['Host', 'x.example:80'],
        ['X-One', '1'],
      ],
    )
  })

  test('hands out the same request byte by byte', () => {
    const bench = new Bench()
    const events: ServerEvent[] = []
    for (const byte of '\r\nBREW /pot HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n')
      events.push(...bench.feed(byte))
    assert.equal(types(events), 'request')
    assert.equal((events[0] as RequestEvent).method, 'BREW')
    assert.equal((events[0] as RequestEvent).fields.get('a'), 'b')
  })

  test('gives no body before demand and no more after it ends', () => {
    const bench = new Bench()
    assert.equal(types(bench.feed(POST('hello'))), 'request')
    assert.equal(bench.session.wantsRead, false)
    const events = bench.demand(1)
    assert.equal(types(events), 'data end')
    assert.equal(text(events), 'hello')
  })

  test('reads a chunked body with extensions and trailers', () => {
    const bench = new Bench()
    bench.feed('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n')
    bench.demand(1)
    const events = bench.feed('5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n')
    assert.equal(text(events), 'hello0123456789')
    const end = events.at(-1) as ServerEvent & { type: 'end' }
    assert.equal(end.trailers?.get('x-sum'), '7')
  })

  test('takes the authority of an absolute-form target', () => {
    const [event] = new Bench().feed('GET http://b.example/x HTTP/1.1\r\nHost: B.example\r\n\r\n')
    assert.equal((event as RequestEvent).authority, 'b.example')
    assert.equal((event as RequestEvent).target, '/x')
  })
})

describe('Http1ServerSession responses', () => {
  test('writes status, fields, date, length and body', () => {
    const bench = new Bench({ date: () => 'Tue, 24 Nov 2026 12:00:00 GMT' })
    bench.feed(GET)
    const fields = HttpFields.fromTrusted(['content-type', 'text/plain'])
    assert.equal(types(bench.respond(1, 'grüße', 200, fields)), 'sent')
    const body = Buffer.from('grüße').toString('latin1')
    assert.equal(
      bench.sent,
      'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Tue, 24 Nov 2026 12:00:00 GMT\r\n' +
        `content-length: 7\r\n\r\n${body}`,
    )
  })

  test('leave in the order of the requests', () => {
    const bench = new Bench()
    assert.equal(types(bench.feed(GET + GET + GET)), 'request request request')
    assert.equal(types(bench.respond(3, 'c')), '')
    assert.equal(types(bench.respond(2, 'b')), '')
    assert.equal(bench.sent, '')
    assert.equal(types(bench.respond(1, 'a')), 'sent sent sent')
    assert.deepEqual(bench.sent.match(/\n[abc](?=H|$)/g), ['\na', '\nb', '\nc'])
  })

  test('stream in chunks with trailers, at their turn', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    assert.equal(types(bench.head(2)), '')
    assert.throws(() => bench.data(2, 'early'), UsageError)
    assert.equal(types(bench.respond(1)), 'sent turn')
    bench.data(2, 'hello')
    bench.data(2, '')
    assert.equal(types(bench.endBody(2, new HttpFields({ 'x-sum': '9' }))), 'sent')
    assert.match(
      bench.sent,
      /transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n$/,
    )
  })

  test('as a whole with trailers are one chunk; where there are no chunks, trailers are dropped', () => {
    const whole = (request: string, body: string): string => {
      const bench = new Bench()
      bench.feed(request)
      const trailers = new HttpFields({ 'x-sum': '9' })
      const command = { type: 'respond', exchange: 1, status: 200, reason: undefined } as const
      assert.equal(types(bench.do({ ...command, fields: NONE, body, trailers })), 'sent')
      return bench.sent
    }
    const chunked = /\r\ntransfer-encoding: chunked\r\n\r\n/
    assert.match(whole(GET, 'hello'), chunked)
    assert.match(whole(GET, 'hello'), /\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n$/)
    assert.match(whole(GET, ''), /chunked\r\n\r\n0\r\nx-sum: 9\r\n\r\n$/)
    assert.match(
      whole('GET / HTTP/1.0\r\n\r\n', 'hi'),
      /content-length: 2\r\n\r\nhi$|close\r\n\r\nhi$/,
    )
    assert.match(whole('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 'hi'), /content-length: 2\r\n\r\n$/)
  })

  test('to HEAD carry no body, to a 204 no length', () => {
    const bench = new Bench()
    bench.feed('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    bench.respond(1, 'hello')
    assert.match(bench.sent, /content-length: 5\r\n\r\n$/)
    bench.feed(GET)
    bench.respond(2, '', 204)
    assert.equal(bench.sent, 'HTTP/1.1 204 No Content\r\n\r\n')
  })

  test('to HTTP/1.0 end with the connection, or say keep-alive', () => {
    const kept = new Bench()
    kept.feed('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    kept.respond(1, 'x')
    assert.match(kept.sent, /connection: keep-alive\r\ncontent-length: 1\r\n\r\nx$/)
    assert.equal(kept.session.state, 'open')
    kept.feed('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    kept.head(2)
    kept.data(2, 'abc')
    kept.endBody(2)
    assert.match(kept.sent, /connection: close\r\n\r\nabc$/)
    assert.equal(kept.session.state, 'closed')
  })

  test('close when the client asks for it', () => {
    const bench = new Bench()
    bench.feed('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /ignored')
    bench.respond(1)
    assert.match(bench.sent, /connection: close/)
    assert.equal(bench.session.state, 'closed')
  })

  test('to 100-continue: demand says continue, a final answer closes', () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n'
    const wanted = new Bench()
    wanted.feed(head)
    wanted.demand(1)
    assert.equal(wanted.sent, 'HTTP/1.1 100 Continue\r\n\r\n')
    assert.equal(types(wanted.feed('ok')), 'data end')
    const refused = new Bench()
    refused.feed(head)
    refused.respond(1, 'no', 401)
    assert.match(refused.sent, /^HTTP\/1.1 401 .*connection: close/s)
    assert.equal(refused.session.state, 'closed')
  })
})

describe('Http1ServerSession pipelines', () => {
  test('stop at maxPipelined and go on', () => {
    const bench = new Bench({ maxPipelined: 2 })
    assert.equal(types(bench.feed(GET + GET + GET)), 'request request')
    assert.equal(types(bench.respond(1)), 'sent request')
  })

  test('hand out an unsafe request alone', () => {
    const bench = new Bench()
    assert.equal(types(bench.feed(GET + POST('') + GET)), 'request')
    assert.equal(types(bench.respond(1)), 'sent request')
    assert.equal(types(bench.respond(2)), 'sent request')
  })

  for (const [name, first] of [
    [
      'an upgrade that is not answered',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['a request that waits for its turn', GET + POST('1')],
  ] as const) {
    test(`keeps a bounded number of bytes behind ${name}`, () => {
      const bench = new Bench({ maxHeadBytes: 1_024 })
      bench.feed(first)
      let reads = 0
      while (bench.session.wantsRead && reads < 100) {
        bench.feed(GET.repeat(20))
        reads++
      }
      assert.ok(reads < 5, `it went on reading: ${bench.session.buffered} bytes are kept`)
      assert.match(types(bench.respond(1)), /^sent request/)
    })
  }
})

describe('Http1ServerSession hand-over', () => {
  test('detaches after 101 with the bytes behind the request', () => {
    const bench = new Bench()
    bench.feed('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw')
    const events = bench.do({
      type: 'respond',
      exchange: 1,
      status: 101,
      reason: undefined,
      body: undefined,
      detach: true,
      fields: new HttpFields({ connection: 'upgrade', upgrade: 'x' }),
    })
    assert.equal(types(events), 'sent detached')
    assert.equal(
      bench.sent,
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    )
    assert.equal(bench.session.state, 'detached')
    assert.equal(Buffer.from(bench.session.takeUnread()).toString(), 'raw')
  })

  test('goes on with HTTP when the upgrade is ignored', () => {
    const bench = new Bench()
    bench.feed(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${GET}`)
    assert.equal(types(bench.respond(1)), 'sent request')
  })

  test('closes after a refused CONNECT', () => {
    const bench = new Bench()
    bench.feed(`CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n${GET}`)
    assert.equal(types(bench.respond(1, '', 403)), 'sent')
    assert.equal(bench.session.state, 'closed')
  })
})

describe('Http1ServerSession unread bodies', () => {
  test('are dropped within maxDiscardBytes', () => {
    const bench = new Bench({ maxDiscardBytes: 5 })
    bench.feed(POST('hello') + GET)
    assert.equal(types(bench.respond(1)), 'sent request')
    assert.doesNotMatch(bench.sent, /close/)
  })

  test('of unknown length are dropped up to maxDiscardBytes, then the connection is closed', () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const within = new Bench({ maxDiscardBytes: 5 })
    within.feed(head)
    assert.equal(types(within.respond(1)), 'sent')
    assert.equal(types(within.feed(`3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n${GET}`)), 'request')
    const beyond = new Bench({ maxDiscardBytes: 5 })
    beyond.feed(head)
    beyond.respond(1)
    assert.equal(types(beyond.feed(`3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n${GET}`)), '')
    assert.equal(beyond.session.state, 'closed')
  })

  test('close the connection beyond maxDiscardBytes', () => {
    const bench = new Bench({ maxDiscardBytes: 4 })
    bench.feed(POST('hello'))
    assert.equal(types(bench.respond(1)), 'sent')
    assert.match(bench.sent, /connection: close/)
    assert.equal(bench.session.state, 'closed')
  })
})

test('Http1ServerSession closes after maxRequestsPerConnection', () => {
  const bench = new Bench({ maxRequestsPerConnection: 2 })
  assert.equal(types(bench.feed(GET + GET + GET)), 'request request')
  bench.respond(1)
  assert.doesNotMatch(bench.sent, /close/)
  bench.respond(2)
  assert.match(bench.sent, /connection: close/)
  assert.equal(bench.session.state, 'closed')
})

describe('Http1ServerSession ends', () => {
  test('a violation is answered after the responses before it', () => {
    const bench = new Bench()
    bench.feed(`${GET}GET / HTTP/1.1\nHost: a\n\n`)
    assert.equal(bench.session.state, 'closing')
    assert.equal(bench.sent, '')
    bench.respond(1, 'first')
    assert.match(bench.sent, /^HTTP\/1.1 200.*firstHTTP\/1.1 400 Bad Request.*connection: close/s)
    assert.equal(bench.session.state, 'closed')
    assert.equal(bench.session.failure?.code, 'ERR_MALFORMED')
  })

  test('a violation in a body aborts its exchange', () => {
    const bench = new Bench()
    bench.feed('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    bench.demand(1)
    assert.equal(types(bench.feed('-1\r\n')), 'aborted')
    assert.match(bench.sent, /^HTTP\/1.1 400/)
    bench.respond(1) // comes too late, and is no error
    assert.equal(bench.sent, '')
  })

  test('a client that leaves aborts what is under way', () => {
    const bench = new Bench()
    bench.feed(GET)
    assert.equal(types(bench.end()), 'aborted')
    assert.equal(bench.session.state, 'closed')
    const patient = new Bench({ allowHalfClose: true })
    patient.feed(GET)
    assert.equal(types(patient.end()), '')
    patient.respond(1, 'late')
    assert.match(patient.sent, /connection: close\r\ncontent-length: 4\r\n\r\nlate$/)
    assert.equal(patient.session.state, 'closed')
  })

  test('a reset cuts the response and aborts what is behind it', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    bench.head(1)
    bench.data(1, 'half')
    const error = new ClosedError('ERR_ABORTED', 'gone')
    assert.equal(types(bench.do({ type: 'reset', exchange: 1, error })), 'aborted aborted')
    assert.ok(!bench.sent.includes('\r\n0\r\n'))
    assert.equal(bench.session.state, 'closed')
    assert.equal(bench.session.cut, false)
  })

  test('a drain lets the request under way finish and says close', () => {
    const bench = new Bench()
    bench.feed(GET)
    bench.do({ type: 'drain' })
    assert.equal(bench.session.state, 'closing')
    bench.respond(1)
    assert.match(bench.sent, /connection: close/)
    assert.equal(bench.session.state, 'closed')
    const idle = new Bench()
    idle.do({ type: 'drain' })
    assert.equal(idle.session.state, 'closed')
  })
})

describe('Http1ServerSession time', () => {
  test('half a head is answered 408, silence is closed', () => {
    const half = new Bench({ headTimeoutMs: 100 })
    half.feed('GET / HT')
    assert.equal(half.session.pollTimeout(), 100)
    half.advance(100)
    assert.match(half.sent, /^HTTP\/1.1 408/)
    const silent = new Bench({ headTimeoutMs: 100 })
    silent.advance(100)
    assert.equal(silent.sent, '')
    assert.equal(silent.session.state, 'closed')
    assert.equal(silent.session.failure, undefined)
  })

  test('an idle connection is closed after keepAliveTimeoutMs', () => {
    const bench = new Bench({ keepAliveTimeoutMs: 100, headTimeoutMs: 7 })
    bench.now = 5
    bench.feed(GET)
    assert.equal(bench.session.pollTimeout(), undefined)
    bench.respond(1)
    assert.equal(bench.session.pollTimeout(), 105)
    bench.advance(99)
    assert.equal(bench.session.state, 'open')
    bench.advance(1)
    assert.equal(bench.session.state, 'closed')
  })

  test('a body without progress is answered 408, only while it is wanted', () => {
    const bench = new Bench({ bodyTimeoutMs: 100, minBodyBytes: 2 })
    bench.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n')
    assert.equal(bench.session.pollTimeout(), undefined)
    bench.demand(1)
    bench.feed('ab')
    assert.equal(types(bench.advance(100)), '')
    bench.feed('c')
    assert.equal(types(bench.advance(100)), 'aborted')
    assert.match(bench.sent, /^HTTP\/1.1 408/)
  })
})

describe('Http1ServerSession commands', () => {
  const respondWith = (init: Partial<RespondCommand>): RespondCommand => ({
    type: 'respond',
    exchange: 1,
    status: 200,
    reason: undefined,
    fields: NONE,
    body: undefined,
    ...init,
  })

  test('that could not be sent as they are change nothing', () => {
    const bad: Partial<RespondCommand>[] = [
      { status: 100 },
      { status: 199 },
      { status: 1000 },
      { status: 200.5 },
      { status: 101, detach: true },
      { status: 200, detach: true },
      { status: 204, body: 'x' },
      { reason: 'OK\r\nX: y' },
      { reason: 'x'.repeat(129) },
      { body: 'x', fields: new HttpFields({ 'content-length': '2' }) },
      { fields: new HttpFields({ 'content-length': 'two' }) },
      { fields: new HttpFields({ 'transfer-encoding': 'gzip' }) },
      { exchange: 2 },
      { exchange: 0 },
    ]
    for (const init of bad) {
      const bench = new Bench()
      bench.feed(GET)
      assert.throws(() => bench.do(respondWith(init)), UsageError, JSON.stringify(init))
      assert.equal(bench.sent, '', JSON.stringify(init))
      assert.equal(types(bench.respond(1)), 'sent', 'the exchange can still be answered')
    }
  })

  test('are checked at once, also when their turn has not come', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    const fields = new HttpFields({ 'content-length': '2' })
    assert.throws(() => bench.do(respondWith({ exchange: 2, fields, body: 'x' })), UsageError)
    bench.respond(2)
    assert.throws(() => bench.respond(2), UsageError, 'a second response')
  })

  test('send fields that frame nothing as they are, and a reason of their own', () => {
    const bench = new Bench({ date: () => 'now' })
    bench.feed(GET)
    const fields = new HttpFields([
      ['Date', 'then'],
      ['Content-Length', '1'],
      ['Transfer-Encoding', 'chunked'],
      ['Connection', 'Keep-Alive, X-Hop'],
    ])
    bench.do(respondWith({ reason: 'Fine', fields, body: 'x' }))
    assert.equal(
      bench.sent,
      'HTTP/1.1 200 Fine\r\nDate: then\r\nConnection: x-hop\r\ncontent-length: 1\r\n\r\nx',
    )
  })

  test('describe what a GET would have given: HEAD and 304', () => {
    const fields = new HttpFields({ 'content-length': '9' })
    const head = new Bench()
    head.feed('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    head.do(respondWith({ fields }))
    assert.equal(head.sent, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')
    const unchanged = new Bench()
    unchanged.feed(GET)
    unchanged.do(respondWith({ status: 304, fields }))
    assert.equal(unchanged.sent, 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n')
    const streamed = new Bench()
    streamed.feed('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    streamed.head(1)
    streamed.data(1, 'not sent')
    assert.equal(types(streamed.endBody(1)), 'sent')
    assert.equal(streamed.sent, 'HTTP/1.1 200 OK\r\n\r\n')
    assert.equal(streamed.session.state, 'open')
  })

  test('close when the response says so, and abort what is behind it', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    const fields = new HttpFields({ connection: 'close' })
    assert.equal(types(bench.do(respondWith({ fields }))), 'sent aborted')
    assert.match(bench.sent, /^HTTP\/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n$/)
  })

  test('keep a body of announced length to its length', () => {
    const bench = new Bench()
    bench.feed(GET)
    bench.head(1, 3)
    assert.throws(() => bench.data(1, 'four'), UsageError)
    bench.data(1, 'abc')
    assert.equal(types(bench.endBody(1)), 'sent')
    assert.match(bench.sent, /content-length: 3\r\n\r\nabc$/)
    const short = new Bench()
    short.feed(GET)
    short.head(1, 3)
    short.data(1, 'ab')
    assert.throws(() => short.endBody(1), UsageError)
    const error = new ClosedError('ERR_ABORTED', 'cannot go on')
    assert.equal(types(short.do({ type: 'reset', exchange: 1, error })), 'aborted')
    assert.equal(short.session.failure, error)
  })

  test('refuse trailers that frame a message, and drop them where there is no place', () => {
    const bench = new Bench()
    bench.feed(GET)
    bench.head(1)
    assert.throws(() => bench.endBody(1, new HttpFields({ 'content-length': '1' })), UsageError)
    bench.endBody(1)
    const fixed = new Bench()
    fixed.feed(GET)
    fixed.head(1, 0)
    fixed.endBody(1, new HttpFields({ a: 'b' }))
    assert.match(fixed.sent, /content-length: 0\r\n\r\n$/)
  })

  test('cut a body that ends with the connection so that it shows', () => {
    const bench = new Bench()
    bench.feed('GET / HTTP/1.0\r\n\r\n')
    bench.head(1)
    bench.data(1, 'half')
    const error = new ClosedError('ERR_ABORTED', 'gone')
    bench.do({ type: 'reset', exchange: 1, error })
    assert.equal(bench.session.cut, true)
  })

  test('reset an exchange whose turn has not come: the ones before it are answered', () => {
    const bench = new Bench()
    bench.feed(GET + GET + GET)
    const error = new ClosedError('ERR_ABORTED', 'gone')
    assert.equal(types(bench.do({ type: 'reset', exchange: 2, error })), '')
    assert.equal(types(bench.respond(1)), 'sent aborted aborted')
    assert.match(bench.sent, /^HTTP\/1.1 200/)
    assert.equal(bench.session.state, 'closed')
  })

  test('are taken in silence once the connection is closed', () => {
    const bench = new Bench()
    bench.feed(GET)
    bench.end()
    assert.deepEqual(bench.respond(1), [])
    assert.deepEqual(bench.demand(1), [])
    assert.equal(bench.sent, '')
  })
})

describe('Http1ServerSession interim responses', () => {
  const inform = (bench: Bench, exchange: number, status = 103, fields?: HttpFields): void => {
    bench.do({ type: 'inform', exchange, status, fields })
  }
  const LINK = new HttpFields({ link: '</a>' })

  test('leave before the final one, at their turn', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    inform(bench, 2, 103, LINK)
    inform(bench, 1)
    assert.equal(bench.sent, 'HTTP/1.1 103 Early Hints\r\n\r\n')
    bench.respond(1)
    assert.match(
      bench.sent,
      /^HTTP\/1.1 200 .*\r\n\r\nHTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n\r\n$/s,
    )
    bench.respond(2)
    assert.match(bench.sent, /^HTTP\/1.1 200/)
  })

  test('are not sent to HTTP/1.0, nor an unasked 100', () => {
    const old = new Bench()
    old.feed('GET / HTTP/1.0\r\n\r\n')
    inform(old, 1)
    assert.equal(old.sent, '')
    const bench = new Bench()
    bench.feed(GET)
    inform(bench, 1, 100)
    assert.equal(bench.sent, '')
  })

  test('say 100 once, however it is asked for', () => {
    const bench = new Bench()
    bench.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
    inform(bench, 1, 100)
    bench.demand(1)
    inform(bench, 1, 100)
    assert.equal(bench.sent, 'HTTP/1.1 100 Continue\r\n\r\n')
    assert.equal(types(bench.feed('ok')), 'data end')
  })

  test('wait with 100 until the turn of their request', () => {
    const bench = new Bench()
    bench.feed(
      `${GET}GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
    )
    bench.demand(2)
    assert.equal(bench.sent, '')
    bench.respond(1)
    assert.match(bench.sent, /100 Continue\r\n\r\n$/)
  })

  test('that are none are refused, and so are too many and late ones', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    for (const status of [99, 101, 200, 103.5]) {
      assert.throws(() => inform(bench, 1, status), UsageError, String(status))
    }
    assert.throws(
      () => inform(bench, 1, 103, new HttpFields({ 'content-length': '1' })),
      UsageError,
    )
    for (let count = 0; count < 32; count++) inform(bench, 2)
    assert.throws(() => inform(bench, 2), UsageError)
    bench.head(1)
    assert.throws(() => inform(bench, 1), UsageError)
  })
})

describe('Http1ServerSession drains', () => {
  test('what is under way: half a head, a parked request, a body', () => {
    const half = new Bench()
    half.feed('GET / HT')
    half.do({ type: 'drain' })
    assert.equal(half.session.state, 'closing')
    assert.equal(types(half.feed(`TP/1.1\r\nHost: a\r\n\r\n${GET}`)), 'request')
    half.respond(1)
    assert.match(half.sent, /connection: close/)
    assert.equal(half.session.state, 'closed')

    const parked = new Bench()
    parked.feed(GET + POST(''))
    parked.do({ type: 'drain' })
    assert.equal(types(parked.respond(1)), 'sent request')
    parked.respond(2)
    assert.equal(parked.session.state, 'closed')

    const body = new Bench({ maxDiscardBytes: 100 })
    body.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab')
    body.do({ type: 'drain' })
    body.demand(1)
    assert.equal(types(body.feed('cd')), 'data end')
    body.respond(1)
    assert.equal(body.session.state, 'closed')
  })

  test('a connection that was lost tells every exchange why', () => {
    const bench = new Bench()
    bench.feed(GET + GET)
    bench.session.receiveClose(new Error('reset by peer'), 0)
    const events = bench.poll()
    assert.equal(types(events), 'aborted aborted')
    assert.match(bench.session.failure?.message ?? '', /reset by peer/)
    const idle = new Bench()
    idle.session.receiveClose(undefined, 0)
    assert.equal(idle.session.state, 'closed')
    assert.equal(idle.session.failure, undefined)
  })
})
