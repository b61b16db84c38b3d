/**
 * What is known of a data channel and of the peers that it connects.
 */
import { Capability, type ConnectionFacts, type ConnectionRole } from '../../core/connection.ts'
import { webRtcAddress } from './webrtc-address.ts'
import type { CandidateFacts, DriverPeer } from './webrtc-driver.ts'

export interface WebRtcFacts extends ConnectionFacts {
  readonly webRtc: WebRtcChannelFacts
}

export interface WebRtcChannelFacts {
  readonly label: string
  readonly protocol: string
  /** Whether the peer is heddle: credit and half-close. */
  readonly flowControl: boolean
  /**
   * `sha-256 AB:CD:…` of our DTLS certificate and the peer's. The library has compared the peer's
   * with its description, so whoever is sure of the description is sure of the peer.
   */
  readonly localFingerprint: string | undefined
  readonly remoteFingerprint: string | undefined
  /** The pair of candidates in use now. */
  candidates(): { readonly local: CandidateFacts; readonly remote: CandidateFacts } | undefined
}

export interface FactsSource {
  readonly peer: DriverPeer
  readonly role: ConnectionRole
  readonly localPeer: string
  readonly remotePeer: string
  readonly label: string
  readonly protocol: string
  readonly flowControl: boolean
  readonly receiveWindowBytes: number
  readonly highWaterMarkBytes: number
}

export function makeFacts(source: FactsSource): WebRtcFacts {
  const { peer, label, protocol, flowControl } = source
  const { localFingerprint, remoteFingerprint } = peer.facts()
  return Object.freeze({
    transport: 'webrtc',
    local: webRtcAddress(source.localPeer),
    remote: webRtcAddress(source.remotePeer),
    role: source.role,
    tls: DTLS_FACTS,
    mtu: undefined,
    receiveBufferBytes: flowControl ? source.receiveWindowBytes : undefined,
    sendBufferBytes: source.highWaterMarkBytes,
    capabilities: flowControl ? Capability.HALF_CLOSE : 0,
    roundTripMs: () => peer.facts().roundTripMs,
    webRtc: Object.freeze({
      label,
      protocol,
      flowControl,
      localFingerprint,
      remoteFingerprint,
      candidates() {
        const { local, remote } = peer.facts()
        return local && remote && { local, remote }
      },
    }),
  })
}

/** Certificates are self-signed: no authority vouches for the peer, its fingerprint does. */
const DTLS_FACTS = Object.freeze({
  version: 'DTLS',
  cipher: 'unknown', // libraries do not tell
  alpn: undefined,
  serverName: undefined,
  authorized: false,
  resumed: false,
  peerCertificate: () => undefined,
})
