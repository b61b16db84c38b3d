/**
 * Where something listens or is reached, independent of how.
 *
 * An address says only *where*: `tcp` and `tls` share the `ip` kind, because TLS over TCP lives at
 * a host and a port as well. Text forms are in CONVENTIONS: `tcp://h:p`, `unix:/path`, `mem:name`.
 */
import { UsageError } from './errors.ts'
import { redactUrl } from './secret.ts'

/** A host name, IPv4 or IPv6 address (without brackets, with an optional `%zone`) and a port. */
export interface IpAddress {
  readonly kind: 'ip'
  readonly host: string
  readonly port: number
}
/** A Unix domain socket: a path, or a Linux abstract name. */
export interface UnixAddress {
  readonly kind: 'unix'
  readonly path: string
  /** Abstract names have no file and vanish with their last user (Linux). @default false */
  readonly abstract?: boolean
}
/** A name inside one process. */
export interface MemoryAddress {
  readonly kind: 'memory'
  readonly name: string
}
/** Anything a custom transport understands, as its URL. */
export interface UrlAddress {
  readonly kind: 'url'
  readonly url: string
}
export type Address = IpAddress | UnixAddress | MemoryAddress | UrlAddress

export const ip = (host: string, port: number): IpAddress => ({ kind: 'ip', host, port })
export const unix = (path: string): UnixAddress => ({ kind: 'unix', path })
export const memory = (name: string): MemoryAddress => ({ kind: 'memory', name })

/** `127.0.0.1:80`, `[::1]:80`, `unix:/path`, `unix-abstract:name`, `mem:name`; for people and logs. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'ip':
      return `${bracketHost(address.host)}:${address.port}`
    case 'unix':
      if (address.abstract) return `unix-abstract:${address.path}`
      // `unix:///run/x` is read as `/run/x`, so a path that begins so needs two more.
      return `unix:${address.path.startsWith('///') ? '//' : ''}${address.path}`
    case 'memory':
      return `mem:${address.name}`
    case 'url':
      return redactUrl(address.url)
  }
}

/** A host as it stands in a URL: IPv6 in brackets. */
export function bracketHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/**
 * Reads `host:port`, `[v6%zone]:port`, `:port`, `tcp://…`, `tls://…`, `unix:/path`,
 * `unix-abstract:name`, `mem:name`.
 *
 * @throws UsageError ERR_ADDRESS_INVALID, saying what was expected
 */
export function parseAddress(text: string, defaultPort?: number): Address {
  if (text.startsWith('unix-abstract:')) {
    return { kind: 'unix', path: nonEmpty(text, text.slice(14)), abstract: true }
  }
  if (text.startsWith('unix:')) {
    const path = text.slice(5).replace(/^\/\/(?=\/)/, '')
    return unix(nonEmpty(text, path))
  }
  if (text.startsWith('mem:')) return memory(nonEmpty(text, text.slice(4)))
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme === null) return parseHostPort(text, text, defaultPort)
  if (!IP_SCHEMES.has(scheme[1]!.toLowerCase())) return { kind: 'url', url: text }
  // In a URL the zone of an IPv6 address stands behind an escaped percent sign (RFC 6874).
  const authority = text.slice(scheme[0].length).replace(/\/$/, '').replace('%25', '%')
  return parseHostPort(text, authority, defaultPort)
}

function parseHostPort(whole: string, text: string, defaultPort: number | undefined): IpAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]*))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) throw invalid(whole, 'host:port, with an IPv6 host in brackets')
  const host = match[1] ?? match[2] ?? ''
  const port = match[3] === undefined ? defaultPort : Number(match[3])
  if (port === undefined) throw invalid(whole, 'a port')
  if (port > 65_535) throw invalid(whole, 'a port of 0 to 65535')
  return ip(host === '' ? '127.0.0.1' : host, port)
}

function nonEmpty(whole: string, value: string): string {
  if (value === '') throw invalid(whole, 'a name after the colon')
  return value
}

function invalid(text: string, expected: string): UsageError {
  return new UsageError('ERR_ADDRESS_INVALID', `address '${redactUrl(text)}': expected ${expected}`)
}

const IP_SCHEMES: ReadonlySet<string> = new Set(['tcp', 'tls', 'udp', 'quic'])
