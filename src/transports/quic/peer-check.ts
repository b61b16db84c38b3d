/**
 * What is asked of a peer besides a certificate that verifies: pins, and the caller's own word.
 */
import { X509Certificate } from 'node:crypto'
import { type Address, formatAddress } from '../../core/address.ts'
import type { ConnectionRole, PeerCertificate } from '../../core/connection.ts'
import { TransportError, toError } from '../../core/errors.ts'
import { pinOf } from '../tls/certificate-pins.ts'
import type { ResolvedQuicOptions } from './quic-options.ts'

/** A peer's certificates, as a driver gives them. */
export interface PeerCertificates {
  readonly serverName: string | undefined
  readonly authorized: boolean
  /** DER of its own. */
  readonly own: Uint8Array | undefined
  /** DER of the chain that was verified, its own first. */
  chain(): readonly Uint8Array[]
}

export function checkPeer(
  peer: PeerCertificates,
  options: ResolvedQuicOptions,
  role: ConnectionRole,
  remote: Address,
): Error | undefined {
  const { pins, verifyPeer } = options
  const where = formatAddress(remote)
  if (pins !== undefined && !matchesPins(peer, pins)) {
    const message = `${where}: none of its public keys is pinned`
    return new TransportError('ERR_TLS', message, { sent: 'nothing' })
  }
  if (verifyPeer === undefined) return undefined
  let cause: Error | undefined
  try {
    cause = verifyPeer({
      role: role === 'initiating' ? 'server' : 'client',
      serverName: peer.serverName,
      authorized: peer.authorized,
      certificate: peer.own && describeCertificate(peer.own),
      chain: () => peer.chain().map(describeCertificate),
    })
  } catch (thrown) {
    cause = toError(thrown)
  }
  if (cause === undefined) return undefined
  const message = `${where}: refused by verifyPeer: ${cause.message}`
  return new TransportError('ERR_TLS', message, { cause, sent: 'nothing' })
}

/** A certificate in DER, as facts. */
export function describeCertificate(der: Uint8Array): PeerCertificate {
  const certificate = new X509Certificate(der)
  return Object.freeze({
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    subjectAltName: certificate.subjectAltName,
    fingerprint256: certificate.fingerprint256,
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
    raw: new Uint8Array(certificate.raw),
  })
}

/** In a chain that was not verified only the peer's own key counts: anybody can send a chain. */
function matchesPins(peer: PeerCertificates, pins: readonly string[]): boolean {
  const chain = peer.authorized ? peer.chain() : []
  const certificates = chain.length > 0 ? chain : peer.own === undefined ? [] : [peer.own]
  return certificates.some((der) => pins.includes(pinOf(der)))
}

/** Node gives one attribute a line. */
function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
