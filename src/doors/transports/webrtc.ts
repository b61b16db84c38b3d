/** `heddle/transports/webrtc`: data channels between peers, and their signalling. */

export { signallingClient } from '../../links/webrtc-signalling/connect-signalling.ts'
export {
  MemorySignalling,
  memorySignalling,
} from '../../links/webrtc-signalling/memory-signalling.ts'
export * from '../../links/webrtc-signalling/signalling-client.ts'
export {
  type SignallingServer,
  type SignallingServerOptions,
  signallingServer,
  signallingServerDefaults,
} from '../../links/webrtc-signalling/signalling-server.ts'
export * from '../../links/webrtc-signalling/signed-signalling.ts'
export type { WebRtcConnection, WebRtcHandler } from '../../transports/webrtc/channel-connection.ts'
export type { WebRtcTransport } from '../../transports/webrtc/data-channel-transport.ts'
export { type IceServer, seedIceServers } from '../../transports/webrtc/ice-servers.ts'
export {
  nodeDataChannelDriver,
  type WebRtcAvailability,
  webRtcAvailability,
} from '../../transports/webrtc/node-datachannel-driver.ts'
export * from '../../transports/webrtc/signalling.ts'
export * from '../../transports/webrtc/w3c-driver.ts'
export { webRtc } from '../../transports/webrtc/webrtc.ts'
export { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
export type * from '../../transports/webrtc/webrtc-driver.ts'
export type { WebRtcChannelFacts, WebRtcFacts } from '../../transports/webrtc/webrtc-facts.ts'
export { type WebRtcOptions, webRtcDefaults } from '../../transports/webrtc/webrtc-options.ts'
