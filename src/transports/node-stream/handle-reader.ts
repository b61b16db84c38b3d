/**
 * Reading straight from a stream handle of Node: a TCP or Unix socket, or the TLS layer on one.
 *
 * What `net.Socket` does for each read, an allocation of 64 KiB, a pass through a readable stream
 * and an event, is replaced by one call with a view of shared memory (read-memory.ts).
 */
import type { ChunkLease } from '../../core/connection.ts'
import { LeasedBuffer, type ReadGroup, type ReadMemory } from './read-memory.ts'
import type { StreamHandle, StreamHandles } from './stream-handle.ts'

/** What the connections of one transport share. */
export interface ReadEnvironment {
  readonly handles: StreamHandles
  readonly memory: ReadMemory
}

/** Whoever wants what is read. */
export interface ReadTarget {
  /** Borrowed until it returns. */
  onHandleData(chunk: Uint8Array): void
  onHandleEnd(): void
  /** A negative number of libuv. */
  onHandleError(status: number): void
}

export class HandleReader {
  readonly #environment: ReadEnvironment
  readonly #handle: StreamHandle
  readonly #target: ReadTarget
  #group: ReadGroup | undefined
  #leased: LeasedBuffer | undefined
  #reading = false
  #closed = false

  /** From here on the handle's reads are the reader's. It must not be reading. */
  constructor(environment: ReadEnvironment, handle: StreamHandle, target: ReadTarget) {
    this.#environment = environment
    this.#handle = handle
    this.#target = target
    handle.heddle = this
    handle.onread = onRead
  }

  /**
   * Gives the handle memory before it is asked to read: TLS may bring bytes unasked, those that came
   * in one piece with the end of the handshake.
   */
  prepare(): void {
    this.#group ??= this.#environment.memory.join(this.#handle)
  }

  /** Idempotent. @returns 0, or the negative number of a failure */
  start(): number {
    if (this.#reading || this.#closed) return 0
    this.#reading = true
    // Only now: a connection that was never opened needs no memory.
    this.prepare()
    return this.#handle.readStart()
  }

  stop(): void {
    if (!this.#reading || this.#closed) return
    this.#reading = false
    this.#handle.readStop()
  }

  /** Only while a chunk is given out: keeps its memory. */
  lease(): ChunkLease {
    if (this.#leased === undefined) {
      const group = this.#group as ReadGroup
      this.#leased = new LeasedBuffer(this.#environment.memory, group.bytes)
      this.#group = group.split(this.#handle)
    }
    return this.#leased.lease()
  }

  /** The handle is about to be closed. Idempotent. */
  close(): void {
    this.#closed = true
    this.#group?.leave(this.#handle)
    this.#group = undefined
  }

  static onRead(handle: StreamHandle): Uint8Array | undefined {
    const reader = handle.heddle as HandleReader
    const { handles } = reader.#environment
    const count = handles.state[handles.readResult] as number
    if (count > 0) return reader.#onBytes(count)
    if (count < 0 && !reader.#closed) reader.#onNoMore(count)
    return undefined
  }

  /** @returns memory for the next read, when this one was leased away */
  #onBytes(count: number): Uint8Array | undefined {
    const group = this.#group
    if (group === undefined) return undefined
    this.#target.onHandleData(group.view(count))
    const leased = this.#leased
    if (leased === undefined) return undefined
    this.#leased = undefined
    leased.delivered()
    return this.#group?.bytes
  }

  #onNoMore(status: number): void {
    if (status !== UV_EOF) return this.#target.onHandleError(status)
    this.stop()
    this.#target.onHandleEnd()
  }
}

function onRead(this: StreamHandle): Uint8Array | undefined {
  return HandleReader.onRead(this)
}

const UV_EOF = -4095
