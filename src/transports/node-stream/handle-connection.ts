/**
 * A connection directly on a libuv stream: TCP and Unix sockets on the fast path.
 *
 * `net.Socket` puts two streams, their buffers, ticks and events between the socket and the handler.
 * Here a read is one call into `onData` with a view of shared memory (read-memory.ts), and a write
 * is one attempt at the system call; only what the kernel does not take at once becomes a request
 * that libuv finishes. Nothing is queued in JavaScript.
 */
import type { ChunkLease, ConnectionFacts } from '../../core/connection.ts'
import { defer } from '../../platform/process-access.ts'
import { HandleReader, type ReadEnvironment, type ReadTarget } from './handle-reader.ts'
import { NodeConnection } from './node-connection.ts'
import type { ShutdownRequest, StreamHandle, StreamHandles, WriteRequest } from './stream-handle.ts'
import { connectionError, systemError } from './system-errors.ts'

/** What the connections of one transport share. */
export interface HandleEnvironment extends ReadEnvironment {
  readonly highWaterMarkBytes: number
}

/** Facts that may have to be read before the handle closes. */
export interface CapturableFacts extends ConnectionFacts {
  capture(): void
}

export class HandleConnection extends NodeConnection implements ReadTarget {
  readonly #environment: HandleEnvironment
  readonly #handle: StreamHandle
  readonly #makeFacts: (handle: StreamHandle) => CapturableFacts
  readonly #reader: HandleReader
  #facts: CapturableFacts | undefined
  #pendingBytes = 0
  #sentEnd = false

  /** Takes over `handle`, which must not be reading. */
  constructor(
    environment: HandleEnvironment,
    handle: StreamHandle,
    makeFacts: (handle: StreamHandle) => CapturableFacts,
  ) {
    super()
    this.#environment = environment
    this.#handle = handle
    this.#makeFacts = makeFacts
    this.#reader = new HandleReader(environment, handle, this)
  }

  get facts(): CapturableFacts {
    this.#facts ??= this.#makeFacts(this.#handle)
    return this.#facts
  }

  get writableLength(): number {
    return this.#pendingBytes
  }

  get unsentLength(): number {
    return this.isClosing ? 0 : (this.#handle.writeQueueSize ?? this.#pendingBytes)
  }

  write(chunk: Uint8Array): boolean {
    if (!this.writable) return false
    if (chunk.length === 0) return this.#pendingBytes <= this.#environment.highWaterMarkBytes
    const { handles } = this.#environment
    const request = (spareRequest ??= newRequest(handles))
    const status = this.#handle.writeBuffer(request, chunk)
    if (status === 0 && handles.state[handles.lastWriteWasAsync] === 0) return true
    return this.#queued(status, request, chunk.length, chunk)
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    const count = chunks.length
    if (count <= 1) return count === 0 ? this.write(EMPTY) : this.write(chunks[0] as Uint8Array)
    if (!this.writable) return false
    let bytes = 0
    for (let index = 0; index < count; index++) bytes += (chunks[index] as Uint8Array).length
    if (bytes === 0) return this.write(EMPTY)
    if (bytes <= count * PACKED_AVERAGE_BYTES && bytes <= SCRATCH_BYTES) {
      return this.#writePacked(chunks, bytes)
    }
    const { handles } = this.#environment
    const request = (spareRequest ??= newRequest(handles))
    const status = this.#handle.writev(request, chunks, true)
    if (status === 0 && handles.state[handles.lastWriteWasAsync] === 0) return true
    return this.#queued(status, request, bytes, chunks)
  }

  ref(): void {
    if (!this.isClosing) this.#handle.ref()
  }

  unref(): void {
    if (!this.isClosing) this.#handle.unref()
  }

  onHandleData(chunk: Uint8Array): void {
    this.received(chunk)
  }

  onHandleEnd(): void {
    this.receivedEnd()
  }

  onHandleError(status: number): void {
    this.readFailed(connectionError(systemError(status, 'read')))
  }

  protected startReading(): void {
    const status = this.#reader.start()
    if (status !== 0) this.onHandleError(status)
  }

  protected stopReading(): void {
    this.#reader.stop()
  }

  protected sendEnd(): void {
    this.#sentEnd = true
    const { handles } = this.#environment
    const request = new handles.ShutdownWrap() as ShutdownRequest
    // A failed shutdown means that the peer is gone: reading will say why, so it counts as sent.
    request.oncomplete = () => this.endLeft()
    // Nothing pending on a socket that is gone already: no callback comes.
    if (this.#handle.shutdown(request) !== 0) defer(() => this.endLeft())
  }

  protected close(reason: Error | undefined): void {
    this.#facts ??= this.#makeFacts(this.#handle)
    this.#facts.capture()
    const handle = this.#handle
    const done = () => this.closed()
    this.#reader.close()
    // A stream that lost queued bytes must not look whole to the peer: reset instead of ending.
    // libuv refuses a reset after a shutdown request, and the handle would then never close.
    // Whoever passes a reset on, as a proxy does, means a reset.
    const isReset = (reason as { code?: unknown } | undefined)?.code === 'ERR_RESET'
    const cut = (this.#pendingBytes > 0 || isReset) && !this.#sentEnd
    this.#pendingBytes = 0
    if (!cut || handle.reset === undefined || handle.reset(done) !== 0) handle.close(done)
  }

  protected lease(): ChunkLease {
    return this.#reader.lease()
  }

  #writePacked(chunks: readonly Uint8Array[], bytes: number): boolean {
    const scratch = (packingScratch ??= new Uint8Array(SCRATCH_BYTES))
    let at = 0
    for (const chunk of chunks) {
      scratch.set(chunk, at)
      at += chunk.length
    }
    const writable = this.write(scratch.subarray(0, bytes))
    // What the kernel did not take at once lives in this memory until it has.
    if (this.#pendingBytes > 0) packingScratch = undefined
    return writable
  }

  /** The write did not finish at once: it failed, or libuv goes on with it. */
  #queued(status: number, request: WriteRequest, bytes: number, memory: unknown): boolean {
    if (status !== 0) {
      this.writeFailed(connectionError(systemError(status, 'write')))
      return false
    }
    spareRequest = undefined
    request.connection = this
    request.bytes = bytes
    request.memory = memory
    this.#pendingBytes += bytes
    return this.#pendingBytes <= this.#environment.highWaterMarkBytes
  }

  static onWritten(request: WriteRequest, status: number): void {
    const connection = request.connection as HandleConnection
    request.memory = undefined
    if (connection.isClosing) return
    connection.#pendingBytes -= request.bytes
    if (status < 0) connection.writeFailed(connectionError(systemError(status, 'write')))
    else if (connection.#pendingBytes === 0) connection.drained()
  }
}

function newRequest(handles: StreamHandles): WriteRequest {
  const request = new handles.WriteWrap() as WriteRequest
  request.oncomplete = onComplete
  request.connection = undefined
  request.bytes = 0
  request.memory = undefined
  return request
}

function onComplete(this: WriteRequest, status: number): void {
  HandleConnection.onWritten(this, status)
}

/** A request that finishes at once is untouched, so one serves every write of the thread. */
let spareRequest: WriteRequest | undefined
let packingScratch: Uint8Array | undefined

const EMPTY = new Uint8Array(0)
/**
 * Chunks of this average size are copied together; larger ones go out as a vector. Measured: 16
 * chunks of 64 B cost 4.0 µs packed and 5.1 as a vector, 16 of 512 B 7.5 and 6.4.
 */
const PACKED_AVERAGE_BYTES = 256
const SCRATCH_BYTES = 16_384
