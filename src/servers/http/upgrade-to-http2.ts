/**
 * From HTTP/1.1 to HTTP/2 on a connection without TLS (RFC 7540 3.2, which RFC 9113 3.1 keeps for who
 * has it):
 *
 *     GET / HTTP/1.1                      HTTP/1.1 101 Switching Protocols
 *     Connection: Upgrade, HTTP2-Settings    ──▸   Upgrade: h2c
 *     Upgrade: h2c                        (HTTP/2, the answer on stream 1)
 *     HTTP2-Settings: AAMAAABk…
 *
 * The request must be complete before the connection changes hands, so one whose body is long, or of
 * unknown length, is answered in HTTP/1.1: a server may always ignore an upgrade.
 */
import type { Connection } from '../../core/connection.ts'
import type { RequestEvent } from '../../protocols/http/exchange.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import type { Http2UpgradedRequest } from '../../protocols/http2/options.ts'
import { decodeSettingsHeader } from '../../protocols/http2/settings-header.ts'

/** The service, with requests to upgrade taken out of it. */
export function upgradesToHttp2(
  service: HttpService,
  maxBodyBytes: number,
  onUpgrade: (connection: Connection, upgraded: Http2UpgradedRequest) => void,
): HttpService {
  const accept = (request: HttpRequest, settings: string, content: Uint8Array | undefined) =>
    new HttpResponse({
      status: 101,
      fields: { connection: 'Upgrade', upgrade: 'h2c' },
      upgrade: (connection) =>
        onUpgrade(connection, { request: asEvent(request, content), settings }),
    })
  return (request, context) => {
    const settings = settingsOf(request, maxBodyBytes)
    if (settings === undefined) return service(request, context)
    const { body } = request
    if (body.isEmpty) return accept(request, settings, undefined)
    return body.bytes(maxBodyBytes).then((content) => accept(request, settings, content))
  }
}

/** @returns undefined: it does not upgrade, or not here */
function settingsOf(request: HttpRequest, maxBodyBytes: number): string | undefined {
  const { fields, version, body } = request
  if (version !== '1.1' || !fields.hasToken('upgrade', 'h2c')) return undefined
  // RFC 7540 3.2.1: exactly one, and named by Connection, or a proxy may have let it through.
  const settings = fields.getAll('http2-settings')
  if (settings.length !== 1 || !fields.hasToken('connection', 'http2-settings')) return undefined
  if (!body.isEmpty && !((body.length ?? Number.POSITIVE_INFINITY) <= maxBodyBytes)) {
    return undefined
  }
  return decodeSettingsHeader(settings[0] as string) === undefined ? undefined : settings[0]
}

function asEvent(request: HttpRequest, content: Uint8Array | undefined): RequestEvent {
  const { method, target, authority, body } = request
  const fields = new HttpFields()
  for (const [name, value] of request.fields) {
    if (!OF_THE_CONNECTION.has(name.toLowerCase())) fields.append(name, value)
  }
  return {
    type: 'request',
    exchange: 1,
    method,
    target,
    authority,
    fields,
    version: '2',
    hasBody: content !== undefined,
    bodyLength: content?.length ?? 0,
    expectsContinue: false,
    upgrade: undefined,
    content,
    trailers: content === undefined ? undefined : body.trailers,
  }
}

/** What HTTP/2 has no place for (RFC 9113 8.2.2). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])
