/**
 * What a pure layer needs from outside, injected: text, randomness, digests, signatures,
 * compression. `portableHost` (portable-host.ts) needs nothing but the language; the platform
 * layer has a faster one for Node.
 *
 * Each operation is synchronous or asynchronous by its type. A session that needs an asynchronous
 * one stops at that message and goes on in `done`, so that order is kept and no promise stands
 * between a byte and its message.
 */
import type { Random } from './clock.ts'

export interface Host {
  readonly text: TextCodec
  readonly random: Random
  /** Fills with cryptographically strong bytes. */
  randomBytes(into: Uint8Array): void
  readonly digests: Readonly<Record<string, DigestFactory>>
  /** `gzip`, `deflate`, `br`, `zstd`, `lz4` – those that are there. */
  readonly compression: Readonly<Record<string, CompressionFactory>>
  /** Undefined: not there. */
  readonly rawDeflate?: RawDeflate | undefined
}

export interface TextCodec {
  /** Bytes 0x00–0xff as U+0000–U+00FF. */
  latin1(bytes: Uint8Array, start: number, end: number): string
  /** Invalid sequences become U+FFFD. */
  utf8(bytes: Uint8Array, start: number, end: number): string
  utf8Length(text: string): number
  /** Writes at `at`; the caller has made room. Returns the number of bytes. */
  writeUtf8(text: string, into: Uint8Array, at: number): number
  /** Whether bytes are UTF-8 (RFC 3629). @default checked in plain JavaScript by who needs it */
  isUtf8?(bytes: Uint8Array, start: number, end: number): boolean
  /** Characters above U+00FF are the caller's mistake and are truncated. */
  writeLatin1(text: string, into: Uint8Array, at: number): number
  /** Index of the first `needle` at or after `from`, or -1. */
  indexOf(bytes: Uint8Array, needle: Uint8Array, from: number): number
}

export interface Digest {
  update(chunk: Uint8Array): void
  digest(): Uint8Array
}
export type DigestFactory = () => Digest

/** Signs and verifies, with keys the host holds; asynchronous where keys live elsewhere. */
export interface Signer {
  readonly algorithm: string
  sign(message: Uint8Array, done: (error: Error | undefined, signature: Uint8Array) => void): void
  verify(
    message: Uint8Array,
    signature: Uint8Array,
    done: (error: Error | undefined, valid: boolean) => void,
  ): void
}

export interface CompressionFactory {
  compress(options?: CompressOptions): Transformer
  decompress(options?: DecompressOptions): Transformer
}
export interface CompressOptions {
  level?: number
}
export interface DecompressOptions {
  /** Most bytes that may come out in all; over it: ProtocolError ERR_EXPANSION. */
  maxOutputBytes?: number
  /**
   * Most bytes that may come out for each that went in, looked at while they come out; over it:
   * ProtocolError ERR_EXPANSION. The first `ratioFreeBytes` of output are not counted.
   */
  maxRatio?: number
  ratioFreeBytes?: number
}

/**
 * Raw deflate (RFC 1951) of messages that stand alone, at once and without a context for each
 * connection. Output is lent: it is valid until the next call, unless `keep` is called before.
 */
export interface RawDeflate {
  /**
   * Ends at a byte boundary with an empty block of no compression, without its last four bytes 00 00
   * ff ff (RFC 7692 7.2.1).
   */
  deflate(message: Uint8Array, windowBits: number, level: number): Uint8Array
  /**
   * What `deflate` of anybody made, with any window.
   *
   * @throws ProtocolError ERR_EXPANSION over `maxOutputBytes`, ERR_ENCODING for corrupt data
   */
  inflate(message: Uint8Array, maxOutputBytes: number): Uint8Array
  /** The last output stays valid for ever. */
  keep(): void
}

/**
 * A transformation of bytes that may finish later. One operation at a time.
 * `done` may be called before the method returns.
 */
export interface Transformer {
  /** `chunk` belongs to the transformer until `done`. The output is the caller's to keep. */
  transform(chunk: Uint8Array, done: TransformDone): void
  /** Input ended: delivers the rest. */
  finish(done: TransformDone): void
  /** Frees native memory; idempotent. */
  close(): void
}
export type TransformDone = (error: Error | undefined, output: readonly Uint8Array[]) => void
