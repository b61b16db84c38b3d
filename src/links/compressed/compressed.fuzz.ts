/** Any bytes for a record: they decompress, or it is a ProtocolError; nothing else, and no more than the limit. */
import { HeddleError, ProtocolError } from '../../core/errors.ts'
import { CompressionCodec } from './compression-codec.ts'
import { availableAlgorithms, resolveCompressedOptions } from './compression-options.ts'

/** Longest payload. */
const MOST = 10_000

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  ...availableAlgorithms().map((algorithm) => sealed(codec(algorithm))),
  Uint8Array.of(0, 1, 2, 3),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const algorithms = availableAlgorithms()
  const one = codec(algorithms[seed % algorithms.length] as 'lz4')
  try {
    const { length } = one.open(bytes)
    if (length > MOST) throw new Error(`${length} bytes came out`)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
  try {
    new CompressionCodec(resolveCompressedOptions({}), 'accepting', MOST).receiveHandshake(bytes)
  } catch (error) {
    if (!(error instanceof HeddleError) || error.code !== 'ERR_CONNECT') throw error
  }
}

function codec(algorithm: 'zstd' | 'lz4' | 'gzip'): CompressionCodec {
  const options = { algorithms: [algorithm], negotiate: false }
  return new CompressionCodec(resolveCompressedOptions(options), 'initiating', MOST)
}

function sealed(one: CompressionCodec): Uint8Array {
  let record = new Uint8Array(0)
  one.seal(new Uint8Array(300).fill(65), 0, (pieces) => {
    record = Buffer.concat(pieces)
  })
  return record
}
