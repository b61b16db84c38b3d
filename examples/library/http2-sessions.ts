/**
 * Two HTTP/2 sessions without I/O: no socket, no timer, no promise. What one has to say is handed to
 * the other as bytes; commands go in, events come out. It is how every transport carries them, and
 * how a protocol is tested.
 *
 * Run it: node examples/library/http2-sessions.ts
 */
import {
  type ClientEvent,
  Http2ClientSession,
  Http2ServerSession,
  HttpFields,
  type ServerEvent,
} from 'heddle/protocols/http2'

const now = 0 // milliseconds of whatever clock the owner has
const client = new Http2ClientSession({}, now)
const server = new Http2ServerSession({}, now)

const served: ServerEvent[] = []
const heard: ClientEvent[] = []

/** The bytes that both have to say cross over, until neither has any. @returns how many */
function exchange(): number {
  let crossed = 0
  for (;;) {
    const up = client.pollTransmit(65_536).take()
    const down = server.pollTransmit(65_536).take()
    if (up.length + down.length === 0) return crossed
    crossed += up.length + down.length
    // Frames are read as events are asked for: all of them behind each input.
    if (up.length > 0) server.receive(up, now)
    for (let event = server.pollEvent(); event; event = server.pollEvent()) served.push(event)
    if (down.length > 0) client.receive(down, now)
    for (let event = client.pollEvent(); event; event = client.pollEvent()) heard.push(event)
  }
}

// Prefaces and SETTINGS.
exchange()
console.log(client.state, server.state) // open open

// A request is one command; its number is that of its stream.
client.submit(
  {
    type: 'request',
    exchange: client.nextExchange,
    method: 'POST',
    target: '/orders?page=2',
    authority: 'shop.example',
    fields: new HttpFields({ 'content-type': 'text/plain' }),
    body: 'three of them',
    streams: false,
    bodyLength: undefined,
  },
  now,
)
exchange()

// It came whole, so it is one event with its content.
const request = served.shift()
if (request?.type !== 'request') throw new Error('no request')
console.log(request.method, request.target, 'in stream', request.exchange) // POST /orders?page=2 in stream 1
console.log(new TextDecoder().decode(request.content)) // three of them

// Head, body and trailers in one write.
server.submit(
  {
    type: 'respond',
    exchange: request.exchange,
    status: 201,
    reason: undefined,
    fields: new HttpFields({ location: '/orders/7' }),
    body: 'done',
    trailers: new HttpFields({ 'x-checksum': '42' }),
  },
  now,
)
exchange()
const response = heard.shift()
if (response?.type !== 'response') throw new Error('no response')
console.log(response.status, response.fields.get('location')) // 201 /orders/7
console.log(response.trailers?.get('x-checksum')) // 42

// The second request of a kind costs a few bytes: HPACK remembers the fields.
const again = {
  type: 'request',
  method: 'GET',
  authority: 'shop.example',
  body: undefined,
} as const
const rest = { fields: new HttpFields(), streams: false, bodyLength: undefined } as const
client.submit({ ...again, ...rest, exchange: 3, target: '/orders/7' }, now)
console.log(exchange(), 'bytes') // 21 bytes

// What is held back shows itself as a time, not as a timer.
console.log(client.pollTimeout() !== undefined) // true
server.submit({ type: 'drain' }, now)
exchange()
console.log(client.capacity) // 0
