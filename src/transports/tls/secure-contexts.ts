/**
 * OpenSSL contexts from options: one for a client; for a server one for everybody and one for each
 * server name. What is wrong with a key or certificate is said in words before OpenSSL sees it.
 */
import { createHash } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { toError, UsageError } from '../../core/errors.ts'
import { reveal } from '../../core/secret.ts'
import { type CertificateInfo, checkCredentials } from './certificate-check.ts'
import { type TicketKeySource, useTicketKeys } from './ticket-keys.ts'
import type { ResolvedTlsOptions, TlsCredentials, TlsServerCredentials } from './tls-options.ts'

export interface ServerContexts {
  /** For everybody who asks for no name, or for one that is not there. */
  readonly main: SecureContext
  /** The context for a server name; undefined: the main one. */
  find(serverName: string): SecureContext | undefined
  /** What is shown, each certificate once. */
  readonly certificates: readonly CertificateInfo[]
}

/** @throws UsageError ERR_CONFIG for a key or certificate that cannot be used */
export function clientContext(options: ResolvedTlsOptions): SecureContext {
  const { credentials } = options
  const what = credentials?.name ?? 'credentials'
  if (credentials !== undefined) checkCredentials(credentials, what)
  return make(what, contextOptions(options, credentials))
}

/** @throws UsageError ERR_CONFIG naming the certificate; nothing has changed then */
export function serverContexts(
  options: ResolvedTlsOptions,
  shown: TlsServerCredentials,
  ticketKeys: TicketKeySource,
): ServerContexts {
  const certificates = new Map<string, CertificateInfo>()
  const sessionIdContext = sessionContext(options)
  const build = (credentials: TlsCredentials, what: string): SecureContext => {
    const name = credentials.name ?? what
    const info = checkCredentials(credentials, name)
    certificates.set(info.fingerprint256, info)
    const context = make(name, {
      ...contextOptions(options, credentials),
      sessionIdContext,
    })
    useTicketKeys(context, ticketKeys)
    return context
  }
  const main = build(shown.credentials, 'credentials')
  const contexts = new Map<string, SecureContext>()
  for (const [name, credentials] of Object.entries(shown.serverNames ?? {})) {
    const what = `serverNames['${name}']`
    if (name.includes('*') && !/^\*\.[^*]+$/.test(name)) {
      throw new UsageError('ERR_CONFIG', `${what}: a wildcard stands for the whole first label`)
    }
    contexts.set(name.toLowerCase(), build(credentials, what))
  }
  return {
    main,
    find(serverName) {
      const name = serverName.toLowerCase()
      return contexts.get(name) ?? contexts.get(name.replace(/^[^.]+/, '*'))
    },
    certificates: [...certificates.values()],
  }
}

/**
 * With client certificates, OpenSSL resumes a session only in the context it was made for. What
 * decides about clients is part of its name: who was let in by other authorities, or before a
 * revocation, is looked at anew.
 */
function sessionContext({ clientCertificates, ca, crl }: ResolvedTlsOptions): string {
  const hash = createHash('sha256').update(clientCertificates)
  for (const each of [...listOf(ca), 'crl', ...listOf(crl)]) hash.update('\0').update(each)
  return hash.digest('hex').slice(0, MAX_SESSION_CONTEXT)
}

function contextOptions(
  options: ResolvedTlsOptions,
  credentials: TlsCredentials | undefined,
): SecureContextOptions {
  const { minVersion, maxVersion, ciphers, ca, crl } = options
  return {
    minVersion,
    maxVersion,
    ...(ciphers !== undefined && { ciphers }),
    ...(ca !== undefined && { ca: listOf(ca).map(pem) }),
    ...(crl !== undefined && { crl: listOf(crl).map(pem) }),
    ...(credentials !== undefined && {
      cert: pem(credentials.certificate),
      key: pem(credentials.key),
      ...(credentials.passphrase !== undefined && { passphrase: reveal(credentials.passphrase) }),
    }),
  }
}

function make(what: string, options: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(options)
  } catch (cause) {
    throw new UsageError('ERR_CONFIG', `${what}: OpenSSL refuses it: ${toError(cause).message}`, {
      cause,
    })
  }
}

type Pem = string | Uint8Array

function listOf(pems: Pem | readonly Pem[] | undefined): readonly Pem[] {
  if (pems === undefined) return []
  return typeof pems === 'string' || pems instanceof Uint8Array ? [pems] : pems
}

function pem(text: Pem): string | Buffer {
  return typeof text === 'string' ? text : Buffer.from(text)
}

/** OpenSSL's limit is 32 bytes. */
const MAX_SESSION_CONTEXT = 32
