/** Every limit of the sessions: at it all is well, one past it the answer is the one that is documented. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByHand, frame, GET, Pair, request, respond, section } from '../../../test/http2/by-hand.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import { Http2Code } from './messages.ts'
import { type Http2ServerOptions, http2ClientDefaults, http2ServerDefaults } from './options.ts'
import { Http2ServerSession } from './server-session.ts'

type Fields = readonly (readonly [string, string])[]

const { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM } = Http2Code
const POST: Fields = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value])
const NONE_SENT = new HttpFields()
const uint32 = (value: number): string => value.toString(16).padStart(8, '0')
const zeros = (count: number): string => '00'.repeat(count)

/** What RFC 9113 6.5.2 counts for GET: names, values and 32 for each. */
const GET_BYTES = GET.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)

/** The status that the session itself answered on a stream. */
function ownStatus(hand: ByHand<Http2ServerSession>, stream: number): string | undefined {
  for (const { type, stream: of, payload } of hand.said()) {
    if (type === 1 && of === stream) return hand.fields(payload)[1]
  }
  return undefined
}

test('maxFrameBytes: a frame of as many bytes, and one of more', () => {
  const unknown = (count: number) => frame(99, 0, 0, zeros(count))
  assert.equal(ByHand.server({ maxFrameBytes: 20_000 }).send(unknown(20_000)).code(), undefined)
  const past = ByHand.server({ maxFrameBytes: 20_000 }).send(unknown(20_001))
  assert.equal(past.session.failure?.code, 'ERR_FRAME_TOO_LARGE')
  assert.equal(past.code(), FRAME_SIZE_ERROR)
})

test('maxHeaderListBytes and maxFieldCount: a longer request is answered 431, others go on', () => {
  const padded = (count: number): Fields => [...GET, ['x', 'y'.repeat(count)]]
  const limits = { maxHeaderListBytes: GET_BYTES + 33 + 100, maxFieldCount: 8 }
  const many = (count: number): Fields => [
    ...GET,
    ...Array.from({ length: count }, (): [string, string] => ['a', '']),
  ]
  const lists: [fields: Fields, status: string | undefined][] = [
    [padded(100), undefined],
    [padded(101), '431'],
    [many(4), undefined],
    [many(5), '431'],
  ]
  const hand = ByHand.server({ ...limits, maxHeaderListBytes: 500 })
  const short = ByHand.server(limits)
  lists.forEach(([fields, status], index) => {
    const one = index < 2 ? short : hand
    const id = index * 2 + 1
    one.send(frame(1, 5, id, section(fields)))
    assert.equal(ownStatus(one, id), status)
  })
  assert.equal(hand.session.failure ?? short.session.failure, undefined)
  assert.equal(hand.events.length + short.events.length, 2)
})

test('maxHeaderListBytes: a longer response resets its stream', () => {
  const hand = ByHand.client({ maxHeaderListBytes: 256 })
  for (const exchange of [1, 3]) hand.session.submit(request(exchange), 0)
  const head = (count: number) =>
    section([
      [':status', '200'],
      ['x', 'y'.repeat(count)],
    ])
  const room = 256 - (7 + 3 + 32) - 33
  hand.send(frame(1, 5, 1, head(room)), frame(1, 5, 3, head(room + 1)))
  assert.deepEqual(
    hand.events.map(({ type }) => type),
    ['response', 'aborted'],
  )
})

/** A peer that says so in its SETTINGS. */
const takes = (limit: number): Uint8Array => frame(4, 0, 0, `0006${uint32(limit)}`)
const padding = (count: number) => new HttpFields({ x: 'y'.repeat(count) })
const TOO_LARGE = { name: 'UsageError', code: 'ERR_FIELDS_TOO_LARGE' }

test('the peer’s MAX_HEADER_LIST_SIZE: a request of as many bytes, and of one more', () => {
  const limit = 300
  const hand = ByHand.client()
  hand.send(takes(limit))
  const room = limit - (7 + 3 + 32) - (7 + 4 + 32) - (10 + 9 + 32) - (5 + 2 + 32) - 33
  const ask = (exchange: number, fields: HttpFields): void =>
    hand.session.submit(request(exchange, { fields }), 0)
  hand.said()
  assert.throws(() => ask(1, padding(room + 1)), {
    ...TOO_LARGE,
    message: /of 301 bytes is over the 300 that the peer takes/,
  })
  assert.deepEqual(hand.said(), [])
  assert.equal(hand.session.nextExchange, 1)
  ask(1, padding(room))
  assert.equal(hand.said().length, 1)
  // What is not sent does not count: fields of the connection, and a Host in place of the authority.
  const more = new HttpFields([...padding(room), ['connection', 'x'.repeat(400)]])
  more.set('host', 'a.example')
  ask(3, more)
  assert.equal(hand.said().length, 1)
  const post = request(5, { method: 'POST', streams: true })
  hand.session.submit(post, 0)
  const end = (trailers: HttpFields): void =>
    hand.session.submit({ type: 'end', exchange: 5, trailers }, 0)
  assert.throws(() => end(padding(limit - 33 + 1)), TOO_LARGE)
  end(padding(limit - 33))
})

test('the peer’s MAX_HEADER_LIST_SIZE: a response of as many bytes, and of one more', () => {
  const limit = 200
  const hand = ByHand.server()
  hand.send(takes(limit))
  for (const id of [1, 3, 5, 7]) hand.send(frame(1, 5, id, section(GET)))
  const room = limit - (7 + 3 + 32) - 33
  const { session } = hand
  const head = (exchange: number, fields: HttpFields) =>
    session.submit({ ...respond(exchange), fields }, 0)
  hand.said()
  assert.throws(() => head(1, padding(room + 1)), TOO_LARGE)
  assert.deepEqual(hand.said(), [])
  head(1, padding(room))
  assert.equal(hand.said().length, 1)
  const ended = (exchange: number, trailers: HttpFields) =>
    session.submit({ ...respond(exchange), trailers }, 0)
  assert.throws(() => ended(3, padding(limit - 33 + 1)), TOO_LARGE)
  ended(3, padding(limit - 33))
  const streamed = { type: 'head', status: 200, fields: NONE_SENT, bodyLength: undefined } as const
  session.submit({ ...streamed, exchange: 5, reason: undefined }, 0)
  const end = (trailers: HttpFields): void =>
    session.submit({ type: 'end', exchange: 5, trailers }, 0)
  assert.throws(() => end(padding(limit - 33 + 1)), TOO_LARGE)
  end(padding(limit - 33))
  const inform = (count: number) =>
    session.submit({ type: 'inform', exchange: 7, status: 103, fields: padding(count) }, 0)
  assert.throws(() => inform(room + 1), TOO_LARGE)
  inform(room)
  assert.equal(session.failure, undefined)
})

test('maxContinuations: as many CONTINUATION frames, and one more', () => {
  for (const count of [3, 4]) {
    const hand = ByHand.server({ maxContinuations: 3 })
    const part = section(GET)
    const rest = Array.from({ length: count }, (_, at) =>
      frame(9, at === count - 1 ? 4 : 0, 1, section([['x', 'y']])),
    )
    hand.send(frame(1, 1, 1, part), ...rest)
    assert.equal(hand.code(), count === 3 ? undefined : ENHANCE_YOUR_CALM)
  }
})

test('windowBytes and connectionWindowBytes: a window used up, and a byte more', () => {
  for (const [stream, connection, past] of [
    [1_000, 70_000, 'stream'],
    [80_000, 70_000, 'connection'],
  ] as const) {
    const options = {
      windowBytes: stream,
      maxWindowBytes: stream,
      connectionWindowBytes: connection,
    }
    const hand = ByHand.server(options)
    hand.send(frame(1, 4, 1, section(POST)))
    let left = Math.min(stream, connection)
    for (; left > 0; left -= Math.min(left, 16_384)) {
      hand.send(frame(0, 0, 1, zeros(Math.min(left, 16_384))))
    }
    assert.equal(hand.session.failure, undefined)
    assert.equal(hand.session.pending, 1)
    hand.said()
    hand.send(frame(0, 0, 1, '00'))
    assert.equal(hand.code(past === 'stream' ? 1 : 0), FLOW_CONTROL_ERROR)
    assert.equal(hand.events.at(-1)?.type, 'aborted')
  }
})

test('maxWindowBytes: what is held for who reads nothing stays below it', () => {
  const pair = new Pair({}, { windowBytes: 1_000, maxWindowBytes: 4_000 })
  pair.ask(request(1, { method: 'POST', body: new Uint8Array(100_000) }))
  pair.run()
  assert.ok(pair.server.buffered <= 4_000, String(pair.server.buffered))
})

test('maxBodyBytes: 413 before the body where it was announced, and when it becomes too long', () => {
  const limits = { maxBodyBytes: 10 }
  const announced = (length: string): Fields => [...POST, ['content-length', length]]
  const hand = ByHand.server(limits)
  hand.send(frame(1, 4, 1, section(announced('10'))), frame(0, 1, 1, zeros(10)))
  assert.equal(hand.events[0]?.type, 'request')
  hand.send(frame(1, 4, 3, section(announced('11'))))
  assert.equal(ownStatus(hand, 3), '413')
  assert.equal(hand.events.length, 1)
  hand.send(frame(1, 4, 5, section(POST)), frame(0, 0, 5, zeros(10)))
  hand.send(frame(0, 0, 5, '00'))
  assert.equal(ownStatus(hand, 5), '413')
  const last = hand.events.at(-1)
  assert.ok(last?.type === 'aborted')
  assert.equal(last.error.code, 'ERR_LIMIT')
  assert.equal(hand.session.failure, undefined)
})

test('maxIdleFrames: each frame of no use takes one; time and work give them back', () => {
  const ping = frame(6, 0, 0, zeros(8))
  const kinds: Record<string, Uint8Array> = {
    PING: ping,
    SETTINGS: frame(4, 0, 0),
    PRIORITY: frame(2, 0, 1, zeros(5)),
    PRIORITY_UPDATE: frame(16, 0, 0, '00000001'),
    WINDOW_UPDATE: frame(8, 0, 0, '00000001'),
    'an unknown type': frame(200, 0, 0),
    'empty DATA': frame(0, 0, 1),
  }
  for (const [kind, one] of Object.entries(kinds)) {
    const hand = ByHand.server({ maxIdleFrames: 50, idleFramesPerSecond: 10 })
    hand.send(frame(1, 4, 1, section(POST)))
    hand.said()
    let sent = 0
    for (; sent < 200 && hand.session.state === 'open'; sent++) {
      hand.send(one)
      // Answers are read: it is not they that are too many.
      if (hand.session.state === 'open') hand.said()
    }
    assert.ok(sent <= 52, `${kind}: ${sent}`)
    assert.equal(hand.code(), ENHANCE_YOUR_CALM, kind)
  }
  const patient = ByHand.server({ maxIdleFrames: 50, idleFramesPerSecond: 10 })
  for (let sent = 0; sent < 300; sent++) {
    patient.now += 100
    patient.send(ping).said()
  }
  assert.equal(patient.session.state, 'open')
})

test('maxResets: rapid reset, and resets of ours for what the client broke (MadeYouReset)', () => {
  const attacks: Record<string, (id: number) => Uint8Array[]> = {
    'rapid reset': (id) => [frame(1, 5, id, section(GET)), frame(3, 0, id, uint32(8))],
    'MadeYouReset by WINDOW_UPDATE': (id) => [
      frame(1, 5, id, section(GET)),
      frame(8, 0, id, '00000000'),
    ],
    'malformed requests': (id) => [frame(1, 5, id, section([...GET, ['connection', 'close']]))],
    'requests over the limit of fields': (id) => [
      frame(1, 5, id, section([...GET, ['x', 'y'.repeat(300)]])),
    ],
  }
  for (const [name, attack] of Object.entries(attacks)) {
    const options = { maxResets: 20, resetsPerSecond: 1, maxHeaderListBytes: 400 }
    const hand = ByHand.server(options)
    let rounds = 0
    for (; rounds < 100 && hand.session.state === 'open'; rounds++) {
      hand.send(...attack(rounds * 2 + 1))
      if (hand.session.state === 'open') hand.said()
    }
    assert.equal(rounds, 21, name)
    assert.equal(hand.code(), ENHANCE_YOUR_CALM, name)
    assert.equal(hand.session.failure?.code, 'ERR_LIMIT', name)
    assert.equal(hand.session.pending, 0)
  }
})

test('maxResets: a client whose requests are answered may cancel as many again', () => {
  const hand = ByHand.server({ maxResets: 5, resetsPerSecond: 0 })
  for (let id = 1; id < 400; id += 4) {
    hand.send(frame(1, 5, id, section(GET)))
    hand.session.submit(respond(id), 0)
    hand.send(frame(1, 5, id + 2, section(GET)))
    hand.send(frame(3, 0, id + 2, uint32(8)))
  }
  assert.equal(hand.session.state, 'open')
})

test('maxControlBytes: answers to a client that does not read are bounded', () => {
  const hand = ByHand.server({ maxControlBytes: 170 })
  const ping = frame(6, 0, 0, zeros(8))
  for (let sent = 0; sent < 10; sent++) hand.send(ping)
  assert.equal(hand.session.state, 'open')
  hand.send(ping)
  assert.equal(hand.session.failure?.code, 'ERR_LIMIT')
})

test('maxConcurrentStreams: one request more is refused, and counted', () => {
  const hand = ByHand.server({ maxConcurrentStreams: 2 })
  hand.send(frame(1, 5, 1, section(GET)), frame(1, 5, 3, section(GET)))
  assert.equal(hand.events.length, 2)
  hand.send(frame(1, 5, 5, section(GET)))
  assert.equal(hand.code(5), REFUSED_STREAM)
  hand.session.submit(respond(1), 0)
  hand.send(frame(1, 5, 7, section(GET)))
  assert.equal(hand.events.at(-1)?.type, 'request')
})

test('maxConcurrentStreams: before its SETTINGS are acknowledged a refusal is no attack', () => {
  const hand = new ByHand(new Http2ServerSession({ maxConcurrentStreams: 1, maxResets: 5 }, 0))
  hand.send(new TextEncoder().encode('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0))
  for (let id = 1; id < 100; id += 2) hand.send(frame(1, 5, id, section(GET)))
  assert.equal(hand.session.state, 'open')
  hand.send(frame(4, 1, 0))
  for (let id = 101; id < 111; id += 2) hand.send(frame(1, 5, id, section(GET)))
  assert.equal(hand.session.state, 'open')
  hand.send(frame(1, 5, 111, section(GET)))
  assert.equal(hand.session.failure?.code, 'ERR_LIMIT')
})

test('headTimeoutMs: a response of messages may take its time', () => {
  const hand = ByHand.client({ headTimeoutMs: 1_000 })
  hand.session.submit(
    request(1, { fields: new HttpFields({ 'content-type': 'application/grpc' }) }),
    0,
  )
  assert.equal(hand.session.pollTimeout(), undefined)
  hand.session.submit(request(3), 0)
  assert.equal(hand.session.pollTimeout(), 1_000)
})

test('maxConcurrentStreams and initialConcurrentStreams are the capacity of a client', () => {
  const session = new Http2ClientSession(
    { initialConcurrentStreams: 2, maxConcurrentStreams: 4 },
    0,
  )
  assert.equal(session.capacity, 2)
  const hand = ByHand.client({ maxConcurrentStreams: 4 }, '000300000003')
  assert.equal(hand.session.capacity, 3)
  for (const exchange of [1, 3, 5]) hand.session.submit(request(exchange), 0)
  assert.equal(hand.session.capacity, 0)
  assert.throws(() => hand.session.submit(request(7), 0), { code: 'ERR_STATE' })
  hand.send(frame(4, 0, 0, '000300000064'))
  assert.equal(hand.events.at(-1)?.type, 'capacity')
  assert.equal(hand.session.capacity, 1)
})

test('maxRequestsPerConnection: with the last request the server drains', () => {
  const pair = new Pair({}, { maxRequestsPerConnection: 2 })
  pair.onServed = (event) => {
    if (event.type === 'request') pair.answer(respond(event.exchange))
  }
  pair.ask(request(1))
  pair.run()
  assert.equal(pair.client.state, 'open')
  pair.ask(request(3))
  pair.run()
  assert.equal(pair.client.state, 'closed')
  assert.equal(pair.heard.filter(({ type }) => type === 'response').length, 2)
  assert.equal(pair.client.failure ?? pair.server.failure, undefined)
})

test('maxQueuedBytes: isWritable is false from there on, and writable comes at half of it', () => {
  const hand = ByHand.server({ maxQueuedBytes: 1_000 })
  hand.send(frame(4, 0, 0, '000400000000'), frame(1, 5, 1, section(GET)))
  const head = { status: 200, reason: undefined, fields: respond(1).fields, bodyLength: undefined }
  hand.session.submit({ type: 'head', exchange: 1, ...head }, 0)
  hand.poll()
  const data = (count: number) =>
    hand.session.submit({ type: 'data', exchange: 1, chunk: new Uint8Array(count), owned: true }, 0)
  data(999)
  assert.equal(hand.session.isWritable(1), true)
  data(1)
  assert.equal(hand.session.isWritable(1), false)
  hand.send(frame(8, 0, 1, uint32(499))).said()
  hand.poll()
  assert.notEqual(hand.events.at(-1)?.type, 'writable')
  hand.send(frame(8, 0, 1, uint32(1))).said()
  hand.poll()
  assert.equal(hand.events.at(-1)?.type, 'writable')
})

test('maxInforms: as many interim responses, and one more', () => {
  const hand = ByHand.client({ maxInforms: 2 })
  hand.session.submit(request(1), 0)
  const early = frame(1, 4, 1, section([[':status', '103']]))
  hand.send(early, early)
  assert.deepEqual(
    hand.events.map(({ type }) => type),
    ['inform', 'inform'],
  )
  hand.send(early)
  assert.equal(hand.events.at(-1)?.type, 'aborted')
})

test('maxPushedStreams: as many promises, and one more', () => {
  const hand = ByHand.client({ maxPushedStreams: 1 })
  hand.session.submit(request(1), 0)
  hand.said()
  const promise = (id: number) => frame(5, 4, 1, uint32(id) + section(GET))
  hand.send(promise(2))
  assert.equal(hand.events.at(-1)?.type, 'pushed')
  hand.send(promise(4))
  assert.equal(hand.code(4), REFUSED_STREAM)
  hand.send(frame(1, 5, 2, section([[':status', '200']])))
  hand.send(promise(6))
  assert.equal(hand.events.at(-1)?.type, 'pushed')
  const without = ByHand.client()
  without.session.submit(request(1), 0)
  assert.equal(without.send(promise(2)).code(), Http2Code.PROTOCOL_ERROR)
})

test('keepAlivePingMs asks a silent peer, while exchanges are open or always', () => {
  for (const keepAliveWithoutExchanges of [false, true]) {
    const hand = ByHand.client({ keepAlivePingMs: 1_000, keepAliveWithoutExchanges })
    assert.equal(hand.session.pollTimeout(), keepAliveWithoutExchanges ? 1_000 : undefined)
    hand.session.submit(request(1), 0)
    hand.said()
    assert.equal(hand.session.pollTimeout(), 1_000)
    hand.session.handleTimeout(1_000)
    assert.deepEqual(
      hand.said().map(({ type }) => type),
      [6],
    )
    hand.session.handleTimeout(21_000)
    hand.poll()
    assert.equal(hand.session.failure?.code, 'ERR_IDLE')
    assert.equal(hand.events.at(-1)?.type, 'aborted')
  }
})

test('minPingIntervalMs: PINGs as far apart, two strikes let pass, and one more', () => {
  const ping = frame(6, 0, 0, zeros(8))
  const open = (options: Http2ServerOptions = {}): ByHand<Http2ServerSession> => {
    const hand = ByHand.server({ minPingIntervalMs: 1_000, ...options })
    hand.send(frame(1, 5, 1, section(GET)))
    return hand
  }
  const pings = (hand: ByHand<Http2ServerSession>, count: number, apart: number): void => {
    for (let sent = 0; sent < count; sent++) {
      hand.send(ping)
      hand.now += apart
    }
  }
  const good = open()
  pings(good, 10, 1_000)
  assert.equal(good.code(), undefined)

  const hasty = open()
  pings(hasty, 3, 999)
  assert.equal(hasty.code(), undefined, 'the first, and two strikes')
  hasty.send(ping)
  const [ack, goAway] = hasty.said()
  assert.deepEqual([ack?.type, goAway?.type], [6, 7])
  assert.equal(goAway?.payload.readUInt32BE(4), ENHANCE_YOUR_CALM)
  assert.equal(goAway?.payload.toString('latin1', 8), 'too_many_pings')
  assert.equal(hasty.session.failure?.code, 'ERR_LIMIT')

  const forgiven = open()
  pings(forgiven, 3, 0)
  const head = { status: 200, reason: undefined, fields: new HttpFields(), bodyLength: undefined }
  forgiven.session.submit({ type: 'head', exchange: 1, ...head }, 0)
  pings(forgiven, 3, 0)
  assert.equal(forgiven.code(), undefined, 'HEADERS: a free one, and two strikes')
  const chunk = new Uint8Array(1)
  forgiven.session.submit({ type: 'data', exchange: 1, chunk, owned: true }, 0)
  pings(forgiven, 3, 0)
  assert.equal(forgiven.code(), undefined, 'DATA likewise')
  forgiven.send(ping)
  assert.equal(forgiven.code(), ENHANCE_YOUR_CALM)

  const off = open({ minPingIntervalMs: 0 })
  pings(off, 100, 0)
  assert.equal(off.code(), undefined)
})

test('permitPingsWithoutExchanges: without requests two hours apart, or as ever', () => {
  const ping = frame(6, 0, 0, zeros(8))
  for (const [permitPingsWithoutExchanges, apart, code] of [
    [false, 7_200_000, undefined],
    [false, 7_199_999, ENHANCE_YOUR_CALM],
    [true, 1_000, undefined],
    [true, 999, ENHANCE_YOUR_CALM],
  ] as const) {
    const hand = ByHand.server({ minPingIntervalMs: 1_000, permitPingsWithoutExchanges })
    for (let sent = 0; sent < 4; sent++) {
      hand.send(ping)
      hand.now += apart
    }
    assert.equal(hand.code(), code)
  }
})

test('minBodyBytes: a body that trickles is given up, one of messages is not', () => {
  for (const [type, ends] of [
    ['text/plain', true],
    ['application/grpc', false],
  ] as const) {
    const hand = ByHand.server({ bodyTimeoutMs: 1_000, minBodyBytes: 10 })
    hand.send(frame(1, 4, 1, section([...POST, ['content-type', type]])))
    hand.session.submit({ type: 'demand', exchange: 1, wanted: true }, 0)
    hand.send(frame(0, 0, 1, zeros(10)))
    hand.session.handleTimeout(1_000)
    hand.now = 1_500
    hand.send(frame(0, 0, 1, zeros(9)))
    hand.session.handleTimeout(2_000)
    hand.poll()
    const last = hand.events.at(-1)
    assert.equal(last?.type, ends ? 'aborted' : 'data')
    if (last?.type === 'aborted') assert.equal(last.error.code, 'ERR_REQUEST_TIMEOUT')
    assert.equal(hand.session.failure, undefined)
  }
})

test('Http2 sessions refuse options out of range', () => {
  const wrong: object[] = [
    { maxFrameBytes: 16_383 },
    { maxHeaderListBytes: 1 },
    { windowBytes: 0 },
    { windowBytes: 2_000_000, maxWindowBytes: 1_000_000 },
    { connectionWindowBytes: 65_534 },
    { maxIdleFrames: 0 },
    { bodyTimeoutMs: 0 },
    { maxConcurrentStreams: 0 },
    { headTimeoutMs: Number.NaN },
  ]
  assert.throws(() => new Http2ServerSession({ minPingIntervalMs: -1 }, 0), {
    code: 'ERR_OPTION_RANGE',
  })
  for (const options of wrong) {
    const message = JSON.stringify(options)
    assert.throws(() => new Http2ServerSession(options, 0), { code: 'ERR_OPTION_RANGE' }, message)
    assert.throws(() => new Http2ClientSession(options, 0), { code: 'ERR_OPTION_RANGE' }, message)
  }
  for (const [name, value] of Object.entries(http2ServerDefaults)) {
    assert.ok(new Http2ServerSession({ [name]: value }, 0))
  }
  for (const [name, value] of Object.entries(http2ClientDefaults)) {
    assert.ok(new Http2ClientSession({ [name]: value }, 0))
  }
})
