/** The service of test/fixtures/echo as users of `@grpc/grpc-js` write it, and its client. */
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { GrpcError } from '../../src/protocols/grpc/grpc-error.ts'
import { encodeStatusDetails } from '../../src/protocols/grpc/status-details.ts'
import { ErrorInfoSchema } from '../../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'

export interface Message {
  readonly text: string
  readonly payload: Buffer
  readonly number: number
  readonly delay_ms?: number
}

interface Expand {
  readonly text: string
  readonly count: number
  readonly payload_bytes: number
  readonly fail_after: number
  readonly fail_code: number
  readonly delay_ms: number
}

interface Fail {
  readonly code: number
  readonly message: string
  readonly with_details: boolean
}

const proto = fileURLToPath(new URL('../../test/fixtures/echo/echo.proto', import.meta.url))
const packages = grpc.loadPackageDefinition(
  loadSync(proto, { keepCase: true, longs: Number, defaults: true }),
)
export const Echo = (
  packages as unknown as { heddle: { echo: { v1: { Echo: grpc.ServiceClientConstructor } } } }
).heddle.echo.v1.Echo

export async function serveGrpcJs(
  options: grpc.ServerOptions = {},
): Promise<{ port: number } & Disposable> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024, ...options })
  server.addService(Echo.service, ECHO_HANDLERS)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  return { port, [Symbol.dispose]: () => server.forceShutdown() }
}

function say(
  call: grpc.ServerUnaryCall<Message, Partial<Message>>,
  done: grpc.sendUnaryData<Partial<Message>>,
): void {
  const { text, payload, number, delay_ms: delayMs = 0 } = call.request
  call.sendMetadata(echoed(call.metadata))
  const answer = (): void => done(null, { text, payload, number }, trailers(call.metadata))
  if (delayMs === 0) answer()
  else setTimeout(answer, delayMs).unref()
}

async function expand(call: grpc.ServerWritableStream<Expand, Partial<Message>>): Promise<void> {
  const { text, count, payload_bytes: bytes, fail_after: after, fail_code: code } = call.request
  for (let number = 0; number < count && !call.cancelled; number++) {
    if (code !== 0 && number === after) return void call.emit('error', { code, details: 'asked' })
    const { delay_ms: delayMs } = call.request
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs).unref())
    if (!call.write({ text, number, payload: Buffer.alloc(bytes, number) })) {
      await new Promise<void>((resolve) => {
        call.once('drain', resolve)
        call.once('cancelled', resolve)
      })
    }
  }
  call.end()
}

async function collect(
  call: grpc.ServerReadableStream<Message, object>,
  done: grpc.sendUnaryData<object>,
): Promise<void> {
  const texts: string[] = []
  let count = 0
  let bytes = 0
  for await (const { text, payload } of call as AsyncIterable<Message>) {
    count++
    bytes += payload.length
    if (texts.length < 10) texts.push(text)
  }
  done(null, { count, bytes, texts })
}

function chat(call: grpc.ServerDuplexStream<Message, Partial<Message>>): void {
  call.on('data', ({ text, payload, number }: Message) => call.write({ text, payload, number }))
  call.on('end', () => call.end())
}

function fail(call: grpc.ServerUnaryCall<Fail, object>, done: grpc.sendUnaryData<object>): void {
  const { code, message, with_details: withDetails } = call.request
  const metadata = new grpc.Metadata()
  metadata.set('x-reason', 'asked')
  metadata.set('x-reason-bin', Buffer.of(0, 1, 255))
  if (withDetails) {
    const { details } = new GrpcError(5, '', {
      details: [[ErrorInfoSchema, { reason: 'ASKED', domain: 'echo.test' }]],
    })
    const text = encodeStatusDetails({ code, message, details })
    metadata.set('grpc-status-details-bin', Buffer.from(text, 'base64'))
  }
  done({ code, details: message, metadata })
}

function echoed(metadata: grpc.Metadata): grpc.Metadata {
  const sent = new grpc.Metadata()
  for (const name of ['x-echo', 'x-echo-bin'])
    for (const value of metadata.get(name)) sent.add(name, value)
  return sent
}

function trailers(metadata: grpc.Metadata): grpc.Metadata {
  const sent = new grpc.Metadata()
  const [first] = metadata.get('x-echo')
  if (first !== undefined) sent.add('x-echo-trailer', first)
  return sent
}

/** Written for grpc-js; they serve under heddle's adapter as they are. */
export const ECHO_HANDLERS: grpc.UntypedServiceImplementation = {
  Say: say,
  Look: say,
  Expand: expand,
  Collect: collect,
  Chat: chat,
  Fail: fail,
}
