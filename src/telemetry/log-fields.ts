/**
 * What a log line says about the call it belongs to, under the names of every line of heddle:
 * `worker_id`, `connection_id`, `protocol`, `transport`, `peer`, `trace_id`, `span_id`,
 * `correlation_id`.
 *
 *     const log = logger.child(contextFields(context))
 *     log.info('order accepted', { order: 7 })
 */
import { formatAddress } from '../core/address.ts'
import type { Connection } from '../core/connection.ts'
import type { CallContext } from '../core/context.ts'
import type { LogFields } from './log.ts'

/** Of a call: its trace, its request id, and the connection it came on. */
export function contextFields(context: CallContext): LogFields {
  const { trace, correlationId, connection } = context
  return {
    ...(connection !== undefined && connectionFields(connection)),
    trace_id: trace?.traceId,
    span_id: trace?.spanId,
    correlation_id: correlationId,
  }
}

/** Of a connection. The protocol is what TLS agreed on, where it did. */
export function connectionFields(connection: Connection): LogFields {
  const { remote, tls, transport } = connection.facts
  return {
    connection_id: connection.id,
    protocol: tls?.alpn,
    transport,
    peer: formatAddress(remote),
  }
}
