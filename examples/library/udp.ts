// Datagrams: plain ones that may get lost, and messages that arrive once or are known to be lost.
import { ip } from 'heddle/core'
import { reliableDatagrams } from 'heddle/reliable-datagrams'
import { udp } from 'heddle/transports/udp'

const transport = udp({ maxPayloadBytes: 1_400, rateLimit: { datagramsPerSecond: 1_000 } })

// Plain: a server that echoes, and a socket connected to it.
const server = await transport.bind(ip('127.0.0.1', 0))
server.open({
  onDatagram: (payload, from) => void server.send(payload, from),
  onError: (error) => console.error(error),
  onClose() {},
})
const client = await transport.connect(server.address)
const echo = await new Promise<string>((resolve) => {
  client.open({
    // The payload is borrowed until this returns.
    onDatagram: (payload) => resolve(new TextDecoder().decode(payload)),
    onError: (error) => console.error(error),
    onClose() {},
  })
  client.send(new TextEncoder().encode('hello'))
})
console.log(echo, server.statistics.received, server.droppedCount) // hello 1 0

try {
  client.send(new Uint8Array(1_401))
} catch (error) {
  console.log((error as Error).message) // datagram of 1401 bytes is over maxPayloadBytes 1400
}
await Promise.all([client.close(), server.close()])

// Acknowledged: sent again until the peer has it, handed out once.
const heard: string[] = []
const far = reliableDatagrams(await transport.bind(ip('127.0.0.1', 0)), {
  onMessage: (payload) => void heard.push(new TextDecoder().decode(payload)),
})
const near = reliableDatagrams(await transport.connect(far.address), { onMessage() {} })
const deliveries = await Promise.all(
  ['one', 'two'].map((text) => near.send(new TextEncoder().encode(text))),
)
console.log(heard, deliveries.length) // [ 'one', 'two' ] 2
await Promise.all([near.close(), far.close()])
