/**
 * heddle's TCP transport: what comes is written back. What the kernel does not take at once stays
 * in the memory that it was read into, which is leased until it has left.
 */
import { ip } from '../../src/core/address.ts'
import type { ChunkLease, Connection, ConnectionHandler } from '../../src/core/connection.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { peerSettings, ready } from '../harness/peer.ts'

class Echo implements ConnectionHandler {
  readonly #connection: Connection
  #leases: ChunkLease[] = []

  constructor(connection: Connection) {
    this.#connection = connection
  }

  onData(chunk: Uint8Array): void {
    const connection = this.#connection
    const writable = connection.write(chunk)
    if (connection.writableLength > 0) this.#leases.push(connection.leaseChunk())
    if (!writable) connection.pause()
  }

  onDrain(): void {
    this.#release()
    this.#connection.resume()
  }

  onEnd(): void {
    this.#connection.end()
  }

  onClose(): void {
    this.#release()
  }

  #release(): void {
    for (const lease of this.#leases) lease.release()
    this.#leases = []
  }
}

const engine = peerSettings().variant === 'net' ? 'net' : 'auto'
const { address } = await tcp({ engine }).listen(ip('127.0.0.1', 0), {
  onConnection: (connection) => connection.open(new Echo(connection)),
})
ready({ port: address.kind === 'ip' ? address.port : 0 })
