/**
 * The server behind every client and gateway of the bench: canned answers on a raw socket, so that
 * it is never what is measured. It reads no more of a request than it needs to find its end.
 *
 *     GET /         1 KB          GET /large   64 KB
 *     POST /echo    1 KB, whatever was sent
 *     GET /head     the request head as it arrived, to see what a gateway made of it
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { ready } from '../harness/peer.ts'
import { LARGE, UPSTREAM_BODY } from '../suites/payloads.ts'

const small = canned(Buffer.from(UPSTREAM_BODY))
const large = canned(LARGE)
/** Answers to a batch of pipelined requests, in one piece. */
const smalls = Buffer.concat(Array.from({ length: 64 }, () => small))

function canned(body: Buffer): Buffer {
  const head = [
    'HTTP/1.1 200 OK',
    'Content-Type: application/octet-stream',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    'Server: canned',
    'Cache-Control: no-store',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
}

function serve(socket: Socket): void {
  let carry: Buffer | undefined
  /** Bytes of a request body still to come; -1 until the end of a chunked one. */
  let bodyLeft = 0
  let pendingSmall = 0

  const flush = (): void => {
    if (pendingSmall > 0) socket.write(smalls.subarray(0, pendingSmall * small.length))
    pendingSmall = 0
  }
  const answer = (piece: Buffer): void => {
    flush()
    socket.write(piece)
  }

  socket.on('data', (chunk: Buffer) => {
    const bytes = carry === undefined ? chunk : Buffer.concat([carry, chunk])
    carry = undefined
    let at = 0
    while (at < bytes.length) {
      if (bodyLeft !== 0) {
        const end = endOfBody(bytes, at, bodyLeft)
        if (end < 0) {
          if (bodyLeft > 0) {
            bodyLeft -= bytes.length - at
            at = bytes.length
          }
          break
        }
        bodyLeft = 0
        at = end
        answer(small)
        continue
      }
      const end = bytes.indexOf('\r\n\r\n', at, 'latin1')
      if (end < 0) break
      if (bytes[at] === LETTER_P) {
        bodyLeft = bodyLength(bytes.toString('latin1', at, end))
        if (bodyLeft === 0) answer(small)
      } else if (bytes[at + 5] === LETTER_L) answer(large)
      else if (bytes[at + 5] === LETTER_H) answer(canned(Buffer.from(bytes.subarray(at, end))))
      else if (++pendingSmall === 64) flush()
      at = end + 4
    }
    flush()
    if (at < bytes.length) carry = Buffer.from(bytes.subarray(at))
  })
  socket.on('error', () => socket.destroy())
}

function bodyLength(head: string): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  if (length !== null) return Number(length[1])
  return /\r\ntransfer-encoding: *chunked/i.test(head) ? -1 : 0
}

/** @returns where the body ends, or -1 when that has not come */
function endOfBody(bytes: Buffer, at: number, left: number): number {
  if (left > 0) return at + left <= bytes.length ? at + left : -1
  // Bodies of the bench hold no zero digit, so this can only be the last chunk.
  const end = bytes.indexOf('0\r\n\r\n', at, 'latin1')
  return end < 0 ? -1 : end + 5
}

const LETTER_P = 0x50
const LETTER_L = 0x6c
const LETTER_H = 0x68

const server = createServer({ noDelay: true }, serve)
server.listen(0, '127.0.0.1', 511, () => ready({ port: (server.address() as AddressInfo).port }))
