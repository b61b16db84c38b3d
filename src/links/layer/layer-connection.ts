/**
 * The upper face of a byte-stream layer: records, a stream of a multiplexed connection.
 *
 *     layer --deliver, receiveEnd, drained, receiveClose--> this --> handler
 *     layer <--transmit, transmitEnd, abort, readingChanged-- this <-- owner
 *
 * What it has in common with messages is in layer-face.ts.
 */
import type { ChunkLease, Connection, ConnectionHandler } from '../../core/connection.ts'
import { LayerFace } from './layer-face.ts'

export abstract class LayerConnection
  extends LayerFace<Uint8Array, ConnectionHandler>
  implements Connection
{
  /** Takes one chunk, not empty, which is the layer's until `writableLength` is 0. */
  protected abstract transmit(chunk: Uint8Array): void

  write(chunk: Uint8Array): boolean {
    if (!this.sends) return false
    if (chunk.length > 0) this.transmit(chunk)
    return this.afterWrite()
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.sends) return false
    for (const chunk of chunks) if (chunk.length > 0) this.transmit(chunk)
    return this.afterWrite()
  }

  leaseChunk(): ChunkLease {
    return this.leaseItem('leaseChunk is legal inside onData only')
  }

  detach(unread?: Uint8Array): void {
    this.detachHandler(unread === undefined || unread.length === 0 ? undefined : unread.slice())
  }

  protected override deliver(chunk: Uint8Array, lease?: () => ChunkLease): void {
    if (chunk.length > 0) super.deliver(chunk, lease)
  }

  protected hand(handler: ConnectionHandler, chunk: Uint8Array): void {
    handler.onData(chunk)
  }

  protected copied(chunk: Uint8Array): Uint8Array {
    return chunk.slice()
  }
}
