/** `heddle/transports/tls`: TLS, on TCP or over any other transport. */

export type { CertificateInfo } from '../../transports/tls/certificate-check.ts'
export * from '../../transports/tls/certificate-files.ts'
export { pinOf } from '../../transports/tls/certificate-pins.ts'
export {
  type ExpiryWarning,
  ExpiryWatch,
  type ExpiryWatchOptions,
  expiryDefaults,
  expiryMark,
} from '../../transports/tls/expiry-watch.ts'
export {
  fixedTicketKeys,
  type RotatingTicketKeysOptions,
  rotatingTicketKeys,
  type TicketKey,
  type TicketKeySource,
  ticketKeyDefaults,
} from '../../transports/tls/ticket-keys.ts'
export * from '../../transports/tls/tls.ts'
export type { TlsListener } from '../../transports/tls/tls-listener.ts'
export * from '../../transports/tls/tls-options.ts'
