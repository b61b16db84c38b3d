/**
 * WebSocket on the port of an HTTP server: a function from request to response that takes the
 * connection over.
 *
 *     const chat = webSocketUpgrade((connection) => connection.open(handler))
 *     httpServer((request) => request.path === '/chat' ? chat(request) : site(request))
 *
 * Over HTTP/2 the request is an extended CONNECT (RFC 8441), and the WebSocket one stream of many.
 *
 * Whoever must be asked first (authentication, limits) is asked before `chat` is called.
 */
import type { Clock } from '../../core/clock.ts'
import type { Host } from '../../core/host.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { judgeUpgrade } from '../../protocols/websocket/handshake.ts'
import {
  resolveWebSocketOptions,
  type WebSocketOptions,
} from '../../protocols/websocket/options.ts'
import { asAccepted, asUpgrade, isWebSocketConnect } from '../../protocols/websocket/over-http2.ts'
import { upgradePolicy, type WebSocketTransportOptions } from './websocket.ts'
import { WebSocketConnection } from './websocket-connection.ts'

export interface WebSocketUpgradeOptions
  extends WebSocketOptions,
    Pick<WebSocketTransportOptions, 'subprotocols' | 'requireSubprotocol' | 'allowOrigin'> {
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

/**
 * What is no handshake is answered 426 and what is a bad one 400; the connection comes unopened,
 * once the response has left.
 */
export function webSocketUpgrade(
  onConnection: (connection: WebSocketConnection, request: HttpRequest) => void,
  options: WebSocketUpgradeOptions = {},
): (request: HttpRequest) => HttpResponse {
  const { clock = systemClock, host = nodeHost } = options
  const resolved = resolveWebSocketOptions(options)
  const policy = upgradePolicy(options)
  const upgrade = (request: HttpRequest, asked: HttpRequest): HttpResponse => {
    const { method, target, authority, version, fields, body } = asked
    const offer = { method, target, authority, version, fields, hasBody: !body.isEmpty }
    const judged = judgeUpgrade(host, resolved, policy, offer)
    if (judged.status !== 101) {
      const { status } = judged
      return HttpResponse.text(`${judged.message}\n`, { status, fields: judged.fields })
    }
    const { subprotocol, deflate } = judged
    return new HttpResponse({
      status: 101,
      fields: judged.fields,
      upgrade: (carrier) =>
        onConnection(
          new WebSocketConnection(carrier, {
            role: 'server',
            clock,
            host,
            options: resolved,
            subprotocol,
            deflate,
            target,
          }),
          request,
        ),
    })
  }
  return (request) =>
    isWebSocketConnect(request)
      ? asAccepted(upgrade(request, asUpgrade(host, request)))
      : upgrade(request, request)
}
