/**
 * Multicast groups: joining and leaving, interfaces by name or address.
 */
import type { Socket } from 'node:dgram'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { TransportError, toError, UsageError } from '../../core/errors.ts'
import type { Membership } from './udp-options.ts'

/** @throws TransportError ERR_LISTEN, UsageError for a group or interface that cannot be */
export function joinGroup(socket: Socket, membership: Membership, family: 4 | 6): void {
  change(socket, membership, family, 'join')
}

export function leaveGroup(socket: Socket, membership: Membership, family: 4 | 6): void {
  change(socket, membership, family, 'leave')
}

/**
 * An interface as the kernel's calls take it: an IPv4 address for IPv4, `::%name` for IPv6.
 *
 * @throws UsageError ERR_ADDRESS_INVALID when there is no such interface
 */
export function interfaceAddress(nameOrAddress: string, family: 4 | 6): string {
  const interfaces = networkInterfaces()
  for (const [name, addresses = []] of Object.entries(interfaces)) {
    const isIt = name === nameOrAddress || addresses.some((one) => one.address === nameOrAddress)
    if (!isIt) continue
    if (family === 6) return `::%${name}`
    if (isIP(nameOrAddress) === 4) return nameOrAddress
    const first = addresses.find((one) => one.family === 'IPv4')
    if (first !== undefined) return first.address
    throw new UsageError('ERR_ADDRESS_INVALID', `interface ${name} has no IPv4 address`)
  }
  // Those that are down or without an address are not listed, but the kernel knows them.
  if (nameOrAddress.includes('%') || isIP(nameOrAddress) !== 0) return nameOrAddress
  const message = `'${nameOrAddress}' is no interface of this machine, nor an address of one`
  throw new UsageError('ERR_ADDRESS_INVALID', message)
}

function change(
  socket: Socket,
  membership: Membership,
  family: 4 | 6,
  verb: 'join' | 'leave',
): void {
  const { group, source } = membership
  if (!isMulticast(group, family)) {
    const message = `'${group}' is no IPv${family} multicast group`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  const at =
    membership.interface === undefined ? undefined : interfaceAddress(membership.interface, family)
  try {
    if (source === undefined) {
      if (verb === 'join') socket.addMembership(group, at)
      else socket.dropMembership(group, at)
    } else if (verb === 'join') socket.addSourceSpecificMembership(source, group, at)
    else socket.dropSourceSpecificMembership(source, group, at)
  } catch (error) {
    throw groupError(toError(error), membership, verb)
  }
}

function groupError(cause: NodeJS.ErrnoException, membership: Membership, verb: string): Error {
  const { group, source } = membership
  const from = source === undefined ? '' : ` from ${source}`
  const reason = REASONS[cause.code ?? ''] ?? cause.message
  const message = `cannot ${verb} ${group}${from}: ${reason}`
  return new TransportError('ERR_LISTEN', message, { cause, sent: 'nothing' })
}

function isMulticast(group: string, family: 4 | 6): boolean {
  if (isIP(group.replace(/%.*$/, '')) !== family) return false
  if (family === 6) return /^ff/i.test(group)
  const first = Number(group.slice(0, group.indexOf('.')))
  return first >= 224 && first <= 239
}

const REASONS: Readonly<Record<string, string>> = {
  ENODEV: 'no interface for it, and no route says which to take',
  EADDRINUSE: 'it is joined already',
  EADDRNOTAVAIL: 'it is not joined, or not an address of this machine',
  ENOBUFS: 'the system allows no more groups for one socket',
  EINVAL: 'the system does not take these addresses together',
}
