/** What gRPC says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const grpcProtocolMetadata: ProtocolMetadata = Object.freeze({
  name: 'gRPC',
  scheme: 'grpc',
  defaultPort: 80,
  secureDefaultPort: 443,
  binary: true,
  streaming: true,
  tls: 'optional',
  multiplexing: 'streams',
  alpn: Object.freeze(['h2']),
  specification: 'https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md',
})
