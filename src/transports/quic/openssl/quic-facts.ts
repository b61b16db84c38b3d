/**
 * What is known of a QUIC connection and of its streams.
 */
import type { Address } from '../../../core/address.ts'
import {
  Capability,
  type ConnectionFacts,
  type ConnectionRole,
  type PeerCertificate,
  type TlsFacts,
} from '../../../core/connection.ts'
import { describeCertificate } from '../peer-check.ts'
import type { DrivenSettings } from '../quic-driver.ts'
import type { ConnectionHandle } from './connection-handle.ts'

export class QuicFacts implements ConnectionFacts {
  readonly transport: string
  readonly role: ConnectionRole
  readonly local: Address
  readonly remote: Address
  /** OpenSSL 3.5 makes datagrams of this size, whatever the path carries. */
  readonly mtu: number = 1_200
  readonly receiveBufferBytes = undefined
  readonly sendBufferBytes = undefined
  readonly capabilities: number = Capability.HALF_CLOSE | Capability.LEASED_READ
  readonly #readTls: () => TlsFacts

  constructor(
    transport: string,
    role: ConnectionRole,
    local: Address,
    remote: Address,
    readTls: () => TlsFacts,
  ) {
    this.transport = transport
    this.role = role
    this.local = local
    this.remote = remote
    this.#readTls = readTls
  }

  get tls(): TlsFacts {
    return this.#readTls()
  }

  /** OpenSSL does not say. */
  roundTripMs(): undefined {
    return undefined
  }
}

/** Read once, when the handshake is over: afterwards the SSL object may be gone. */
export class QuicTls implements TlsFacts {
  readonly version = 'TLSv1.3' // RFC 9001, 4.2: no other
  readonly cipher: string
  readonly alpn: string | undefined
  readonly serverName: string | undefined
  readonly authorized: boolean
  readonly resumed: boolean
  readonly der: Uint8Array | undefined
  #certificate: PeerCertificate | undefined

  constructor(
    handle: ConnectionHandle,
    settings: Pick<DrivenSettings, 'serverName' | 'ownAlpn'>,
    verifies: boolean,
  ) {
    this.cipher = handle.cipher()
    const alpn = handle.alpn()
    this.alpn = alpn === settings.ownAlpn ? undefined : alpn
    this.serverName = settings.serverName ?? handle.askedName()
    this.resumed = handle.resumed
    this.der = handle.peerCertificate()
    this.authorized = verifies && this.der !== undefined && handle.verification() === undefined
  }

  peerCertificate(): PeerCertificate | undefined {
    if (this.der === undefined) return undefined
    this.#certificate ??= describeCertificate(this.der)
    return this.#certificate
  }
}
