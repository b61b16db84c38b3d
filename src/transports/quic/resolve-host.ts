/**
 * A host name as an address: sockets that are shared by many peers take addresses only.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type IpAddress, ip } from '../../core/address.ts'

/** @throws NodeJS.ErrnoException of the resolver */
export async function resolveHost(address: IpAddress): Promise<IpAddress> {
  if (isIP(address.host.replace(/%.*$/, '')) !== 0) return address
  const { address: host } = await lookup(address.host)
  return ip(host, address.port)
}
