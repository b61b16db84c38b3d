/**
 * A gRPC service and its client, all four kinds of calls typed by the descriptor that protoc-gen-es
 * generates from examples/schemas/greeter.proto; an error with details, metadata, an interceptor.
 *
 * Run it: node examples/library/grpc.ts
 */
import {
  ErrorInfoSchema,
  GrpcError,
  type GrpcInterceptor,
  grpcClient,
  grpcServer,
  grpcService,
} from 'heddle/grpc'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'
import { Greeter } from '../schemas/greeter_pb.ts'

// Middleware around every call of the service, as around everything else here.
const onlyTenants: GrpcInterceptor = (next) => (call, context) => {
  if (!context.requestMetadata.has('x-tenant')) throw new GrpcError('UNAUTHENTICATED', 'no tenant')
  return next(call, context)
}

const greeter = grpcService(
  Greeter,
  {
    greet({ name }) {
      if (name === '') {
        throw new GrpcError('INVALID_ARGUMENT', 'no name', {
          details: [[ErrorInfoSchema, { reason: 'NAME_EMPTY', domain: 'greeter.example' }]],
        })
      }
      return { text: `hello ${name}` }
    },
    async *count({ to }) {
      for (let number = 1; number <= to; number++) yield { text: String(number) }
    },
    async *chat(requests) {
      for await (const { name } of requests) yield { text: name.toUpperCase() }
    },
  },
  { interceptors: [onlyTenants] },
)

// Beside a website, on one port.
const website = (): HttpResponse => HttpResponse.text('not a call')
await using server = httpServer(grpcServer([greeter], { next: website }))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
if (address.kind !== 'ip') throw new Error('TCP listens on an IP address')
const origin = `http://127.0.0.1:${address.port}`

await using client = grpcClient(Greeter, origin)
const metadata = { 'x-tenant': 'blue' }
const reply = await client.greet({ name: 'Ada' }, { metadata, timeoutMs: 5_000 })
console.log(reply.text) // hello Ada

for await (const { text } of client.count({ to: 1_000_000 }, { metadata })) {
  if (text === '3') {
    console.log(`enough at ${text}`) // enough at 3
    break // cancels the call, down to the wire
  }
}

for await (const { text } of client.chat([{ name: 'one' }, { name: 'two' }], { metadata })) {
  if (text !== 'TWO') continue
  console.log(text) // TWO
}

try {
  await client.greet({ name: '' }, { metadata })
} catch (error) {
  if (!(error instanceof GrpcError)) throw error
  console.log(error.message) // INVALID_ARGUMENT: no name
  console.log(error.find(ErrorInfoSchema)[0]?.reason) // NAME_EMPTY
}
const refused = await client.greet({ name: 'Eve' }).catch((error: GrpcError) => error.status)
console.log(refused) // UNAUTHENTICATED

await using browser = httpClient(origin)
console.log(await (await browser.get('/')).body.text()) // not a call
