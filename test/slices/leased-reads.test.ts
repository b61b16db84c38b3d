/**
 * Slice: a transport that reads into a ring of provided buffers, as io_uring does, and a reader that
 * leases them.
 *
 * What it proves: `leaseChunk` is enough for a transport whose kernel owns the buffers: a leased
 * buffer is out of the ring until it is released, nothing is copied, and a reader that leases them
 * all stops the reading instead of growing anything.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory } from '../../src/core/address.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../src/core/connection.ts'
import { Capability } from '../../src/core/connection.ts'
import { UsageError } from '../../src/core/errors.ts'

/** What the kernel would do: take a free buffer, fill it, complete; without one, wait. */
class RingConnection implements Connection {
  readonly id = 1
  readonly writableLength = 0
  readonly facts: ConnectionFacts = {
    transport: 'ring',
    local: memory('a'),
    remote: memory('b'),
    role: 'accepting',
    tls: undefined,
    mtu: undefined,
    receiveBufferBytes: undefined,
    sendBufferBytes: undefined,
    capabilities: Capability.LEASED_READ,
    roundTripMs: () => undefined,
  }
  readonly #memory: Uint8Array
  readonly #free: number[]
  readonly #bufferBytes: number
  #handler: ConnectionHandler | undefined
  #pending: Uint8Array[] = []
  #current = -1
  #leased = false
  #paused = false

  constructor(buffers: number, bufferBytes: number) {
    this.#memory = new Uint8Array(buffers * bufferBytes)
    this.#bufferBytes = bufferBytes
    this.#free = Array.from({ length: buffers }, (_, index) => index)
  }

  get freeBuffers(): number {
    return this.#free.length
  }
  get backlogBytes(): number {
    return this.#pending.reduce((sum, { length }) => sum + length, 0)
  }

  open(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#drain()
  }
  /** Bytes arrive; what finds no buffer stays in the kernel. */
  arrive(bytes: Uint8Array): void {
    this.#pending.push(bytes)
    this.#drain()
  }
  leaseChunk(): ChunkLease {
    if (this.#current < 0) throw new UsageError('ERR_STATE', 'only inside onData')
    this.#leased = true
    const buffer = this.#current
    let over = false
    return {
      release: () => {
        if (over) return
        over = true
        this.#free.push(buffer)
        this.#slice(buffer).fill(0xdb)
        this.#drain()
      },
    }
  }
  pause(): void {
    this.#paused = true
  }
  resume(): void {
    this.#paused = false
    this.#drain()
  }
  write(): boolean {
    return true
  }
  writeAll(): boolean {
    return true
  }
  end(): void {}
  destroy(): void {}
  detach(): void {
    this.#handler = undefined
  }
  ref(): void {}
  unref(): void {}

  #drain(): void {
    while (this.#handler && !this.#paused && this.#current < 0) {
      const bytes = this.#pending[0]
      const buffer = bytes && this.#free.shift()
      if (bytes === undefined || buffer === undefined) return
      const count = Math.min(bytes.length, this.#bufferBytes)
      const chunk = this.#slice(buffer).subarray(0, count)
      chunk.set(bytes.subarray(0, count))
      if (count === bytes.length) this.#pending.shift()
      else this.#pending[0] = bytes.subarray(count)
      this.#current = buffer
      this.#leased = false
      this.#handler.onData(chunk)
      this.#current = -1
      if (this.#leased) continue
      chunk.fill(0xdb) // given back to the ring: whoever kept the view sees it
      this.#free.push(buffer)
    }
  }
  #slice(buffer: number): Uint8Array {
    return this.#memory.subarray(buffer * this.#bufferBytes, (buffer + 1) * this.#bufferBytes)
  }
}

const handler = (onData: (chunk: Uint8Array) => void): ConnectionHandler => ({
  onData,
  onDrain() {},
  onEnd() {},
  onClose() {},
})

test('a leased chunk stays valid until release, one that is not is overwritten', () => {
  const ring = new RingConnection(4, 8)
  const kept: { chunk: Uint8Array; lease: ChunkLease | undefined }[] = []
  ring.open(
    handler((chunk) =>
      kept.push({ chunk, lease: kept.length === 0 ? ring.leaseChunk() : undefined }),
    ),
  )
  ring.arrive(Buffer.from('leased'))
  ring.arrive(Buffer.from('borrowed'))
  assert.equal(Buffer.from(kept[0]?.chunk ?? []).toString(), 'leased')
  assert.notEqual(Buffer.from(kept[1]?.chunk ?? []).toString(), 'borrowed')
  assert.equal(ring.freeBuffers, 3)
  kept[0]?.lease?.release()
  kept[0]?.lease?.release() // idempotent
  assert.equal(ring.freeBuffers, 4)
  assert.notEqual(Buffer.from(kept[0]?.chunk ?? []).toString(), 'leased')
})

test('a reader that leases every buffer stops the reading, and a release starts it again', () => {
  const ring = new RingConnection(2, 4)
  const leases: ChunkLease[] = []
  let received = ''
  ring.open(
    handler((chunk) => {
      received += Buffer.from(chunk).toString()
      leases.push(ring.leaseChunk())
    }),
  )
  ring.arrive(Buffer.from('abcdefghijkl'))
  assert.equal(received, 'abcdefgh')
  assert.equal(ring.backlogBytes, 4)
  leases.shift()?.release()
  assert.equal(received, 'abcdefghijkl')
  assert.equal(ring.freeBuffers, 0)
})

test('a lease may only be taken inside onData', () => {
  const ring = new RingConnection(1, 4)
  ring.open(handler(() => {}))
  ring.arrive(Buffer.from('a'))
  assert.throws(() => ring.leaseChunk(), { code: 'ERR_STATE' })
})
