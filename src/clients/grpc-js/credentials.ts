/** Credentials as `@grpc/grpc-js` has them, as far as they say how to connect. */
import type { OriginTlsOptions } from '../http/default-transport.ts'

export class ChannelCredentials {
  /** Undefined: no TLS. */
  readonly tls: OriginTlsOptions | undefined

  constructor(tls: OriginTlsOptions | undefined) {
    this.tls = tls
  }

  static createInsecure(): ChannelCredentials {
    return new ChannelCredentials(undefined)
  }

  /** PEM, as grpc-js takes it; null or undefined: what Node trusts, no client certificate. */
  static createSsl(
    rootCerts?: Uint8Array | null,
    privateKey?: Uint8Array | null,
    certChain?: Uint8Array | null,
  ): ChannelCredentials {
    return new ChannelCredentials({
      ...(rootCerts && { ca: rootCerts }),
      ...(privateKey && certChain && { credentials: { key: privateKey, certificate: certChain } }),
    })
  }
}

export const credentials: {
  readonly createInsecure: typeof ChannelCredentials.createInsecure
  readonly createSsl: typeof ChannelCredentials.createSsl
} = Object.freeze({
  createInsecure: ChannelCredentials.createInsecure,
  createSsl: ChannelCredentials.createSsl,
})
