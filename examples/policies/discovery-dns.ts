// Endpoints from DNS: every address of a name, asked again when its TTL is over.
import { createSocket } from 'node:dgram'
import { dns } from 'heddle/discovery'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(({ authority }) => HttpResponse.text(`for ${authority}`))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

// A name server that knows one answer: A 127.0.0.1, for a minute. RFC 1035, section 4.
const names = createSocket('udp4')
names.on('message', (query, { address: to, port: at }) => {
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const isA = question.readUInt16BE(question.length - 4) === 1
  const head = Buffer.from([
    query[0] ?? 0,
    query[1] ?? 0,
    0x81,
    0x80,
    0,
    1,
    0,
    isA ? 1 : 0,
    0,
    0,
    0,
    0,
  ])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
  names.send(isA ? [head, question, record] : [head, question], at, to)
})
await new Promise<void>((resolve) => names.bind(0, '127.0.0.1', resolve))

const resolver = dns({ servers: [`127.0.0.1:${names.address().port}`] })
{
  await using client = httpClient(`http://users.internal:${port}`, { resolver })
  const answer = await (await client.get('/')).body.text()
  console.log(answer.replace(/\d+$/, 'port')) // for users.internal:port
}
names.close()
