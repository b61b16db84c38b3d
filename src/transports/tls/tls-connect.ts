/**
 * The client's side of a handshake, over a socket or any other stream.
 */
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import { type Address, formatAddress } from '../../core/address.ts'
import { TransportError, toError, UsageError } from '../../core/errors.ts'
import { matchesPins, pinOf } from './certificate-pins.ts'
import { handshakeError } from './handshake-errors.ts'
import type { KeyLog } from './key-log.ts'
import type { SessionCache } from './session-cache.ts'
import type { ResolvedTlsOptions, TlsPeer } from './tls-options.ts'

export interface TlsClientSettings {
  readonly options: ResolvedTlsOptions
  readonly context: SecureContext
  readonly sessions: SessionCache
  readonly keyLog: KeyLog | undefined
}

/**
 * The name to ask for and to check.
 *
 * @throws UsageError when there is none and it would have to be checked
 */
export function serverNameFor(
  address: Address,
  options: ResolvedTlsOptions,
  asked: string | undefined,
): string | undefined {
  // A zone says which link an address is on, and is no part of the name.
  const host = address.kind === 'ip' ? address.host.replace(/%.*$/, '') : undefined
  const name = asked ?? options.serverName ?? host
  if (name === undefined && options.verify) {
    const message = `${formatAddress(address)} has no host name to check a certificate against: pass serverName`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return name
}

/** Resolves when the peer has passed every check. Takes over `raw`, and destroys it on failure. */
export function handshake(
  raw: Duplex,
  address: Address,
  serverName: string | undefined,
  settings: TlsClientSettings,
  describePeer: (socket: TLSSocket) => Omit<TlsPeer, 'role'>,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { options, context, sessions, keyLog } = settings
  const server = `${serverName ?? ''} ${formatAddress(address)}`
  const session = sessions.take(server)
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: raw,
      secureContext: context,
      rejectUnauthorized: options.verify,
      ...(serverName !== undefined && { host: serverName }),
      // An address is checked like a name but never asked for (RFC 6066, section 3).
      servername: serverName !== undefined && isIP(serverName) === 0 ? serverName : '',
      ...(options.alpn !== undefined && { ALPNProtocols: [...options.alpn] }),
      ...(session !== undefined && { session: Buffer.from(session) }),
    })
    if (keyLog !== undefined) socket.on('keylog', (line: Buffer) => keyLog.write(line))
    const settle = (error: Error | undefined) => {
      signal.removeEventListener('abort', onAbort)
      socket.off('secureConnect', onSecure)
      socket.off('error', onError)
      if (error === undefined) return resolve(socket)
      socket.on('error', () => {}) // what follows from destroying it concerns nobody
      // It takes the stream with it. The other way round would crash Node (server-handshaker.ts).
      socket.destroy()
      reject(error)
    }
    const onAbort = () => settle(signal.reason)
    const onError = (error: Error) => settle(handshakeError(error, formatAddress(address)))
    const onSecure = () => {
      try {
        const refused = checkPeer(socket, address, options, describePeer)
        if (refused === undefined) keepSessions(socket, server, sessions)
        settle(refused)
      } catch (error) {
        settle(toError(error))
      }
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('secureConnect', onSecure)
    socket.on('error', onError)
  })
}

/** Pins and the caller's own check; Node has checked the certificate and its name before. */
function checkPeer(
  socket: TLSSocket,
  address: Address,
  options: ResolvedTlsOptions,
  describePeer: (socket: TLSSocket) => Omit<TlsPeer, 'role'>,
): Error | undefined {
  const { pins, verifyPeer } = options
  if (pins !== undefined && !matchesPins(socket, pins)) {
    const { raw } = socket.getPeerCertificate()
    const own = raw === undefined ? 'it has none' : `its own is ${pinOf(raw)}`
    const message = `${formatAddress(address)}: none of its public keys is pinned; ${own}`
    return new TransportError('ERR_TLS', message, { sent: 'nothing' })
  }
  let cause: Error | undefined
  try {
    cause = verifyPeer?.({ ...describePeer(socket), role: 'server' })
  } catch (thrown) {
    cause = toError(thrown)
  }
  if (cause === undefined) return undefined
  const message = `${formatAddress(address)}: refused by verifyPeer: ${cause.message}`
  return new TransportError('ERR_TLS', message, { cause, sent: 'nothing' })
}

/** Only now: a session of a peer that was refused must not be resumed. */
function keepSessions(socket: TLSSocket, server: string, sessions: SessionCache): void {
  if (socket.getProtocol() !== 'TLSv1.3') {
    const session = socket.getSession()
    if (session !== undefined) sessions.put(server, session, false)
    return
  }
  socket.on('session', (session: Buffer) => sessions.put(server, session, true))
}
