import type { ProtocolMetadata } from '../../core/metadata.ts'

export const socksMetadata: ProtocolMetadata = Object.freeze({
  name: 'SOCKS',
  scheme: 'socks5',
  defaultPort: 1080,
  binary: true,
  streaming: false,
  tls: 'never',
  multiplexing: 'none',
  alpn: Object.freeze([]),
  specification: 'RFC 1928, RFC 1929; SOCKS 4 and 4a as published by their authors',
})
