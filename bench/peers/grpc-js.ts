/** `@grpc/grpc-js` with `@grpc/proto-loader`, both roles: a server without a variant, else a client. */
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { METADATA, parseWork, requestOf, STREAM_MESSAGES } from '../suites/grpc-work.ts'

interface Message {
  readonly text: string
  readonly payload: Buffer
  readonly number: number
}

interface Expand {
  readonly count: number
  readonly payload_bytes: number
}

const proto = fileURLToPath(new URL('../../test/fixtures/echo/echo.proto', import.meta.url))
const packages = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }))
const { Echo } = (packages as unknown as { heddle: { echo: { v1: Services } } }).heddle.echo.v1

interface Services {
  readonly Echo: grpc.ServiceClientConstructor
}

const { variant, upstreamPort } = peerSettings()
if (variant === undefined) await serve()
else ready({}, run)

async function serve(): Promise<void> {
  const server = new grpc.Server()
  const refused = (): never => {
    throw new Error('not measured')
  }
  server.addService(Echo.service, {
    Say(call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) {
      const { text, payload, number } = call.request
      done(null, { text, payload, number })
    },
    Look: refused,
    async Expand(call: grpc.ServerWritableStream<Expand, Partial<Message>>) {
      const payload = Buffer.alloc(call.request.payload_bytes)
      for (let number = 0; number < call.request.count; number++) {
        if (!call.write({ payload, number })) {
          await new Promise((resolve) => call.once('drain', resolve))
        }
      }
      call.end()
    },
    Collect: refused,
    Chat: refused,
    Fail: refused,
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  ready({ port })
}

async function run({ milliseconds }: PeerRun): Promise<RunResult> {
  const { kind, bytes, depth } = parseWork(variant)
  const client = new Echo(`127.0.0.1:${upstreamPort}`, grpc.credentials.createInsecure())
  const methods = client as unknown as Record<
    'Say' | 'Expand',
    (...parameters: unknown[]) => unknown
  >
  try {
    if (kind === 'unary') return await unary(methods, milliseconds, bytes, depth)
    const result = await callInLoops(milliseconds, depth, STREAM_MESSAGES, async () => {
      const request = { count: STREAM_MESSAGES, payload_bytes: bytes }
      const stream = methods.Expand(request) as AsyncIterable<Message>
      let count = 0
      for await (const { payload } of stream) if (payload.length === bytes) count++
      return count
    })
    return { ...result, operations: result.operations * STREAM_MESSAGES }
  } finally {
    client.close()
  }
}

function unary(
  methods: Record<'Say', (...parameters: unknown[]) => unknown>,
  milliseconds: number,
  bytes: number,
  depth: number,
): Promise<RunResult> {
  const request = requestOf(bytes)
  return callInLoops(milliseconds, depth, bytes, () => {
    const metadata = new grpc.Metadata()
    for (const [name, value] of Object.entries(METADATA)) metadata.set(name, value)
    return new Promise((resolve, reject) => {
      methods.Say(request, metadata, (error: Error | null, reply: Message) => {
        if (error) reject(error)
        else resolve(reply.payload.length)
      })
    })
  })
}
