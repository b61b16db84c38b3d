/** A client's handshake on a connection that was just made: it comes back as a WebSocket, unopened. */
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { type HeddleError, TransportError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { ClientEvent, RequestCommand } from '../../protocols/http1/messages.ts'
import type { Http1ClientOptions } from '../../protocols/http1/options.ts'
import {
  checkUpgradeResponse,
  makeUpgradeRequest,
  type WebSocketAgreement,
} from '../../protocols/websocket/handshake.ts'
import type { ResolvedWebSocketOptions } from '../../protocols/websocket/options.ts'
import { handshake } from '../tunnel/handshake.ts'
import type { WebSocketTarget } from './websocket-address.ts'

export interface ClientHandshakeOptions {
  readonly clock: Clock
  readonly host: Host
  readonly options: ResolvedWebSocketOptions
  readonly subprotocols: readonly string[]
  readonly fields: HttpFields | undefined
  readonly http1: Omit<Http1ClientOptions, 'host'> | undefined
}

/** The connection is destroyed unless it is returned. */
export async function clientHandshake(
  connection: Connection,
  to: WebSocketTarget,
  settings: ClientHandshakeOptions,
  limits: Pick<ConnectOptions, 'signal' | 'deadline'>,
): Promise<{ carrier: Connection; agreement: WebSocketAgreement }> {
  const { clock, host, options, subprotocols, http1 } = settings
  const request = makeUpgradeRequest(host, options, subprotocols, furtherFields(to, settings))
  const command: RequestCommand = {
    type: 'request',
    exchange: 1,
    method: 'GET',
    target: to.target,
    authority: to.authority,
    fields: request.fields,
    body: undefined,
    streams: false,
    bodyLength: undefined,
  }
  let agreement: WebSocketAgreement | undefined
  const judge = (event: ClientEvent): 'detached' | Error | undefined => {
    switch (event.type) {
      case 'detached':
        return 'detached'
      case 'response': {
        if (event.status !== 101) return refusedUpgrade(event.status, event.reason)
        try {
          agreement = checkUpgradeResponse(host, options, request, event.fields)
          return undefined // `detached` follows
        } catch (cause) {
          return brokenHandshake(cause as HeddleError)
        }
      }
      case 'aborted':
        return brokenHandshake(event.error)
      default:
        return undefined
    }
  }
  const session = new Http1ClientSession({ ...http1, host })
  const carrier = await handshake(connection, session, {
    ...limits,
    clock,
    command,
    judge,
    peer: 'the server',
    code: 'ERR_CONNECT',
  })
  return { carrier, agreement: agreement as WebSocketAgreement }
}

/** What the request has beside what makes it a handshake. */
export function furtherFields(
  { credentials }: WebSocketTarget,
  { fields }: Pick<ClientHandshakeOptions, 'fields'>,
): HttpFields {
  const further = new HttpFields(fields)
  if (credentials !== undefined && !further.has('authorization')) {
    further.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
  return further
}

export function refusedUpgrade(status: number, reason: string): TransportError {
  const message = `the server answered the WebSocket handshake with ${status} ${reason}`.trimEnd()
  const retryable = status === 429 || status >= 500 ? 'yes' : 'no'
  return new TransportError('ERR_CONNECT', message, { status, retryable, sent: 'nothing' })
}

export function brokenHandshake(cause: HeddleError): TransportError {
  const message = `the WebSocket handshake failed: ${cause.message}`
  const { retryable } = cause
  return new TransportError('ERR_CONNECT', message, { cause, sent: 'nothing', retryable })
}
