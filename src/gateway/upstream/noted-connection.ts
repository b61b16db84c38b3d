/**
 * A connection to an endpoint that leaves the endpoint's address with each request, for logs, and
 * asks for WebSockets as the endpoint's version of HTTP does.
 */
import {
  HttpClientConnection,
  type HttpClientConnectionOptions,
} from '../../clients/http/http-client-connection.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallContext } from '../../core/context.ts'
import type { Host } from '../../core/host.ts'
import type { HttpClientSession } from '../../protocols/http/exchange.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { asConnect, asSwitched, isWebSocketUpgrade } from '../../protocols/websocket/over-http2.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

export interface NotedConnectionFacts {
  /** The endpoint's address. */
  readonly key: string
  readonly host: Host
}

export class NotedConnection extends HttpClientConnection {
  readonly #facts: NotedConnectionFacts

  constructor(
    connection: Connection,
    session: HttpClientSession,
    options: HttpClientConnectionOptions,
    facts: NotedConnectionFacts,
  ) {
    super(connection, session, options)
    this.#facts = facts
  }

  override call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    const { note } = request
    if (note instanceof ProxiedRequest) note.upstreamAddress = this.#facts.key
    // Routes know WebSockets as HTTP/1.1 asks for them.
    if (this.version === '2' && isWebSocketUpgrade(request)) {
      return super
        .call(asConnect(request), context)
        .then((response) => asSwitched(this.#facts.host, request, response))
    }
    return super.call(request, context)
  }
}
