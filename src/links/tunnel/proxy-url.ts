/**
 * Proxies as users name them: URLs, and the variables that curl made a convention.
 *
 * | URL                       | way |
 * |---------------------------|-----|
 * | `http://user:pw@host:3128`  | CONNECT, over TCP |
 * | `https://host`              | CONNECT, over TLS to the proxy |
 * | `socks5://`, `socks5h://`   | SOCKS 5; names are always resolved by the proxy |
 * | `socks4://`, `socks4a://`   | SOCKS 4a |
 */
import { type Address, ip } from '../../core/address.ts'
import { UsageError } from '../../core/errors.ts'
import { parseIpv4, parseIpv6 } from '../../core/ip-text.ts'
import { environmentVariable } from '../../platform/process-access.ts'

export interface ProxyTarget {
  readonly kind: 'http' | 'https' | 'socks4' | 'socks5'
  readonly address: Address
  /** Host of the proxy, for its certificate. */
  readonly host: string
  readonly username: string | undefined
  readonly password: string | undefined
}

/**
 * @param url without a scheme it is an HTTP proxy, as curl takes it
 * @throws UsageError ERR_ADDRESS_INVALID; the message never holds the credentials
 */
export function parseProxyUrl(url: string | URL): ProxyTarget {
  const text = String(url)
  const parsed = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (parsed === null || parsed.hostname === '') {
    throw new UsageError('ERR_ADDRESS_INVALID', 'the proxy URL cannot be understood')
  }
  const scheme = parsed.protocol.slice(0, -1)
  const known = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined
  if (known === undefined) {
    const message = `proxy scheme ${scheme} is not one of ${Object.keys(SCHEMES).join(', ')}`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  // `http://host:80` loses its port in a URL: 80 was meant, 1080 is curl's default otherwise.
  const stated = /:(\d+)\/?$/.exec(text)?.[1]
  const port = parsed.port === '' ? Number(stated ?? known.port) : Number(parsed.port)
  return {
    kind: known.kind,
    address: ip(host, port),
    host,
    username: decode(parsed.username),
    password: decode(parsed.password),
  }
}

/** Reads a variable. */
export type Environment = (name: string) => string | undefined

/**
 * The proxy that the environment names for a URL: `http_proxy`, `https_proxy`, `all_proxy`, less
 * what `no_proxy` excludes. Lower case comes before upper case. `HTTP_PROXY` in upper case is not
 * believed in a CGI program, where a client's `Proxy:` field can set it (httpoxy, CVE-2016-5385).
 */
export function proxyFromEnvironment(
  url: URL,
  environment: Environment = environmentVariable,
): string | undefined {
  const value = (name: string): string | undefined => {
    const upper = name.toUpperCase()
    const trusted = upper !== 'HTTP_PROXY' || environment('REQUEST_METHOD') === undefined
    return environment(name) ?? (trusted ? environment(upper) : undefined)
  }
  const scheme = url.protocol.slice(0, -1)
  const proxy = value(`${scheme}_proxy`) ?? value('all_proxy')
  if (proxy === undefined || proxy.trim() === '') return undefined
  return isExcluded(url, value('no_proxy') ?? '') ? undefined : proxy.trim()
}

/**
 * Whether `no_proxy` names the host: `*`; a name with everything below it, with or without a leading
 * dot; an address; a network such as `10.0.0.0/8`; each with a port or without.
 */
export function isExcluded(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  const port = url.port || DEFAULT_PORTS[url.protocol] || ''
  for (const entry of noProxy.toLowerCase().split(/[\s,]+/)) {
    if (entry === '') continue
    if (entry === '*') return true
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(entry)
    if (match?.[3] !== undefined && match[3] !== port) continue
    if (covers(match?.[1] ?? match?.[2] ?? entry, host)) return true
  }
  return false
}

function covers(pattern: string, host: string): boolean {
  const [network = '', bits] = pattern.split('/')
  const address = parseIpv4(host) ?? parseIpv6(host)
  const base = parseIpv4(network) ?? parseIpv6(network)
  if (address !== undefined) {
    if (base === undefined || base.length !== address.length) return false
    const whole = base.length * 8
    const length = bits === undefined ? whole : Number(bits)
    if (!Number.isInteger(length) || length < 0 || length > whole) return false
    return sharesBits(address, base, length)
  }
  const name = pattern.replace(/^\*?\./, '').replace(/\.$/, '')
  return name !== '' && (host === name || host.endsWith(`.${name}`))
}

function sharesBits(a: Uint8Array, b: Uint8Array, count: number): boolean {
  for (let bit = 0; bit < count; bit += 8) {
    const unused = Math.max(0, bit + 8 - count)
    if (((a[bit / 8] as number) ^ (b[bit / 8] as number)) >> unused !== 0) return false
  }
  return true
}

function decode(text: string): string | undefined {
  if (text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    // A bare `%` in a password: what was typed is what was meant.
    return text
  }
}

const SCHEMES: Readonly<Record<string, { kind: ProxyTarget['kind']; port: number }>> =
  Object.freeze({
    http: { kind: 'http', port: 1080 },
    https: { kind: 'https', port: 443 },
    socks5: { kind: 'socks5', port: 1080 },
    socks5h: { kind: 'socks5', port: 1080 },
    socks4: { kind: 'socks4', port: 1080 },
    socks4a: { kind: 'socks4', port: 1080 },
  })
const DEFAULT_PORTS: Readonly<Record<string, string>> = Object.freeze({
  'http:': '80',
  'https:': '443',
})
