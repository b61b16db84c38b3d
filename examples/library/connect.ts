/**
 * One service, three protocols: gRPC, gRPC-Web and Connect on one port; JSON with plain HTTP; health
 * and reflection beside it.
 *
 * Run it: node examples/library/connect.ts
 */
import { connect, rpcServer } from 'heddle/connect'
import { GrpcError, grpcClient, grpcHealth, grpcReflection, grpcService } from 'heddle/grpc'
import { httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'
import { Greeter } from '../schemas/greeter_pb.ts'

const greeter = grpcService(Greeter, {
  greet({ name }) {
    if (name === '') throw new GrpcError('INVALID_ARGUMENT', 'no name')
    return { text: `hello ${name}` }
  },
  async *count({ to }) {
    for (let number = 1; number <= to; number++) yield { text: String(number) }
  },
  async *chat(requests) {
    for await (const { name } of requests) yield { text: name.toUpperCase() }
  },
})
const services = [greeter]
const health = grpcHealth({ services })

await using server = httpServer(
  rpcServer([...services, health.service, ...grpcReflection(services)], {
    cors: { origins: ['https://app.example'] },
  }),
)
health.follow(server)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
if (address.kind !== 'ip') throw new Error('TCP listens on an IP address')
const origin = `http://127.0.0.1:${address.port}`

// As curl does it: a POST of JSON.
await using http = httpClient(origin)
const path = `/${Greeter.typeName}/Greet`
const fields = { 'content-type': 'application/json' }
const answer = await http.post(path, '{"name":"Ada"}', { fields })
console.log(answer.status, await answer.body.text()) // 200 {"text":"hello Ada"}
const refused = await http.post(path, '{}', { fields })
console.log(refused.status, await refused.body.text()) // 400 {"code":"invalid_argument","message":"no name"}

// The same typed client, whatever it speaks.
const heard: string[] = []
for (const protocol of ['connect', 'grpc-web', connect({ codec: 'json' })] as const) {
  const client = grpcClient(Greeter, http, { protocol })
  const { text } = await client.greet({ name: 'Grace' })
  let counted = 0
  for await (const _ of client.count({ to: 3 })) counted++
  heard.push(`${text}, ${counted}`)
}
console.log(heard.join('; ')) // hello Grace, 3; hello Grace, 3; hello Grace, 3
