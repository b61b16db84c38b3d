/**
 * A transport whose connections go through an HTTP proxy by CONNECT, asked by an HTTP client: over
 * HTTP/2 they share a connection, each a stream of it (RFC 9113 8.5), over HTTP/1.1 each has one.
 *
 *     const proxy = httpClient('https://proxy.internal', { version: '2' })
 *     const secure = tls({ inner: clientTunnel(proxy), alpn: ['h2', 'http/1.1'] })
 *
 * `links/tunnel/http-connect-tunnel` needs no client, and speaks HTTP/1.1 only.
 */
import { type Address, bracketHost, formatAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { TimeoutError, TransportError, UsageError } from '../../core/errors.ts'
import type { ConnectOptions, Listener, Transport, TransportTraits } from '../../core/transport.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import type { HttpClient } from './http-client.ts'

export interface ClientTunnelOptions {
  /** Further fields of each CONNECT request, such as `Proxy-Authorization`. */
  fields?: FieldsInit
}

/** @param client of the proxy; the caller's to close */
export function clientTunnel(
  client: Pick<HttpClient, 'call'>,
  options: ClientTunnelOptions = {},
): Transport {
  return new ClientTunnel(client, new HttpFields(options.fields))
}

class ClientTunnel implements Transport {
  readonly name = 'http-connect'
  readonly traits: TransportTraits = TRAITS
  readonly #client: Pick<HttpClient, 'call'>
  readonly #fields: HttpFields

  constructor(client: Pick<HttpClient, 'call'>, fields: HttpFields) {
    this.#client = client
    this.#fields = fields
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    if (address.kind !== 'ip') {
      const message = `a proxy is asked for host and port, not for ${formatAddress(address)}`
      throw new UsageError('ERR_ADDRESS_INVALID', message)
    }
    const target = `${bracketHost(address.host)}:${address.port}`
    const request = new HttpRequest({
      method: 'CONNECT',
      target,
      authority: target,
      fields: this.#fields,
    })
    const { signal, deadline } = options
    const call = new Call({ signal, deadline })
    try {
      const { status, connection, body } = await this.#client.call(request, call)
      if (connection !== undefined) return connection
      body.discard()
      const message = `the proxy answered CONNECT with ${status}`
      const retryable = status >= 502 && status <= 504 ? 'yes' : 'no'
      throw new TransportError('ERR_PROXY', message, { status, retryable, sent: 'nothing' })
    } catch (error) {
      if (!(error instanceof TimeoutError) || error.code !== 'ERR_DEADLINE') throw error
      const message = 'the proxy did not answer before the deadline of connecting'
      throw new TimeoutError('ERR_CONNECT_TIMEOUT', message, { cause: error, sent: 'nothing' })
    } finally {
      call.finish()
    }
  }

  /** @throws UsageError ERR_OPTION_UNSUPPORTED: a proxy does not listen for us */
  listen(): Promise<Listener> {
    const error = new UsageError('ERR_OPTION_UNSUPPORTED', 'a tunnel cannot listen')
    return Promise.reject(error)
  }
}

// What is secure is the way to the proxy, not what is behind it.
const TRAITS: TransportTraits = Object.freeze({
  halfClose: true,
  secure: false,
  messageBoundaries: false,
})
