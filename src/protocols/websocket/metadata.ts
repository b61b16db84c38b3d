/** What WebSocket says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const webSocketMetadata: ProtocolMetadata = Object.freeze({
  name: 'WebSocket',
  scheme: 'ws',
  defaultPort: 80,
  secureDefaultPort: 443,
  binary: true,
  streaming: true,
  tls: 'optional',
  multiplexing: 'none',
  alpn: ['http/1.1'],
  specification: 'RFC 6455, RFC 7692',
})
