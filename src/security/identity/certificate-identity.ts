/**
 * Who a client certificate names. The chain was verified by TLS; this only reads the names, in the
 * order that the server trusts them.
 *
 * | source        | principal's id |
 * |---------------|----------------|
 * | `spiffe`      | the SPIFFE ID: the certificate has exactly one URI, and its trust domain is allowed |
 * | `uri`, `dns`, `email` | the first name of that kind in the subject's alternative names |
 * | `common-name` | the subject's CN, if it has exactly one |
 * | `fingerprint` | SHA-256 of the certificate, lower-case hex without colons |
 */
import { X509Certificate } from 'node:crypto'
import type { LoginOutcome } from '../../core/access.ts'
import type { TlsFacts } from '../../core/connection.ts'
import { UsageError } from '../../core/errors.ts'

export type CertificateNameSource =
  | 'spiffe'
  | 'uri'
  | 'dns'
  | 'email'
  | 'common-name'
  | 'fingerprint'

export interface CertificateIdentityOptions {
  /**
   * Where the name is looked for; the first that is there counts.
   *
   * @default ['spiffe', 'dns', 'email', 'common-name']
   */
  sources?: readonly CertificateNameSource[]
  /**
   * SPIFFE trust domains that are accepted; a certificate with an ID of another is refused, whatever
   * other names it has.
   *
   * @default all that the authorities vouch for
   */
  trustDomains?: readonly string[]
  /** Roles of names; a name that is not there has none. @default none */
  roles?: Readonly<Record<string, readonly string[]>>
  /** Refuses names that `roles` does not have. @default false */
  knownOnly?: boolean
}

export interface CertificateNames {
  readonly uri: readonly string[]
  readonly dns: readonly string[]
  readonly email: readonly string[]
  readonly ip: readonly string[]
  readonly commonName: string | undefined
}

export class CertificateIdentity {
  readonly #sources: readonly CertificateNameSource[]
  readonly #trustDomains: ReadonlySet<string> | undefined
  readonly #roles: ReadonlyMap<string, readonly string[]>
  readonly #knownOnly: boolean
  /** One reading for each connection, not for each of its requests. */
  readonly #outcomes = new WeakMap<TlsFacts, LoginOutcome>()

  constructor(options: CertificateIdentityOptions = {}) {
    const { sources = DEFAULT_SOURCES, trustDomains, roles = {}, knownOnly = false } = options
    if (sources.length === 0) throw new UsageError('ERR_ARGUMENT', 'sources is empty')
    this.#sources = sources
    this.#trustDomains = trustDomains === undefined ? undefined : new Set(trustDomains)
    this.#roles = new Map(Object.entries(roles))
    this.#knownOnly = knownOnly
  }

  /** Undefined: the peer showed no certificate that TLS has verified. */
  identify(tls: TlsFacts | undefined): LoginOutcome | undefined {
    if (tls?.authorized !== true) return undefined
    let outcome = this.#outcomes.get(tls)
    if (outcome === undefined) {
      const certificate = tls.peerCertificate()
      if (certificate === undefined) return undefined
      outcome = this.#read(certificate.raw)
      this.#outcomes.set(tls, outcome)
    }
    return outcome
  }

  #read(raw: Uint8Array): LoginOutcome {
    let certificate: X509Certificate
    try {
      certificate = new X509Certificate(raw)
    } catch {
      return { outcome: 'refused', reason: 'the certificate cannot be read' }
    }
    const names = readNames(certificate)
    if (names === undefined) {
      return { outcome: 'refused', reason: 'the certificate’s alternative names cannot be read' }
    }
    const foreign = names.uri.find((uri) => this.#isForeign(uri))
    if (foreign !== undefined) {
      return { outcome: 'refused', reason: `the trust domain of ${foreign} is not accepted` }
    }
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
    for (const source of this.#sources) {
      const id = this.#nameFrom(source, names, fingerprint)
      if (id === undefined) continue
      return this.#accept(id, source, names, fingerprint)
    }
    const reason = `the certificate has no name of ${this.#sources.join(', ')} that is accepted`
    return { outcome: 'refused', reason }
  }

  /** Whoever belongs to another trust domain does not come in by a second name. */
  #isForeign(uri: string): boolean {
    if (this.#trustDomains === undefined || !uri.toLowerCase().startsWith('spiffe:')) return false
    const domain = spiffeTrustDomain(uri)
    return domain === undefined || !this.#trustDomains.has(domain)
  }

  #accept(
    id: string,
    source: CertificateNameSource,
    names: CertificateNames,
    fingerprint: string,
  ): LoginOutcome {
    const roles = this.#roles.get(id)
    if (roles === undefined && this.#knownOnly) {
      return { outcome: 'refused', reason: `the certificate’s name ${id} is not known here` }
    }
    const attributes = Object.freeze({ ...names, source, fingerprint })
    const principal = Object.freeze({ id, method: 'mtls', roles: roles ?? [], attributes })
    return { outcome: 'accepted', principal }
  }

  #nameFrom(
    source: CertificateNameSource,
    names: CertificateNames,
    fingerprint: string,
  ): string | undefined {
    switch (source) {
      case 'spiffe': {
        const id = names.uri.length === 1 ? names.uri[0] : undefined
        return id === undefined || spiffeTrustDomain(id) === undefined ? undefined : id
      }
      case 'common-name':
        return names.commonName
      case 'fingerprint':
        return fingerprint
      default:
        return names[source][0]
    }
  }
}

/**
 * The trust domain of a SPIFFE ID, undefined for what is none
 * (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md).
 */
export function spiffeTrustDomain(id: string): string | undefined {
  if (id.length > 2_048) return undefined
  const match = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/.exec(id)
  if (match === null) return undefined
  const segments = (match[2] as string).split('/')
  return segments.some((segment) => segment === '.' || segment === '..') ? undefined : match[1]
}

/** @returns undefined when they have no one meaning */
export function readNames(
  certificate: Pick<X509Certificate, 'subject' | 'subjectAltName'>,
): CertificateNames | undefined {
  const entries = parseAltNames(certificate.subjectAltName ?? '')
  if (entries === undefined) return undefined
  const of = (type: string): readonly string[] =>
    entries.filter(([name]) => name === type).map(([, value]) => value)
  // Node gives one attribute a line, and escapes line feeds in values.
  const common = certificate.subject.split('\n').filter((line) => line.startsWith('CN='))
  return {
    uri: of('URI'),
    dns: of('DNS'),
    email: of('email'),
    ip: of('IP Address'),
    commonName: common.length === 1 ? common[0]?.slice(3) : undefined,
  }
}

/**
 * `DNS:a.example, URI:"spiffe://a/b, c"`: Node writes a value in quotes, as JSON, when it holds
 * anything that could be taken for the end of it (CVE-2021-44532).
 */
function parseAltNames(text: string): [string, string][] | undefined {
  const entries: [string, string][] = []
  let at = 0
  while (at < text.length) {
    const colon = text.indexOf(':', at)
    if (colon < 0) return undefined
    const type = text.slice(at, colon)
    const quoted = text[colon + 1] === '"'
    const end = quoted ? endOfQuoted(text, colon + 1) : endOfPlain(text, colon + 1)
    if (end === undefined) return undefined
    const raw = text.slice(colon + 1, end)
    try {
      entries.push([type, quoted ? String(JSON.parse(raw)) : raw])
    } catch {
      return undefined
    }
    if (end === text.length) break
    if (!text.startsWith(', ', end)) return undefined
    at = end + 2
  }
  return entries
}

function endOfPlain(text: string, from: number): number {
  const comma = text.indexOf(', ', from)
  return comma < 0 ? text.length : comma
}

function endOfQuoted(text: string, from: number): number | undefined {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return undefined
}

const DEFAULT_SOURCES: readonly CertificateNameSource[] = Object.freeze([
  'spiffe',
  'dns',
  'email',
  'common-name',
])
