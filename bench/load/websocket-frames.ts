/**
 * WebSocket without a library, for load: a handshake, frames made beforehand, and answers counted by
 * their headers. The key of the mask is fixed, which costs the server what any other would.
 */
import { randomBytes } from 'node:crypto'
import { constants, deflateRawSync } from 'node:zlib'
import type { WebSocketJob } from './jobs.ts'

export function upgradeRequest(job: Pick<WebSocketJob, 'port' | 'deflate'>): Buffer {
  const extension = job.deflate
    ? 'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n'
    : ''
  return Buffer.from(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${job.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n` +
      `${extension}\r\n`,
  )
}

/** Text that shrinks to a third, as JSON of usual services does; bytes without compression. */
export function samplePayload(length: number): Buffer {
  let text = ''
  for (let id = 0; text.length < length; id++) {
    text += `{"id":${id},"name":"user ${id * 7919}","active":${id % 3 === 0},"score":${Math.sin(id)}}`
  }
  return Buffer.from(text.slice(0, length))
}

/** One masked binary frame. */
export function clientFrame(job: WebSocketJob): Buffer {
  const payload = job.deflate
    ? packed(samplePayload(job.messageBytes))
    : samplePayload(job.messageBytes)
  const { length } = payload
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const frame = Buffer.alloc(6 + extra + length)
  frame[0] = job.deflate ? 0xc2 : 0x82
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127)
  if (extra === 2) frame.writeUInt16BE(length, 2)
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  const key = frame.subarray(2 + extra, 6 + extra)
  key.set([0x37, 0xfa, 0x21, 0x3d])
  for (let at = 0; at < length; at++) {
    frame[6 + extra + at] = (payload[at] as number) ^ (key[at & 3] as number)
  }
  return frame
}

function packed(payload: Buffer): Buffer {
  const whole = deflateRawSync(payload, { level: 6, finishFlush: constants.Z_SYNC_FLUSH })
  return whole.subarray(0, -4)
}

/** Counts whole messages of a server; a length that is not the expected one is an error. */
export class FrameCounter {
  errors = 0
  /** Undefined: any length will do, because each side compresses as it likes. */
  readonly #messageBytes: number | undefined
  readonly #header = Buffer.alloc(10)
  #headerBytes = 0
  #left = 0
  #inPayload = false

  constructor(messageBytes: number | undefined) {
    this.#messageBytes = messageBytes
  }

  push(chunk: Buffer): number {
    let messages = 0
    let at = 0
    while (at < chunk.length || (this.#inPayload && this.#left === 0)) {
      if (!this.#inPayload) {
        at = this.#readHeader(chunk, at)
        continue
      }
      const count = Math.min(this.#left, chunk.length - at)
      at += count
      this.#left -= count
      if (this.#left > 0) break
      this.#inPayload = false
      messages += 1
    }
    return messages
  }

  #readHeader(chunk: Buffer, at: number): number {
    const header = this.#header
    let position = at
    while (position < chunk.length) {
      header[this.#headerBytes++] = chunk[position++] as number
      if (this.#headerBytes < 2) continue
      const short = header[1] as number
      const extra = short < 126 ? 0 : short === 126 ? 2 : 8
      if (this.#headerBytes < 2 + extra) continue
      let length = short
      if (extra === 2) length = header.readUInt16BE(2)
      if (extra === 8) length = Number(header.readBigUInt64BE(2))
      const binary = ((header[0] as number) & 0x8f) === 0x82
      const wanted = this.#messageBytes === undefined || length === this.#messageBytes
      if (!binary || !wanted) this.errors += 1
      this.#headerBytes = 0
      this.#left = length
      this.#inPayload = true
      return position
    }
    return position
  }
}
