/**
 * URLs that say how as well as where: what a configuration file or a command line names.
 *
 *     tcp://db.example:5432        tls://[2001:db8::1]:443?alpn=h2&sni=a.example
 *     unix:/run/app.sock           unix-abstract:app         mem:app
 *     udp://239.1.1.1:5000         quic://h:443?alpn=olocus%2F1
 *     wss://h/chat?room=1#sni=a    ws+unix:/run/app.sock:/chat
 *     webrtc:wss://h/signalling    io_uring+tcp://h:80       vsock://3:80
 *
 * Options stand in the query; with WebSocket, whose query is the server's, behind `#`, where its URLs
 * have nothing (RFC 6455, section 3). multiaddr-url.ts has the other form, and reads both.
 */
import {
  type Address,
  formatAddress,
  type IpAddress,
  memory,
  parseAddress,
  unix,
} from './address.ts'
import { UsageError } from './errors.ts'
import { redactUrl } from './secret.ts'

export interface TransportUrl {
  /** `tcp`, `tls`, `udp`, `quic`, `ws`, `wss`, `unix`, `memory`, `webrtc`, … */
  readonly transport: string
  readonly address: Address
  /** Which implementation of the transport, where there are several: `io_uring`. */
  readonly backend: string | undefined
  /** WebSocket: path and query, `/` at least. */
  readonly resource: string | undefined
  /** By name: `alpn`, `sni`, `family`, `certhash`, `p2p`, or a transport's own. */
  readonly options: Readonly<Record<string, string>>
}

/** @throws UsageError ERR_ADDRESS_INVALID, saying what was expected */
export function parseTransportUrl(text: string): TransportUrl {
  const match = /^(?:([a-z][a-z0-9_]*)\+(?=tcp:|tls:|udp:))?([a-z][a-z0-9+.-]*):(.*)$/is.exec(text)
  if (match === null) throw invalid(text, 'a URL, as in tcp://host:port or unix:/path')
  const [, prefix, scheme, rest] = match as unknown as [string, string | undefined, string, string]
  const name = scheme.toLowerCase()
  const parsed = parseScheme(text, name, prefix, rest)
  return { ...parsed, options: Object.freeze(parsed.options) }
}

/** The one spelling of it: `parseTransportUrl` gives the same again. */
export function formatTransportUrl(url: TransportUrl): string {
  const { transport, address, backend, resource } = url
  const prefix = backend === undefined ? '' : `${backend}+`
  const options = formatOptions(url.options)
  const behind = (mark: string): string => (options === '' ? '' : `${mark}${options}`)
  if (resource !== undefined) {
    if (address.kind === 'unix') {
      return `${transport}+unix:${escapePath(address.path)}:${resource}${behind('#')}`
    }
    return `${transport}://${authority(address, DEFAULT_PORTS[transport])}${resource}${behind('#')}`
  }
  switch (address.kind) {
    case 'ip':
      return `${prefix}${transport}://${authority(address)}${behind('?')}`
    case 'unix': {
      const text = formatAddress(address)
      return transport === 'unix' ? `${prefix}${text}` : `unix+seqpacket${text.slice(4)}`
    }
    case 'memory':
      return formatAddress(address)
    case 'url':
      return address.url
  }
}

type Parsed = TransportUrl & { readonly options: Record<string, string> }

function parseScheme(
  text: string,
  scheme: string,
  backend: string | undefined,
  rest: string,
): Parsed {
  const plain = { backend, resource: undefined, options: {} }
  switch (scheme) {
    case 'unix':
    case 'unix-abstract':
      return { ...plain, transport: 'unix', address: parseAddress(`${scheme}:${rest}`) }
    case 'unix+seqpacket':
      return { ...plain, transport: 'unix-seqpacket', address: parseAddress(`unix:${rest}`) }
    case 'mem':
      return { ...plain, transport: 'memory', address: memory(nonEmpty(text, rest, 'a name')) }
    case 'ws+unix':
    case 'wss+unix':
      return parseWebSocketOverUnix(text, scheme.slice(0, -5), rest)
    // Whole URLs of their transports: of a peer (`webrtc://name`), of signalling (`webrtc:wss://h/`).
    case 'webrtc':
    case 'shm':
    case 'dnsaddr': {
      nonEmpty(text, rest, 'a name')
      return { ...plain, transport: scheme, address: { kind: 'url', url: `${scheme}:${rest}` } }
    }
  }
  if (!rest.startsWith('//')) throw invalid(text, 'a URL, as in tcp://host:port or unix:/path')
  if (scheme === 'ws' || scheme === 'wss') return parseWebSocket(text, scheme, rest.slice(2))
  if (!IP_TRANSPORTS.has(scheme)) {
    return { ...plain, transport: scheme, address: { kind: 'url', url: `${scheme}:${rest}` } }
  }
  const [host, query] = splitAt(rest.slice(2), '?')
  const address = parseAuthority(text, host.replace(/\/$/, ''), undefined)
  return { ...plain, transport: scheme, address, options: parseOptions(text, query) }
}

function parseWebSocket(text: string, transport: string, rest: string): Parsed {
  const [target, fragment] = splitAt(rest, '#')
  const end = target.search(/[/?]/)
  const host = end < 0 ? target : target.slice(0, end)
  const resource = end < 0 ? '/' : target.slice(end)
  const address = parseAuthority(text, host, DEFAULT_PORTS[transport])
  return {
    transport,
    address,
    backend: undefined,
    resource: checkResource(text, resource.startsWith('/') ? resource : `/${resource}`),
    options: parseOptions(text, fragment),
  }
}

/** As the npm package `ws` has it: the path ends at the first colon. */
function parseWebSocketOverUnix(text: string, transport: string, rest: string): Parsed {
  const [target, fragment] = splitAt(rest, '#')
  const [path, resource] = splitAt(target.replace(/^\/\/(?=\/)/, ''), ':')
  nonEmpty(text, path, 'a path')
  return {
    transport,
    address: unix(path.replace(/%(3a|25|23)/gi, (code) => decodeURIComponent(code))),
    backend: undefined,
    resource: checkResource(text, resource === '' ? '/' : resource),
    options: parseOptions(text, fragment),
  }
}

function parseAuthority(text: string, host: string, defaultPort: number | undefined): IpAddress {
  // A credential in an address ends up in logs; options and headers are the place for it.
  if (host.includes('@')) throw invalid(text, 'no user name in front of the host')
  if (host === '' || host.startsWith(':')) throw invalid(text, 'a host')
  // RFC 6874: the zone of an IPv6 address stands behind an escaped percent sign.
  const plain = host.replace(/%25/, '%')
  if (/[?#%]/.test(plain.replace(/%(?=[^\]]*\])/, ''))) throw invalid(text, 'a host and a port')
  const address = parseAddress(plain, defaultPort)
  if (address.kind !== 'ip') throw invalid(text, 'a host and a port')
  return address
}

function authority(address: Address, defaultPort?: number): string {
  if (address.kind !== 'ip') {
    throw new UsageError('ERR_ADDRESS_INVALID', `${formatAddress(address)} is no host and port`)
  }
  const text = formatAddress(address).replace('%', '%25')
  return address.port === defaultPort ? text.slice(0, text.lastIndexOf(':')) : text
}

function parseOptions(text: string, query: string): Record<string, string> {
  const options: Record<string, string> = Object.create(null)
  if (query === '') return { ...options }
  for (const pair of query.split('&')) {
    const [name, value] = splitAt(pair, '=')
    if (!pair.includes('=') || !OPTION_NAME.test(name))
      throw invalid(text, 'options as name=value, separated by &')
    if (name in options) throw invalid(text, `${name} once`)
    try {
      options[name] = decodeURIComponent(value)
    } catch {
      throw invalid(text, `percent-encoded UTF-8 for ${name}`)
    }
  }
  return { ...options }
}

function formatOptions(options: Readonly<Record<string, string>>): string {
  const names = Object.keys(options).sort()
  const escaped = (value: string): string => encodeURIComponent(value).replaceAll('%2C', ',')
  return names.map((name) => `${name}=${escaped(options[name] as string)}`).join('&')
}

function checkResource(text: string, resource: string): string {
  if (!/^\/[!-"$-~]*$/.test(resource)) throw invalid(text, 'a path of visible ASCII characters')
  return resource
}

function escapePath(path: string): string {
  return path.replace(/[%:#]/g, (character) => encodeURIComponent(character))
}

function nonEmpty(text: string, value: string, expected: string): string {
  if (value === '') throw invalid(text, expected)
  return value
}

/** Before and after the first `mark`; without one, all of it is before. */
function splitAt(text: string, mark: string): readonly [before: string, after: string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)]
}

function invalid(text: string, expected: string): UsageError {
  return new UsageError('ERR_ADDRESS_INVALID', `'${redactUrl(text)}': expected ${expected}`)
}

const IP_TRANSPORTS: ReadonlySet<string> = new Set([
  'tcp',
  'tls',
  'udp',
  'quic',
  'webtransport',
  'webrtc-direct',
])
const DEFAULT_PORTS: Readonly<Record<string, number | undefined>> = { ws: 80, wss: 443 }
const OPTION_NAME = /^[a-zA-Z][a-zA-Z0-9_-]*$/
