/**
 * A stream of quiche as a `Connection`.
 *
 * **Writing** is bounded by QUIC: quiche tells when the peer's window or the path is full
 * (STREAM_BLOCKED), and later that it is not (DRAIN); in between, what is written waits here by
 * reference and is `writableLength`. The addon copies what it takes, four megabytes at most.
 *
 * **Reading** is not: the addon reads whatever comes and gives the peer credit for it, and nothing
 * stops it. What comes while nobody reads is kept up to `maxUnreadBytes` for all streams of the
 * connection, each chunk with what it costs besides; the stream that exceeds it is reset.
 */
import type { ChunkLease, ConnectionFacts, ConnectionRole } from '../../../core/connection.ts'
import { OverloadError } from '../../../core/errors.ts'
import { defer } from '../../../platform/process-access.ts'
import { NodeConnection } from '../../node-stream/node-connection.ts'
import type { DrivenStream } from '../quic-driver.ts'
import { resetStream } from '../quic-errors.ts'
import type { QuicCode } from '../quic-types.ts'
import { checkWireCode } from './quiche-codes.ts'

/** The connection, as its streams see it. */
export interface QuicheStreamOwner {
  readonly highWaterMarkBytes: number
  readonly maxUnreadBytes: number
  codeOf(reason: Error | undefined): QuicCode
  streamFacts(role: ConnectionRole): ConnectionFacts
  /** @returns how many bytes were taken; undefined: nothing, ask again when there is room */
  send(stream: QuicheStream, bytes: Uint8Array, end: boolean): number | undefined
  resetStream(stream: QuicheStream, code: number): void
  /**
   * Bytes that wait for a reader came, or went.
   *
   * @returns whether all streams together are within the limit
   */
  countUnread(bytes: number): boolean
  streamClosed(stream: QuicheStream): void
  tellUnreferenced(): void
}

export class QuicheStream extends NodeConnection implements DrivenStream {
  readonly streamId: number
  readonly direction: 'bidirectional' | 'unidirectional'
  readonly facts: ConnectionFacts
  readonly #owner: QuicheStreamOwner
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #blocked = false
  #endAsked = false
  #writeOver: boolean
  #reads = false
  #draining = false
  #unread: Uint8Array[] = []
  #unreadBytes = 0
  #finReceived = false
  #readOver: boolean
  #resetCode: number | undefined
  #gone = false

  constructor(owner: QuicheStreamOwner, streamId: number, role: ConnectionRole) {
    super()
    this.#owner = owner
    this.streamId = streamId
    this.direction = (streamId & 2) === 0 ? 'bidirectional' : 'unidirectional'
    this.facts = owner.streamFacts(role)
    const single = this.direction === 'unidirectional'
    this.#readOver = single && role === 'initiating'
    this.#writeOver = single && role === 'accepting'
    if (this.#readOver) this.receivedEnd()
    if (this.#writeOver) this.end()
  }

  get writableLength(): number {
    return this.#queuedBytes
  }

  write(chunk: Uint8Array): boolean {
    if (!this.writable) return false
    this.#enqueue(chunk)
    return this.#queuedBytes <= this.#owner.highWaterMarkBytes
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.writable) return false
    for (const chunk of chunks) this.#enqueue(chunk)
    return this.#queuedBytes <= this.#owner.highWaterMarkBytes
  }

  reset(code: QuicCode): void {
    if (this.isClosing) return
    this.#resetCode = checkWireCode(code)
    this.destroy(resetStream(BigInt(code), false))
  }

  /** The addon's thread keeps the process alive until the connection ends: nothing to do. */
  ref(): void {}

  unref(): void {
    this.#owner.tellUnreferenced()
  }

  // From the connection.

  onData(chunk: Uint8Array): void {
    if (this.isClosing || chunk.length === 0) return
    if (this.#reads && this.#unread.length === 0) return this.received(chunk)
    this.#unread.push(chunk)
    const cost = chunk.length + CHUNK_OVERHEAD
    this.#unreadBytes += cost
    if (this.#owner.countUnread(cost)) return
    const { maxUnreadBytes } = this.#owner
    const message = `more than ${maxUnreadBytes} bytes came that nobody read, and driver 'quiche' cannot stop the peer`
    this.destroy(new OverloadError('ERR_LIMITED', message))
  }

  onFin(): void {
    this.#finReceived = true
    this.#tellFin()
  }

  /** The peer gave it up, in a direction or both. */
  onFailed(error: Error): void {
    this.readFailed(error)
  }

  onBlocked(): void {
    this.#blocked = true
  }

  onWritable(): void {
    this.#blocked = false
    this.flush()
  }

  /** There may be room again in what all streams share. */
  flush(): void {
    if (this.#blocked || this.isClosing || this.#queuedBytes === 0) return this.#concludeIfAsked()
    this.#sendQueue()
    if (this.#queuedBytes > 0 || this.isClosing) return
    this.#concludeIfAsked()
    this.drained()
  }

  connectionLost(error: Error): void {
    this.#gone = true
    this.readFailed(error)
  }

  protected startReading(): void {
    this.#reads = true
    if (this.#unread.length > 0 || this.#finReceived) defer(() => this.#drainUnread())
  }

  protected stopReading(): void {
    this.#reads = false
  }

  protected sendEnd(): void {
    this.#endAsked = true
    this.#concludeIfAsked()
  }

  protected close(reason: Error | undefined): void {
    this.#queue = []
    this.#queuedBytes = 0
    this.#forgetUnread()
    if (!this.#gone && !(this.#readOver && this.#writeOver)) {
      this.#owner.resetStream(this, this.#resetCode ?? checkWireCode(this.#owner.codeOf(reason)))
    }
    this.#owner.streamClosed(this)
    defer(() => this.closed())
  }

  protected lease(): ChunkLease {
    return LEFT_TO_THE_COLLECTOR
  }

  #enqueue(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.isClosing) return
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (!this.#blocked && this.#queue.length === 1) this.#sendQueue()
  }

  #sendQueue(): void {
    let sent = 0
    while (sent < this.#queue.length) {
      const first = this.#queue[sent] as Uint8Array
      // A piece that is larger than what the addon ever has room for would wait forever.
      const piece = first.length > PIECE_BYTES ? first.subarray(0, PIECE_BYTES) : first
      const taken = this.#owner.send(this, piece, false)
      if (this.isClosing) return
      if (taken === undefined) break
      this.#queuedBytes -= taken
      if (taken === first.length) sent += 1
      else this.#queue[sent] = first.subarray(taken)
    }
    this.#queue.splice(0, sent)
  }

  #concludeIfAsked(): void {
    if (!this.#endAsked || this.#writeOver || this.#blocked) return
    if (this.isClosing || this.#queuedBytes > 0) return
    if (this.#owner.send(this, NOTHING, true) === undefined) return
    this.#writeOver = true
    defer(() => this.endLeft())
  }

  #drainUnread(): void {
    if (this.#draining) return
    this.#draining = true
    try {
      while (this.#reads && !this.isClosing) {
        const chunk = this.#unread.shift()
        if (chunk === undefined) break
        const cost = chunk.length + CHUNK_OVERHEAD
        this.#unreadBytes -= cost
        this.#owner.countUnread(-cost)
        this.received(chunk)
      }
    } finally {
      this.#draining = false
    }
    this.#tellFin()
  }

  #tellFin(): void {
    if (!this.#finReceived || this.#readOver || this.isClosing) return
    if (!this.#reads || this.#unread.length > 0) return
    this.#readOver = true
    this.receivedEnd()
  }

  #forgetUnread(): void {
    this.#unread = []
    this.#owner.countUnread(-this.#unreadBytes)
    this.#unreadBytes = 0
    if (this.#finReceived) this.#readOver = true
  }
}

const NOTHING = new Uint8Array(0)
const PIECE_BYTES = 65_536
/** A chunk costs memory besides its bytes: a peer may send them one at a time. */
export const CHUNK_OVERHEAD = 256
/** The memory of a chunk is used once: there is nothing to give back. */
const LEFT_TO_THE_COLLECTOR: ChunkLease = Object.freeze({ release() {} })
