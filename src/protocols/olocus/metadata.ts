/** What the block protocol says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const olocusMetadata: ProtocolMetadata = Object.freeze({
  name: 'Olocus',
  scheme: 'olocus',
  defaultPort: undefined,
  binary: true,
  streaming: true,
  tls: 'optional',
  multiplexing: 'none', // on QUIC each block has a stream; that is the transport's
  alpn: ['olocus/1'],
  specification: 'docs/protocols/olocus.md',
})

/** Offered and required on WebSocket. */
export const OLOCUS_SUBPROTOCOL = 'olocus-v1'
