/** `heddle/protocols/olocus`: signed blocks, their encodings, fragments and negotiation, sans-I/O. */
export * from '../../core/signing.ts'
export {
  type Ed25519Key,
  ed25519Key,
  generateEd25519Key,
  nodeSigning,
} from '../../platform/node-signing.ts'
export * from '../../protocols/olocus/ack-payload.ts'
export { Block, type BlockFields, type BlockHeader } from '../../protocols/olocus/block.ts'
export * from '../../protocols/olocus/block-codes.ts'
export * from '../../protocols/olocus/chain.ts'
export * from '../../protocols/olocus/compressed.ts'
export * from '../../protocols/olocus/create.ts'
export {
  type BlockEncoding,
  type DecodeBlockOptions,
  decodeBlock,
  ENCODING_IDS,
  encodeBlock,
  type ReadableEncoding,
} from '../../protocols/olocus/encodings/encodings.ts'
export * from '../../protocols/olocus/fragments.ts'
export * from '../../protocols/olocus/frame-decoder.ts'
export * from '../../protocols/olocus/hello.ts'
export { MAX_HELLO_BYTES } from '../../protocols/olocus/hello-messages.ts'
export * from '../../protocols/olocus/metadata.ts'
export * from '../../protocols/olocus/options.ts'
export * from '../../protocols/olocus/payload.ts'
export * from '../../protocols/olocus/verify.ts'
export {
  type BlockCompression,
  COMPRESSION_IDS,
  WireFormat,
} from '../../protocols/olocus/wire-format.ts'
