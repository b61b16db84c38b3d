/**
 * What is in a certificate file, and what is wrong with it, said before OpenSSL says it in its own
 * words: another key, a chain out of order, a link that is missing.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { toError, UsageError } from '../../core/errors.ts'
import { reveal } from '../../core/secret.ts'
import type { TlsCredentials } from './tls-options.ts'

/** A certificate as people look at it. No key is part of it. */
export interface CertificateInfo {
  readonly subject: string
  readonly issuer: string
  /** `DNS:a.example, IP Address:127.0.0.1` */
  readonly names: string | undefined
  readonly fingerprint256: string
  readonly serialNumber: string
  /** Milliseconds since the Unix epoch. */
  readonly validFromMs: number
  readonly validToMs: number
}

/**
 * @param what the option or the file, for messages
 * @returns the server's own certificate
 * @throws UsageError ERR_CONFIG
 */
export function checkCredentials(credentials: TlsCredentials, what: string): CertificateInfo {
  const chain = readChain(credentials.certificate, what)
  const key = readKey(credentials, what)
  const own = chain.findIndex((certificate) => certificate.checkPrivateKey(key))
  const first = chain[0] as X509Certificate
  if (own < 0) {
    throw unusable(
      `${what}: the key does not belong to the certificate of ${oneLine(first.subject)}`,
    )
  }
  if (own > 0) {
    const subject = oneLine((chain[own] as X509Certificate).subject)
    const place = `certificate ${own + 1} of ${chain.length} (${subject})`
    throw unusable(`${what}: wrong order: ${place} belongs to the key and must stand first`)
  }
  checkOrder(chain, what)
  return certificateInfo(first)
}

export function certificateInfo(certificate: X509Certificate): CertificateInfo {
  return Object.freeze({
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: certificate.subjectAltName,
    fingerprint256: certificate.fingerprint256,
    serialNumber: certificate.serialNumber,
    validFromMs: Date.parse(certificate.validFrom),
    validToMs: Date.parse(certificate.validTo),
  })
}

/** Each certificate's issuer follows it (RFC 5246 7.4.2); a client may refuse any other order. */
function checkOrder(chain: readonly X509Certificate[], what: string): void {
  for (let at = 0; at + 1 < chain.length; at++) {
    const one = chain[at] as X509Certificate
    const next = chain[at + 1] as X509Certificate
    // A root ends the chain; what some bundles have behind it (cross-signed roots) is no matter.
    if (one.checkIssued(one)) return
    if (one.checkIssued(next) && one.verify(next.publicKey)) continue
    const issuer = chain.findIndex((each) => each !== one && one.checkIssued(each))
    const hint =
      issuer < 0
        ? `its issuer ${oneLine(one.issuer)} is not in the file`
        : `its issuer is certificate ${issuer + 1}`
    const text = `certificate ${at + 1} of ${chain.length} (${oneLine(one.subject)}) was not issued by the one after it (${oneLine(next.subject)}): ${hint}`
    throw unusable(`${what}: wrong order: ${text}`)
  }
}

function readChain(certificate: string | Uint8Array, what: string): X509Certificate[] {
  const text = typeof certificate === 'string' ? certificate : Buffer.from(certificate).toString()
  const blocks = text.match(PEM_CERTIFICATE) ?? []
  if (blocks.length > MAX_CHAIN) {
    throw unusable(`${what}: ${blocks.length} certificates, at most ${MAX_CHAIN}`)
  }
  if (blocks.length === 0) {
    const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? ': it holds a private key' : ''
    throw unusable(`${what}: the certificate cannot be read: no PEM certificate in it${key}`)
  }
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (cause) {
    throw unusable(`${what}: the certificate cannot be read`, cause)
  }
}

function readKey({ key, passphrase }: TlsCredentials, what: string): KeyObject {
  try {
    return createPrivateKey({
      key: typeof key === 'string' ? key : Buffer.from(key),
      ...(passphrase !== undefined && { passphrase: reveal(passphrase) }),
    })
  } catch (cause) {
    throw unusable(`${what}: the private key cannot be read`, cause)
  }
}

function unusable(text: string, cause?: unknown): UsageError {
  const why = cause === undefined ? '' : `: ${toError(cause).message}`
  return new UsageError('ERR_CONFIG', `${text}${why}`, { cause })
}

/** Node gives one attribute a line. */
function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}

const PEM_CERTIFICATE =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g
/** Far more than any real chain; a bundle of authorities belongs into `ca`. */
const MAX_CHAIN = 32
