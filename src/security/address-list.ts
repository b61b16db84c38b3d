/**
 * Who may connect, by address: CIDR blocks that are allowed and denied, asked before a byte is read.
 *
 *     const admitAddress = addressList({ allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] })
 *     await using server = httpServer(service, { admitAddress })
 *
 * Deny wins. Without an allow list everybody who is not denied comes in; an empty one is the same as
 * none, so a list that is filled by a program must not become empty by accident (`allow: []` says
 * nothing, `deny: ['0.0.0.0/0', '::/0']` says nobody).
 *
 * Blocks are compiled to sorted, disjoint ranges of numbers and found by bisection: 10,000 entries
 * cost about as much as ten. An IPv4 client of a dual-stack socket (`::ffff:192.0.2.1`) is the IPv4
 * client that it is; `::/0` means IPv6 only. What is no address at all is refused by any list.
 */
import ipaddr from 'ipaddr.js'
import type { Address } from '../core/address.ts'
import { AccessError, UsageError } from '../core/errors.ts'
import { parseIpv4, parseIpv6 } from '../core/ip-text.ts'

export interface AddressListOptions {
  /** Addresses and blocks: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`. @default everybody */
  allow?: readonly string[]
  /** The same; wins over `allow`. @default nobody */
  deny?: readonly string[]
}

/** What `ServerCoreOptions.admitAddress` and a listener's take. */
export type AdmitAddress = (remote: Address) => Error | undefined

/** @throws UsageError ERR_ARGUMENT naming the entry that is no address or block */
export function addressList(options: AddressListOptions): AdmitAddress {
  const list = new AddressList(options)
  return (remote) => {
    // Whoever may open a Unix socket, or a name in this process, is let in by its permissions.
    if (remote.kind !== 'ip') return undefined
    const reason = list.refusal(remote.host)
    return reason === undefined
      ? undefined
      : new AccessError('ERR_FORBIDDEN', `${remote.host} ${reason}`)
  }
}

export class AddressList {
  readonly #allow: Blocks | undefined
  readonly #deny: Blocks | undefined

  constructor({ allow = [], deny = [] }: AddressListOptions) {
    this.#allow = allow.length === 0 ? undefined : new Blocks(allow, 'allow')
    this.#deny = deny.length === 0 ? undefined : new Blocks(deny, 'deny')
  }

  /** Why the address is refused; undefined: it is not. */
  refusal(address: string): string | undefined {
    if (this.#allow === undefined && this.#deny === undefined) return undefined
    const words = wordsOf(address)
    if (words === undefined) return 'is not an address'
    if (this.#deny?.has(words) === true) return 'is on the deny list'
    if (this.#allow?.has(words) === false) return 'is not on the allow list'
    return undefined
  }
}

/** Both families, each as sorted ranges. */
class Blocks {
  readonly #v4: Ranges
  readonly #v6: Ranges

  constructor(blocks: readonly string[], option: string) {
    const v4: Range[] = []
    const v6: Range[] = []
    for (const block of blocks) {
      const range = rangeOf(block, option)
      ;(range.first.length === 1 ? v4 : v6).push(range)
    }
    this.#v4 = new Ranges(v4, 1)
    this.#v6 = new Ranges(v6, 4)
  }

  has(words: readonly number[]): boolean {
    return (words.length === 1 ? this.#v4 : this.#v6).has(words)
  }
}

/** An address as 32-bit words, most significant first: one for IPv4, four for IPv6. */
type Words = readonly number[]

interface Range {
  readonly first: Words
  readonly last: Words
}

/** Disjoint ranges in ascending order, in one typed array per end. */
class Ranges {
  readonly #width: number
  readonly #count: number
  readonly #first: Uint32Array
  readonly #last: Uint32Array

  constructor(ranges: Range[], width: number) {
    const merged: { first: Words; last: Words }[] = []
    for (const range of ranges.sort((a, b) => compare(a.first, b.first))) {
      const before = merged.at(-1)
      if (before === undefined || compare(before.last, range.first) < 0) merged.push({ ...range })
      else if (compare(before.last, range.last) < 0) before.last = range.last
    }
    this.#width = width
    this.#count = merged.length
    this.#first = Uint32Array.from(merged.flatMap(({ first }) => first))
    this.#last = Uint32Array.from(merged.flatMap(({ last }) => last))
  }

  has(words: Words): boolean {
    // The last range that does not begin after the address.
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareAt(this.#first, middle, words) <= 0) low = middle + 1
      else high = middle
    }
    return low > 0 && this.#compareAt(this.#last, low - 1, words) >= 0
  }

  #compareAt(ends: Uint32Array, index: number, words: Words): number {
    const at = index * this.#width
    for (let word = 0; word < this.#width; word++) {
      const difference = (ends[at + word] as number) - (words[word] as number)
      if (difference !== 0) return difference
    }
    return 0
  }
}

function compare(a: Words, b: Words): number {
  for (let word = 0; word < a.length; word++) {
    const difference = (a[word] as number) - (b[word] as number)
    if (difference !== 0) return difference
  }
  return 0
}

function rangeOf(block: string, option: string): Range {
  const [address, bits] = parseBlock(block, option)
  const bytes = address.toByteArray()
  const last = bytes.slice()
  for (let bit = bits; bit < bytes.length * 8; bit++) {
    const mask = 0x80 >> (bit & 7)
    bytes[bit >> 3] = (bytes[bit >> 3] as number) & ~mask
    last[bit >> 3] = (last[bit >> 3] as number) | mask
  }
  return { first: toWords(bytes), last: toWords(last) }
}

function parseBlock(block: string, option: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    const single = !block.includes('/')
    const [host = ''] = block.split('/')
    // By our own reader: the library also takes 10.1, 0x0a000001 and octal, which nobody writes on
    // purpose, and reads ::192.0.2.1 as the mapped address that it is not.
    const bytes = parseIpv4(host) ?? parseIpv6(host)
    if (bytes === undefined) throw new Error('no address')
    const address = ipaddr.fromByteArray([...bytes])
    const bits = single
      ? address.toByteArray().length * 8
      : ipaddr.parseCIDR(`${address}/${block.split('/').slice(1).join('/')}`)[1]
    if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= MAPPED_BITS) {
      return [address.toIPv4Address(), bits - MAPPED_BITS]
    }
    return [address, bits]
  } catch {
    const message = `${option}: '${block}' is not an address or block such as 10.0.0.0/8`
    throw new UsageError('ERR_ARGUMENT', message)
  }
}

/** Mapped addresses as what they are; without zone. */
function wordsOf(address: string): Words | undefined {
  const v4 = parseIpv4(address)
  if (v4 !== undefined) return toWords(v4)
  const zone = address.indexOf('%')
  const v6 = parseIpv6(zone < 0 ? address : address.slice(0, zone))
  if (v6 === undefined) return undefined
  const words = toWords(v6)
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  return mapped ? [words[3] as number] : words
}

function toWords(bytes: ArrayLike<number>): number[] {
  const words: number[] = []
  for (let at = 0; at < bytes.length; at += 4) {
    const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as number[]
    words.push(
      (((a as number) << 24) | ((b as number) << 16) | ((c as number) << 8) | (d as number)) >>> 0,
    )
  }
  return words
}

const MAPPED_BITS = 96
