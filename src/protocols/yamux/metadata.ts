/** What yamux says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const yamuxMetadata: ProtocolMetadata = Object.freeze({
  name: 'yamux',
  scheme: 'yamux',
  defaultPort: undefined, // it runs over a connection that something else made
  binary: true,
  streaming: true,
  tls: 'optional',
  multiplexing: 'streams',
  alpn: [],
  specification: 'https://github.com/hashicorp/yamux/blob/master/spec.md',
})
