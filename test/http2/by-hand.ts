/** What the tests of HTTP/2 sessions share: a pair without a wire, and a peer that writes frames. */
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { Http2ClientSession } from '../../src/protocols/http2/client-session.ts'
import { HpackDecoder } from '../../src/protocols/http2/hpack-decoder.ts'
import type {
  ClientEvent,
  Http2ClientCommand,
  Http2ServerCommand,
  RequestCommand,
  RespondCommand,
  ServerEvent,
} from '../../src/protocols/http2/messages.ts'
import type { Http2ClientOptions, Http2ServerOptions } from '../../src/protocols/http2/options.ts'
import { Http2ServerSession } from '../../src/protocols/http2/server-session.ts'

export const NONE = new HttpFields()
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (chunk: Uint8Array | undefined): string => new TextDecoder().decode(chunk)

/** Two sessions and no wire: what one has to say is given to the other, whole. */
export class Pair {
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

  /** Until nobody has anything to say. */
  run(): void {
    while (this.step()) {}
  }

  /** What both have said crosses the wire once. @returns whether there was anything */
  step(): boolean {
    const up = this.client.pollTransmit(16_777_216).take()
    const down = this.server.pollTransmit(16_777_216).take()
    let moved = up.length + down.length > 0
    if (up.length > 0) this.server.receive(up, this.now)
    for (let event = this.server.pollEvent(); event; event = this.server.pollEvent()) {
      this.served.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
      this.onServed?.(event)
      moved = true
    }
    if (down.length > 0) this.client.receive(down, this.now)
    for (let event = this.client.pollEvent(); event; event = this.client.pollEvent()) {
      this.heard.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
      this.onHeard?.(event)
      moved = true
    }
    return moved
  }
}

export function request(exchange: number, init: Partial<RequestCommand> = {}): RequestCommand {
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

export function respond(exchange: number, init: Partial<RespondCommand> = {}): RespondCommand {
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

/** A frame: type, flags, stream, payload in hex. */
export function frame(type: number, flags: number, stream: number, payload = ''): Uint8Array {
  const bytes = Buffer.from(payload, 'hex')
  const header = Buffer.alloc(9)
  header.writeUIntBE(bytes.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(stream, 5)
  return Uint8Array.from(Buffer.concat([header, bytes]))
}

export interface SeenFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function framesOf(bytes: Uint8Array): SeenFrame[] {
  const frames: SeenFrame[] = []
  const all = Buffer.from(bytes)
  for (let at = 0; at < all.length; ) {
    const length = all.readUIntBE(at, 3)
    const type = all[at + 3] as number
    const flags = all[at + 4] as number
    const stream = all.readUInt32BE(at + 5)
    frames.push({ type, flags, stream, payload: all.subarray(at + 9, at + 9 + length) })
    at += 9 + length
  }
  return frames
}

/** A field section in hex, every field literal and not indexed. */
export function section(fields: readonly (readonly [string, string])[]): string {
  let hex = ''
  for (const [name, value] of fields) {
    const string = (text: string) => {
      const { length } = text
      const prefix = length < 127 ? [length] : [127, ...sevens(length - 127)]
      return Buffer.from(prefix).toString('hex') + Buffer.from(text, 'latin1').toString('hex')
    }
    hex += `00${string(name)}${string(value)}`
  }
  return hex
}

function sevens(value: number): number[] {
  const digits: number[] = []
  for (; value >= 128; value >>= 7) digits.push((value & 127) | 128)
  return [...digits, value]
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
]

/** A session whose peer is written by hand. */
export class ByHand<S extends Http2ServerSession | Http2ClientSession> {
  readonly session: S
  readonly events: (ServerEvent | ClientEvent)[] = []
  readonly hpack: HpackDecoder = new HpackDecoder()
  now = 0

  constructor(session: S) {
    this.session = session
    session.pollTransmit(1).take()
  }

  static server(options: Http2ServerOptions = {}): ByHand<Http2ServerSession> {
    const hand = new ByHand(new Http2ServerSession(options, 0))
    hand.send(
      new TextEncoder().encode('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0),
      frame(4, 1, 0),
    )
    hand.said()
    return hand
  }

  static client(options: Http2ClientOptions = {}, settings = ''): ByHand<Http2ClientSession> {
    const hand = new ByHand(new Http2ClientSession(options, 0))
    hand.send(frame(4, 0, 0, settings), frame(4, 1, 0))
    hand.said()
    return hand
  }

  send(...chunks: Uint8Array[]): this {
    this.session.receive(Uint8Array.from(Buffer.concat(chunks)), this.now)
    this.poll()
    return this
  }

  poll(): void {
    const { session } = this
    for (let event = session.pollEvent(); event; event = session.pollEvent()) {
      this.events.push(event.type === 'data' ? { ...event, chunk: event.chunk.slice() } : event)
    }
  }

  /** Frames since the last time. */
  said(room = 1_000_000): SeenFrame[] {
    return framesOf(this.session.pollTransmit(room).take())
  }

  /** The code of the GOAWAY or RST_STREAM (of a stream) that was said. */
  code(stream = 0): number | undefined {
    for (const { type, stream: of, payload } of this.said()) {
      if (stream === 0 && type === 7) return payload.readUInt32BE(4)
      if (stream > 0 && type === 3 && of === stream) return payload.readUInt32BE(0)
    }
    return undefined
  }

  fields(payload: Buffer): string[] {
    const list: string[] = []
    this.hpack.decode(Uint8Array.from(payload), list)
    return list
  }
}
