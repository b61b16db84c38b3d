/** Any bytes: they decompress, or it is ERR_ENCODING; and they come back when they are compressed. */
import { ProtocolError } from './errors.ts'
import { compressLz4, decompressLz4 } from './lz4-block.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  compressLz4(new TextEncoder().encode('abcabcabcabcabcabcabcabcabc')),
  compressLz4(new Uint8Array(400)),
]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const back = decompressLz4(compressLz4(bytes))
  if (back.join() !== bytes.join()) throw new Error('it did not come back')
  try {
    decompressLz4(bytes, { maxOutputBytes: 65_536 })
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    if (error.code !== 'ERR_ENCODING' && error.code !== 'ERR_EXPANSION') throw error
  }
}
