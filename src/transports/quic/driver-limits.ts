/**
 * What each driver cannot do of what can be asked for. What only costs speed or comfort is reported;
 * what somebody may rely on for safety is refused.
 */
import { UsageError } from '../../core/errors.ts'
import type { QuicDriverName, QuicOptions, QuicUnsupported } from './quic-options.ts'

export function findUnsupported(options: QuicOptions, driver: QuicDriverName): QuicUnsupported[] {
  const found: QuicUnsupported[] = []
  for (const [name, [harmless, reason]] of Object.entries(REPORTED[driver])) {
    const option = name as keyof QuicOptions
    const value = options[option]
    if (value === undefined || value === harmless) continue
    found.push(Object.freeze({ option, value, reason }))
  }
  return found
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED */
export function refuseUnsupported(options: QuicOptions): void {
  if (options.driver !== 'quiche') return
  const { carrier, endpoints = 1, alpn = [] } = options
  if (carrier !== undefined) refuse('carrier', 'it has sockets of its own')
  if (endpoints > 1) refuse('endpoints', 'its sockets cannot share a port')
  if (alpn.length > 1) {
    refuse('alpn', 'it does not say which of several protocols was agreed: name one')
  }
}

/**
 * Of a client, whose server's certificate the addon checks and does not show.
 *
 * @throws UsageError ERR_OPTION_UNSUPPORTED
 */
export function refuseForClient(options: QuicOptions): void {
  const why = 'it does not show the certificate of a server'
  if (options.pins !== undefined) refuse('pins', why)
  if (options.verifyPeer !== undefined) refuse('verifyPeer', why)
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED */
export function refuseForServer(options: QuicOptions): void {
  if (options.allowCrossDelivery === true) return
  const message =
    "driver 'quiche' does not listen: its addon numbers connections, gives the number of one that has closed to the next, and delivers there what is written before the close was heard of. " +
    'Where every client may see what is meant for any other, pass allowCrossDelivery'
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

function refuse(option: keyof QuicOptions, why: string): never {
  throw new UsageError('ERR_OPTION_UNSUPPORTED', `driver 'quiche' has no ${option}: ${why}`)
}

type Reported = Readonly<
  Partial<Record<keyof QuicOptions, readonly [harmless: unknown, reason: string]>>
>

const REPORTED: Readonly<Record<QuicDriverName, Reported>> = {
  openssl: {
    initialMaxData: [undefined, 'OpenSSL 3.5 chooses the windows itself'],
    initialMaxStreamData: [undefined, 'OpenSSL 3.5 chooses the windows itself'],
    keepAliveMs: [undefined, 'OpenSSL sends PINGs by itself, within the idle timeout'],
    migration: [false, 'OpenSSL 3.5 answers the address it knew first: reconnect instead'],
    earlyData: [false, 'OpenSSL 3.5 has no 0-RTT data for QUIC'],
    unreliableDatagrams: [
      false,
      "OpenSSL 3.5 has no datagram frames (RFC 9221): driver 'quiche' has",
    ],
    maxUnreadBytes: [undefined, 'what is not read stays with the peer'],
    maxPausedDatagrams: [undefined, 'OpenSSL 3.5 has no datagram frames (RFC 9221)'],
  },
  quiche: {
    maxSessions: [0, 'no session is resumed'],
    maxConnectionsPerEndpoint: [undefined, 'each connection has a socket and a thread of its own'],
    migration: [false, 'it was not tried: reconnect instead'],
    earlyData: [false, 'no session is resumed, so none begins with data'],
  },
}
