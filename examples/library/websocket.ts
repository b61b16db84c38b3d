/**
 * HTTP and WebSocket on one port; then HTTP once more, inside a WebSocket.
 *
 * Run it: node examples/library/websocket.ts
 */
import { byteStream } from 'heddle/byte-stream'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'
import { webSocket, webSocketUpgrade } from 'heddle/websocket'

// A handler hears bytes, text, and how it ended.
const shout = webSocketUpgrade((connection) =>
  connection.open({
    onText: (text) => void connection.sendText(text.toUpperCase()),
    onMessage: (bytes) => void connection.send(bytes.slice()), // bytes are lent
    onDrain() {},
    onEnd() {},
    onClose() {},
  }),
)

await using server = httpServer((request) =>
  request.path === '/shout' ? shout(request) : HttpResponse.text('hello'),
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
if (address.kind !== 'ip') throw new Error('TCP listens on an IP address')

const url = `ws://127.0.0.1:${address.port}/shout`
const connection = await webSocket().connect({ kind: 'url', url })
const closed = Promise.withResolvers<Error | undefined>()
connection.open({
  onText(text) {
    console.log(text) // LOUD AND CLEAR
    connection.close(1000, 'thank you')
  },
  onMessage() {},
  onDrain() {},
  onEnd() {},
  onClose: closed.resolve,
})
connection.sendText('loud and clear')
console.log(await closed.promise) // undefined

// Over HTTP/2 many of them are streams of one connection.
await using http2 = httpClient(`http://127.0.0.1:${address.port}`, { version: '2' })
const stream = await webSocket({ over: http2 }).connect({ kind: 'url', url })
const streamClosed = Promise.withResolvers<Error | undefined>()
stream.open({
  onText(text) {
    console.log(text) // ONE STREAM OF MANY
    stream.close()
  },
  onMessage() {},
  onDrain() {},
  onEnd() {},
  onClose: streamClosed.resolve,
})
stream.sendText('one stream of many')
await streamClosed.promise

// Any stream protocol runs over it: a transport of messages becomes one of bytes.
const carrier = byteStream(webSocket())
await using inner = httpServer((request) => HttpResponse.text(`inside, ${request.path}`))
const listener = await inner.listen(carrier, { kind: 'url', url: 'ws://127.0.0.1:0/tunnel' })
await using client = httpClient('http://inner', {
  transport: carrier,
  endpoints: [{ address: listener.address, hostname: 'inner' }],
})
const answer = await client.get('/deep')
console.log(await answer.body.text()) // inside, /deep
