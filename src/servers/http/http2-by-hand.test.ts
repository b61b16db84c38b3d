/** An HTTP/2 server on a real socket, asked frame by frame: what no library lets a test say. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { bytes, frame, framesOf, type SeenFrame, section } from '../../../test/http2/by-hand.ts'
import { type EchoCounts, echoService } from '../../../test/support/echo-service.ts'
import { ip } from '../../core/address.ts'
import { Channel } from '../../core/channel.ts'
import { grpcFrame } from '../../protocols/grpc/encoder.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { FrameType, HTTP2_PREFACE, Http2Code } from '../../protocols/http2/messages.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { grpcServer } from '../grpc/grpc-service.ts'
import { type HttpServer, type HttpServerOptions, httpServer } from './http-server.ts'
import type { HttpExchangeRecord } from './http-server-connection.ts'

const uint32 = (value: number): string => value.toString(16).padStart(8, '0')
/** What a connection may send before anybody says more. */
const FIRST_WINDOW = 65_535

/** A server, and a socket that speaks frames to it. */
class Wire implements AsyncDisposable {
  readonly server: HttpServer
  readonly socket: net.Socket
  #received = Buffer.alloc(0)

  private constructor(server: HttpServer, socket: net.Socket) {
    this.server = server
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
  }

  /** @param settings SETTINGS of this client, in hex */
  static async open(service: HttpService, settings = '', options: HttpServerOptions = {}) {
    const server = httpServer(service, options)
    const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
    const port = address.kind === 'ip' ? address.port : 0
    const wire = new Wire(server, net.connect({ port, host: '127.0.0.1', noDelay: true }))
    await once(wire.socket, 'connect')
    wire.send(bytes(HTTP2_PREFACE), frame(FrameType.SETTINGS, 0, 0, settings))
    return wire
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** A request without a body, or with one that never ends. */
  ask(stream: number, path: string, more: readonly [string, string][] = [], ends = true): void {
    const fields: [string, string][] = [
      [':method', ends ? 'GET' : 'POST'],
      [':scheme', 'http'],
      [':authority', 'a.example'],
      [':path', path],
      ...more,
    ]
    this.send(frame(FrameType.HEADERS, ends ? 5 : 4, stream, section(fields)))
  }

  /** Room for so many bytes more on the connection. */
  grant(count: number): void {
    this.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(count)))
  }

  /** Frames that are whole. */
  get frames(): SeenFrame[] {
    let end = 0
    while (end + 9 <= this.#received.length) {
      const next = end + 9 + this.#received.readUIntBE(end, 3)
      if (next > this.#received.length) break
      end = next
    }
    return framesOf(this.#received.subarray(0, end))
  }

  of(stream: number, type: number): SeenFrame[] {
    return this.frames.filter((one) => one.stream === stream && one.type === type)
  }

  dataOf(stream: number): number {
    return this.of(stream, FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await turn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    await this.server.close({ signal: AbortSignal.abort() })
  }
}

test('HttpServer sends the urgent one of two large responses first, and obeys PRIORITY_UPDATE midway', async () => {
  const SIZE = 400_000
  const service: HttpService = () => new HttpResponse({ body: new Uint8Array(SIZE) })
  await using wire = await Wire.open(service, `0004${uint32(SIZE)}`)
  const sent = (): number[] => [wire.dataOf(1), wire.dataOf(3)]
  const total = (): number => wire.dataOf(1) + wire.dataOf(3)
  // The one that is alone gets what there is.
  wire.ask(1, '/idle', [['priority', 'u=7']])
  await wire.until(() => total() === FIRST_WINDOW)
  wire.ask(3, '/urgent', [['priority', 'u=0']])
  await wire.until(() => wire.of(3, FrameType.HEADERS).length > 0)
  wire.grant(100_000)
  await wire.until(() => total() === FIRST_WINDOW + 100_000)
  assert.deepEqual(sent(), [FIRST_WINDOW, 100_000])
  const update = (stream: number, value: string): Uint8Array =>
    frame(16, 0, 0, uint32(stream) + Buffer.from(value).toString('hex'))
  wire.send(update(3, 'u=7'), update(1, 'u=0'))
  wire.grant(150_000)
  await wire.until(() => total() === FIRST_WINDOW + 250_000)
  assert.deepEqual(sent(), [FIRST_WINDOW + 150_000, 100_000])
  // The first one to its end, then the other.
  wire.grant(2 * SIZE)
  await wire.until(() => total() === 2 * SIZE)
  const data = wire.frames.filter(({ type }) => type === FrameType.DATA)
  assert.equal(data.findLast(({ stream }) => stream === 1)?.flags, 1)
  const lastOfFirst = data.findLastIndex(({ stream }) => stream === 1)
  assert.ok(data.slice(lastOfFirst + 1).every(({ stream }) => stream === 3))
})

test('HttpServer resets a request whose Host differs from :authority, and takes one that says the same', async () => {
  const seen: string[] = []
  const service: HttpService = ({ authority }) => {
    seen.push(authority)
    return HttpResponse.text('fine')
  }
  await using wire = await Wire.open(service)
  wire.ask(1, '/', [['host', 'b.example']])
  wire.ask(3, '/', [['host', 'A.example']])
  await wire.until(() => wire.of(3, FrameType.DATA).length > 0)
  const [reset] = wire.of(1, FrameType.RST_STREAM)
  assert.equal(reset?.payload.readUInt32BE(0), Http2Code.PROTOCOL_ERROR)
  assert.equal(wire.of(1, FrameType.HEADERS).length, 0)
  assert.deepEqual(seen, ['a.example'])
})

test('HttpServer answers 500 where a response is over the client’s MAX_HEADER_LIST_SIZE', async () => {
  const service: HttpService = ({ path }) => {
    const long = new HttpFields({ x: 'y'.repeat(300) })
    if (path === '/head') return new HttpResponse({ fields: long })
    const body = new Channel<Uint8Array>(
      () => body.end(),
      () => {},
    )
    if (path === '/stream') return new HttpResponse({ fields: long, body })
    const response = new HttpResponse({ body })
    response.body.trailers = long
    return response
  }
  const errors: string[] = []
  const observer = {
    onExchange() {},
    onError: (error: Error) => void errors.push((error as { code?: string }).code ?? ''),
  }
  await using wire = await Wire.open(service, `0006${uint32(300)}`, { observer })
  wire.ask(1, '/head')
  wire.ask(3, '/stream')
  wire.ask(5, '/trailers')
  wire.ask(7, '/head', [['content-type', 'application/grpc']])
  const resets = (stream: number): SeenFrame[] => wire.of(stream, FrameType.RST_STREAM)
  const heads = (stream: number): SeenFrame[] => wire.of(stream, FrameType.HEADERS)
  await wire.until(
    () => heads(1).length * heads(3).length * resets(5).length * resets(7).length > 0,
  )
  // :status 500 is entry 14 of the static table.
  for (const stream of [1, 3]) {
    assert.equal(heads(stream)[0]?.payload[0], 0x8e)
    assert.equal(resets(stream).length, 0)
  }
  for (const stream of [5, 7]) {
    assert.equal(resets(stream)[0]?.payload.readUInt32BE(0), Http2Code.INTERNAL_ERROR)
  }
  assert.deepEqual(errors, Array(4).fill('ERR_FIELDS_TOO_LARGE'))
})

test('HttpServer frees the streams of a client that vanishes, with no GOAWAY and no RST_STREAM', async () => {
  const cancelled: string[] = []
  const records: HttpExchangeRecord[] = []
  let dropped = 0
  let read: Promise<unknown> | undefined
  const service: HttpService = ({ path, body }, context) => {
    context.onCancel(() => void cancelled.push(path))
    if (path === '/body') read = body.bytes().catch((error: unknown) => error)
    if (path !== '/stream') return new Promise(() => {})
    let written = 0
    const channel = new Channel<Uint8Array>(
      () => {
        if (written++ === 0) channel.write(new Uint8Array(10))
      },
      () => void dropped++,
    )
    return new HttpResponse({ body: channel })
  }
  const onExchange = (record: HttpExchangeRecord): void => void records.push(record)
  await using wire = await Wire.open(service, '', { observer: { onExchange } })
  wire.ask(1, '/silent')
  wire.ask(3, '/stream')
  wire.ask(5, '/body', [], false)
  wire.send(frame(FrameType.DATA, 0, 5, '00'.repeat(100)))
  await wire.until(() => wire.dataOf(3) === 10 && read !== undefined)
  assert.equal(wire.server.stats.connections, 1)
  wire.socket.resetAndDestroy()
  await wire.until(() => wire.server.stats.connections === 0)
  assert.deepEqual(cancelled.toSorted(), ['/body', '/silent', '/stream'])
  assert.equal(dropped, 1)
  assert.equal(((await read) as { code?: string }).code, 'ERR_DISCONNECTED')
  assert.equal(records.length, 3)
  assert.ok(records.every(({ error }) => error !== undefined))
})

test('gRPC handlers of a client that vanishes are aborted, and none is left', async () => {
  const counts: EchoCounts = { active: 0, aborted: 0 }
  const server = httpServer(grpcServer([echoService({}, counts)]))
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const socket = net.connect({ port, host: '127.0.0.1' })
  const session = http2.connect('http://a.example', { createConnection: () => socket })
  session.on('error', () => {})
  // delay_ms = 60000 is field 4 of EchoRequest, 6 of ExpandRequest, whose count = 1 is field 2.
  const delayed = grpcFrame(Uint8Array.of(0x20, 0xe0, 0xd4, 0x03))
  const expand = grpcFrame(Uint8Array.of(0x10, 0x01, 0x30, 0xe0, 0xd4, 0x03))
  for (const method of ['Say', 'Say', 'Expand', 'Chat']) {
    const call = session.request({
      ':method': 'POST',
      ':path': `/${Echo.typeName}/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    call.on('error', () => {})
    call.write(method === 'Expand' ? expand : delayed)
    if (method !== 'Chat') call.end()
  }
  while (counts.active < 4) await turn()
  socket.resetAndDestroy()
  while (counts.active > 0 || server.stats.connections > 0) await turn()
  assert.deepEqual(counts, { active: 0, aborted: 4 })
  session.destroy()
  await server.close()
})
