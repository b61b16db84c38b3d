/**
 * A client's handshake as one exchange of an HTTP client (RFC 8441 section 5): an extended CONNECT,
 * whose stream carries the WebSocket beside whatever else its connection carries.
 *
 *     webSocket({ over })  ──CONNECT, :protocol websocket──►  over.call  ──2xx──►  a connection
 *
 * Which connection that is, `over` decides; the address says what is asked for on it.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { HeddleError, TimeoutError, toError } from '../../core/errors.ts'
import type { Client } from '../../core/service.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import {
  checkUpgradeResponse,
  makeUpgradeRequest,
  type WebSocketAgreement,
} from '../../protocols/websocket/handshake.ts'
import { asConnect, asSwitched } from '../../protocols/websocket/over-http2.ts'
import {
  brokenHandshake,
  type ClientHandshakeOptions,
  furtherFields,
  refusedUpgrade,
} from './client-handshake.ts'
import type { WebSocketTarget } from './websocket-address.ts'

/** What makes HTTP exchanges: `httpClient`, `httpAgent`, or a service of one's own around them. */
export type ExchangeMaker = Pick<Client<HttpRequest, HttpResponse>, 'call'>

export async function exchangeHandshake(
  over: ExchangeMaker,
  address: Address,
  to: WebSocketTarget,
  settings: Omit<ClientHandshakeOptions, 'http1'>,
  limits: Pick<ConnectOptions, 'signal' | 'deadline'>,
): Promise<{ carrier: Connection; agreement: WebSocketAgreement }> {
  const { host, options, subprotocols } = settings
  const asked = makeUpgradeRequest(host, options, subprotocols, furtherFields(to, settings))
  const upgrade = new HttpRequest({
    target: to.target,
    scheme: to.carrier === 'secure' ? 'https' : 'http',
    // Of an address without a name the client knows better.
    authority: address.kind === 'url' && to.carrier !== 'unix' ? to.authority : '',
    fields: asked.fields,
  })
  const response = await exchange(over, asConnect(upgrade), limits)
  const { connection, status } = response
  if (connection === undefined) {
    response.body.discard()
    throw refusedUpgrade(status, response.reason ?? '')
  }
  try {
    const { fields } = asSwitched(host, upgrade, response)
    return { carrier: connection, agreement: checkUpgradeResponse(host, options, asked, fields) }
  } catch (cause) {
    const error = brokenHandshake(cause as HeddleError)
    connection.destroy(error)
    throw error
  }
}

/** The limits are those of the handshake: the connection that comes of it outlives them. */
async function exchange(
  over: ExchangeMaker,
  request: HttpRequest,
  { signal, deadline }: Pick<ConnectOptions, 'signal' | 'deadline'>,
): Promise<HttpResponse> {
  const call = new Call({ signal, deadline })
  try {
    return await over.call(request, call)
  } catch (error) {
    throw told(error)
  } finally {
    call.finish()
  }
}

/** What failed on the way to a stream, and what the caller did wrong, is said as it is. */
function told(error: unknown): Error {
  if (!(error instanceof HeddleError)) return toError(error)
  if (error instanceof TimeoutError && error.code === 'ERR_DEADLINE') {
    const message = 'the server did not answer the WebSocket handshake before its deadline'
    return new TimeoutError('ERR_CONNECT_TIMEOUT', message, { cause: error, sent: 'nothing' })
  }
  return OF_THE_STREAM.has(error.code) ? brokenHandshake(error) : error
}

const OF_THE_STREAM: ReadonlySet<string> = new Set(['ERR_REMOTE', 'ERR_PROTOCOL', 'ERR_ABORTED'])
