/**
 * A TLS connection directly on Node's `TLSWrap`: once the handshake is over, bytes go between
 * OpenSSL and the handler without the two streams, buffers, ticks and events of `TLSSocket`.
 *
 *     kernel ◄─► libuv ◄─► TLSWrap (OpenSSL) ◄─► SecureConnection        errors, close ◄── TLSSocket
 *
 * The socket stays the owner of the handle: it ends it, destroys it, and says what broke. Reading
 * goes into the shared memory of read-memory.ts, as on plain sockets. A `TLSWrap` takes one write at
 * a time and finishes each in a later turn; what is written meanwhile waits here and then leaves as
 * one write, so that it becomes as few records as possible.
 *
 * As `StreamHandle`, the handle is no public interface; docs/decisions/0002-tcp-engine.md has what
 * guards its use. Where it does not look as expected the connection runs on the `TLSSocket` itself.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ChunkLease } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import { defer } from '../../platform/process-access.ts'
import type { CapturableFacts, HandleEnvironment } from './handle-connection.ts'
import { HandleReader, type ReadTarget } from './handle-reader.ts'
import { NodeConnection } from './node-connection.ts'
import type { StreamHandle, WriteRequest } from './stream-handle.ts'
import { connectionError, systemError } from './system-errors.ts'

export class SecureConnection extends NodeConnection implements ReadTarget {
  readonly facts: CapturableFacts
  readonly #environment: HandleEnvironment
  readonly #socket: TLSSocket
  readonly #handle: StreamHandle
  readonly #reader: HandleReader
  /** Bytes that OpenSSL has and the kernel may not have yet, and those in `#queue`. */
  #pendingBytes = 0
  #writing = false
  #queue: Uint8Array[] | undefined
  #endAsked = false

  /** Whether the socket's handle can be used like this. */
  static canTakeOver(socket: TLSSocket): boolean {
    const handle = handleOf(socket)
    if (handle?.constructor.name !== 'TLSWrap') return false
    return METHODS.every((name) => typeof handle[name] === 'function')
  }

  /** Takes over a socket whose handshake is over and that nobody reads from. */
  constructor(environment: HandleEnvironment, socket: TLSSocket, facts: CapturableFacts) {
    super()
    this.#environment = environment
    this.#socket = socket
    this.facts = facts
    const handle = handleOf(socket) as StreamHandle
    this.#handle = handle
    socket.on('error', (error: Error) => this.readFailed(connectionError(error)))
    socket.on('close', () => this.#onSocketClose())
    socket.on('finish', () => this.endLeft())
    // What came behind the handshake may have been read by the socket already, its end as well.
    socket.on('end', () => this.receivedEnd())
    const early: Uint8Array | null = socket.read()
    if (early !== null) this.received(early)
    // After that `read`, which starts the handle's reading.
    handle.readStop()
    this.#reader = new HandleReader(environment, handle, this)
    this.#reader.prepare()
  }

  get writableLength(): number {
    return this.#pendingBytes
  }

  write(chunk: Uint8Array): boolean {
    if (!this.writable) return false
    if (chunk.length > 0) {
      this.#pendingBytes += chunk.length
      if (this.#writing) this.#enqueue(chunk)
      else this.#send(chunk)
    }
    return this.#pendingBytes <= this.#environment.highWaterMarkBytes
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (!this.writable) return false
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      this.#pendingBytes += chunk.length
      this.#enqueue(chunk)
    }
    if (!this.#writing) this.#sendQueue()
    return this.#pendingBytes <= this.#environment.highWaterMarkBytes
  }

  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
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
    this.#endAsked = true
    if (!this.#writing) this.#socket.end()
  }

  protected close(reason: Error | undefined): void {
    this.facts.capture()
    this.#reader.close()
    this.#queue = undefined
    this.#pendingBytes = 0
    this.#socket.destroy(reason)
  }

  protected lease(): ChunkLease {
    return this.#reader.lease()
  }

  #enqueue(chunk: Uint8Array): void {
    if (this.#queue === undefined) this.#queue = [chunk]
    else this.#queue.push(chunk)
  }

  #send(chunk: Uint8Array): void {
    const request = this.#request(chunk.length, chunk)
    this.#written(this.#handle.writeBuffer(request, chunk), request)
  }

  #sendQueue(): void {
    const chunks = this.#queue
    if (chunks === undefined) return
    this.#queue = undefined
    if (chunks.length === 1) return this.#send(chunks[0] as Uint8Array)
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    const request = this.#request(bytes, chunks)
    this.#written(this.#handle.writev(request, chunks, true), request)
  }

  #request(bytes: number, memory: unknown): WriteRequest {
    const { handles } = this.#environment
    const request = new handles.WriteWrap() as WriteRequest
    request.oncomplete = onComplete
    request.connection = this
    request.bytes = bytes
    request.memory = memory
    this.#writing = true
    return request
  }

  /** A write that finished at once is one that the handle never keeps to itself: told the same way. */
  #written(status: number, request: WriteRequest): void {
    const { handles } = this.#environment
    if (status !== 0) SecureConnection.onWritten(request, status)
    else if (handles.state[handles.lastWriteWasAsync] === 0) {
      defer(() => SecureConnection.onWritten(request, 0))
    }
  }

  static onWritten(request: WriteRequest, status: number): void {
    const connection = request.connection as SecureConnection
    request.memory = undefined
    connection.#writing = false
    if (connection.isClosing) return
    connection.#pendingBytes -= request.bytes
    if (status < 0) return connection.writeFailed(connectionError(systemError(status, 'write')))
    connection.#sendQueue()
    if (connection.#writing) return
    if (connection.#endAsked) connection.#socket.end()
    connection.drained()
  }

  #onSocketClose(): void {
    if (!this.isClosing) {
      const message = 'the TLS socket closed before it ended'
      this.readFailed(new TransportError('ERR_DISCONNECTED', message))
    }
    this.closed()
  }
}

function onComplete(this: WriteRequest, status: number): void {
  SecureConnection.onWritten(this, status)
}

function handleOf(socket: Socket): StreamHandle | undefined {
  return (socket as unknown as { _handle?: StreamHandle | null })._handle ?? undefined
}

const METHODS: readonly (keyof StreamHandle)[] = [
  'readStart',
  'readStop',
  'useUserBuffer',
  'writeBuffer',
  'writev',
]
