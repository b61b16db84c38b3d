/**
 * Layers stack: messages, over compression, over a seal, over streams that share one TCP connection.
 *
 * Run it: node examples/library/layers.ts
 */
import { compressed } from 'heddle/compressed'
import { framed } from 'heddle/framed'
import { sealed } from 'heddle/sealed'
import { tcp } from 'heddle/transports/tcp'
import { yamuxStreams } from 'heddle/yamux'

// Both sides hold it: openssl rand -base64 32
const keys = [{ id: 'example', key: 'aGVkZGxlIGV4YW1wbGUga2V5IG9mIDMyIGJ5dGVzISE=' }]
const transport = framed(compressed(sealed(yamuxStreams(tcp()), { keys }), { algorithms: ['lz4'] }))

const listener = await transport.listen(
  { kind: 'ip', host: '127.0.0.1', port: 0 },
  {
    onConnection: (connection) =>
      connection.open({
        onMessage: (message) => void connection.send(message.toReversed()), // a copy: it is lent
        onDrain() {},
        onEnd: () => connection.end(),
        onClose() {},
      }),
  },
)

const connection = await transport.connect(listener.address)
const closed = Promise.withResolvers<Error | undefined>()
connection.open({
  onMessage(message) {
    console.log(new TextDecoder().decode(message)) // desserts
    connection.end()
  },
  onDrain() {},
  onEnd() {},
  onClose: closed.resolve,
})
connection.send(new TextEncoder().encode('stressed'))
await closed.promise

console.log(connection.facts.transport) // framed+compressed+sealed+yamux+tcp
console.log(connection.facts.seal) // { cipher: 'aes-256-gcm', keyId: 'example' }
await listener.close()
