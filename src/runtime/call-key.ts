/**
 * Whose share a call uses up, of a rate or of places. Keys are made of what a caller cannot choose freely: that of an
 * address is its network, because a single home has 2^64 addresses of IPv6.
 */
import { type Address, formatAddress } from '../core/address.ts'
import type { CallContext } from '../core/context.ts'
import { checkInteger } from '../core/errors.ts'
import { parseIpv6 } from '../core/ip-text.ts'
import type { Classifier } from '../core/policy.ts'

export type CallKeyName = 'all' | 'connection' | 'address' | 'principal' | 'operation'

/** Undefined: the call is not limited. */
export type CallKey<Req> = (request: Req, context: CallContext) => string | undefined

export interface AddressKeyOptions {
  /**
   * Bits of an IPv6 address that count. A provider gives a customer at least a /64 (RFC 6177).
   *
   * @default 64
   */
  ipv6Prefix?: number
}

export const addressKeyDefaults: Readonly<{ ipv6Prefix: number }> = Object.freeze({
  ipv6Prefix: 64,
})

/** @param words of the protocol: how it names an operation */
export function callKey<Req>(
  key: CallKeyName | CallKey<Req>,
  words: Pick<Classifier<Req, never>, 'operation'>,
): CallKey<Req> {
  if (typeof key === 'function') return key
  switch (key) {
    case 'all':
      return byAll
    case 'connection':
      return byConnection
    case 'address':
      return byAddress()
    case 'principal':
      return byPrincipal()
    case 'operation':
      return (request) => words.operation(request)
  }
}

/** One share for all calls. */
export const byAll = (): string => ''

/** The connection a call came on. Calls without one share. */
export function byConnection(_request: unknown, context: CallContext): string {
  return String(context.connection?.id ?? '')
}

/** The peer's address, an IPv6 one by its network. Peers without one (Unix sockets) share. */
export function byAddress(options: AddressKeyOptions = {}): CallKey<unknown> {
  const { ipv6Prefix = addressKeyDefaults.ipv6Prefix } = options
  checkInteger('ipv6Prefix', ipv6Prefix, 1, 128)
  return (_request, context) => {
    const remote = context.connection?.facts.remote
    return remote === undefined ? '' : addressKey(remote, ipv6Prefix)
  }
}

/** Who calls; where nobody said who, the address: strangers do not share with one another. */
export function byPrincipal(options: AddressKeyOptions = {}): CallKey<unknown> {
  const address = byAddress(options)
  return (request, context) => {
    const { principal } = context
    if (principal === undefined) return `address ${address(request, context)}`
    return `${principal.method} ${principal.id}`
  }
}

/** The network of an address as text, or the address where it is in none. */
export function addressKey(address: Address, ipv6Prefix: number): string {
  return address.kind === 'ip' ? hostKey(address.host, ipv6Prefix) : formatAddress(address)
}

/** As {@link addressKey}, for a host as text: `2001:db8::1` is `2001:db8:0:0/64`. */
export function hostKey(host: string, ipv6Prefix: number): string {
  if (!host.includes(':')) return host
  const zone = host.indexOf('%')
  const bytes = parseIpv6(zone < 0 ? host : host.slice(0, zone))
  if (bytes === undefined) return host
  // An IPv4 address in IPv6's clothes is one of IPv4: `::ffff:192.0.2.1`.
  if (isMapped(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`
  let text = ''
  for (let at = 0; at * 8 < ipv6Prefix; at += 2) {
    const bits = Math.min(16, ipv6Prefix - at * 8)
    const group =
      (((bytes[at] as number) << 8) | (bytes[at + 1] as number)) & (0xffff << (16 - bits))
    text += `${at === 0 ? '' : ':'}${group.toString(16)}`
  }
  return `${text}/${ipv6Prefix}`
}

function isMapped(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}
