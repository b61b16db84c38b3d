/** An `AppendLog` in memory that counts what is asked of it, and fails when told to. */
import type { AppendLog } from '../../src/core/append-log.ts'

export class MemoryLog implements AppendLog {
  bytes: Uint8Array
  appends = 0
  syncs = 0
  replaced = 0
  closed = false
  failWith: Error | undefined

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes.slice()
  }

  async read(): Promise<Uint8Array> {
    return this.bytes
  }
  async truncate(length: number): Promise<void> {
    this.bytes = this.bytes.slice(0, length)
  }
  async append(bytes: Uint8Array): Promise<void> {
    if (this.failWith !== undefined) throw this.failWith
    this.appends++
    this.bytes = Buffer.concat([this.bytes, bytes])
  }
  async sync(): Promise<void> {
    this.syncs++
  }
  async replace(bytes: Uint8Array): Promise<void> {
    this.replaced++
    this.bytes = bytes.slice()
  }
  async close(): Promise<void> {
    this.closed = true
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
