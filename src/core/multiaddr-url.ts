/**
 * Between multiaddrs and transport URLs. Nothing is left out on the way: what the other form has no
 * place for is refused, and named.
 *
 *     /ip6zone/eth0/ip6/fe80::1/udp/53                udp://[fe80::1%25eth0]:53
 *     /dns4/h/tcp/443/tls/sni/a/ws/http-path/chat     wss://h/chat#family=4&sni=a
 *     /ip4/192.0.2.1/udp/443/quic-v1/p2p/12D3…        quic://192.0.2.1:443?p2p=12D3…
 *
 * One thing has two spellings in multiaddrs: `/tls/ws` and the older `/wss`, which is read and
 * written as the former.
 */
import { type Address, formatAddress, ip, memory, unix } from './address.ts'
import { UsageError } from './errors.ts'
import { parseIpv4, parseIpv6 } from './ip-text.ts'
import {
  formatMultiaddr,
  type Multiaddr,
  type MultiaddrComponent,
  parseMultiaddr,
} from './multiaddr.ts'
import { parseTransportUrl, type TransportUrl } from './transport-url.ts'

/**
 * Either form: a multiaddr begins with `/`, a URL does not.
 *
 * @throws UsageError ERR_ADDRESS_INVALID, saying what was expected
 */
export function readTransportUrl(text: string): TransportUrl {
  return text.startsWith('/') ? fromMultiaddr(parseMultiaddr(text)) : parseTransportUrl(text)
}

/** @throws UsageError ERR_ADDRESS_INVALID for layers that no transport URL can express */
export function fromMultiaddr(multiaddr: Multiaddr): TransportUrl {
  return new Reading(multiaddr).read()
}

/** @throws UsageError ERR_ADDRESS_INVALID for what a multiaddr has no place for */
export function toMultiaddr(url: TransportUrl): Multiaddr {
  const components = [...location(url), ...layers(url)]
  const { options, backend, transport } = url
  const taken = new Set(TAKEN[transport])
  if (backend !== undefined) throw noPlace(url, `the backend ${backend}`)
  for (const name of Object.keys(options)) {
    const isFamily = name === 'family' && components[0]?.name.startsWith('dns') === true
    if (name !== 'p2p' && !taken.has(name) && !isFamily) throw noPlace(url, `the option ${name}`)
  }
  if (options['p2p'] !== undefined) components.push(component('p2p', options['p2p']))
  // By way of the text, so that values are checked and have their usual spelling.
  formatMultiaddr(components)
  return Object.freeze(components)
}

/** Reads components from the left, each at most once. */
class Reading {
  readonly #whole: Multiaddr
  readonly #options: Record<string, string> = {}
  #at = 0

  constructor(whole: Multiaddr) {
    this.#whole = whole
  }

  read(): TransportUrl {
    const address = this.#location()
    const found = this.#transport(address)
    const peer = this.#take('p2p')
    if (peer !== undefined) this.#options['p2p'] = peer
    const left = this.#whole[this.#at]
    if (left !== undefined)
      throw this.#refuse(`no transport URL has a place for ${left.name} there`)
    return {
      backend: undefined,
      resource: undefined,
      ...found,
      options: Object.freeze(this.#options),
    }
  }

  #location(): Address | string {
    const zone = this.#take('ip6zone')
    const six = this.#take('ip6')
    if (six !== undefined) return zone === undefined ? six : `${six}%${zone}`
    if (zone !== undefined) throw this.#refuse('ip6zone belongs in front of ip6')
    const four = this.#take('ip4')
    if (four !== undefined) return four
    for (const name of ['dns', 'dns4', 'dns6'] as const) {
      const host = this.#take(name)
      if (host === undefined) continue
      if (parseIpv4(host) !== undefined || parseIpv6(host) !== undefined || !isHost(host)) {
        throw this.#refuse(`${name} with '${host}', which is no name`)
      }
      if (name !== 'dns') this.#options['family'] = name.slice(3)
      return host
    }
    const path = this.#take('unix')
    if (path !== undefined) return unix(path)
    const name = this.#take('memory')
    if (name !== undefined) return memory(name)
    const domain = this.#take('dnsaddr')
    if (domain !== undefined) return { kind: 'url', url: `dnsaddr:${domain}` }
    const first = this.#whole[0]?.name ?? 'nothing'
    throw this.#refuse(`an address begins with a host, a path or a name, and ${first} stands there`)
  }

  #transport(at: Address | string): Pick<TransportUrl, 'transport' | 'address'> & {
    readonly resource?: string
  } {
    if (typeof at !== 'string') {
      if (at.kind === 'unix' && this.#has('ws')) return { address: at, ...this.#webSocket('ws') }
      const transport = at.kind === 'url' ? 'dnsaddr' : at.kind
      return { transport, address: at }
    }
    const tcp = this.#take('tcp')
    if (tcp !== undefined) {
      const address = ip(at, Number(tcp))
      const secure = this.#has('tls')
      const serverName = secure ? this.#take('sni') : undefined
      if (serverName !== undefined) this.#options['sni'] = serverName
      if (this.#has('ws')) return { address, ...this.#webSocket(secure ? 'wss' : 'ws') }
      if (!secure && this.#has('wss')) return { address, ...this.#webSocket('wss') }
      return { transport: secure ? 'tls' : 'tcp', address }
    }
    const udp = this.#take('udp')
    if (udp === undefined) throw this.#refuse('tcp or udp is missing')
    const address = ip(at, Number(udp))
    return { address, transport: this.#overUdp() }
  }

  #webSocket(transport: string): { readonly transport: string; readonly resource: string } {
    const resource = `/${this.#take('http-path') ?? ''}`
    if (!/^\/[!-"$-~]*$/.test(resource)) {
      throw this.#refuse('the path of a WebSocket has visible ASCII characters only')
    }
    return { transport, resource }
  }

  #overUdp(): string {
    let transport = 'udp'
    if (this.#has('quic-v1')) transport = this.#has('webtransport') ? 'webtransport' : 'quic'
    else if (this.#has('webrtc-direct')) transport = 'webrtc-direct'
    const hashes: string[] = []
    for (;;) {
      const hash = transport === 'udp' ? undefined : this.#take('certhash')
      if (hash === undefined) break
      hashes.push(hash)
    }
    if (hashes.length > 0) this.#options['certhash'] = hashes.join(',')
    return transport
  }

  #take(name: string): string | undefined {
    const next = this.#whole[this.#at]
    if (next?.name !== name) return undefined
    this.#at += 1
    return next.value ?? ''
  }

  #has(name: string): boolean {
    return this.#take(name) !== undefined
  }

  #refuse(why: string): UsageError {
    const message = `${formatMultiaddr(this.#whole)}: ${why}`
    return new UsageError('ERR_ADDRESS_INVALID', message)
  }
}

function location(url: TransportUrl): MultiaddrComponent[] {
  const { address, transport, options } = url
  switch (address.kind) {
    case 'ip':
      return hostComponents(address.host, options['family'])
    case 'unix':
      if (address.abstract || transport === 'unix-seqpacket') break
      return [component('unix', address.path)]
    case 'memory':
      return [component('memory', address.name)]
    case 'url':
      if (transport === 'dnsaddr') return [component('dnsaddr', address.url.slice(8))]
  }
  throw noPlace(url, formatAddress(address))
}

function hostComponents(host: string, family: string | undefined): MultiaddrComponent[] {
  const [address = '', zone] = host.split('%')
  if (parseIpv4(host) !== undefined) return [component('ip4', host)]
  if (parseIpv6(address) !== undefined) {
    const six = component('ip6', address)
    return zone === undefined ? [six] : [component('ip6zone', zone), six]
  }
  return [component(family === '4' || family === '6' ? `dns${family}` : 'dns', host)]
}

function layers(url: TransportUrl): MultiaddrComponent[] {
  const { transport, address, options, resource = '/' } = url
  if (address.kind === 'memory' || address.kind === 'url') return []
  const port = address.kind === 'ip' ? String(address.port) : ''
  const tcp = address.kind === 'ip' ? [component('tcp', port)] : []
  const serverName = options['sni'] === undefined ? [] : [component('sni', options['sni'])]
  const path = resource === '/' ? [] : [component('http-path', resource.slice(1))]
  const hashes = (options['certhash']?.split(',') ?? []).map((one) => component('certhash', one))
  const udp = component('udp', port)
  switch (transport) {
    case 'unix':
      return []
    case 'tcp':
      return tcp
    case 'tls':
      return [...tcp, component('tls'), ...serverName]
    case 'ws':
      return [...tcp, component('ws'), ...path]
    case 'wss':
      if (address.kind === 'unix') break
      return [...tcp, component('tls'), ...serverName, component('ws'), ...path]
    case 'udp':
      return [udp]
    case 'quic':
      return [udp, component('quic-v1'), ...hashes]
    case 'webtransport':
      return [udp, component('quic-v1'), component('webtransport'), ...hashes]
    case 'webrtc-direct':
      return [udp, component('webrtc-direct'), ...hashes]
  }
  throw noPlace(url, `the transport ${transport}`)
}

function component(name: string, value?: string): MultiaddrComponent {
  return { name, value }
}

/** What can stand between the brackets or the slashes of a URL. */
function isHost(name: string): boolean {
  return /^[^\s:[\]/?#@%]+$/.test(name)
}

function noPlace(url: TransportUrl, what: string): UsageError {
  const at = formatAddress(url.address)
  return new UsageError('ERR_ADDRESS_INVALID', `${at}: a multiaddr has no place for ${what}`)
}

/** Options that have a component of their own. */
const TAKEN: Readonly<Record<string, readonly string[]>> = {
  tls: ['sni'],
  wss: ['sni'],
  quic: ['certhash'],
  webtransport: ['certhash'],
  'webrtc-direct': ['certhash'],
}
