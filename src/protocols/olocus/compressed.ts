/**
 * Blocks to messages and back in any format. Compression is the host's; what it does not have is an
 * error, never another compression: the announced content type would be a lie.
 *
 * What comes out of a decompressor is bounded by the longest message its encoding can have, and, for
 * input over 64 KiB, by 100 bytes for each that went in.
 */
import { UsageError } from '../../core/errors.ts'
import type { CompressionFactory, Host, Transformer } from '../../core/host.ts'
import { type Eventual, whenReady } from '../../core/signing.ts'
import type { Block } from './block.ts'
import { blockError } from './block-codes.ts'
import {
  type DecodeBlockOptions,
  decodeBlock,
  encodeBlock,
  maxEncodedBytes,
  sniffEncoding,
} from './encodings/encodings.ts'
import { blockDefaults } from './options.ts'
import { type BlockCompression, WireFormat } from './wire-format.ts'

export type CompressionHost = Pick<Host, 'compression'>

/** A block as one message. At once, unless it is compressed. */
export function toWireFormat(
  block: Block,
  format: WireFormat = WireFormat.default(),
  host?: CompressionHost,
): Eventual<Uint8Array> {
  const bytes = encodeBlock(block, format.encoding)
  if (format.compression === 'none') return bytes
  const { level } = format
  const factory = compressionOf(format.compression, host)
  return run(factory.compress(level === undefined ? {} : { level }), bytes)
}

/** One message as a block. At once, unless it is compressed. */
export function fromWireFormat<Payload = unknown>(
  bytes: Uint8Array,
  format: WireFormat = WireFormat.default(),
  options: DecodeBlockOptions & { host?: CompressionHost } = {},
): Eventual<Block<Payload>> {
  const { encoding, compression } = format
  if (compression === 'none') return decodeBlock(bytes, encoding, options)
  const { maxPayloadBytes = blockDefaults.maxPayloadBytes, host } = options
  const plain = decompress(bytes, compression, maxEncodedBytes(encoding, maxPayloadBytes), host)
  return whenReady(plain, (found) => decodeBlock(found, encoding, { ...options, give: true }))
}

/**
 * Reads a file that does not say what it is: gzip and zstd by their magic numbers, then the encoding
 * by its first byte. LZ4 without a frame has nothing to be known by.
 */
export function decodeAuto<Payload = unknown>(
  bytes: Uint8Array,
  options: DecodeBlockOptions & { host?: CompressionHost } = {},
): Eventual<Block<Payload>> {
  const compression = sniffCompression(bytes)
  if (compression === 'none') return decodeBlock(bytes, sniffEncoding(bytes), options)
  const { maxPayloadBytes = blockDefaults.maxPayloadBytes, host } = options
  // JSON, the longest of them, bounds what comes out.
  const max = maxEncodedBytes('json', maxPayloadBytes)
  return whenReady(decompress(bytes, compression, max, host), (plain) =>
    decodeBlock(plain, sniffEncoding(plain), { ...options, give: true }),
  )
}

export function sniffCompression(bytes: Uint8Array): BlockCompression {
  const [a, b, c, d] = bytes
  if (a === 0x1f && b === 0x8b) return 'gzip'
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd'
  return 'none'
}

function decompress(
  bytes: Uint8Array,
  compression: BlockCompression,
  maxOutputBytes: number,
  host: CompressionHost | undefined,
): Eventual<Uint8Array> {
  const limited = bytes.length > RATIO_FREE_BYTES ? { maxRatio: MAX_RATIO } : {}
  const factory = compressionOf(compression, host)
  return run(factory.decompress({ maxOutputBytes, ...limited }), bytes)
}

function compressionOf(
  name: BlockCompression,
  host: CompressionHost | undefined,
): CompressionFactory {
  const factory = host?.compression[name]
  if (factory !== undefined) return factory
  const message = `this host has no ${name}: negotiate another format`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

async function run(transformer: Transformer, bytes: Uint8Array): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  try {
    pieces.push(...(await step((done) => transformer.transform(bytes, done))))
    pieces.push(...(await step((done) => transformer.finish(done))))
  } finally {
    transformer.close()
  }
  return join(pieces)
}

function step(
  start: (done: (error: Error | undefined, output: readonly Uint8Array[]) => void) => void,
): Promise<readonly Uint8Array[]> {
  return new Promise((resolve, reject) => {
    start((error, output) => (error === undefined ? resolve(output) : reject(refusal(error))))
  })
}

/** What went wrong with compressed bytes, with the protocol's number where it has one. */
function refusal(error: Error): Error {
  const { code } = error as { code?: unknown }
  return code === 'ERR_ENCODING' ? blockError('SerializationError', error.message, error) : error
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) {
    return new Uint8Array(first.buffer, first.byteOffset, first.length)
  }
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Input of this size and less may expand as far as the longest message. */
const RATIO_FREE_BYTES = 65_536
const MAX_RATIO = 100
