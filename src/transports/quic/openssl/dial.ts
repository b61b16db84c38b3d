/**
 * Beginning a connection as a client.
 */
import { isIP } from 'node:net'
import { ClosedError } from '../../../core/errors.ts'
import type { DrivenSettings } from '../quic-driver.ts'
import { ConnectionHandle } from './connection-handle.ts'
import type { Endpoint } from './endpoint.ts'
import { OpensslConnection } from './quic-connection.ts'

/**
 * @param session what `onSession` gave, to resume
 * @throws HeddleError when the peer cannot be dialled from here
 */
export function dialConnection(
  endpoint: Endpoint,
  session: Uint8Array | undefined,
  settings: DrivenSettings,
): OpensslConnection {
  if (endpoint.isClosed) throw new ClosedError('ERR_CLOSED', 'the socket to dial from is closed')
  const { openssl, context } = endpoint
  const { serverName } = settings
  const peer = endpoint.attachment.peer(settings.remote)
  const ssl = openssl.f.SSL_new_from_listener(endpoint.ssl, 0)
  const handle = new ConnectionHandle(openssl, ssl)
  try {
    openssl.must(ssl, 'SSL_new_from_listener')
    handle.dial(
      peer.pointer,
      context.alpn,
      serverName,
      serverName !== undefined && isIP(serverName) === 0,
    )
    handle.prepare(settings.idleTimeoutMs)
    if (session !== undefined) handle.resume(session)
  } catch (error) {
    handle.free()
    peer.forget()
    throw error
  }
  return new OpensslConnection(endpoint, ssl, peer, settings)
}
