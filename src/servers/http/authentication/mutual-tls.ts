/**
 * The client certificate of the connection as a login: nothing is sent with requests, and there is
 * nothing to steal from them. TLS must ask for the certificate (`clientCertificates`).
 *
 *     mutualTls({ sources: ['spiffe'], trustDomains: ['prod.example'] })
 */
import {
  CertificateIdentity,
  type CertificateIdentityOptions,
} from '../../../security/identity/certificate-identity.ts'
import type { HttpAuthenticator } from './authorization-field.ts'

export interface MutualTlsOptions extends CertificateIdentityOptions {}

export function mutualTls(options: MutualTlsOptions = {}): HttpAuthenticator {
  const identity = new CertificateIdentity(options)
  return {
    method: 'mtls',
    // HTTP has no challenge for what happens below it.
    challenge: () => undefined,
    strip: (request) => request,
    read: (request, context) => {
      const connection = context.connection ?? request.connection
      const outcome = identity.identify(connection?.facts.tls)
      if (outcome === undefined) return undefined
      const name = outcome.outcome === 'accepted' ? outcome.principal.id : undefined
      return { name, verify: () => outcome }
    },
  }
}
