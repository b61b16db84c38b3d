/**
 * A stream of a QUIC connection as a `Connection`: half-close is FIN, `destroy` is RESET_STREAM and
 * STOP_SENDING, backpressure is QUIC's own flow control.
 *
 * OpenSSL copies what is written, up to half a megabyte; what it does not take waits here by
 * reference and is `writableLength`. A stream is freed as soon as both directions are over, which
 * OpenSSL takes well: what is acknowledged later is its own business.
 */
import type { ChunkLease, ConnectionFacts } from '../../../core/connection.ts'
import { defer } from '../../../platform/process-access.ts'
import { NodeConnection } from '../../node-stream/node-connection.ts'
import { checkCode, resetStream } from '../quic-errors.ts'
import type { QuicCode, QuicStream } from '../quic-types.ts'
import type { Endpoint } from './endpoint.ts'
import {
  EVENT_READ_ERROR,
  EVENT_READABLE,
  EVENT_WRITABLE,
  EVENT_WRITE_ERROR,
  STREAM_STATE_CONNECTION_CLOSED,
  STREAM_STATE_FINISHED,
  STREAM_STATE_OK,
  STREAM_STATE_RESET_REMOTE,
} from './functions.ts'
import { StreamHandle } from './stream-handle.ts'

/** Who opened a stream. */
export type StreamOrigin = 'local' | 'remote'

/** The connection, as its streams see it. */
export interface StreamOwner {
  readonly endpoint: Endpoint
  readonly highWaterMarkBytes: number
  codeOf(reason: Error | undefined): QuicCode
  streamFacts(origin: StreamOrigin): ConnectionFacts
  /** Its SSL object is free, or about to be. */
  streamClosed(stream: OpensslStream): void
  /** Closed already for its streams, though not yet for the peer, which must hear nothing else. */
  readonly closesLater: boolean
  freeLater(handle: StreamHandle): void
}

export class OpensslStream extends NodeConnection implements QuicStream {
  readonly streamId: number
  readonly direction: 'bidirectional' | 'unidirectional'
  readonly facts: ConnectionFacts
  readonly #connection: StreamOwner
  readonly #handle: StreamHandle
  #queue: Uint8Array[] = []
  #queueHead = 0
  #queuedBytes = 0
  #reads = false
  /** Nothing more will come, or none ever does. */
  #readOver: boolean
  #endAsked = false
  /** FIN is with OpenSSL, or this side never writes. */
  #writeOver: boolean
  #resetCode: QuicCode | undefined
  #leased = false
  #referenced = true

  /** Takes over the SSL object of the stream. */
  constructor(
    connection: StreamOwner,
    ssl: number,
    origin: StreamOrigin,
    direction: 'bidirectional' | 'unidirectional',
  ) {
    super()
    this.#connection = connection
    this.direction = direction
    const { f } = connection.endpoint.openssl
    this.streamId = Number(f.SSL_get_stream_id(ssl))
    this.facts = connection.streamFacts(origin)
    this.#handle = new StreamHandle(connection.endpoint, ssl, (events) => this.#onEvents(events))
    const single = direction === 'unidirectional'
    this.#readOver = single && origin === 'local'
    this.#writeOver = single && origin === 'remote'
    if (this.#readOver) this.receivedEnd()
    if (this.#writeOver) this.end()
    connection.endpoint.hold()
    this.#want()
  }

  get writableLength(): number {
    return this.#queuedBytes
  }

  write(chunk: Uint8Array): boolean {
    if (!this.writable) return false
    this.#send(chunk)
    return this.#queuedBytes <= this.#connection.highWaterMarkBytes
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.writable) return false
    for (const chunk of chunks) {
      this.#send(chunk)
      if (!this.writable) return false // it failed
    }
    return this.#queuedBytes <= this.#connection.highWaterMarkBytes
  }

  reset(code: QuicCode): void {
    if (this.isClosing) return
    checkCode(code)
    this.#resetCode = code
    this.destroy(resetStream(BigInt(code), false))
  }

  ref(): void {
    if (this.#referenced || this.#handle.ssl === 0) return
    this.#referenced = true
    this.#connection.endpoint.hold()
  }

  unref(): void {
    if (!this.#referenced || this.#handle.ssl === 0) return
    this.#referenced = false
    this.#connection.endpoint.release()
  }

  /** The connection under it is gone. */
  connectionLost(error: Error): void {
    this.readFailed(error)
  }

  #onEvents(events: number): void {
    if ((events & (EVENT_READABLE | EVENT_READ_ERROR)) !== 0) this.#read()
    if ((events & (EVENT_WRITABLE | EVENT_WRITE_ERROR)) !== 0 && !this.isClosing) this.#flush()
  }

  protected startReading(): void {
    this.#reads = true
    this.#want()
  }

  protected stopReading(): void {
    this.#reads = false
    this.#want()
  }

  protected sendEnd(): void {
    this.#endAsked = true
    if (this.#queuedBytes === 0) this.#conclude()
  }

  protected close(reason: Error | undefined): void {
    this.#queue = []
    this.#queueHead = 0
    this.#queuedBytes = 0
    if (!this.#writeOver && !this.#connection.closesLater) {
      const code = this.#resetCode ?? this.#connection.codeOf(reason)
      this.#handle.sendReset(checkCode(code))
    }
    this.#release()
    defer(() => this.closed())
  }

  protected lease(): ChunkLease {
    this.#leased = true
    return LEFT_TO_THE_COLLECTOR
  }

  #release(): void {
    if (this.#handle.ssl === 0) return
    if (this.#referenced) this.#connection.endpoint.release()
    if (this.#connection.closesLater) this.#connection.freeLater(this.#handle.takeOver())
    else this.#handle.free()
    this.#connection.streamClosed(this)
  }

  /** The connection is being freed: so must be its streams, before it. */
  freeNow(): void {
    this.#release()
  }

  #want(): void {
    if (this.isClosing) return
    let events = 0
    if (!this.#readOver)
      events |= this.#reads ? EVENT_READABLE | EVENT_READ_ERROR : EVENT_READ_ERROR
    if (!this.#writeOver) events |= EVENT_WRITE_ERROR
    if (this.#queuedBytes > 0) events |= EVENT_WRITABLE
    this.#handle.want(events)
  }

  #read(): void {
    const { endpoint } = this.#connection
    let budget = TURN_BYTES
    while (!this.isClosing && !this.#readOver) {
      const length = this.#reads && budget > 0 ? this.#handle.read() : 0
      if (length === 0) return budget > 0 ? this.#readState() : endpoint.wake()
      budget -= length
      const chunk = endpoint.readView(length)
      this.#leased = false
      try {
        this.received(chunk)
      } finally {
        if (this.#leased) endpoint.keepRead(chunk)
      }
    }
  }

  /** Nothing was read: the end, a reset, or nothing there. */
  #readState(): void {
    const state = this.#handle.readState()
    if (state === STREAM_STATE_OK) return
    if (state === STREAM_STATE_FINISHED) {
      if (!this.#reads) return
      this.#readOver = true
      this.#want()
      this.receivedEnd()
    } else if (state === STREAM_STATE_RESET_REMOTE) {
      this.#readOver = true
      this.readFailed(resetStream(this.#handle.readErrorCode(), true))
    }
    // Otherwise the connection is gone, which it tells itself.
  }

  #send(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    if (this.#queuedBytes > 0) return this.#enqueue(chunk)
    const taken = this.#handle.write(chunk)
    if (taken === chunk.length) return
    if (taken === 0 && this.#writeState()) return
    this.#enqueue(taken === 0 ? chunk : chunk.subarray(taken))
  }

  #enqueue(rest: Uint8Array): void {
    this.#queue.push(rest)
    const first = this.#queuedBytes === 0
    this.#queuedBytes += rest.length
    if (first) this.#want()
  }

  #flush(): void {
    while (this.#queuedBytes > 0) {
      const first = this.#queue[this.#queueHead] as Uint8Array
      const taken = this.#handle.write(first)
      this.#queuedBytes -= taken
      if (taken < first.length) {
        this.#queue[this.#queueHead] = first.subarray(taken)
        if (taken === 0) this.#writeState()
        return
      }
      this.#queueHead += 1
    }
    if (this.#queueHead === 0) {
      // Nothing was queued, so it was an error that woke us.
      this.#writeState()
      return
    }
    this.#queue = []
    this.#queueHead = 0
    if (this.#endAsked) this.#conclude()
    this.#want()
    this.drained()
  }

  /** @returns whether writing is over: the peer does not want it, or the connection is gone */
  #writeState(): boolean {
    if (this.#writeOver || this.isClosing) return true
    const state = this.#handle.writeState()
    if (state === STREAM_STATE_OK) return false
    if (state === STREAM_STATE_FINISHED) return true
    this.#writeOver = true
    this.#queue = []
    this.#queueHead = 0
    this.#queuedBytes = 0
    this.#want()
    // A connection that is gone tells it itself.
    if (state !== STREAM_STATE_CONNECTION_CLOSED) {
      this.writeFailed(resetStream(this.#handle.writeErrorCode(), false))
    }
    return true
  }

  #conclude(): void {
    if (!this.#writeOver) {
      this.#writeOver = true
      this.#handle.conclude()
      this.#want()
    }
    // Not from inside `end`: it may be what closes the connection.
    defer(() => this.endLeft())
  }
}

/** The memory of a leased chunk is not read into again: there is nothing to give back. */
const LEFT_TO_THE_COLLECTOR: ChunkLease = Object.freeze({ release() {} })
/** Most that one stream is given in one pass, so that streams share a thread fairly. */
const TURN_BYTES = 262_144
