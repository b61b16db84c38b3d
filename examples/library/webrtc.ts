/**
 * Two peers reach each other by name, and exchange messages over a data channel.
 *
 * Run it: node examples/library/webrtc.ts
 */
import {
  memorySignalling,
  webRtc,
  webRtcAddress,
  webRtcAvailability,
} from 'heddle/transports/webrtc'

const { available, reason } = await webRtcAvailability()
if (!available) throw new Error(`skipped: ${reason}`)

// Peers in other processes share a signalling server instead: signallingServer, signallingClient.
const transport = webRtc({ signalling: memorySignalling(), bindAddress: '127.0.0.1' })
const listener = await transport.listen(webRtcAddress('alice'), {
  onConnection(connection) {
    connection.open({
      onMessage: (message) => void connection.send(message.slice().reverse()),
      onDrain() {},
      onEnd: () => connection.end(),
      onClose() {},
    })
  },
})

const connection = await transport.connect(webRtcAddress('alice'))
console.log(connection.facts.webRtc.flowControl) // true
const closed = Promise.withResolvers<Error | undefined>()
connection.open({
  onMessage(message) {
    console.log(message.join()) // 3,2,1
    connection.end()
  },
  onDrain() {},
  onEnd() {},
  onClose: closed.resolve,
})
connection.send(Uint8Array.of(1, 2, 3))
console.log(await closed.promise) // undefined
await listener.close()
