import { ip } from 'heddle/core'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { createDevCertificate } from 'heddle/security'
import { quic, quicAvailability, quicStreams } from 'heddle/transports/quic'

// QUIC is in the OpenSSL that Node carries; where it cannot be reached, this says why.
const { available, reason } = quicAvailability()
if (!available) throw new Error(`QUIC is not available here: ${reason}`)
const { certificate, key, ca } = await createDevCertificate(systemClock)
const credentials = { certificate, key }

// Any stream protocol runs over QUIC: each connection is a stream, and they share a handshake.
await using server = httpServer((request) => HttpResponse.text(`hello ${request.path}`))
const { address } = await server.listen(quicStreams({ credentials }), ip('127.0.0.1', 0))
const transport = quicStreams({ ca, serverName: 'localhost' })
await using client = httpClient('http://localhost', {
  transport,
  endpoints: [{ address, hostname: 'localhost' }],
})
const answer = await client.get('/world', { timeoutMs: 5_000 })
console.log(answer.status, await answer.body.text()) // 200 hello /world

// Or QUIC itself: streams that either side opens, in one direction or both.
const told = Promise.withResolvers<string | undefined>()
const listener = await quic({ credentials, alpn: ['shout/1'] }).listen(ip('127.0.0.1', 0), {
  onConnection(connection) {
    connection.open({
      onStream(stream) {
        stream.open({
          onData: (chunk) =>
            void stream.write(Buffer.from(String(Buffer.from(chunk)).toUpperCase())),
          onDrain() {},
          onEnd: () => stream.end(),
          onClose() {},
        })
      },
      onStreamsAvailable() {},
      onClose: (error) => told.resolve(error?.message),
    })
  },
})
const connection = await quic({ ca, alpn: ['shout/1'] }).connect(listener.address)
connection.open({ onStream() {}, onStreamsAvailable() {}, onClose() {} })
const stream = connection.openStream()
const heard = await new Promise<string>((resolve) => {
  let text = ''
  stream?.open({
    onData: (chunk) => {
      text += Buffer.from(chunk)
    },
    onDrain() {},
    onEnd: () => resolve(text),
    onClose() {},
  })
  stream?.write(Buffer.from('hey'))
  stream?.end()
})
console.log(heard) // HEY
await connection.close({ code: 7, reason: 'enough' })
console.log((await told.promise)?.replace(/^\S+ /, '')) // closed the connection with code 7: enough
await listener.close()
// The client first: a transport waits for those who use it.
await client.close()
await transport.close()
