/**
 * HTTP/2 by prior knowledge: many calls on one connection, both directions at once, trailers, and a
 * connection made of a stream.
 *
 * Run it: node examples/library/http2-client.ts
 */
import type { Connection } from 'heddle/core'
import { HttpFields, HttpResponse, httpClient, httpServer, iterableSource } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (chunk: Uint8Array | undefined): string => new TextDecoder().decode(chunk)

await using server = httpServer((request) => {
  // Extended CONNECT (RFC 8441): from here on the stream is a connection.
  if (request.method === 'CONNECT') return new HttpResponse({ upgrade: echo })
  if (request.path === '/echo') return new HttpResponse({ body: request.body })
  const response = HttpResponse.text(`${request.path} in HTTP/${request.version}`)
  response.body.trailers = new HttpFields({ 'x-checksum': '42' })
  return response
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, { version: '2' })

// Any number of calls at a time on one connection.
const replies = await Promise.all(['/a', '/b', '/c'].map((path) => client.get(path)))
const texts = await Promise.all(replies.map(({ body }) => body.text()))
console.log(texts.join(', ')) // /a in HTTP/2, /b in HTTP/2, /c in HTTP/2
console.log(replies[0]?.body.trailers?.get('x-checksum')) // 42

// Both directions at once: the answer begins before the request has ended.
const more = Promise.withResolvers<string>()
async function* words(): AsyncGenerator<Uint8Array> {
  yield bytes('first')
  yield bytes(await more.promise)
}
const reply = await client.post('/echo', iterableSource(words()))
const answers = reply.body[Symbol.asyncIterator]()
console.log(text((await answers.next()).value)) // first
more.resolve('second')
console.log(text((await answers.next()).value)) // second
await answers.next()

// A call that is given up resets its stream; the connection stays.
const given = AbortSignal.abort(new Error('not needed'))
console.log(await client.get('/a', { signal: given }).catch(String)) // Error: not needed

// A connection made of a stream: paused, half closed and reset like any other.
const { connection } = await client.request({ method: 'CONNECT', protocol: 'echo', target: '/' })
console.log(await said(connection as Connection, 'through a stream')) // through a stream

function echo(connection: Connection): void {
  connection.open({
    onData: (chunk) => void connection.write(chunk.slice()),
    onDrain() {},
    onEnd: () => connection.end(),
    onClose() {},
  })
}

function said(connection: Connection, message: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    connection.open({
      onData(chunk) {
        heard += text(chunk)
      },
      onDrain() {},
      onEnd() {},
      onClose: () => resolve(heard),
    })
    connection.write(bytes(message))
    connection.end()
  })
}
