/**
 * heddle's WebSocket server: each message is sent back. A long one is lent and leaves from where it
 * was read, so it is kept until it has left; short ones are copied into the output at once.
 */
import { ip } from '../../src/core/address.ts'
import type { ChunkLease } from '../../src/core/connection.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import type {
  WebSocketConnection,
  WebSocketHandler,
} from '../../src/links/websocket/websocket-connection.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { peerSettings, ready } from '../harness/peer.ts'

const COPIED_BYTES = 4_096

class Echo implements WebSocketHandler {
  readonly #connection: WebSocketConnection
  #leases: ChunkLease[] = []

  constructor(connection: WebSocketConnection) {
    this.#connection = connection
  }

  onMessage(message: Uint8Array): void {
    const connection = this.#connection
    const writable = connection.send(message)
    if (message.length >= COPIED_BYTES && connection.writableLength > 0) {
      this.#leases.push(connection.leaseMessage())
    }
    if (!writable) connection.pause()
  }

  onDrain(): void {
    this.#release()
    this.#connection.resume()
  }

  onEnd(): void {}

  onClose(): void {
    this.#release()
  }

  #release(): void {
    if (this.#leases.length === 0) return
    for (const lease of this.#leases) lease.release()
    this.#leases = []
  }
}

const { variant } = peerSettings()
const carrier = variant === 'wide' ? tcp({ readBufferBytes: 262_144 }) : tcp()
const transport = webSocket({ carrier, compression: variant === 'deflate' })
const { address } = await transport.listen(ip('127.0.0.1', 0), {
  onConnection: (connection) => connection.open(new Echo(connection)),
})
ready({ port: address.kind === 'ip' ? address.port : 0 })
