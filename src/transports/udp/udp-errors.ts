/**
 * What the kernel says about a datagram, in heddle's words. The socket goes on after all of these.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import { type HeddleError, ProtocolError, TransportError } from '../../core/errors.ts'
import { systemError } from '../node-stream/system-errors.ts'

/** @param to the only peer there can be, where that is known */
export function datagramError(
  status: number,
  call: 'send' | 'recv',
  to: Address | undefined,
  bytes?: number,
): HeddleError {
  const cause = systemError(status, call)
  const options = { cause, sent: 'nothing' } as const
  const where = to === undefined ? 'a datagram' : formatAddress(to)
  switch (cause.code) {
    case 'ECONNREFUSED':
      return new TransportError('ERR_CONNECT_REFUSED', `nobody receives on ${where}`, options)
    case 'EMSGSIZE': {
      const length = bytes === undefined ? 'a datagram' : `a datagram of ${bytes} bytes`
      const message = `${length} is over what the way to ${where} takes`
      return new ProtocolError('ERR_FRAME_TOO_LARGE', message, options)
    }
    case 'EACCES': {
      const message = `${where}: not permitted; a broadcast address needs the option broadcast`
      return new TransportError('ERR_CONNECT', message, { ...options, retryable: 'no' })
    }
    case 'EPERM': {
      const message = `${where}: not permitted, by a packet filter or a policy of this machine`
      return new TransportError('ERR_CONNECT', message, { ...options, retryable: 'no' })
    }
  }
  const reason = REASONS[cause.code ?? ''] ?? cause.message
  return new TransportError('ERR_CONNECT', `${where}: ${reason}`, options)
}

/** Statuses after which the same datagram may get through a little later. */
export function isFull(status: number): boolean {
  const { code } = systemError(status, 'send')
  return code === 'EAGAIN' || code === 'ENOBUFS'
}

const REASONS: Readonly<Record<string, string>> = {
  ENETUNREACH: 'no route to its network',
  EHOSTUNREACH: 'no route to the host',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'no local address is left for it',
  EAFNOSUPPORT: 'its address family is not that of the socket',
  EINVAL: 'not an address that this socket can send to',
}
