/** Both sessions against each other: what goes in on one side comes out on the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ByHand,
  bytes,
  frame,
  GET,
  NONE,
  Pair,
  request,
  respond,
  section,
  text,
} from '../../../test/http2/by-hand.ts'
import { ClosedError, OverloadError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { http2ClientSettings } from './client-session.ts'
import type { RequestEvent } from './messages.ts'
import { Http2ServerSession } from './server-session.ts'
import { encodeSettingsHeader } from './settings-header.ts'

const types = (events: readonly { type: string }[]): string[] => events.map(({ type }) => type)

test('Http2 sessions: a call with body and trailers both ways is one event on each side', () => {
  const pair = new Pair()
  pair.onServed = (event) => {
    if (event.type !== 'request') return
    const trailers = new HttpFields({ 'grpc-status': '0' })
    const fields = new HttpFields({ 'content-type': 'application/grpc' })
    pair.answer(respond(event.exchange, { fields, body: bytes('pong'), trailers }))
  }
  for (const exchange of [1, 3, 5]) {
    const trailers = new HttpFields({ checksum: 'abc' })
    const fields = new HttpFields({ te: 'trailers', 'X-Upper': 'yes' })
    pair.ask(request(exchange, { method: 'POST', fields, body: 'ping', trailers }))
  }
  pair.run()
  assert.deepEqual(types(pair.served), ['request', 'sent', 'request', 'sent', 'request', 'sent'])
  const first = pair.served[0]
  assert.ok(first?.type === 'request')
  assert.equal(first.method, 'POST')
  assert.equal(first.target, '/1')
  assert.equal(first.authority, 'a.example')
  assert.equal(first.fields.get('x-upper'), 'yes')
  assert.equal(text(first.content), 'ping')
  assert.equal(first.trailers?.get('checksum'), 'abc')
  assert.deepEqual(types(pair.heard), ['response', 'response', 'response'])
  const last = pair.heard[2]
  assert.ok(last?.type === 'response')
  assert.equal(last.exchange, 5)
  assert.equal(last.status, 200)
  assert.equal(text(last.content), 'pong')
  assert.equal(last.trailers?.get('grpc-status'), '0')
  assert.equal(pair.client.pending, 0)
  assert.equal(pair.server.pending, 0)
})

test('Http2 sessions: bodies of megabytes flow both ways at once, however large the windows', () => {
  for (const windowBytes of [1, 1_000, 65_535, 1_048_576]) {
    const size = windowBytes === 1 ? 300 : 1_200_000
    const pair = new Pair(
      { windowBytes, maxWindowBytes: windowBytes },
      { windowBytes, maxWindowBytes: windowBytes },
    )
    const body = new Uint8Array(size).map((_, at) => at % 251)
    pair.onServed = (event) => {
      const { exchange } = event
      if (event.type === 'request') {
        pair.answer({ type: 'demand', exchange, wanted: true })
        const head = { status: 200, reason: undefined, fields: NONE, bodyLength: undefined }
        pair.answer({ type: 'head', exchange, ...head })
      } else if (event.type === 'data') {
        pair.answer({ type: 'data', exchange, chunk: event.chunk, owned: false })
      } else if (event.type === 'end') pair.answer({ type: 'end', exchange, trailers: undefined })
    }
    pair.onHeard = (event) => {
      if (event.type !== 'response') return
      pair.ask({ type: 'demand', exchange: event.exchange, wanted: true })
    }
    pair.ask(request(1, { method: 'POST', body }))
    pair.run()
    const chunks = pair.heard.flatMap((event) => (event.type === 'data' ? [event.chunk] : []))
    assert.equal(Buffer.compare(Buffer.concat(chunks), body), 0)
    assert.equal(pair.heard.at(-1)?.type, 'end')
    assert.equal(pair.server.pending + pair.client.pending, 0)
  }
})

test('Http2ServerSession hands heads out at the end of their batch, and joins cookie crumbs', () => {
  const hand = ByHand.server()
  const fields = [...GET, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2']] as const
  hand.send(frame(1, 4, 1, section(fields)), frame(0, 0, 1, '6869'))
  const [event] = hand.events
  assert.ok(event?.type === 'request')
  assert.equal(event.content, undefined)
  assert.deepEqual(
    [...event.fields],
    [
      ['cookie', 'a=1; b=2'],
      ['x', 'y'],
    ],
  )
  hand.session.submit({ type: 'demand', exchange: 1, wanted: true }, 0)
  hand.poll()
  hand.send(frame(0, 1, 1, '21'))
  assert.deepEqual(types(hand.events), ['request', 'data', 'data', 'end'])
})

test('Http2ServerSession drains in two steps: what crosses the first GOAWAY is answered', () => {
  const hand = ByHand.server()
  hand.send(frame(1, 5, 1, section(GET)))
  hand.session.submit({ type: 'drain' }, 0)
  const [goAway, ping] = hand.said()
  assert.equal(goAway?.type, 7)
  assert.equal(goAway?.payload.readUInt32BE(0), 0x7fff_ffff)
  assert.equal(ping?.type, 6)
  hand.send(frame(1, 5, 3, section(GET)), frame(6, 1, 0, ping?.payload.toString('hex')))
  assert.deepEqual(types(hand.events), ['request', 'request'])
  const [last] = hand.said()
  assert.equal(last?.payload.readUInt32BE(0), 3)
  // After the last GOAWAY nothing is looked at.
  hand.send(frame(1, 5, 5, section(GET)))
  assert.equal(hand.events.length, 2)
  for (const exchange of [1, 3]) hand.session.submit(respond(exchange), 0)
  hand.poll()
  assert.equal(hand.session.state, 'closed')
  assert.equal(hand.session.failure, undefined)
})

test('Http2ClientSession ends what a GOAWAY leaves out with sent nothing, and finishes the rest', () => {
  const hand = ByHand.client()
  for (const exchange of [1, 3, 5]) hand.session.submit(request(exchange), 0)
  hand.said()
  hand.send(frame(7, 0, 0, '0000000100000000'))
  assert.deepEqual(types(hand.events), ['goaway', 'aborted', 'aborted'])
  for (const event of hand.events.slice(1)) {
    assert.ok(event.type === 'aborted')
    assert.equal(event.error.code, 'ERR_DRAINING')
    assert.equal(event.error.sent, 'nothing')
    assert.equal(event.error.retryable, 'yes')
  }
  assert.equal(hand.session.capacity, 0)
  assert.equal(hand.session.state, 'closing')
  hand.send(frame(1, 5, 1, section([[':status', '200']])))
  assert.equal(hand.events.at(-1)?.type, 'response')
  assert.equal(hand.session.state, 'closed')
  assert.equal(hand.session.failure, undefined)
})

test('Http2ClientSession tells a refused stream from one that was cancelled', () => {
  const hand = ByHand.client()
  for (const exchange of [1, 3]) hand.session.submit(request(exchange), 0)
  hand.said()
  hand.send(frame(3, 0, 1, '00000007'), frame(3, 0, 3, '00000008'))
  const [refused, cancelled] = hand.events
  assert.ok(refused?.type === 'aborted' && cancelled?.type === 'aborted')
  assert.ok(refused.error instanceof OverloadError)
  assert.equal(refused.error.sent, 'nothing')
  assert.match(refused.error.message, /REFUSED_STREAM/)
  assert.equal(cancelled.error.sent, 'some')
  assert.match(cancelled.error.message, /CANCEL/)
})

test('Http2ClientSession says what of a request had left when the connection is lost', () => {
  const hand = ByHand.client()
  hand.session.submit(request(1), 0)
  hand.session.submit(request(3, { method: 'POST', streams: true }), 0)
  hand.said()
  hand.session.submit(request(5), 0)
  hand.session.receiveClose(new Error('gone'), 0)
  hand.poll()
  const sent = hand.events.map((event) => event.type === 'aborted' && event.error.sent)
  assert.deepEqual(sent, ['all', 'some', 'nothing'])
})

test('Http2 sessions: streams leave by urgency, in turn when incremental', () => {
  const hand = ByHand.server()
  const priority = (value: string) => [...GET, ['priority', value]] as const
  hand.send(
    frame(8, 0, 0, '00100000'),
    frame(1, 5, 1, section(priority('u=5, i'))),
    frame(1, 5, 3, section(priority('u=5, i'))),
    frame(1, 5, 5, section(priority('u=1'))),
    frame(1, 5, 7, section(priority('u=1'))),
    // Of a stream that is not there yet, and one that changes its mind.
    frame(16, 0, 0, `00000009${Buffer.from('u=0').toString('hex')}`),
    frame(16, 0, 0, `00000007${Buffer.from('u=6').toString('hex')}`),
    frame(1, 5, 9, section(GET)),
  )
  for (const exchange of [1, 3, 5, 7, 9]) {
    hand.session.submit(respond(exchange, { body: new Uint8Array(40_000) }), 0)
  }
  const order = hand
    .said()
    .filter(({ type }) => type === 0)
    .map(({ stream }) => stream)
  assert.deepEqual(order, [9, 9, 9, 5, 5, 5, 1, 3, 1, 3, 1, 3, 7, 7, 7])
})

test('Http2ServerSession: windows may become negative, and data waits until they are not', () => {
  const hand = ByHand.server()
  hand.send(frame(1, 5, 1, section(GET)))
  hand.session.submit(respond(1, { body: new Uint8Array(65_000) }), 0)
  assert.equal(hand.said().length, 5)
  hand.send(frame(1, 5, 3, section(GET)), frame(8, 0, 0, '00ffffff'))
  hand.session.submit(respond(3, { body: new Uint8Array(70_000) }), 0)
  const bytesOf = () =>
    hand.said().reduce((sum, { type, payload }) => sum + (type === 0 ? payload.length : 0), 0)
  assert.equal(bytesOf(), 65_535)
  // 65,535 were sent; a window of 1,000 makes it -64,535.
  hand.send(frame(4, 0, 0, '0004000003e8'), frame(8, 0, 3, '0000fc17'))
  assert.equal(bytesOf(), 0)
  hand.send(frame(8, 0, 3, '00000001'))
  assert.equal(bytesOf(), 1)
  hand.send(frame(4, 0, 0, '00040000ffff'))
  assert.equal(bytesOf(), 4_464)
})

test('Http2 sessions: CONNECT and extended CONNECT are exchanges whose data goes both ways', () => {
  for (const protocol of [undefined, 'websocket']) {
    const pair = new Pair()
    pair.onServed = (event) => {
      const { exchange } = event
      if (event.type === 'request') {
        assert.equal(event.upgrade, protocol ?? 'connect')
        assert.equal(event.target, protocol === undefined ? 'b:443' : '/chat')
        pair.answer(respond(exchange, { detach: true }))
        pair.answer({ type: 'demand', exchange, wanted: true })
      } else if (event.type === 'data') {
        pair.answer({ type: 'data', exchange, chunk: event.chunk, owned: false })
      } else if (event.type === 'end') pair.answer({ type: 'end', exchange, trailers: undefined })
    }
    const target = protocol === undefined ? 'b:443' : '/chat'
    pair.ask(request(1, { method: 'CONNECT', target, authority: 'b:443', protocol, streams: true }))
    pair.run()
    const [head] = pair.heard
    assert.ok(head?.type === 'response' && head.hasBody)
    pair.ask({ type: 'demand', exchange: 1, wanted: true })
    for (const word of ['one', 'two']) {
      pair.ask({ type: 'data', exchange: 1, chunk: bytes(word), owned: true })
      pair.run()
    }
    pair.ask({ type: 'end', exchange: 1, trailers: undefined })
    pair.run()
    const said = pair.heard.map((event) => (event.type === 'data' ? text(event.chunk) : event.type))
    assert.deepEqual(said, ['response', 'one', 'two', 'end'])
    assert.equal(pair.client.pending + pair.server.pending, 0)
  }
})

test('Http2ClientSession refuses an extended CONNECT that the server does not offer', () => {
  const pair = new Pair({}, { extendedConnect: false })
  const init = { method: 'CONNECT', target: '/', protocol: 'websocket', streams: true }
  assert.throws(() => pair.ask(request(1, init)), { code: 'ERR_OPTION_UNSUPPORTED' })
})

test('Http2 sessions: a push is promised, answered, and refused where it is not wanted', () => {
  const pair = new Pair({ maxPushedStreams: 1 })
  pair.onServed = (event) => {
    if (event.type !== 'request') return
    const push = { method: 'GET', target: '/style', authority: 'a.example', fields: NONE }
    assert.equal(pair.server.nextPush, 2)
    pair.answer({ type: 'push', exchange: event.exchange, ...push })
    pair.answer(respond(2, { body: 'style' }))
    pair.answer(respond(event.exchange, { body: 'page' }))
  }
  pair.ask(request(1))
  pair.run()
  const [pushed, response] = pair.heard.filter(
    (event) => 'exchange' in event && event.exchange !== 1,
  )
  assert.ok(pushed?.type === 'pushed' && response?.type === 'response')
  assert.equal(pushed.target, '/style')
  assert.equal(pushed.parent, 1)
  assert.equal(text(response.content), 'style')
  assert.equal(pair.client.pending + pair.server.pending, 0)
  const without = new Pair()
  assert.equal(without.server.nextPush, 0)
})

test('Http2 sessions: an HTTP/1.1 connection that was upgraded goes on with stream 1', () => {
  const settings = encodeSettingsHeader(http2ClientSettings({}))
  const upgraded: RequestEvent = {
    type: 'request',
    exchange: 7,
    method: 'GET',
    target: '/old',
    authority: 'a',
    fields: NONE,
    version: '1.1',
    hasBody: false,
    bodyLength: 0,
    expectsContinue: false,
    upgrade: 'h2c',
    content: undefined,
    trailers: undefined,
  }
  const pair = new Pair({ upgraded: 'GET' }, { upgraded: { request: upgraded, settings } })
  const [event] = pair.served
  assert.ok(event?.type === 'request')
  assert.equal(event.exchange, 1)
  assert.equal(event.version, '2')
  pair.answer(respond(1, { body: 'new' }))
  pair.ask(request(3))
  pair.run()
  const [response] = pair.heard
  assert.ok(response?.type === 'response')
  assert.equal(text(response.content), 'new')
  assert.equal(pair.served.at(-1)?.exchange, 3)
  assert.throws(
    () => new Http2ServerSession({ upgraded: { request: upgraded, settings: '=' } }, 0),
    { code: 'ERR_ARGUMENT' },
  )
})

test('Http2 sessions: ping tells the round trip', () => {
  const pair = new Pair()
  pair.ask({ type: 'ping' })
  pair.now = 25
  pair.run()
  const [pong] = pair.heard
  assert.ok(pong?.type === 'pong')
  assert.equal(pong.rttMs, 25)
})

test('Http2ClientSession: a request that is answered early is told to stop behind the answer', () => {
  const pair = new Pair()
  pair.onServed = (event) => {
    if (event.type === 'request') pair.answer(respond(event.exchange, { status: 403 }))
  }
  pair.ask(request(1, { method: 'POST', streams: true }))
  pair.run()
  assert.deepEqual(types(pair.heard), ['response', 'aborted'])
  assert.equal(pair.client.pending, 0)
  // Its owner does not know yet.
  pair.ask({ type: 'data', exchange: 1, chunk: bytes('late'), owned: true })
  pair.ask({ type: 'end', exchange: 1, trailers: undefined })
  pair.run()
  assert.equal(pair.client.failure ?? pair.server.failure, undefined)
})

test('Http2ServerSession: 2,000 cancelled exchanges leave nothing behind', () => {
  const pair = new Pair({}, { maxResets: 100_000 })
  for (let round = 0; round < 2_000; round++) {
    const exchange = pair.client.nextExchange
    pair.ask(request(exchange))
    pair.run()
    const error = new ClosedError('ERR_ABORTED', 'not wanted')
    pair.ask({ type: 'reset', exchange, error })
    pair.run()
  }
  assert.equal(pair.client.pending + pair.server.pending, 0)
  assert.equal(pair.client.failure ?? pair.server.failure, undefined)
})

test('Http2ClientSession: with the last stream number its connection has no capacity left', () => {
  const hand = ByHand.client()
  hand.session.skipTo(0x7fff_ffff)
  assert.equal(hand.session.capacity, 1)
  hand.session.submit(request(0x7fff_ffff), 0)
  assert.equal(hand.session.capacity, 0)
  hand.send(frame(1, 5, 0x7fff_ffff, section([[':status', '200']])))
  assert.equal(hand.events.at(-1)?.type, 'response')
  assert.equal(hand.session.capacity, 0)
  assert.equal(hand.session.state, 'closed')
})

test('Http2ClientSession grows its windows by the bandwidth and the delay it measures', () => {
  const pair = new Pair({
    windowBytes: 65_535,
    connectionWindowBytes: 65_535,
    maxWindowBytes: 1_000_000,
  })
  pair.onServed = (event) => {
    if (event.type !== 'request') return
    pair.answer(respond(event.exchange, { body: new Uint8Array(8_000_000) }))
  }
  pair.onHeard = (event) => {
    if (event.type !== 'response') return
    pair.ask({ type: 'demand', exchange: event.exchange, wanted: true })
  }
  pair.ask(request(1))
  let rounds = 0
  for (; pair.client.pending > 0 && rounds < 1_000; rounds++) {
    pair.now += 50
    pair.step()
  }
  // With 64 KiB a round it would be 123.
  assert.ok(rounds < 40, `${rounds} rounds`)
  const more = pair.client.receiveWindowBytes
  assert.ok(more <= 2_000_000, `${more} bytes`)
})

test('Http2ServerSession asks to be asked again for what found no room in one write', () => {
  const hand = ByHand.server()
  hand.send(frame(8, 0, 0, '00100000'), frame(1, 5, 1, section(GET)))
  let woken = 0
  hand.session.onWake = () => woken++
  hand.session.submit(respond(1, { body: new Uint8Array(60_000) }), 0)
  assert.equal(hand.said(1).filter(({ type }) => type === 0).length, 1)
  assert.equal(woken, 1)
  hand.said()
  // `sent` came about.
  assert.equal(woken, 2)
  hand.said()
  assert.equal(woken, 2)
})

test('Http2ServerSession says GOAWAY once when it fails while it drains', () => {
  const hand = ByHand.server()
  hand.send(frame(1, 5, 1, section(GET)))
  hand.session.submit({ type: 'drain' }, 0)
  hand.said()
  hand.send(frame(6, 0, 1, '0000000000000000'))
  assert.deepEqual(
    hand.said().map(({ type, payload }) => [type, payload.readUInt32BE(4)]),
    [[7, 1]],
  )
  assert.equal(hand.events.at(-1)?.type, 'aborted')
})

test('Http2 sessions: a text is sent as its bytes: short or long, narrow window or wide', () => {
  const longs = ['x'.repeat(4_095), 'x'.repeat(4_096), '\u00fc'.repeat(2_048)]
  for (const body of ['plain', 'gr\u00fc\u00df', '\u4e16\ud83d\ude00', '\ud800', ...longs]) {
    for (const windowBytes of [5, 65_535]) {
      for (const trailers of [undefined, new HttpFields({ after: 'all' })]) {
        assert.deepEqual(answerWith(body, windowBytes, trailers), new TextEncoder().encode(body))
      }
    }
  }
})

/** The body as the client has it. */
function answerWith(body: string, windowBytes: number, trailers: HttpFields | undefined) {
  const pair = new Pair({ windowBytes })
  pair.onServed = ({ type, exchange }) => {
    if (type === 'request') pair.answer(respond(exchange, { body, trailers }))
  }
  pair.onHeard = (event) => {
    if (event.type !== 'response' || event.content !== undefined) return
    pair.ask({ type: 'demand', exchange: event.exchange, wanted: true })
  }
  pair.ask(request(1))
  pair.run()
  let parts: Uint8Array[] = []
  let last: HttpFields | undefined
  for (const event of pair.heard) {
    if (event.type === 'response' && event.content !== undefined) parts = [event.content]
    if (event.type === 'data') parts.push(event.chunk)
    if (event.type === 'response' || event.type === 'end') last = event.trailers ?? last
  }
  assert.equal(last?.get('after'), trailers?.get('after'))
  return new Uint8Array(Buffer.concat(parts))
}
