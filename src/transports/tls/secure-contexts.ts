/**
 * OpenSSL contexts from options: one for a client; for a server one for everybody and one for each
 * server name. What is wrong with a key or certificate is said in words before OpenSSL sees it.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { toError, UsageError } from '../../core/errors.ts'
import type { ResolvedTlsOptions, TlsCredentials, TlsServerCredentials } from './tls-options.ts'

export interface ServerContexts {
  /** For everybody who asks for no name, or for one that is not there. */
  readonly main: SecureContext
  /** The context for a server name; undefined: the main one. */
  find(serverName: string): SecureContext | undefined
}

/** @throws UsageError ERR_CONFIG for a key or certificate that cannot be used */
export function clientContext(options: ResolvedTlsOptions): SecureContext {
  return make('credentials', contextOptions(options, options.credentials, 'credentials'))
}

/** @throws UsageError ERR_CONFIG naming the certificate; nothing has changed then */
export function serverContexts(
  options: ResolvedTlsOptions,
  shown: TlsServerCredentials,
  ticketKeys: Uint8Array,
): ServerContexts {
  const common = {
    ticketKeys: Buffer.from(ticketKeys),
    // With client certificates, OpenSSL resumes a session only in the context it was made for.
    sessionIdContext: 'heddle',
  }
  const main = make('credentials', {
    ...contextOptions(options, shown.credentials, 'credentials'),
    ...common,
  })
  const contexts = new Map<string, SecureContext>()
  for (const [name, credentials] of Object.entries(shown.serverNames ?? {})) {
    const what = `serverNames['${name}']`
    if (!/^(\*\.)?[^*]+$/.test(name)) {
      throw new UsageError('ERR_CONFIG', `${what}: a wildcard stands for the whole first label`)
    }
    const context = make(what, { ...contextOptions(options, credentials, what), ...common })
    contexts.set(name.toLowerCase(), context)
  }
  return {
    main,
    find(serverName) {
      const name = serverName.toLowerCase()
      return contexts.get(name) ?? contexts.get(name.replace(/^[^.]+/, '*'))
    },
  }
}

function contextOptions(
  options: ResolvedTlsOptions,
  credentials: TlsCredentials | undefined,
  what: string,
): SecureContextOptions {
  const { minVersion, maxVersion, ciphers, ca } = options
  if (credentials !== undefined) checkCredentials(credentials, what)
  const authorities =
    ca === undefined || typeof ca === 'string' || ca instanceof Uint8Array ? [ca] : ca
  return {
    minVersion,
    maxVersion,
    ...(ciphers !== undefined && { ciphers }),
    ...(ca !== undefined && { ca: authorities.map((each) => pem(each ?? '')) }),
    ...(credentials !== undefined && {
      cert: pem(credentials.certificate),
      key: pem(credentials.key),
      ...(credentials.passphrase !== undefined && { passphrase: credentials.passphrase }),
    }),
  }
}

function checkCredentials(credentials: TlsCredentials, what: string): void {
  const { certificate, key, passphrase } = credentials
  let leaf: X509Certificate
  let privateKey: KeyObject
  try {
    leaf = new X509Certificate(pem(certificate))
  } catch (cause) {
    throw unusable(`${what}: the certificate cannot be read`, cause)
  }
  try {
    privateKey = createPrivateKey({
      key: pem(key),
      ...(passphrase !== undefined && { passphrase }),
    })
  } catch (cause) {
    throw unusable(`${what}: the private key cannot be read`, cause)
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw unusable(`${what}: the key does not belong to the certificate of ${leaf.subject}`)
  }
}

function make(what: string, options: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(options)
  } catch (cause) {
    throw unusable(`${what}: OpenSSL refuses it`, cause)
  }
}

function unusable(text: string, cause?: unknown): UsageError {
  const why = cause === undefined ? '' : `: ${toError(cause).message}`
  return new UsageError('ERR_CONFIG', `${text}${why}`, { cause })
}

function pem(text: string | Uint8Array): string | Buffer {
  return typeof text === 'string' ? text : Buffer.from(text)
}
