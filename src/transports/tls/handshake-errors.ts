/**
 * A handshake that failed, in words that say what to change. Nothing of ours was sent then.
 */
import { HeddleError, TransportError } from '../../core/errors.ts'
import { tlsReason } from '../node-stream/tls-reasons.ts'

/** `peer`: who it was with, for the message. */
export function handshakeError(cause: Error, peer: string): HeddleError {
  if (cause instanceof HeddleError) return cause
  const options = { cause, sent: 'nothing' } as const
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new TransportError('ERR_TLS', `${peer}: ${wrongName(cause as AltNameError)}`, options)
  }
  const reason = tlsReason(cause)
  if (reason !== undefined) return new TransportError('ERR_TLS', `${peer}: ${reason}`, options)
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    const message = `${peer}: it closed the connection during the TLS handshake`
    return new TransportError('ERR_RESET', message, { ...options, retryable: 'yes' })
  }
  const message = `${peer}: the TLS handshake failed: ${cause.message}`
  return new TransportError('ERR_TLS', message, options)
}

interface AltNameError extends Error {
  readonly host?: string
  readonly cert?: { readonly subjectaltname?: string; readonly subject?: { readonly CN?: string } }
}

function wrongName(error: AltNameError): string {
  const { host, cert } = error
  const names = cert?.subjectaltname ?? `CN:${cert?.subject?.CN ?? '?'}, which is not enough`
  return `its certificate is for ${names}, not for ${host} (see serverName)`
}
