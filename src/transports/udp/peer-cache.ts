/**
 * Who datagrams come from and go to, looked up without making anything: most sockets hear the same
 * few peers again and again. Direct-mapped and of fixed size, so a stranger costs one slot.
 */
import { type IpAddress, ip } from '../../core/address.ts'

export interface Peer {
  /** As the kernel spells it. */
  readonly host: string
  readonly port: number
  /** As heddle does: IPv4 in IPv6 is IPv4. The same object for as long as it is in the cache. */
  readonly address: IpAddress
  /** The source of rate limits: an IPv4 address, a /64 of IPv6. */
  readonly source: string
  /** Address and port. */
  readonly key: string
}

export class PeerCache {
  readonly #slots: (Peer | undefined)[] = new Array(SLOTS).fill(undefined)

  find(host: string, port: number): Peer {
    const slot = (port ^ (host.charCodeAt(host.length - 1) << 3)) & (SLOTS - 1)
    const cached = this.#slots[slot]
    if (cached !== undefined && cached.port === port && cached.host === host) return cached
    const peer = makePeer(host, port)
    this.#slots[slot] = peer
    return peer
  }
}

function makePeer(host: string, port: number): Peer {
  const mapped = MAPPED.exec(host)
  const plain = mapped?.[1] ?? host
  return {
    host,
    port,
    address: Object.freeze(ip(plain, port)),
    source: plain.includes(':') ? networkOf(plain) : plain,
    key: `${plain} ${port}`,
  }
}

/**
 * The first 64 bits, which is what one subscriber has at least. By text: the kernel spells every
 * address in one way only, so equal networks have equal beginnings.
 */
function networkOf(host: string): string {
  const groups = host.replace(/%.*$/, '').split(':')
  const gap = groups.indexOf('')
  if (gap >= 0) {
    const rest = groups.slice(gap + 1).filter((group) => group !== '')
    const head = groups.slice(0, gap)
    const zeros = new Array<string>(Math.max(0, 8 - head.length - rest.length)).fill('0')
    return [...head, ...zeros, ...rest].slice(0, 4).join(':')
  }
  return groups.slice(0, 4).join(':')
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
const SLOTS = 256
