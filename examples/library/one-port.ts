/**
 * One port for HTTP/1.1, HTTP/2 and gRPC: the first bytes say which version of HTTP it is (over TLS,
 * ALPN), the content type whether it is a call. One service answers, whatever carried the request.
 *
 * Run it: node examples/library/one-port.ts
 */
import { grpcClient, grpcServer, grpcService } from 'heddle/grpc'
import { HttpResponse, type HttpService, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'
import { Greeter } from '../schemas/greeter_pb.ts'

const greeter = grpcService(Greeter, {
  greet: ({ name }) => ({ text: `hello ${name}` }),
  async *count({ to }) {
    for (let number = 1; number <= to; number++) yield { text: String(number) }
  },
  async *chat(requests) {
    for await (const { name } of requests) yield { text: name }
  },
})
const website: HttpService = ({ path, version }) =>
  HttpResponse.text(`${path} over HTTP/${version}`)

// What is no call of gRPC goes to the website.
await using server = httpServer(grpcServer([greeter], { next: website }))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const origin = `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`

await using old = httpClient(origin)
console.log(await (await old.get('/page')).body.text()) // /page over HTTP/1.1
await using multiplexed = httpClient(origin, { version: '2' })
console.log(await (await multiplexed.get('/page')).body.text()) // /page over HTTP/2

await using client = grpcClient(Greeter, origin)
console.log((await client.greet({ name: 'Ada' })).text) // hello Ada

// A client of HTTP is one of gRPC, too: page and call share its connection.
const shared = grpcClient(Greeter, multiplexed)
console.log((await shared.greet({ name: 'Grace' })).text) // hello Grace
console.log(server.stats.connections) // 3
