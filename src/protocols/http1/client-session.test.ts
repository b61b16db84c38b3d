/** Client session: what it sends, what it takes for a response, what its errors prove. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClosedError, type HeddleError, UsageError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { Http1ClientSession } from './client-session.ts'
import type { AbortedEvent, ClientCommand, ClientEvent, ResponseEvent } from './messages.ts'
import type { Http1ClientOptions } from './options.ts'

/** A session with short ways to send, feed and look. */
class Bench {
  readonly session: Http1ClientSession
  now = 0
  constructor(options: Http1ClientOptions = {}) {
    this.session = new Http1ClientSession(options)
  }
  /** Submits a request; `sent` must be read for it to have left. */
  request(method = 'GET', init: Partial<ClientCommand & { type: 'request' }> = {}): ClientEvent[] {
    return this.do({
      type: 'request',
      exchange: this.session.nextExchange,
      method,
      target: '/',
      authority: 'a.example',
      fields: new HttpFields(),
      body: undefined,
      streams: false,
      bodyLength: undefined,
      ...init,
    })
  }
  do(command: ClientCommand): ClientEvent[] {
    this.session.submit(command, this.now)
    return this.poll()
  }
  demand(exchange: number): ClientEvent[] {
    return this.do({ type: 'demand', exchange, wanted: true })
  }
  reset(exchange: number): ClientEvent[] {
    return this.do({ type: 'reset', exchange, error: new ClosedError('ERR_ABORTED', 'enough') })
  }
  feed(text: string): ClientEvent[] {
    this.session.receive(Buffer.from(text, 'latin1'), this.now)
    return this.poll()
  }
  end(): ClientEvent[] {
    this.session.receiveEnd(this.now)
    return this.poll()
  }
  lose(): ClientEvent[] {
    this.session.receiveClose(new Error('reset by peer'), this.now)
    return this.poll()
  }
  poll(): ClientEvent[] {
    const events: ClientEvent[] = []
    for (;;) {
      const event = this.session.pollEvent()
      if (event === undefined) return events
      events.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
    }
  }
  get sent(): string {
    return Buffer.from(this.session.pollTransmit(1e9).take()).toString('latin1')
  }
}

const types = (events: readonly ClientEvent[]): string =>
  events.map((event) => event.type).join(' ')
const text = (events: readonly ClientEvent[]): string =>
  events.map((event) => (event.type === 'data' ? Buffer.from(event.chunk).toString() : '')).join('')
const errorOf = (events: readonly ClientEvent[], exchange = 1): HeddleError => {
  const found = events.find((event) => event.type === 'aborted' && event.exchange === exchange)
  assert.ok(found, `exchange ${exchange} was aborted, in: ${types(events)}`)
  return (found as AbortedEvent).error
}
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

describe('Http1ClientSession requests', () => {
  test('are written with Host first and only the framing they need', () => {
    const bench = new Bench()
    bench.request('GET', { target: '/a?b', fields: new HttpFields({ accept: '*/*' }) })
    assert.equal(bench.sent, 'GET /a?b HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n\r\n')
    const post = new Bench()
    post.request('POST', { body: 'grün' })
    assert.equal(
      post.sent,
      `POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n${Buffer.from('grün').toString('latin1')}`,
    )
    const empty = new Bench()
    empty.request('PUT')
    assert.match(empty.sent, /content-length: 0\r\n\r\n$/)
  })

  test('stream a body in chunks, or with its length', () => {
    const bench = new Bench()
    bench.request('POST', { streams: true })
    bench.do({ type: 'data', exchange: 1, chunk: Buffer.from('hello'), owned: false })
    bench.do({ type: 'end', exchange: 1, trailers: new HttpFields({ 'x-sum': '1' }) })
    assert.match(bench.sent, /chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n$/)
    const fixed = new Bench()
    fixed.request('POST', { streams: true, bodyLength: 3 })
    const long = { type: 'data', exchange: 1, chunk: Buffer.from('four'), owned: true } as const
    assert.throws(() => fixed.do(long), UsageError)
    assert.throws(() => fixed.do({ type: 'end', exchange: 1, trailers: undefined }), UsageError)
  })

  test('a whole body with trailers is one chunk, whatever its length says', () => {
    const bench = new Bench({ maxPipelined: 4 })
    const trailers = new HttpFields({ 'x-sum': '1' })
    const fields = new HttpFields({ 'content-length': '5' })
    bench.request('PUT', { body: 'hello', trailers, fields })
    assert.match(
      bench.sent,
      /^PUT [\s\S]*transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n$/,
    )
    const empty = new Bench()
    empty.request('POST', { trailers })
    assert.match(empty.sent, /chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n$/)
    const refused = new HttpFields({ host: 'b.example' })
    assert.throws(() => new Bench().request('PUT', { body: 'a', trailers: refused }), UsageError)
    assert.throws(() => new Bench().request('TRACE', { trailers }), UsageError)
  })

  test('that could be read as something else are refused', () => {
    const bad: Partial<ClientCommand & { type: 'request' }>[] = [
      { method: 'GE T' },
      { method: 'GET\r\nX: y' },
      { method: '' },
      { target: '/a b' },
      { target: '/a\r\nX: y' },
      { target: '/ü' },
      { target: '/a#b' },
      { target: '' },
      { target: 'a' },
      { target: '*' },
      { target: 'http://' },
      { method: 'CONNECT', target: '/' },
      { authority: 'a b' },
      { authority: 'a\r\nX: y' },
      { authority: 'user@a' },
      { fields: new HttpFields({ host: 'a, b' }) },
      {
        fields: new HttpFields([
          ['host', 'a'],
          ['host', 'b'],
        ]),
      },
      { fields: new HttpFields({ 'content-length': '5' }) },
      { fields: new HttpFields({ 'transfer-encoding': 'gzip, chunked' }) },
      { method: 'POST', body: 'x', fields: new HttpFields({ 'content-length': '2' }) },
      { method: 'TRACE', body: 'x' },
      { body: 'x', streams: true },
    ]
    for (const init of bad) {
      const bench = new Bench()
      assert.throws(() => bench.request('GET', init), UsageError, JSON.stringify(init))
      assert.equal(bench.sent, '')
      bench.request() // the refusal left no trace
      assert.match(bench.sent, /^GET \/ HTTP/)
    }
  })

  test('wait for the response before them unless pipelining is on', () => {
    const bench = new Bench()
    bench.request()
    assert.equal(bench.session.capacity, 0)
    assert.throws(() => bench.request(), UsageError)
    bench.sent
    assert.equal(types(bench.feed(OK)), 'response capacity')
    assert.equal(bench.session.capacity, 1)
  })

  test('are pipelined up to maxPipelined, never behind a POST', () => {
    const bench = new Bench({ maxPipelined: 3 })
    bench.request()
    bench.request()
    bench.request('POST')
    bench.sent
    assert.equal(bench.session.capacity, 0)
    assert.equal(types(bench.feed(OK)), 'response')
    assert.equal(types(bench.feed(OK + OK)), 'response response capacity')
  })
})

describe('Http1ClientSession responses', () => {
  const start = (options?: Http1ClientOptions, method = 'GET'): Bench => {
    const bench = new Bench(options)
    bench.request(method)
    bench.sent
    return bench
  }

  test('with a length', () => {
    const bench = start()
    const [event, ...rest] = bench.feed('HTTP/1.1 404 Not Here\r\nContent-Length: 5\r\n\r\nhello')
    const response = event as ResponseEvent
    assert.equal(response.status, 404)
    assert.equal(response.reason, 'Not Here')
    assert.equal(response.bodyLength, 5)
    assert.equal(types(rest), '')
    assert.equal(bench.session.wantsRead, false)
    assert.equal(text(bench.demand(1)), 'hello')
  })

  test('chunked, byte by byte, with trailers', () => {
    const bench = start()
    const events: ClientEvent[] = []
    const message =
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n'
    for (const byte of message) {
      events.push(...bench.feed(byte))
      if (types(events) === 'response') events.push(...bench.demand(1))
    }
    assert.equal(text(events), 'abc')
    assert.match(types(events), /end capacity$/)
  })

  test('until the connection closes', () => {
    const bench = start()
    bench.feed('HTTP/1.0 200 OK\r\n\r\nabc')
    assert.equal(text(bench.demand(1)), 'abc')
    assert.equal(text(bench.feed('def')), 'def')
    assert.equal(types(bench.end()), 'end')
    assert.equal(bench.session.state, 'closed')
    assert.equal(bench.session.failure, undefined)
  })

  test('without a body: to HEAD, 204 and 304', () => {
    const head = start({}, 'HEAD')
    assert.equal(
      types(head.feed('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')),
      'response capacity',
    )
    for (const line of ['204 No Content', '304 Not Modified\r\nContent-Length: 9']) {
      assert.equal(types(start().feed(`HTTP/1.1 ${line}\r\n\r\n`)), 'response capacity')
    }
  })

  test('with interim ones before them, up to maxInforms', () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    assert.equal(
      types(start({ maxInforms: 2 }).feed(early + early + OK)),
      'inform inform response capacity',
    )
    const bench = start({ maxInforms: 1 })
    assert.equal(errorOf(bench.feed(early + early)).code, 'ERR_LIMIT')
  })

  test('tell how long the server keeps the connection', () => {
    const bench = start()
    bench.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: max=9, timeout=5\r\n\r\n')
    assert.equal(bench.session.keepAliveHintMs, 5_000)
  })

  test('that two readers could take differently end the connection', () => {
    const bad: Record<string, string> = {
      'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
      'length and coding':
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'chunked not last': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n',
      'coding in 1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'a 204 with a body': 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n',
      'an inform with a body': 'HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\n',
      '101 unasked': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n',
      'bare LF': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
      'obs-fold': 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n',
      'space before the colon': 'HTTP/1.1 200 OK\r\nX : a\r\n\r\n',
      'a NUL': 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n',
      'another version': 'HTTP/2.0 200 OK\r\n\r\n',
      'two digits': 'HTTP/1.1 20 OK\r\n\r\n',
      'a status of 099': 'HTTP/1.1 099 OK\r\n\r\n',
      'not HTTP': 'SSH-2.0-x\r\n',
      TLS: '\x15\x03\x01\x00\x02\x02\x46',
      'a body over maxBodyBytes': 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n',
    }
    for (const [name, bytes] of Object.entries(bad)) {
      const bench = start({ maxBodyBytes: 5 })
      const error = errorOf(bench.feed(bytes))
      assert.equal(error.name, 'ProtocolError', name)
      assert.equal(error.sent, 'all', name)
      assert.equal(bench.session.state, 'closed', name)
      assert.equal(bench.session.failure, error, name)
    }
  })

  test('that nobody asked for end the connection', () => {
    const idle = new Bench()
    assert.equal(types(idle.feed('HTTP/1.1 408 Request Timeout\r\n\r\n')), '')
    assert.equal(idle.session.failure?.code, 'ERR_PROTOCOL')
    const behind = start()
    assert.equal(types(behind.feed(OK + OK)), 'response capacity')
    assert.equal(behind.session.state, 'closed')
    const early = new Bench()
    early.request()
    assert.equal(errorOf(early.feed(OK)).sent, 'nothing')
  })
})

describe('Http1ClientSession proof of what was sent', () => {
  test('nothing, when no byte left: any request may go again', () => {
    const bench = new Bench()
    bench.request('POST')
    const error = errorOf(bench.lose())
    assert.equal(error.sent, 'nothing')
    assert.equal(error.retryable, 'yes')
  })

  test('some, when the body was not complete', () => {
    const bench = new Bench()
    bench.request('POST', { streams: true })
    bench.sent
    const error = errorOf(bench.end())
    assert.equal(error.sent, 'some')
    assert.equal(error.retryable, 'if-idempotent')
  })

  test('all, when the connection was lost before the answer', () => {
    const bench = new Bench()
    bench.request()
    bench.sent
    const error = errorOf(bench.lose())
    assert.equal(error.code, 'ERR_DISCONNECTED')
    assert.equal(error.sent, 'all')
    assert.equal(error.retryable, 'if-idempotent')
    assert.match(error.message, /reset by peer/)
  })

  test('never again, when part of the answer was handed out', () => {
    const bench = new Bench()
    bench.request()
    bench.sent
    bench.feed('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
    bench.demand(1)
    const error = errorOf(bench.end())
    assert.equal(error.retryable, 'no')
  })

  test('nothing, behind a response that closes the connection', () => {
    const bench = new Bench({ maxPipelined: 3 })
    bench.request()
    bench.request()
    bench.sent
    const events = bench.feed('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    assert.equal(types(events), 'response aborted')
    const error = errorOf(events, 2)
    assert.equal(error.sent, 'nothing')
    assert.equal(error.retryable, 'yes')
    assert.equal(bench.session.state, 'closed')
  })
})

describe('Http1ClientSession resets', () => {
  test('close the connection while the answer is awaited', () => {
    const bench = new Bench({ maxPipelined: 2 })
    bench.request()
    bench.request()
    bench.sent
    assert.equal(types(bench.reset(1)), 'aborted aborted')
    assert.equal(bench.session.state, 'closed')
  })

  test('keep the connection when little of the answer is left', () => {
    const bench = new Bench({ maxDiscardBytes: 4 })
    bench.request()
    bench.sent
    bench.feed('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
    assert.equal(types(bench.reset(1)), 'aborted')
    assert.equal(types(bench.feed('cd')), 'capacity')
    const long = new Bench({ maxDiscardBytes: 4 })
    long.request()
    long.sent
    long.feed('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
    assert.equal(types(long.reset(1)), 'aborted')
    assert.equal(long.session.state, 'closed')
  })

  test('do not wait for long for what is left of the answer', () => {
    const bench = new Bench({ maxDiscardBytes: 4, discardTimeoutMs: 70 })
    bench.request()
    bench.sent
    bench.feed('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
    bench.reset(1)
    assert.equal(bench.session.pollTimeout(), 70)
    // Progress is not enough: all of it must have come.
    bench.now = 60
    bench.feed('c')
    bench.session.handleTimeout(69)
    assert.equal(bench.session.state, 'open')
    bench.session.handleTimeout(70)
    assert.equal(bench.session.state, 'closed')
    assert.match(String(bench.session.failure), /3 bytes of a response body in 70 ms/)
  })

  test('end an upload that was answered early', () => {
    const bench = new Bench()
    bench.request('POST', { streams: true })
    bench.sent
    assert.equal(types(bench.feed(OK)), 'response')
    assert.equal(bench.session.capacity, 0)
    bench.reset(1)
    assert.equal(bench.session.state, 'closed')
    assert.ok(!bench.sent.includes('0\r\n\r\n'))
  })
})

describe('Http1ClientSession hand-over', () => {
  test('detaches after 101 and after a tunnel was opened', () => {
    const upgrade = new Bench()
    upgrade.request('GET', { fields: new HttpFields({ connection: 'Upgrade', upgrade: 'x' }) })
    upgrade.sent
    const answer =
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw'
    assert.equal(types(upgrade.feed(answer)), 'response detached')
    assert.equal(Buffer.from(upgrade.session.takeUnread()).toString(), 'raw')
    const tunnel = new Bench()
    tunnel.request('CONNECT', { target: 'b.example:443' })
    tunnel.sent
    assert.equal(
      types(tunnel.feed('HTTP/1.1 200 Established\r\nContent-Length: 9\r\n\r\n')),
      'response detached',
    )
    assert.equal(tunnel.session.state, 'detached')
  })
})

describe('Http1ClientSession time', () => {
  test('a response must start and go on', () => {
    const bench = new Bench({ headTimeoutMs: 100, bodyTimeoutMs: 50 })
    bench.request()
    bench.sent
    assert.equal(bench.session.pollTimeout(), 100)
    bench.now = 90
    bench.feed('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
    assert.equal(bench.session.pollTimeout(), undefined)
    bench.demand(1)
    assert.equal(bench.session.pollTimeout(), 140)
    bench.session.handleTimeout(140)
    assert.equal(errorOf(bench.poll()).code, 'ERR_IDLE')
    const idle = new Bench()
    assert.equal(idle.session.pollTimeout(), undefined)
  })

  test('a drain waits for what is in flight', () => {
    const bench = new Bench()
    bench.request()
    bench.sent
    bench.do({ type: 'drain' })
    assert.equal(bench.session.state, 'closing')
    assert.equal(types(bench.feed(OK)), 'response')
    assert.equal(bench.session.state, 'closed')
  })

  test('a server that closes an idle connection is no failure', () => {
    const bench = new Bench()
    assert.equal(types(bench.end()), '')
    assert.equal(bench.session.state, 'closed')
    assert.equal(bench.session.failure, undefined)
  })
})
