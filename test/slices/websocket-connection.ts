/**
 * A slice, not the product: binary WebSocket frames (RFC 6455 5.2) as a `Connection`, enough to
 * prove that a transport made of a protocol and a carrier fits the shapes. issue 4 builds the real
 * one, with fragments, control frames and the close handshake.
 *
 *     | FIN+opcode | MASK+length | 16-bit length? | masking key? | payload |
 */

import { ByteWriter } from '../../src/core/byte-writer.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../src/core/connection.ts'
import { UsageError } from '../../src/core/errors.ts'

const BINARY = 0x82
const CLOSE = 0x88
const MASK = 0x80
const MAX_PAYLOAD = 0xffff

export class WebSocketConnection implements Connection, ConnectionHandler {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly #carrier: Connection
  readonly #client: boolean
  readonly #writer = new ByteWriter()
  #handler: ConnectionHandler | undefined
  #tail = new Uint8Array(0)
  #unread = new Uint8Array(0)
  #opened = false
  #paused = false
  #ended = false
  #closed = false

  constructor(carrier: Connection, role: 'client' | 'server') {
    this.#carrier = carrier
    this.#client = role === 'client'
    this.id = carrier.id
    this.facts = { ...carrier.facts, transport: `websocket+${carrier.facts.transport}` }
  }

  get writableLength(): number {
    return this.#writer.pending + this.#carrier.writableLength
  }

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'open twice')
    this.#handler = handler
    if (!this.#opened) {
      this.#opened = true
      this.#carrier.open(this)
      return
    }
    this.#paused = false
    this.#carrier.resume()
    this.#deliver()
  }

  write(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length; at += MAX_PAYLOAD) {
      this.#frame(BINARY, chunk.subarray(at, at + MAX_PAYLOAD))
    }
    return this.#writer.flushTo(this.#carrier)
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    let writable = true
    for (const chunk of chunks) writable = this.write(chunk)
    return writable
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }
  resume(): void {
    this.#paused = false
    this.#deliver()
    if (!this.#paused) this.#carrier.resume()
  }
  end(): void {
    this.#frame(CLOSE, new Uint8Array(0))
    this.#writer.flushTo(this.#carrier)
    this.#carrier.end()
  }
  destroy(reason?: Error): void {
    this.#carrier.destroy(reason)
  }
  leaseChunk(): ChunkLease {
    return this.#carrier.leaseChunk()
  }
  detach(unread: Uint8Array = new Uint8Array(0)): void {
    this.#handler = undefined
    this.#carrier.pause()
    this.#unread = unread.slice()
  }
  ref(): void {
    this.#carrier.ref()
  }
  unref(): void {
    this.#carrier.unref()
  }

  onData(chunk: Uint8Array): void {
    const input = new Uint8Array(this.#tail.length + chunk.length)
    input.set(this.#tail)
    input.set(chunk, this.#tail.length)
    this.#tail = input
    this.#deliver()
  }
  onDrain(): void {
    this.#writer.recycle()
    this.#handler?.onDrain()
  }
  onEnd(): void {
    if (!this.#ended) this.#carrier.destroy(new Error('carrier ended without a close frame'))
  }
  onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#handler?.onClose(reason)
  }

  #deliver(): void {
    const handler = this.#handler
    if (handler !== undefined && this.#unread.length > 0) {
      const unread = this.#unread
      this.#unread = new Uint8Array(0)
      handler.onData(unread)
    }
    while (this.#handler !== undefined && !this.#paused && !this.#closed) {
      const frame = this.#next()
      if (frame === undefined) return
      if (frame.opcode === CLOSE) {
        this.#ended = true
        this.#handler.onEnd()
      } else this.#handler.onData(frame.payload)
    }
  }

  #next(): { opcode: number; payload: Uint8Array } | undefined {
    const input = this.#tail
    if (input.length < 2) return undefined
    const short = input[1]! & 0x7f
    const masked = (input[1]! & MASK) !== 0
    const lengthBytes = short === 126 ? 2 : 0
    const start = 2 + lengthBytes + (masked ? 4 : 0)
    if (input.length < start) return undefined
    const length = lengthBytes === 0 ? short : (input[2]! << 8) | input[3]!
    if (input.length < start + length) return undefined
    const payload = input.slice(start, start + length)
    if (masked) for (let i = 0; i < length; i++) payload[i]! ^= input[start - 4 + (i & 3)]!
    this.#tail = input.slice(start + length)
    return { opcode: input[0]!, payload }
  }

  #frame(opcode: number, payload: Uint8Array): void {
    const out = this.#writer
    const mask = this.#client ? MASK : 0
    out.uint8(opcode)
    if (payload.length < 126) out.uint8(mask | payload.length)
    else {
      out.uint8(mask | 126)
      out.uint16(payload.length)
    }
    if (!this.#client) return out.copy(payload)
    const key = [0x12, 0x34, 0x56, 0x78]
    for (const byte of key) out.uint8(byte)
    out.reserve(payload.length)
    for (let i = 0; i < payload.length; i++) out.bytes[out.length++] = payload[i]! ^ key[i & 3]!
  }
}
