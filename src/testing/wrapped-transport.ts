/**
 * A transport around another that changes nothing: mutants of kits override one thing of it, each
 * mistake on its own.
 */
import type { Address } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../core/transport.ts'

/** Passes everything on; a mutant overrides one thing. */
export class Wrapped implements Connection, ConnectionHandler {
  readonly inner: Connection
  handler!: ConnectionHandler

  constructor(inner: Connection) {
    this.inner = inner
  }

  get id(): number {
    return this.inner.id
  }
  get facts(): ConnectionFacts {
    return this.inner.facts
  }
  get writableLength(): number {
    return this.inner.writableLength
  }
  get unsentLength(): number {
    return this.inner.unsentLength ?? this.inner.writableLength
  }
  open(handler: ConnectionHandler): void {
    const before = this.handler
    this.handler = handler
    try {
      this.inner.open(this)
    } catch (error) {
      this.handler = before
      throw error
    }
  }
  write(chunk: Uint8Array): boolean {
    return this.inner.write(chunk)
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    return this.inner.writeAll(chunks)
  }
  pause(): void {
    this.inner.pause()
  }
  resume(): void {
    this.inner.resume()
  }
  end(): void {
    this.inner.end()
  }
  destroy(reason?: Error): void {
    this.inner.destroy(reason)
  }
  leaseChunk(): ChunkLease {
    return this.inner.leaseChunk()
  }
  detach(unread?: Uint8Array): void {
    this.inner.detach(unread)
  }
  ref(): void {
    this.inner.ref()
  }
  unref(): void {
    this.inner.unref()
  }
  onData(chunk: Uint8Array): void {
    this.handler.onData(chunk)
  }
  onDrain(): void {
    this.handler.onDrain()
  }
  onEnd(): void {
    this.handler.onEnd()
  }
  onClose(reason: Error | undefined): void {
    this.handler.onClose(reason)
  }
}

export class WrappedTransport implements Transport {
  readonly name = 'memory'
  readonly inner: Transport
  readonly traits: TransportTraits
  readonly clock: Clock
  readonly Mutant: new (
    inner: Connection,
  ) => Wrapped

  constructor(clock: Clock, inner: Transport, Mutant: new (inner: Connection) => Wrapped) {
    this.clock = clock
    this.inner = inner
    this.traits = this.inner.traits
    this.Mutant = Mutant
  }

  async connect(to: Address, options?: ConnectOptions): Promise<Connection> {
    return new this.Mutant(await this.inner.connect(to, options))
  }

  listen(at: Address, options: ListenOptions): Promise<Listener> {
    const onConnection = (one: Connection): void => options.onConnection(new this.Mutant(one))
    return this.inner.listen(at, { ...options, onConnection })
  }
}
