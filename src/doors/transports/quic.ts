/**
 * QUIC on the OpenSSL inside Node: connections of many streams, and its streams as connections.
 */
export { type QuicTransport, quic } from '../../transports/quic/quic.ts'
export { type QuicAvailability, quicAvailability } from '../../transports/quic/quic-availability.ts'
export { quicCodes } from '../../transports/quic/quic-errors.ts'
export {
  type QuicDriverName,
  type QuicOptions,
  type QuicUnsupported,
  quicDefaults,
} from '../../transports/quic/quic-options.ts'
export {
  type QuicStreamsOptions,
  type QuicStreamsTransport,
  quicStreams,
  quicStreamsDefaults,
} from '../../transports/quic/quic-streams.ts'
export type {
  QuicCloseOptions,
  QuicCode,
  QuicConnection,
  QuicStream,
} from '../../transports/quic/quic-types.ts'
