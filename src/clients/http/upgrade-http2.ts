/**
 * h2c by upgrade (RFC 7540 3.2): asks an HTTP/1.1 server to go on in HTTP/2, by a request that wants
 * nothing else. RFC 9113 has dropped it; servers and proxies that know no prior knowledge still have it.
 */
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import { handshake } from '../../links/tunnel/handshake.ts'
import type { ClientEvent, RequestCommand } from '../../protocols/http/exchange.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { Http1ClientOptions } from '../../protocols/http1/options.ts'
import { http2ClientSettings } from '../../protocols/http2/client-session.ts'
import type { Http2ClientOptions } from '../../protocols/http2/options.ts'
import { encodeSettingsHeader } from '../../protocols/http2/settings-header.ts'
import type { ConnectContext } from '../../runtime/exchanger.ts'

/** The request that is upgraded; its answer is exchange 1 of the HTTP/2 session. */
export const UPGRADED_METHOD = 'OPTIONS'

/** @returns the connection, detached; undefined: the server stays with HTTP/1.1, and it is closed */
export async function upgradeToHttp2(
  connection: Connection,
  authority: string,
  context: ConnectContext,
  clock: Clock,
  http1: Http1ClientOptions,
  http2: Http2ClientOptions,
): Promise<Connection | undefined> {
  const fields = new HttpFields({
    connection: 'Upgrade, HTTP2-Settings',
    upgrade: 'h2c',
    'http2-settings': encodeSettingsHeader(http2ClientSettings(http2)),
  })
  const command: RequestCommand = {
    type: 'request',
    exchange: 1,
    method: UPGRADED_METHOD,
    target: '*',
    authority,
    fields,
    body: undefined,
    streams: false,
    bodyLength: undefined,
  }
  try {
    return await handshake(connection, new Http1ClientSession(http1), {
      clock,
      command,
      judge,
      peer: 'the server',
      code: 'ERR_CONNECT',
      signal: context.signal,
      deadline: context.deadline,
    })
  } catch (error) {
    if (error === STAYS) return undefined
    throw error
  }
}

function judge(event: ClientEvent): 'detached' | Error | undefined {
  switch (event.type) {
    case 'detached':
      return 'detached'
    case 'response':
      return event.status === 101 ? undefined : STAYS
    case 'aborted':
      return new TransportError('ERR_CONNECT', `no upgrade: ${event.error.message}`, {
        cause: event.error,
        sent: 'nothing',
      })
    default:
      return undefined
  }
}

/** A mark, never thrown to anybody. */
const STAYS = new Error('the server stays with HTTP/1.1')
