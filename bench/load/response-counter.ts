/**
 * Counts complete HTTP/1.1 responses in a stream of bytes, cheaply enough to outrun the servers.
 *
 * A response is read in full once: status, framing, length of its head. As long as the next one has
 * the same first line and its head ends at the same place, its framing is taken to be the same; any
 * other response is read in full again. Bodies are skipped, not looked at: `check.ts` has compared
 * them before the clock starts.
 */
export class ResponseCounter {
  /** Responses whose status was not 2xx. */
  errors = 0
  #carry: Buffer = EMPTY
  /** Bytes of the current body that have not come yet; -1 inside a chunked body. */
  #bodyLeft = 0
  #headLength = 0
  #bodyLength = 0
  #firstLine: Buffer = EMPTY

  /** @returns how many responses these bytes completed. The chunk may be reused afterwards. */
  push(chunk: Buffer): number {
    let bytes = chunk
    if (this.#carry.length > 0) {
      bytes = Buffer.concat([this.#carry, chunk])
      this.#carry = EMPTY
    }
    let at = 0
    let completed = 0
    for (;;) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, bytes.length - at)
        at += taken
        this.#bodyLeft -= taken
        if (this.#bodyLeft > 0) break
        completed++
      }
      if (this.#bodyLeft < 0) {
        at = this.#skipChunks(bytes, at)
        if (this.#bodyLeft < 0) break
        completed++
      }
      if (at === bytes.length) break
      const bodyAt = this.#readHead(bytes, at)
      if (bodyAt < 0) break
      at = bodyAt
      if (this.#bodyLeft === 0) completed++
    }
    if (at < bytes.length) this.#carry = Buffer.from(bytes.subarray(at))
    return completed
  }

  /** @returns where the body starts, or -1 when the head is not complete */
  #readHead(bytes: Buffer, at: number): number {
    const known = at + this.#headLength
    if (this.#headLength > 0 && known <= bytes.length && this.#looksTheSame(bytes, at, known)) {
      this.#bodyLeft = this.#bodyLength
      return known
    }
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1')
    if (end < 0) return -1
    const head = bytes.toString('latin1', at, end)
    const status = Number(head.slice(9, 12))
    if (status < 200 || status > 299) this.errors++
    this.#firstLine = Buffer.from(bytes.subarray(at, at + head.indexOf('\r\n')))
    this.#headLength = end + 4 - at
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)
    if (length !== null) this.#bodyLength = Number(length[1])
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#bodyLength = -1
    else throw new Error(`response with neither a length nor chunks: ${JSON.stringify(head)}`)
    // An error must be counted each time, so it is never taken for the same as the one before.
    if (status < 200 || status > 299) this.#headLength = 0
    this.#bodyLeft = this.#bodyLength
    return end + 4
  }

  #looksTheSame(bytes: Buffer, at: number, end: number): boolean {
    if (bytes[end - 1] !== LF || bytes[end - 2] !== CR) return false
    if (bytes[end - 3] !== LF || bytes[end - 4] !== CR) return false
    const line = this.#firstLine
    for (let index = 0; index < line.length; index++) {
      if (bytes[at + index] !== line[index]) return false
    }
    return true
  }

  /** Goes over whole chunks; stops in front of one that is not complete. */
  #skipChunks(bytes: Buffer, from: number): number {
    let at = from
    for (;;) {
      const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
      if (lineEnd < 0) return at
      const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
      const next = lineEnd + 2 + size + 2
      if (next > bytes.length) return at
      at = next
      if (size > 0) continue
      this.#bodyLeft = 0
      return at
    }
  }
}

const EMPTY = Buffer.alloc(0)
const CR = 0x0d
const LF = 0x0a
