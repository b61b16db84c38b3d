/**
 * The handshake over HTTP/2 (RFC 8441 section 5) as the one over HTTP/1.1, and back: so that whoever
 * knows one of them serves both, and a proxy may have one in front and the other behind.
 *
 *     :method CONNECT, :protocol websocket   ⇄   GET, Upgrade: websocket, Connection: Upgrade, a key
 *     :status 200                            ⇄   101, Upgrade, Connection, the answer to the key
 *
 * What is agreed on (`Sec-WebSocket-Protocol`, `-Extensions`, `-Version`, `Origin`) is the same in
 * both. The key and its answer are made up where there are none: they prove that a server knows
 * WebSocket, which `:protocol` does.
 */
import type { Host } from '../../core/host.ts'
import { HttpFields } from '../http/fields.ts'
import { HttpRequest, HttpResponse } from '../http/messages.ts'
import { acceptKey, newKey } from './handshake.ts'

export function isWebSocketConnect({ method, protocol }: HttpRequest): boolean {
  return method === 'CONNECT' && protocol === 'websocket'
}

export function isWebSocketUpgrade({ method, fields }: HttpRequest): boolean {
  return method === 'GET' && fields.hasToken('upgrade', 'websocket')
}

/** An extended CONNECT, as HTTP/1.1 asks for the same. */
export function asUpgrade(host: Host, request: HttpRequest): HttpRequest {
  const fields = without(request.fields, OF_THE_REQUEST)
  fields.set('connection', 'Upgrade')
  fields.set('upgrade', 'websocket')
  fields.set('sec-websocket-key', newKey(host))
  const { target, scheme, authority, route } = request
  const init = { method: 'GET', target, scheme, authority, fields, version: '1.1', route } as const
  return carriedOver(request, new HttpRequest(init))
}

/** A request to upgrade, as HTTP/2 asks for the same. */
export function asConnect(request: HttpRequest): HttpRequest {
  const { target, scheme, authority, route } = request
  return carriedOver(
    request,
    new HttpRequest({
      method: 'CONNECT',
      protocol: 'websocket',
      target,
      scheme,
      authority,
      fields: without(request.fields, OF_THE_REQUEST),
      version: '2',
      route,
    }),
  )
}

/** The answer to `asUpgrade`, for who sent an extended CONNECT. */
export function asAccepted(response: HttpResponse): HttpResponse {
  if (response.status !== 101) return response
  const { upgrade } = response
  return withConnection(
    response,
    new HttpResponse({
      status: 200,
      fields: without(response.fields, OF_THE_RESPONSE),
      version: '2',
      ...(upgrade !== undefined && { upgrade }),
    }),
  )
}

/** The answer to `asConnect`, for who sent `upgrade`. */
export function asSwitched(host: Host, upgrade: HttpRequest, response: HttpResponse): HttpResponse {
  if (response.connection === undefined) return response
  const fields = without(response.fields, OF_THE_RESPONSE)
  fields.set('connection', 'Upgrade')
  fields.set('upgrade', 'websocket')
  const key = upgrade.fields.get('sec-websocket-key')
  if (key !== undefined) fields.set('sec-websocket-accept', acceptKey(host, key))
  return withConnection(response, new HttpResponse({ status: 101, fields, version: '1.1' }))
}

function carriedOver(from: HttpRequest, to: HttpRequest): HttpRequest {
  to.trace = from.trace
  to.connection = from.connection
  to.inform = from.inform
  to.note = from.note
  return to
}

function withConnection(from: HttpResponse, to: HttpResponse): HttpResponse {
  to.connection = from.connection
  to.exchange = from.exchange
  return to
}

function without(fields: HttpFields, names: ReadonlySet<string>): HttpFields {
  const kept: string[] = []
  for (let index = 0; index < fields.size; index++) {
    const name = fields.nameAt(index)
    if (!names.has(name.toLowerCase())) kept.push(name, fields.valueAt(index))
  }
  return HttpFields.fromTrusted(kept)
}

const OF_THE_REQUEST: ReadonlySet<string> = new Set(['connection', 'upgrade', 'sec-websocket-key'])
const OF_THE_RESPONSE: ReadonlySet<string> = new Set([
  'connection',
  'upgrade',
  'sec-websocket-accept',
])
