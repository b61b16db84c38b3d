/**
 * A connection whose peer is somebody else than who holds the other end: a PROXY header said so.
 * Everything but the facts is the connection's own.
 */
import type { Address } from '../../core/address.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'

export class AnnouncedConnection implements Connection {
  readonly facts: ConnectionFacts
  readonly #inner: Connection

  constructor(inner: Connection, remote: Address, local: Address) {
    this.#inner = inner
    const { facts } = inner
    this.facts = {
      transport: facts.transport,
      local,
      remote,
      role: facts.role,
      tls: facts.tls,
      mtu: facts.mtu,
      receiveBufferBytes: facts.receiveBufferBytes,
      sendBufferBytes: facts.sendBufferBytes,
      capabilities: facts.capabilities,
      roundTripMs: () => facts.roundTripMs(),
    }
  }

  get id(): number {
    return this.#inner.id
  }

  get writableLength(): number {
    return this.#inner.writableLength
  }

  get unsentLength(): number {
    return this.#inner.unsentLength ?? this.#inner.writableLength
  }

  open(handler: ConnectionHandler): void {
    this.#inner.open(handler)
  }

  write(chunk: Uint8Array): boolean {
    return this.#inner.write(chunk)
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    return this.#inner.writeAll(chunks)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  end(): void {
    this.#inner.end()
  }

  destroy(reason?: Error): void {
    this.#inner.destroy(reason)
  }

  leaseChunk(): ChunkLease {
    return this.#inner.leaseChunk()
  }

  detach(unread?: Uint8Array): void {
    this.#inner.detach(unread)
  }

  ref(): void {
    this.#inner.ref()
  }

  unref(): void {
    this.#inner.unref()
  }
}
