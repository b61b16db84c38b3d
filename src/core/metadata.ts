/**
 * What a protocol says about itself (seed 001, "Protocol trait").
 */
export interface ProtocolMetadata {
  /** `HTTP/1.1`, `gRPC`, `RESP3` */
  readonly name: string
  /** As in URLs and configuration: `http`, `grpc`, `redis`. */
  readonly scheme: string
  /** IANA default port; undefined for protocols without one. */
  readonly defaultPort: number | undefined
  readonly secureDefaultPort?: number
  readonly binary: boolean
  readonly streaming: boolean
  readonly tls: 'required' | 'optional' | 'never'
  readonly multiplexing: 'none' | 'pipelining' | 'streams'
  /** ALPN identifiers (RFC 7301), preferred first. */
  readonly alpn: readonly string[]
  /** Where the wire format is defined. */
  readonly specification: string
}
