/**
 * A connection over any Node `Duplex`: TLS sockets, `net.Socket` where raw handles are out of reach,
 * and through `fromDuplex` whatever the ecosystem has (an SSH channel, a WebSocket stream, a pipe).
 *
 * The stream's own rules become the contract of `Connection`:
 * - chunks are the stream's own memory, so a lease costs nothing;
 * - a region may be reused when `writableLength` is 0. `net.Socket` and `TLSSocket` keep that by
 *   their write callbacks; other streams may hold on to what they were given (a `PassThrough`
 *   does), so for those each write is copied first.
 */
import type { Duplex } from 'node:stream'
import type { ChunkLease, ConnectionFacts } from '../../core/connection.ts'
import { TransportError, UsageError } from '../../core/errors.ts'
import { defer } from '../../platform/process-access.ts'
import { NodeConnection } from './node-connection.ts'
import { connectionError } from './system-errors.ts'

export interface DuplexConnectionOptions {
  readonly highWaterMarkBytes: number
  /** Whether the stream may keep a chunk after its write callback. */
  readonly copyWrites: boolean
  /** Called before the stream is destroyed, for facts that die with it. */
  readonly beforeClose?: () => void
}

export class DuplexConnection extends NodeConnection {
  readonly facts: ConnectionFacts
  readonly #stream: Duplex
  readonly #options: DuplexConnectionOptions
  readonly #onWritten: (error: Error | null | undefined) => void
  /** A write left something queued since the last `drained`. */
  #queued = false
  #listening = false
  #streamClosed = false

  constructor(stream: Duplex, facts: ConnectionFacts, options: DuplexConnectionOptions) {
    super()
    if (stream.readableObjectMode || stream.writableObjectMode) {
      throw new UsageError(
        'ERR_ARGUMENT',
        'a connection carries bytes: the stream is in object mode',
      )
    }
    this.#stream = stream
    this.facts = facts
    this.#options = options
    this.#onWritten = (error) => {
      if (error || !this.#queued || this.#stream.writableLength > 0) return
      this.#queued = false
      this.drained()
    }
    stream.on('error', (error: Error) => {
      if (!this.isClosing) this.readFailed(connectionError(error))
    })
    stream.on('close', () => this.#onStreamClose())
    stream.on('end', () => this.receivedEnd())
    // Not the callback of `end`: a stream without half-close ends its writing side by itself.
    stream.on('finish', () => this.endLeft())
  }

  get writableLength(): number {
    return this.isClosing ? 0 : this.#stream.writableLength
  }

  /**
   * As Node's own socket timeout finds progress: a socket hands a write over as a whole. TLS counts
   * its records there, which are longer than what was written.
   */
  get unsentLength(): number {
    if (this.isClosing) return 0
    const { writableLength, _handle } = this.#stream as Duplex & { _handle?: QueueingHandle | null }
    return Math.min(_handle?.writeQueueSize ?? writableLength, writableLength)
  }

  write(chunk: Uint8Array): boolean {
    if (!this.writable) return false
    this.#give(chunk)
    return this.#afterWrite()
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.writable) return false
    this.#stream.cork()
    for (const chunk of chunks) this.#give(chunk)
    // Uncorked at once, not in the next tick: the caller asks for `writableLength` right after.
    this.#stream.uncork()
    return this.#afterWrite()
  }

  ref(): void {
    this.#socketLike.ref?.()
  }

  unref(): void {
    this.#socketLike.unref?.()
  }

  protected startReading(): void {
    if (!this.#listening) {
      this.#listening = true
      this.#stream.on('data', (chunk: Uint8Array) => {
        // As plain bytes: `slice` of a Buffer gives a view, and handlers copy with it.
        this.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
      })
    }
    this.#stream.resume()
  }

  protected stopReading(): void {
    this.#stream.pause()
  }

  protected sendEnd(): void {
    this.#stream.end()
  }

  protected close(reason: Error | undefined): void {
    this.#options.beforeClose?.()
    if (this.#streamClosed) return defer(() => this.closed())
    this.#stream.destroy(reason)
  }

  protected lease(): ChunkLease {
    return OWN_MEMORY
  }

  get #socketLike(): { ref?(): void; unref?(): void } {
    return this.#stream as { ref?(): void; unref?(): void }
  }

  #give(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#stream.write(this.#options.copyWrites ? new Uint8Array(chunk) : chunk, this.#onWritten)
  }

  #afterWrite(): boolean {
    const waiting = this.#stream.writableLength
    if (waiting > 0) this.#queued = true
    return waiting <= this.#options.highWaterMarkBytes
  }

  #onStreamClose(): void {
    this.#streamClosed = true
    if (!this.isClosing) {
      const message = 'the stream closed before it ended'
      this.readFailed(new TransportError('ERR_DISCONNECTED', message))
    }
    this.closed()
  }
}

interface QueueingHandle {
  readonly writeQueueSize?: number
}

const OWN_MEMORY: ChunkLease = Object.freeze({ release() {} })
