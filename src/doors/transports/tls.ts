/** `heddle/transports/tls`: TLS, on TCP or over any other transport. */
export * from '../../transports/tls/tls.ts'
export * from '../../transports/tls/tls-options.ts'
