/**
 * The access log: one line of JSON for each request, written when it is over.
 *
 *     {"ts":"…","level":"info","msg":"request","listener":"http","connection_id":7,
 *      "peer":"10.0.0.7:5123","transport":"tcp","protocol":"http/1.1","method":"GET","authority":"a.example","path":"/x","status":200,
 *      "duration_ms":1.52,"request_bytes":0,"response_bytes":512,"route":"api","cluster":"api",
 *      "upstream":"10.0.1.4:80","attempts":1,"correlation_id":"…","trace_id":"…"}
 *
 * The query is left out unless asked for, and headers of the redaction list are never written in
 * clear: both hold secrets.
 */
import type { Clock } from '../../core/clock.ts'
import type { TraceContext } from '../../core/context.ts'
import { grpcStatusName } from '../../protocols/grpc/status.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { jsonLogger, type LineSink, type LogFields, type Logger } from '../../telemetry/log.ts'

export interface AccessRecord {
  readonly listener: string
  /** The client as believed: behind trusted hops, the address they report. */
  readonly peer: string
  readonly connectionId: number | undefined
  /** `tcp`, `tls`, `unix`, … */
  readonly transport: string | undefined
  readonly protocol: string
  readonly method: string
  readonly authority: string
  /** As received, with its query. */
  readonly target: string
  readonly fields: HttpFields
  /** 0: no answer was sent. */
  readonly status: number
  readonly durationMs: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly route: string | undefined
  readonly cluster: string | undefined
  readonly upstream: string | undefined
  readonly attempts: number
  /** Of a call of gRPC. */
  readonly grpcStatus?: number | undefined
  /** Answered from the route's cache. */
  readonly cached?: boolean | undefined
  readonly requestId: string
  readonly trace: TraceContext | undefined
  /** Who called, where that was asked. */
  readonly principal?: string | undefined
  /** Code of what went wrong, if anything did. */
  readonly error: string | undefined
}

export interface AccessLogOptions {
  /** Takes whole lines. */
  sink: LineSink
  clock: Pick<Clock, 'wallNow'>
  /** Request headers to log, by name. @default none */
  headers?: readonly string[]
  /** @default false: queries hold tokens and searches */
  query?: boolean
}

export class AccessLog {
  readonly #logger: Logger
  readonly #headers: readonly string[]
  readonly #query: boolean

  constructor(options: AccessLogOptions) {
    const { sink, clock, headers = [], query = false } = options
    this.#logger = jsonLogger(sink, clock)
    this.#headers = headers.map((name) => name.toLowerCase())
    this.#query = query
  }

  write(record: AccessRecord): void {
    const { target, trace, error } = record
    const query = this.#query ? -1 : target.indexOf('?')
    const fields: Record<string, unknown> = {
      listener: record.listener,
      connection_id: record.connectionId,
      peer: record.peer,
      transport: record.transport,
      protocol: record.protocol,
      method: record.method,
      authority: record.authority,
      path: query < 0 ? target : target.slice(0, query),
      status: record.status,
      duration_ms: Math.round(record.durationMs * 1_000) / 1_000,
      request_bytes: record.requestBytes,
      response_bytes: record.responseBytes,
      route: record.route,
      cluster: record.cluster,
      upstream: record.upstream,
      attempts: record.attempts,
      cached: record.cached || undefined,
      grpc_status: record.grpcStatus === undefined ? undefined : grpcStatusName(record.grpcStatus),
      principal: record.principal,
      correlation_id: record.requestId,
      trace_id: trace?.traceId,
      span_id: trace?.spanId,
      error,
    }
    if (this.#headers.length > 0) fields['headers'] = this.#chosen(record.fields)
    this.#logger.info('request', fields)
  }

  #chosen(fields: HttpFields): LogFields {
    const chosen: Record<string, string> = {}
    for (const name of this.#headers) {
      const value = fields.get(name)
      if (value !== undefined) chosen[name] = value
    }
    return chosen
  }
}
