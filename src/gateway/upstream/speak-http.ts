/**
 * HTTP on a connection to an endpoint, in the version that its cluster says or that was agreed on.
 */
import {
  expectedCapacityOf,
  httpConnectionDefaults,
  speaksHttp2,
} from '../../clients/http/connect-http.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { Host } from '../../core/host.ts'
import type { ContextWriter } from '../../protocols/http/propagation.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import { Http2ClientSession } from '../../protocols/http2/client-session.ts'
import { sizeBytes } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'
import { NotedConnection } from './noted-connection.ts'

export interface SpeakHttpSettings {
  readonly clock: Clock
  readonly host: Host
  readonly contextWriter: Pick<ContextWriter, 'write'>
}

/** @throws TransportError ERR_TLS when the endpoint has agreed to another version */
export function speakHttp(
  connection: Connection,
  key: string,
  config: ClusterConfig,
  settings: SpeakHttpSettings,
): NotedConnection {
  const { clock, host, contextWriter } = settings
  const maxHeadBytes = sizeBytes(config.max_response_header_bytes)
  const isHttp2 = speaksHttp2(connection, key, config.http_version)
  const session = isHttp2
    ? new Http2ClientSession({ host, maxHeaderListBytes: maxHeadBytes }, clock.now())
    : new Http1ClientSession({ host, maxHeadBytes })
  const exchanger = new NotedConnection(
    connection,
    session,
    {
      clock,
      contextWriter,
      // Where TLS ended here, what goes on plainly must not claim to be secure.
      scheme: schemeOf(config),
      ...(isHttp2 && { pingAfterMs: httpConnectionDefaults.verifyAfterIdleMs }),
    },
    { key, host },
  )
  exchanger.start()
  return exchanger
}

/** Requests that a new connection is expected to take at a time. */
export function capacityOf(config: ClusterConfig): number {
  return expectedCapacityOf(config.http_version, schemeOf(config), undefined)
}

function schemeOf({ tls }: ClusterConfig): 'http' | 'https' {
  return tls === undefined ? 'http' : 'https'
}
