/**
 * Public key pins: `sha256/<base64 of SHA-256 over SubjectPublicKeyInfo>`, as in RFC 7469. A pin
 * outlives the certificate, because a renewed certificate can keep its key.
 */
import { createHash, X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'

/** The pin of a certificate, PEM or DER: for configuration files and tests. */
export function pinOf(certificate: string | Uint8Array): string {
  const { publicKey } = new X509Certificate(certificate)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`
}

/**
 * Whether one of `pins` belongs to the peer. In a verified chain any key counts, its authority's
 * too; in one that was not verified only the peer's own, because anybody can send a chain that is
 * not theirs.
 */
export function matchesPins(socket: TLSSocket, pins: readonly string[]): boolean {
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  const seen = new Set<DetailedPeerCertificate>()
  while (certificate?.raw !== undefined && !seen.has(certificate)) {
    if (pins.includes(pinOf(certificate.raw))) return true
    if (!socket.authorized) return false
    seen.add(certificate)
    certificate = certificate.issuerCertificate
  }
  return false
}
