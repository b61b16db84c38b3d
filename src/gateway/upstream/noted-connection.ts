/**
 * A connection to an endpoint that leaves the endpoint's address with each request, for logs.
 */
import {
  HttpClientConnection,
  type HttpClientConnectionOptions,
} from '../../clients/http/http-client-connection.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallContext } from '../../core/context.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

export class NotedConnection extends HttpClientConnection {
  readonly #key: string

  constructor(
    connection: Connection,
    session: Http1ClientSession,
    options: HttpClientConnectionOptions,
    key: string,
  ) {
    super(connection, session, options)
    this.#key = key
  }

  override call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    const { note } = request
    if (note instanceof ProxiedRequest) {
      note.upstreamAddress = this.#key
    }
    return super.call(request, context)
  }
}
