/** `heddle/transports/tls`: TLS, on TCP or over any other transport. */
export { pinOf } from '../../transports/tls/certificate-pins.ts'
export * from '../../transports/tls/tls.ts'
export type { TlsListener } from '../../transports/tls/tls-listener.ts'
export * from '../../transports/tls/tls-options.ts'
