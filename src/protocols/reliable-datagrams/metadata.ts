/** What the reliable exchange over datagrams says about itself. */
import type { ProtocolMetadata } from '../../core/metadata.ts'

export const reliableDatagramMetadata: ProtocolMetadata = Object.freeze({
  name: 'reliable-datagrams',
  scheme: 'reliable+udp',
  defaultPort: undefined, // whoever uses it has a port of its own
  binary: true,
  streaming: false,
  tls: 'never',
  multiplexing: 'none',
  alpn: [],
  specification: 'docs/transports/udp.md',
})
