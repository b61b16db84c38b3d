/** `heddle/compressed`: gzip, zstd or LZ4 over any byte stream or any messages, bounded. */
export * from '../links/compressed/compressed.ts'
export {
  availableAlgorithms,
  type CompressedOptions,
  type CompressionAlgorithm,
  CompressionAlgorithms,
  compressedDefaults,
} from '../links/compressed/compression-options.ts'
