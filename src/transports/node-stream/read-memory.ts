/**
 * Memory that sockets are read into.
 *
 * A chunk is borrowed until `onData` returns, and one thread handles one event at a time, so many
 * sockets can share one buffer: it stays in the processor's cache, and an idle connection costs no
 * read memory. A lease breaks the sharing: whoever leases a chunk keeps that buffer, and the others
 * of its group move to a new one. Groups are small so that the move is short, and a group that was
 * split takes no new members, so that no socket is moved more often than its group is large.
 *
 * A socket that leased once is likely to lease again; from then on it has buffers of its own.
 */
import type { ChunkLease } from '../../core/connection.ts'
import { operatingSystem } from '../../platform/process-access.ts'
import type { StreamHandle } from './stream-handle.ts'

export class ReadGroup {
  bytes: Uint8Array
  readonly members: Set<StreamHandle> = new Set()
  readonly #memory: ReadMemory
  #lastView: Uint8Array

  constructor(memory: ReadMemory, bytes: Uint8Array) {
    this.#memory = memory
    this.bytes = bytes
    this.#lastView = bytes
  }

  /** The first `count` bytes. Peers repeat themselves, so the last view is often right again. */
  view(count: number): Uint8Array {
    const last = this.#lastView
    if (last.length === count && last.buffer === this.bytes.buffer) return last
    this.#lastView = this.bytes.subarray(0, count)
    return this.#lastView
  }

  leave(member: StreamHandle): void {
    this.members.delete(member)
    if (this.members.size === 0) this.#memory.onGroupEmpty(this)
  }

  /**
   * Parts `member` from the group together with the buffer, which is about to be leased.
   * @returns a group for `member` alone, with another buffer
   */
  split(member: StreamHandle): ReadGroup {
    if (this.members.size === 1) {
      this.#memory.seal(this)
      this.bytes = this.#memory.take()
      return this
    }
    this.#memory.seal(this)
    this.members.delete(member)
    this.bytes = this.#memory.take()
    for (const other of this.members) other.useUserBuffer(this.bytes)
    const own = new ReadGroup(this.#memory, this.#memory.take())
    own.members.add(member)
    return own
  }
}

export class ReadMemory {
  readonly #bufferBytes: number
  readonly #groupSize: number
  #open: ReadGroup | undefined
  #spare: Uint8Array[] = []

  constructor(bufferBytes: number, groupSize: number = GROUP_SIZE) {
    this.#bufferBytes = bufferBytes
    this.#groupSize = groupSize
  }

  join(member: StreamHandle): ReadGroup {
    const group = this.#open ?? new ReadGroup(this, this.take())
    group.members.add(member)
    this.#open = group.members.size < this.#groupSize ? group : undefined
    member.useUserBuffer(group.bytes)
    return group
  }

  /** No new members from now on. */
  seal(group: ReadGroup): void {
    if (this.#open === group) this.#open = undefined
  }

  take(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(this.#bufferBytes)
  }

  give(bytes: Uint8Array): void {
    if (this.#spare.length < MAX_SPARE) this.#spare.push(bytes)
  }

  onGroupEmpty(group: ReadGroup): void {
    // The open group keeps its buffer for whoever comes next.
    if (this.#open !== group) this.give(group.bytes)
  }
}

/** One buffer that is out on lease, shared by everyone who leased the same chunk. */
export class LeasedBuffer {
  readonly #memory: ReadMemory
  readonly #bytes: Uint8Array
  /** The delivery of the chunk itself counts as one. */
  #leases = 1

  constructor(memory: ReadMemory, bytes: Uint8Array) {
    this.#memory = memory
    this.#bytes = bytes
  }

  /** `onData` has returned. */
  delivered(): void {
    this.#release()
  }

  lease(): ChunkLease {
    this.#leases += 1
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        this.#release()
      },
    }
  }

  #release(): void {
    this.#leases -= 1
    if (this.#leases === 0) this.#memory.give(this.#bytes)
  }
}

/**
 * Moving a group costs about a tenth of a microsecond per member, once in a connection's life;
 * one 64 KiB buffer among 128 connections is 512 bytes each.
 */
const GROUP_SIZE = operatingSystem === 'win32' ? 1 : 128 // Windows reads before it asks for memory
/** Free buffers kept; with the usual 64 KiB each this is 1 MiB a thread. */
const MAX_SPARE = 16
