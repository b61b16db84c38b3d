/** `heddle/blocks`: signed blocks between peers, over every transport. */
export {
  type ReliableOptions,
  reliableDefaults,
} from '../links/blocks/acknowledger.ts'
export * from '../links/blocks/block-connection.ts'
export * from '../links/blocks/block-listener.ts'
export {
  type BlockOptions,
  blockOptionDefaults,
} from '../links/blocks/block-options.ts'
export {
  BlockSocket,
  type BlockSocketOptions,
  type BlockSocketStatistics,
  type SendToOptions,
} from '../links/blocks/block-socket.ts'
export type { BlockTransport, UnsupportedSetting } from '../links/blocks/block-transport.ts'
export { type BlocksForOptions, blocksFor } from '../links/blocks/blocks-for.ts'
export * from '../links/blocks/configs.ts'
export {
  type DatagramHelloOptions,
  datagramHelloDefaults,
} from '../links/blocks/datagram-hellos.ts'
export { type NegotiateOptions, negotiateDefaults } from '../links/blocks/negotiate.ts'
export * from '../links/blocks/network-error.ts'
export { type QuicBlocksOptions, quicBlocks } from '../links/blocks/quic-blocks.ts'
export { type BlockResponder, QuicBlockConnection } from '../links/blocks/quic-connection.ts'
export {
  type BlockTransportOptions,
  memoryBlocks,
  type StreamBlocksOptions,
  streamBlocks,
  tcpBlocks,
  unixBlocks,
} from '../links/blocks/stream-blocks.ts'
export type { TransportType } from '../links/blocks/transport-type.ts'
export {
  BlockDatagramTransport,
  type UdpBlocksOptions,
  udpBlocks,
  udpBlocksDefaults,
} from '../links/blocks/udp-blocks.ts'
export { type WebRtcBlocksOptions, webRtcBlocks } from '../links/blocks/webrtc-blocks.ts'
export { type WebSocketBlocksOptions, webSocketBlocks } from '../links/blocks/websocket-blocks.ts'
