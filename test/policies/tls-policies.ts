/** The rows of TLS in the table of docs/policies.md. */
import type { PolicyRow } from './policies.ts'

export const TLS_POLICIES: readonly PolicyRow[] = [
  {
    policy: 'TLS: certificates that change',
    page: 'transports/tls.md#certificates-from-files',
    marks: {
      server: {
        test: [
          'src/transports/tls/certificate-files.test.ts',
          'certificateFiles shows what the files hold, without binding anew',
        ],
        example: 'policies/tls-certificates.ts',
      },
      listener: {
        test: ['test/gateway/tls.test.ts', 'Gateway shows a renewed certificate after a reload'],
        example: 'gateway/edge.yaml',
      },
    },
  },
  {
    policy: 'TLS: session tickets with rotating keys',
    page: 'transports/tls.md',
    marks: {
      server: {
        test: [
          'src/transports/tls/tls.test.ts',
          'tls resumes sessions, of both versions, until the ticket keys change',
        ],
        example: 'policies/tls-certificates.ts',
      },
      listener: {
        test: [
          'test/gateway/tls.test.ts',
          'Gateways that share a secret resume each other’s sessions',
        ],
        example: 'gateway/edge.yaml',
      },
    },
  },
  {
    policy: 'TLS: pins',
    page: 'transports/tls.md',
    marks: {
      client: {
        test: ['src/transports/tls/tls.test.ts', 'tls accepts a pinned key of the verified chain'],
        example: 'policies/tls-pins.ts',
      },
      cluster: {
        test: ['src/transports/tls/tls.test.ts', 'tls accepts a pinned key of the verified chain'],
        example: 'gateway/guarded.yaml',
      },
    },
  },
  {
    policy: 'TLS: revoked client certificates',
    page: 'transports/tls.md',
    marks: {
      listener: {
        test: [
          'test/gateway/tls.test.ts',
          'Gateway refuses client certificates that were revoked or are not pinned',
        ],
        example: 'gateway/policy-service.yaml',
      },
    },
  },
]
