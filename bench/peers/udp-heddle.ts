/** heddle's UDP transport: what comes is sent back. */
import { ip } from '../../src/core/address.ts'
import { udp } from '../../src/transports/udp/udp.ts'
import { peerSettings, ready } from '../harness/peer.ts'

const engine = peerSettings().variant === 'dgram' ? 'dgram' : 'auto'
const socket = await udp({ engine }).bind(ip('127.0.0.1', 0))
socket.open({
  onDatagram: (payload, from) => void socket.send(payload, from),
  onError() {},
  onClose() {},
})
ready({ port: socket.address.port })
