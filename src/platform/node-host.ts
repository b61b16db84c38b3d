/**
 * `Host` on Node: text through `Buffer`'s native methods, randomness and digests from OpenSSL,
 * compression from zlib.
 */
import { isUtf8 } from 'node:buffer'
import { createHash, randomFillSync } from 'node:crypto'
import type { Digest, Host, TextCodec } from '../core/host.ts'
import { nodeCompression } from './node-compression.ts'
import { nodeRawDeflate } from './node-raw-deflate.ts'

const { latin1Slice, utf8Slice, latin1Write, utf8Write, indexOf } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  utf8Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, at: number, length: number): number
  utf8Write(this: Uint8Array, text: string, at: number, length: number): number
  indexOf(this: Uint8Array, needle: Uint8Array, from: number): number
}

export const nodeText: TextCodec = Object.freeze({
  latin1: (bytes: Uint8Array, start: number, end: number) => latin1Slice.call(bytes, start, end),
  utf8: (bytes: Uint8Array, start: number, end: number) => utf8Slice.call(bytes, start, end),
  utf8Length: (text: string) => Buffer.byteLength(text, 'utf8'),
  writeUtf8: (text: string, into: Uint8Array, at: number) =>
    utf8Write.call(into, text, at, into.length - at),
  isUtf8: (bytes: Uint8Array, start: number, end: number) =>
    isUtf8(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)),
  writeLatin1: (text: string, into: Uint8Array, at: number) =>
    latin1Write.call(into, text, at, into.length - at),
  indexOf: (bytes: Uint8Array, needle: Uint8Array, from: number) =>
    indexOf.call(bytes, needle, from),
})

export const nodeHost: Host = Object.freeze({
  text: nodeText,
  random: Math.random,
  randomBytes(into: Uint8Array): void {
    randomFillSync(into)
  },
  digests: Object.freeze({
    sha1: () => digest('sha1'),
    sha256: () => digest('sha256'),
    sha512: () => digest('sha512'),
    md5: () => digest('md5'),
  }),
  compression: nodeCompression,
  rawDeflate: nodeRawDeflate,
})

function digest(algorithm: string): Digest {
  const hash = createHash(algorithm)
  return {
    update: (chunk) => void hash.update(chunk),
    digest: () => hash.digest(),
  }
}
