/**
 * IP addresses as Linux writes them into memory: `sockaddr_in` and `sockaddr_in6`.
 *
 *     family (host order) | port (network order) | IPv4 address
 *     family (host order) | port (network order) | flow info | IPv6 address | scope
 */
import { networkInterfaces } from 'node:os'
import { type IpAddress, ip } from '../../../core/address.ts'
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../../core/ip-text.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const IPV4_SOCKADDR_BYTES = 16
export const IPV6_SOCKADDR_BYTES = 28

/** @returns the bytes, or undefined when the host is no IP address */
export function writeSocketAddress(address: IpAddress): Uint8Array | undefined {
  const [text, zone] = address.host.split('%') as [string, string | undefined]
  const ipv4 = parseIpv4(text)
  const ipv6 = ipv4 === undefined ? parseIpv6(text) : undefined
  const bytes = ipv4 ?? ipv6
  if (bytes === undefined) return undefined
  const memory = new Uint8Array(ipv4 ? IPV4_SOCKADDR_BYTES : IPV6_SOCKADDR_BYTES)
  const view = new DataView(memory.buffer)
  view.setUint16(0, ipv4 ? AF_INET : AF_INET6, true)
  view.setUint16(2, address.port)
  memory.set(bytes, ipv4 ? 4 : 8)
  if (ipv6 !== undefined && zone !== undefined) view.setUint32(24, scopeOf(zone), true)
  return memory
}

export function readSocketAddress(memory: Uint8Array, from: number): IpAddress {
  const port = ((memory[from + 2] as number) << 8) | (memory[from + 3] as number)
  if (memory[from] === AF_INET) return ip(formatIpv4(memory.subarray(from + 4, from + 8)), port)
  const host = formatIpv6(memory.subarray(from + 8, from + 24))
  const scope = new DataView(memory.buffer, memory.byteOffset + from).getUint32(24, true)
  return ip(scope === 0 ? host : `${host}%${nameOf(scope)}`, port)
}

export function socketAddressBytes(memory: Uint8Array, from: number): number {
  return memory[from] === AF_INET6 ? IPV6_SOCKADDR_BYTES : IPV4_SOCKADDR_BYTES
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone)
  const found = networkInterfaces()[zone]?.find(({ family }) => family === 'IPv6')
  return (found as { scopeid?: number } | undefined)?.scopeid ?? 0
}

function nameOf(scope: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const found = addresses?.some((one) => (one as { scopeid?: number }).scopeid === scope)
    if (found) return name
  }
  return String(scope)
}
