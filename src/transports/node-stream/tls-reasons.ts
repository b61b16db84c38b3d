/**
 * What OpenSSL's and Node's TLS errors mean, in words that somebody can act on.
 *
 * Codes are those of Node: OpenSSL's verification results (`CERT_HAS_EXPIRED`), its reason strings
 * (`ERR_SSL_WRONG_VERSION_NUMBER`), alerts of the peer among them, and Node's own.
 */

/** Undefined for an error that is not about TLS. */
export function tlsReason(cause: Error): string | undefined {
  const { code } = cause as NodeJS.ErrnoException
  if (code === undefined) return undefined
  const known = REASONS[code] ?? REASONS[code.replace(ALERT, 'ERR_SSL_ALERT_')]
  if (known !== undefined) return known
  return code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') ? cause.message : undefined
}

/** True: both sides may be right, but one of them does not speak TLS. */
export function isWrongProtocol(cause: Error): boolean {
  return PLAIN_TEXT.has((cause as NodeJS.ErrnoException).code ?? '')
}

/** OpenSSL names alerts by the version that introduced them: SSLV3, TLSV1, TLSV13, SSL/TLS. */
const ALERT = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_(?:ALERT_)?/

const UNTRUSTED =
  'its issuer is not trusted here: pass the authority as `ca` (or in NODE_EXTRA_CA_CERTS), or let the peer send its whole chain'

const REASONS: Readonly<Record<string, string>> = {
  // Verification of the peer's certificate.
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: is the clock right?',
  CERT_REVOKED: 'its certificate was revoked',
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is wrong',
  CERT_CHAIN_TOO_LONG: 'its certificate chain is too long',
  INVALID_PURPOSE: 'its certificate is not meant for this use',
  INVALID_CA: 'a certificate in its chain may not sign others',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed: pass it as `ca` to trust it',
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,

  // One side does not speak TLS.
  ERR_SSL_WRONG_VERSION_NUMBER: 'it speaks plain text: is this port really TLS?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it speaks plain text: is this port really TLS?',
  ERR_SSL_HTTP_REQUEST: 'it sent a plain HTTP request to a TLS port: use https://',
  ERR_SSL_HTTPS_PROXY_REQUEST: 'it sent a plain proxy request to a TLS port',

  // Nothing in common.
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'no protocol version in common (see minVersion)',
  ERR_SSL_VERSION_TOO_LOW: 'no protocol version in common (see minVersion)',
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: 'no protocol version in common (see minVersion)',
  ERR_SSL_ALERT_PROTOCOL_VERSION: 'no protocol version in common (see minVersion)',
  ERR_SSL_NO_SHARED_CIPHER: 'no cipher in common',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no application protocol in common (ALPN)',

  // Alerts of the peer.
  ERR_SSL_ALERT_HANDSHAKE_FAILURE: 'the peer refused: nothing in common, or it wants a certificate',
  ERR_SSL_ALERT_NO_APPLICATION_PROTOCOL: 'no application protocol in common (ALPN)',
  ERR_SSL_ALERT_UNRECOGNIZED_NAME: 'the peer does not serve this name',
  ERR_SSL_UNRECOGNIZED_NAME: 'the peer does not serve this name',
  ERR_SSL_ALERT_UNKNOWN_CA: 'the peer does not trust the issuer of our certificate',
  ERR_SSL_ALERT_BAD_CERTIFICATE: 'the peer does not accept our certificate',
  ERR_SSL_ALERT_CERTIFICATE_EXPIRED: 'the peer says that our certificate has expired',
  ERR_SSL_ALERT_CERTIFICATE_REVOKED: 'the peer says that our certificate was revoked',
  ERR_SSL_ALERT_CERTIFICATE_UNKNOWN: 'the peer does not accept our certificate',
  ERR_SSL_ALERT_CERTIFICATE_REQUIRED: 'the peer wants a client certificate: pass `credentials`',
  ERR_SSL_ALERT_ACCESS_DENIED: 'the peer denied access',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'it sent no client certificate',

  // Node's own.
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the handshake took too long',
}

const PLAIN_TEXT: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
])
