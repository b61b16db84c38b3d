/** `heddle/blocks`: signed blocks between peers, over every transport. */
export * from '../links/blocks/block-connection.ts'
export * from '../links/blocks/block-listener.ts'
export {
  type BlockOptions,
  blockOptionDefaults,
} from '../links/blocks/block-options.ts'
export type { BlockTransport, UnsupportedSetting } from '../links/blocks/block-transport.ts'
export * from '../links/blocks/configs.ts'
export { type NegotiateOptions, negotiateDefaults } from '../links/blocks/negotiate.ts'
export * from '../links/blocks/network-error.ts'
export {
  type BlockTransportOptions,
  memoryBlocks,
  type StreamBlocksOptions,
  streamBlocks,
  tcpBlocks,
  unixBlocks,
} from '../links/blocks/stream-blocks.ts'
export type { TransportType } from '../links/blocks/transport-type.ts'
