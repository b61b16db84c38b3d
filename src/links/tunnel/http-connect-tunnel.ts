/**
 * Tunnels by HTTP CONNECT (RFC 9110 9.3.6): the way through corporate and forward proxies.
 *
 *     const tunnel = httpConnectTunnel({ proxy: ip('proxy.internal', 3128) })
 *     const secure = tls({ inner: tunnel, alpn: ['http/1.1'] })
 */
import { bracketHost } from '../../core/address.ts'
import { TransportError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { ClientEvent, RequestCommand } from '../../protocols/http1/messages.ts'
import type { Http1ClientOptions } from '../../protocols/http1/options.ts'
import { handshake } from './handshake.ts'
import { type TunnelOptions, TunnelTransport } from './tunnel-transport.ts'

export interface HttpConnectTunnelOptions extends TunnelOptions {
  /** Sent as `Proxy-Authorization: Basic` (RFC 7617). Never part of an error or a log. */
  username?: string
  password?: string
  /** Further fields of the CONNECT request. */
  fields?: FieldsInit
  /** Limits of what the proxy answers. */
  http1?: Omit<Http1ClientOptions, 'host'>
}

export function httpConnectTunnel(options: HttpConnectTunnelOptions): Transport {
  const { username, password, http1 } = options
  const fields = new HttpFields(options.fields)
  if (username !== undefined) {
    fields.set('proxy-authorization', basicCredentials(username, password))
  }
  return new TunnelTransport('http-connect', options, (connection, { host, port }, limits) => {
    const authority = `${bracketHost(host)}:${port}`
    const command: RequestCommand = {
      type: 'request',
      exchange: 1,
      method: 'CONNECT',
      target: authority,
      authority,
      fields,
      body: undefined,
      streams: false,
      bodyLength: undefined,
    }
    const session = new Http1ClientSession(http1)
    return handshake(connection, session, { ...limits, command, judge })
  })
}

/** `Basic` credentials in UTF-8 (RFC 7617 2.1). */
export function basicCredentials(username: string, password = ''): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function judge(event: ClientEvent): 'detached' | Error | undefined {
  switch (event.type) {
    case 'detached':
      return 'detached'
    case 'response': {
      if (event.status >= 200 && event.status < 300) return undefined // `detached` follows
      const { status, reason } = event
      const message = `the proxy answered CONNECT with ${status} ${reason}`.trimEnd()
      const retryable = status >= 502 && status <= 504 ? 'yes' : 'no'
      return new TransportError('ERR_PROXY', message, { status, retryable, sent: 'nothing' })
    }
    case 'aborted': {
      const message = `the proxy broke the tunnel: ${event.error.message}`
      return new TransportError('ERR_PROXY', message, { cause: event.error, sent: 'nothing' })
    }
    default:
      return undefined
  }
}
