/** Both sessions against each other: what goes in on one side comes out on the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import type {
  ClientEvent,
  Http2ClientCommand,
  Http2ServerCommand,
  RequestCommand,
  RespondCommand,
  ServerEvent,
} from './messages.ts'
import type { Http2ClientOptions, Http2ServerOptions } from './options.ts'
import { Http2ServerSession } from './server-session.ts'

const NONE = new HttpFields()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (chunk: Uint8Array | undefined): string => new TextDecoder().decode(chunk)

/** Two sessions and no wire: what one has to say is given to the other, whole. */
class Pair {
  readonly client: Http2ClientSession
  readonly server: Http2ServerSession
  readonly heard: ClientEvent[] = []
  readonly served: ServerEvent[] = []
  onServed: ((event: ServerEvent) => void) | undefined
  onHeard: ((event: ClientEvent) => void) | undefined
  now = 0

  constructor(client: Http2ClientOptions = {}, server: Http2ServerOptions = {}) {
    this.client = new Http2ClientSession(client, 0)
    this.server = new Http2ServerSession(server, 0)
    this.run()
  }

  ask(command: Http2ClientCommand): void {
    this.client.submit(command, this.now)
  }

  answer(command: Http2ServerCommand): void {
    this.server.submit(command, this.now)
  }

  run(): void {
    for (let moved = true; moved; ) {
      moved = false
      const up = this.client.pollTransmit(262_144).take()
      if (up.length > 0) {
        moved = true
        this.server.receive(up, this.now)
      }
      for (let event = this.server.pollEvent(); event; event = this.server.pollEvent()) {
        this.served.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
        this.onServed?.(event)
        moved = true
      }
      const down = this.server.pollTransmit(262_144).take()
      if (down.length > 0) {
        moved = true
        this.client.receive(down, this.now)
      }
      for (let event = this.client.pollEvent(); event; event = this.client.pollEvent()) {
        this.heard.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
        this.onHeard?.(event)
        moved = true
      }
    }
  }
}

function request(exchange: number, init: Partial<RequestCommand> = {}): RequestCommand {
  return {
    type: 'request',
    exchange,
    method: 'GET',
    target: `/${exchange}`,
    authority: 'a.example',
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
    body: undefined,
    ...init,
  }
}

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
    const size = windowBytes === 1 ? 300 : 3_000_000
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
    assert.deepEqual(Buffer.concat(chunks), Buffer.from(body))
    assert.equal(pair.heard.at(-1)?.type, 'end')
    assert.equal(pair.server.pending + pair.client.pending, 0)
  }
})
