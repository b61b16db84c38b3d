/**
 * The header that a proxy sends before the first byte of a connection, to say who the client is
 * (haproxy.org/download/3.1/doc/proxy-protocol.txt, versions 1 and 2).
 */

export interface ProxyHeader {
  readonly version: 1 | 2
  /** `local`: the proxy speaks for itself (a health check); the connection's own addresses hold. */
  readonly command: 'proxy' | 'local'
  /** Undefined for `local` and for families that nobody here understands (`UNKNOWN`, `AF_UNSPEC`). */
  readonly addresses: ProxyAddresses | undefined
  /** Version 2: extensions in the order of the wire, checksum and padding left out. */
  readonly extensions: readonly ProxyExtension[]
}

export type ProxyAddresses =
  | {
      readonly family: 'ipv4' | 'ipv6'
      readonly transport: 'stream' | 'datagram'
      readonly source: ProxyEndpoint
      readonly destination: ProxyEndpoint
    }
  | {
      readonly family: 'unix'
      readonly transport: 'stream' | 'datagram'
      /** Paths; empty where there is none. */
      readonly source: string
      readonly destination: string
    }

export interface ProxyEndpoint {
  readonly host: string
  readonly port: number
}

/** Type, length, value (2.2.1). */
export interface ProxyExtension {
  readonly type: number
  readonly value: Uint8Array
}

/** Extension types of the specification. */
export const ProxyExtensionType = Object.freeze({
  ALPN: 0x01,
  AUTHORITY: 0x02,
  CRC32C: 0x03,
  NOOP: 0x04,
  UNIQUE_ID: 0x05,
  SSL: 0x20,
  NETNS: 0x30,
})

/** First 12 bytes of version 2: no other protocol begins so. */
export const V2_SIGNATURE: Readonly<Uint8Array> = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
)
