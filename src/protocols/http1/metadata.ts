/** What HTTP/1.1 says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const http1Metadata: ProtocolMetadata = Object.freeze({
  name: 'HTTP/1.1',
  scheme: 'http',
  defaultPort: 80,
  secureDefaultPort: 443,
  binary: false,
  streaming: true,
  tls: 'optional',
  multiplexing: 'pipelining',
  alpn: Object.freeze(['http/1.1']),
  specification: 'https://www.rfc-editor.org/rfc/rfc9112',
})
