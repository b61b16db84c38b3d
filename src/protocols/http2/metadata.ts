/** What HTTP/2 says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const http2Metadata: ProtocolMetadata = Object.freeze({
  name: 'HTTP/2',
  scheme: 'http',
  defaultPort: 80,
  secureDefaultPort: 443,
  binary: true,
  streaming: true,
  tls: 'optional',
  multiplexing: 'streams',
  alpn: Object.freeze(['h2']),
  specification: 'https://www.rfc-editor.org/rfc/rfc9113',
})
