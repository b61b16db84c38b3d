/**
 * The HTTP versions of a listener, and their limits as its configuration says them.
 */
import type { Random } from '../../core/clock.ts'
import type { Host } from '../../core/host.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { asAccepted, asUpgrade, isWebSocketConnect } from '../../protocols/websocket/over-http2.ts'
import type { ServeHttpOptions } from '../../servers/http/serve-http.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { ListenerConfig } from '../config/schema/listener.ts'

export function versionsOf(
  config: ListenerConfig,
  host: Host,
  random: Random,
  date: (now: number) => string,
): Pick<
  ServeHttpOptions,
  'versions' | 'http1' | 'http2' | 'headTimeoutMs' | 'age' | 'upgradeBytes'
> {
  const maxHeadBytes = sizeBytes(config.max_header_bytes)
  const headTimeoutMs = durationMs(config.request_header_timeout)
  const shared = {
    host,
    date,
    maxFieldCount: config.max_header_count,
    headTimeoutMs,
    bodyTimeoutMs: durationMs(config.request_body_timeout),
    keepAliveTimeoutMs: durationMs(config.keepalive_timeout),
  }
  const { max_connection_age: age, max_connection_age_grace: grace } = config
  return {
    versions: config.http_versions,
    http1: {
      ...shared,
      maxHeadBytes,
      maxStartLineBytes: Math.min(MAX_START_LINE, maxHeadBytes),
    },
    http2: {
      ...shared,
      // Here each field counts 32 bytes more (RFC 9113 6.5.2).
      maxHeaderListBytes: maxHeadBytes + 32 * config.max_header_count,
      maxConcurrentStreams: config.max_concurrent_streams,
    },
    headTimeoutMs,
    age:
      age === undefined
        ? undefined
        : {
            maxMs: durationMs(age),
            graceMs: grace === undefined ? Number.POSITIVE_INFINITY : durationMs(grace),
            random,
          },
    // The forwarder does not pass it on either: nobody gets past the routes.
    upgradeBytes: undefined,
  }
}

/** WebSockets over HTTP/2 (RFC 8441) come to the routes as HTTP/1.1 asks for them. */
export function knowsConnect(service: HttpService, host: Host): HttpService {
  return (request, context) => {
    if (!isWebSocketConnect(request)) return service(request, context)
    const upgrade = asUpgrade(host, request)
    const reply = service(upgrade, context)
    // Where the observer looks for it.
    request.note = upgrade.note
    return reply instanceof HttpResponse ? asAccepted(reply) : reply.then(asAccepted)
  }
}

const MAX_START_LINE = 8_192
