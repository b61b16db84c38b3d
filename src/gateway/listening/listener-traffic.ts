/**
 * What one listener counts and reports: requests, answers, errors, a line in the access log.
 */

import { formatAddress } from '../../core/address.ts'
import { HeddleError } from '../../core/errors.ts'
import { GrpcStatus } from '../../protocols/grpc/status.ts'
import type { HttpRequest } from '../../protocols/http/messages.ts'
import type {
  HttpExchangeRecord,
  HttpServerObserver,
} from '../../servers/http/http-server-connection.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'
import type { AccessLog } from '../logging/access-log.ts'
import type { GrpcRecord, RecentError, RequestRecord } from '../status.ts'

export interface ListenerTrafficOptions {
  readonly listener: string
  /** Looked up for each request: a reload may replace it. */
  readonly accessLog: () => AccessLog | undefined
  readonly onRequest: () => ((record: RequestRecord) => void) | undefined
  readonly onError: (error: Omit<RecentError, 'wallTime'>) => void
}

export class ListenerTraffic implements HttpServerObserver {
  readonly #options: ListenerTrafficOptions
  readonly statusClasses = [0, 0, 0, 0, 0, 0]
  active = 0
  requests = 0
  clientAborts = 0
  errors = 0

  constructor(options: ListenerTrafficOptions) {
    this.#options = options
  }

  onRequest(): void {
    this.active++
  }

  onExchange(record: HttpExchangeRecord): void {
    this.active--
    this.requests++
    const { status, request, error } = record
    const statusClass = status >= 100 && status < 600 ? Math.floor(status / 100) : 0
    this.statusClasses[statusClass]!++
    const note = request.note instanceof ProxiedRequest ? request.note : undefined
    if (error !== undefined) this.#onCut(error, note)
    this.#options.onRequest()?.({
      listener: this.#options.listener,
      route: note?.route?.name,
      cluster: note?.cluster,
      method: request.method,
      grpc: grpcOf(note, error),
      status,
      durationSeconds: record.durationMs / 1_000,
      endedAt: record.startedAt + record.durationMs,
      trace: request.trace,
    })
    this.#log(record, note)
  }

  /** A connection broke its protocol, or the service threw, which is a bug of ours. */
  onError(error: Error, request: HttpRequest | undefined): void {
    if (!(error instanceof HeddleError)) return this.fail(error, request)
    // Peers go away all the time; what they do wrong is worth a line.
    if (error.blame === 'peer' || error.blame === 'library') this.fail(error, request)
  }

  fail(error: Error, request?: HttpRequest): void {
    this.errors++
    const note = request?.note instanceof ProxiedRequest ? request.note : undefined
    this.#options.onError({
      where: `listener ${this.#options.listener}`,
      code: error instanceof HeddleError ? error.code : 'ERR_INVARIANT',
      message: error.message,
      route: note?.route?.name,
      upstream: note?.upstreamAddress,
      requestId: note?.requestId,
    })
  }

  /** The gateway answered by itself. Refusals of the client's making are no errors of ours. */
  onFailure(request: ProxiedRequest, error: Error | undefined): void {
    if (error === undefined && request.errorCode !== 'overloaded' && request.errorCode !== 'loop') {
      return
    }
    const { cluster } = request
    this.#options.onError({
      where: cluster === undefined ? `listener ${this.#options.listener}` : `cluster ${cluster}`,
      code: request.errorCode ?? 'ERR_INVARIANT',
      message: error?.message ?? `request refused: ${request.errorCode}`,
      route: request.route?.name,
      upstream: request.upstreamAddress,
      requestId: request.requestId,
    })
  }

  /** No endpoint took a layer-4 connection. */
  failRaw(error: Error, route: string, cluster: string): void {
    this.errors++
    this.#options.onError({
      where: `cluster ${cluster}`,
      code: error instanceof HeddleError ? error.code : 'ERR_INVARIANT',
      message: error.message,
      route,
      upstream: undefined,
      requestId: undefined,
    })
  }

  /** An exchange that ended early: the client went away, or the upstream cut its answer. */
  #onCut(error: Error, note: ProxiedRequest | undefined): void {
    const blame = error instanceof HeddleError ? error.blame : 'library'
    if (blame === 'network' || blame === 'peer') {
      this.clientAborts++
      return
    }
    if (blame !== 'library' || note?.cluster === undefined) return
    const cause = error.cause instanceof Error ? error.cause : error
    this.#options.onError({
      where: `cluster ${note.cluster}`,
      code: cause instanceof HeddleError ? cause.code : 'ERR_INVARIANT',
      message: `answer cut: ${cause.message}`,
      route: note.route?.name,
      upstream: note.upstreamAddress,
      requestId: note.requestId,
    })
  }

  #log(record: HttpExchangeRecord, note: ProxiedRequest | undefined): void {
    const log = this.#options.accessLog()
    if (log === undefined) return
    const { request, status, durationMs, requestBytes, responseBytes, error } = record
    const remote = request.connection?.facts.remote
    log.write({
      listener: this.#options.listener,
      peer: note?.clientAddress ?? (remote === undefined ? '' : formatAddress(remote)),
      connectionId: request.connection?.id,
      transport: request.connection?.facts.transport,
      protocol: `http/${request.version}`,
      method: request.method,
      authority: request.authority,
      target: request.target,
      fields: request.fields,
      status,
      durationMs,
      requestBytes,
      responseBytes,
      route: note?.route?.name,
      cluster: note?.cluster,
      upstream: note?.upstreamAddress,
      attempts: note?.attempts ?? 0,
      cached: note?.cached,
      grpcStatus: grpcOf(note, error)?.status,
      principal: note?.principal?.id,
      requestId: note?.requestId ?? '',
      trace: request.trace,
      error: note?.errorCode ?? (error instanceof HeddleError ? error.code : error?.message),
    })
  }
}

/** One that was cut without a status was given up by its client, or is UNKNOWN. */
function grpcOf(
  note: ProxiedRequest | undefined,
  error: Error | undefined,
): GrpcRecord | undefined {
  if (note?.grpcType === undefined) return undefined
  const gone =
    note.errorCode === 'client_closed' ||
    (error instanceof HeddleError && (error.blame === 'network' || error.blame === 'peer'))
  const status = note.grpcStatus ?? (gone ? GrpcStatus.CANCELLED : GrpcStatus.UNKNOWN)
  return { path: note.path, status, answered: note.errorCode === undefined }
}
