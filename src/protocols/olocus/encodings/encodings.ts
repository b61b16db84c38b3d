/**
 * The encodings of a block by their numbers. All of them say the same canonical bytes.
 */
import { checkInteger, UsageError } from '../../../core/errors.ts'
import { Block } from '../block.ts'
import { blockError } from '../block-codes.ts'
import { type BlockLimits, blockDefaults } from '../options.ts'
import type { PayloadReader } from '../payload.ts'
import { encodeBinary, readBinary, readBinaryLe } from './binary.ts'
import { encodeJson, readJson } from './json.ts'
import { encodeMessagepack, readMessagepack } from './messagepack.ts'
import { encodeProtobuf, readProtobuf } from './protobuf.ts'
import { encodeSsz, readSsz } from './ssz.ts'

/** `binary-le` is read only: blocks from before the canonical layout. */
export type BlockEncoding = 'binary' | 'json' | 'messagepack' | 'protobuf' | 'ssz'
export type ReadableEncoding = BlockEncoding | 'binary-le'

/** Numbers of the wire; 5 is kept free, for CBOR. */
export const ENCODING_IDS: Readonly<Record<BlockEncoding, number>> = Object.freeze({
  binary: 0,
  json: 1,
  messagepack: 2,
  protobuf: 3,
  ssz: 4,
})

export interface DecodeBlockOptions extends BlockLimits {
  /** How payloads are read. @default JSON in UTF-8 for every type */
  registry?: PayloadReader
  /**
   * The bytes are the block's from now on, and need no copy where the encoding allows that. Without
   * it they are copied: a chunk of a connection is borrowed.
   *
   * @default false
   */
  give?: boolean
}

/** The bytes are shared with the block when they are canonical: nobody may change them. */
export function encodeBlock(block: Block, encoding: BlockEncoding = 'binary'): Uint8Array {
  const encode = ENCODERS[encoding]
  if (encode === undefined) throw unknown(encoding)
  return encode(block)
}

/**
 * One whole message. Says what the block says, not whether that is true: see `verifyBlock`.
 *
 * @throws ProtocolError with a code of the protocol: MalformedBlock, PayloadTooLarge, or
 *   SerializationError where the encoding itself is broken
 */
export function decodeBlock<Payload = unknown>(
  bytes: Uint8Array,
  encoding: ReadableEncoding = 'binary',
  options: DecodeBlockOptions = {},
): Block<Payload> {
  const { maxPayloadBytes = blockDefaults.maxPayloadBytes, registry, give = false } = options
  checkInteger('maxPayloadBytes', maxPayloadBytes, 0, 0xffff_ffff)
  const read = READERS[encoding]
  if (read === undefined) throw unknown(encoding)
  const canonical = read(bytes, maxPayloadBytes)
  return new Block(canonical === bytes && !give ? new Uint8Array(bytes) : canonical, registry)
}

/**
 * Reads a file that does not say what it is, uncompressed. Never for a connection: an attacker would
 * choose how its bytes are understood.
 */
export function sniffEncoding(bytes: Uint8Array): BlockEncoding {
  const [first] = bytes
  // The length rule first: a version begins with 0x01, so that nothing else looks like this.
  if (bytes.length >= 186 && first === 0x01) return 'binary'
  const text = bytes.subarray(0, MAX_LEADING_SPACE).find((byte) => !SPACE.has(byte))
  if (text === 0x7b) return 'json'
  if (first === 0x84 || first === 0x94) return 'messagepack'
  if (first === 0x0a) return 'protobuf'
  throw blockError('SerializationError', 'this looks like no encoding of a block')
}

/**
 * The longest message of an encoding whose payload is within its limit.
 */
export function maxEncodedBytes(encoding: ReadableEncoding, maxPayloadBytes: number): number {
  const payload = encoding === 'json' ? 4 * Math.ceil(maxPayloadBytes / 3) : maxPayloadBytes
  return payload + OVERHEAD_BYTES
}

const ENCODERS: Readonly<Record<BlockEncoding, (block: Block) => Uint8Array>> = Object.freeze({
  binary: encodeBinary,
  json: encodeJson,
  messagepack: encodeMessagepack,
  protobuf: encodeProtobuf,
  ssz: encodeSsz,
})

type Read = (bytes: Uint8Array, maxPayloadBytes: number) => Uint8Array

const READERS: Readonly<Record<ReadableEncoding, Read>> = Object.freeze({
  binary: readBinary,
  'binary-le': readBinaryLe,
  json: readJson,
  messagepack: readMessagepack,
  protobuf: readProtobuf,
  ssz: readSsz,
})

function unknown(encoding: string): UsageError {
  return new UsageError('ERR_ARGUMENT', `there is no encoding '${encoding}'`)
}

const SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])
const MAX_LEADING_SPACE = 64
/** More than any encoding adds, with room for spaces that somebody put into JSON. */
const OVERHEAD_BYTES = 1_024
