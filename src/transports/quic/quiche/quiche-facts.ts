/**
 * What is known of a connection on quiche. The addon does not say which protocol was agreed, nor by
 * which cipher: one protocol is offered, and a peer that does not share it is refused.
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
import type { NativeMetrics } from './binding.ts'

export class QuicheFacts implements ConnectionFacts {
  readonly transport: string
  readonly role: ConnectionRole
  readonly local: Address
  readonly remote: Address
  readonly tls: TlsFacts
  readonly receiveBufferBytes = undefined
  readonly sendBufferBytes = undefined
  readonly capabilities: number = Capability.HALF_CLOSE | Capability.LEASED_READ
  readonly #metrics: () => NativeMetrics | undefined

  constructor(
    known: Pick<ConnectionFacts, 'transport' | 'local' | 'remote'>,
    role: ConnectionRole,
    tls: TlsFacts,
    metrics: () => NativeMetrics | undefined,
  ) {
    this.transport = known.transport
    this.role = role
    this.local = known.local
    this.remote = known.remote
    this.tls = tls
    this.#metrics = metrics
  }

  get mtu(): number | undefined {
    return this.#metrics()?.pmtu
  }

  roundTripMs(): number | undefined {
    return this.#metrics()?.rttMs
  }
}

export class QuicheTls implements TlsFacts {
  readonly version = 'TLSv1.3' // RFC 9001, 4.2: no other
  readonly cipher = 'unknown'
  readonly alpn: string | undefined
  readonly serverName: string | undefined
  readonly authorized: boolean
  readonly resumed = false
  /** DER, a client's own first. A server's certificate is checked by quiche, and not shown. */
  readonly chain: readonly Uint8Array[]
  #certificate: PeerCertificate | undefined

  constructor(facts: Pick<QuicheTls, 'alpn' | 'serverName' | 'authorized' | 'chain'>) {
    this.alpn = facts.alpn
    this.serverName = facts.serverName
    this.authorized = facts.authorized
    this.chain = facts.chain
  }

  peerCertificate(): PeerCertificate | undefined {
    const [own] = this.chain
    if (own === undefined) return undefined
    this.#certificate ??= describeCertificate(own)
    return this.#certificate
  }
}
