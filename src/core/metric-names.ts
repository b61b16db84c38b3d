/**
 * What a protocol's calls are counted under: by OpenTelemetry's semantic conventions where they have
 * names for its kind. One call of a builder, with the options of its spans (semantics.ts):
 *
 *     const names = databaseMetricNames({ system: 'redis', operation: (command) => command.name })
 *     createClient({ meter, metricNames: names.client, … })
 *
 * A convention's duration is that of its client span, so it is measured for each attempt, as for HTTP;
 * a call with its retries is `heddle.client.call.duration` in every protocol.
 *
 * Conventions: https://opentelemetry.io/docs/specs/semconv/ (rpc, database and messaging metrics).
 */
import { GRPC_SERVER_ERRORS, RPC_SUCCESSES, statusTextOf } from './call-status.ts'
import type { Attributes } from './metrics.ts'
import type {
  DatabaseSemanticsOptions,
  MessagingSemanticsOptions,
  RpcSemanticsOptions,
} from './semantics.ts'

/** What servers and clients have in common. Everything is optional. */
export interface CallMetricNames<Req, Res> {
  /** On every instrument: `server.address`, `rpc.system.name`, … */
  attributes?: Attributes
  /** @default heddle.operation */
  operationAttribute?: string
  /** Low in cardinality; undefined: it has none. @default the classifier's */
  operation?(request: Req): string | undefined
  /** Further attributes of a request, low in cardinality as well. */
  requestAttributes?: readonly RequestAttribute<Req>[]
  /** Name and value of the outcome of a response: `http.response.status_code`, `200`. */
  outcomeAttribute?: string
  outcome?(response: Res): string | number | undefined
  /** `error.type` of a response that counts as a failure. */
  failure?(response: Res): string | undefined
  /** The protocol's own code of an error, where it has one: the outcome, and its `error.type`. */
  errorOutcome?(error: unknown): string | undefined
  /** Upper bounds of the convention's duration, in seconds. @default DURATION_BUCKETS */
  buckets?: readonly number[]
  /** The convention's duration, where it depends on the request. */
  durationOf?(request: Req): string | undefined
  /** What is counted besides: messages, rows. */
  counts?: readonly CountedThing<Req, Res>[]
}

export interface RequestAttribute<Req> {
  readonly name: string
  of(request: Req): string | number | undefined
}

export interface CountedThing<Req, Res> {
  /** Of a counter. */
  readonly name: string
  readonly unit: string
  /** How many; `response` is undefined where there is none. */
  of(request: Req, response: Res | undefined): number
}

/** How a protocol names what the metrics layers of a client count. */
export interface MetricNames<Req, Res> extends CallMetricNames<Req, Res> {
  /** @default heddle.client.call.duration */
  callDuration?: string
  /** @default heddle.client.call.active */
  callsActive?: string
  /** @default heddle.client.attempt.duration */
  attemptDuration?: string
}

/** The same of a server. */
export interface ServerMetricNames<Req, Res> extends CallMetricNames<Req, Res> {
  /** @default heddle.server.call.duration */
  callDuration?: string
  /** @default heddle.server.call.active */
  callsActive?: string
}

/** Both ends of a protocol. */
export interface ProtocolMetricNames<Req, Res> {
  readonly client: MetricNames<Req, Res>
  readonly server: ServerMetricNames<Req, Res>
}

/** `rpc.client.call.duration`, `rpc.server.call.duration`. */
export function rpcMetricNames<Req, Res>(
  options: RpcSemanticsOptions<Req, Res>,
): ProtocolMetricNames<Req, Res> {
  const { system, method, status, errorStatus = statusTextOf } = options
  const successes = new Set(options.successes ?? RPC_SUCCESSES)
  const serverErrors = new Set(options.serverErrors ?? GRPC_SERVER_ERRORS)
  const failed = (response: Res): string | undefined => {
    const code = status?.(response)
    return code === undefined || successes.has(code) ? undefined : code
  }
  const both: CallMetricNames<Req, Res> = {
    attributes: { 'rpc.system.name': system },
    operationAttribute: 'rpc.method',
    operation: (request) => method(request) ?? OTHER,
    outcomeAttribute: 'rpc.response.status_code',
    outcome: (response) => status?.(response),
    errorOutcome: errorStatus,
  }
  const blamed = (response: Res): string | undefined => {
    const code = failed(response)
    // What the caller did wrong is no error of the server's.
    return code !== undefined && serverErrors.has(code) ? code : undefined
  }
  return {
    client: { ...both, attemptDuration: 'rpc.client.call.duration', failure: failed },
    server: { ...both, callDuration: 'rpc.server.call.duration', failure: blamed },
  }
}

/** `db.client.operation.duration`. The conventions have nothing for a database's own side. */
export function databaseMetricNames<Req, Res>(
  options: DatabaseSemanticsOptions<Req, Res>,
): Pick<ProtocolMetricNames<Req, Res>, 'client'> {
  const { system, operation, collection, namespace, failure, errorStatus = statusTextOf } = options
  const failed = (response: Res): string | undefined => failure?.(response)
  return {
    client: {
      attributes: { 'db.system.name': system },
      operationAttribute: 'db.operation.name',
      operation,
      requestAttributes: [
        ...attribute('db.collection.name', collection),
        ...attribute('db.namespace', namespace),
      ],
      attemptDuration: 'db.client.operation.duration',
      buckets: DATABASE_BUCKETS,
      outcomeAttribute: 'db.response.status_code',
      outcome: failed,
      failure: failed,
      errorOutcome: errorStatus,
    },
  }
}

export interface MessagingMetricOptions<Req, Res> extends MessagingSemanticsOptions<Req> {
  /**
   * `messaging.destination.name`, for systems where they are few; a template elsewhere.
   *
   * @default none: inboxes and queues of one consumer are as many as there are peers
   */
  metricDestination?(request: Req): string | undefined
  /** Messages that a response brought. @default none are counted as consumed */
  received?(response: Res): number
  /** `error.type` of a response that is none: a refused publish. */
  failure?(response: Res): string | undefined
}

/**
 * `messaging.client.operation.duration`, of processing `messaging.process.duration`, and the numbers
 * of messages that were sent and consumed.
 */
export function messagingMetricNames<Req, Res>(
  options: MessagingMetricOptions<Req, Res>,
): ProtocolMetricNames<Req, Res> {
  const { system, type, batchSize, received, failure, consumerGroup, metricDestination } = options
  const both: CallMetricNames<Req, Res> = {
    attributes: { 'messaging.system': system },
    operationAttribute: 'messaging.operation.name',
    operation: options.operation ?? type,
    requestAttributes: [
      { name: 'messaging.operation.type', of: type },
      ...attribute('messaging.destination.name', metricDestination),
      ...attribute('messaging.consumer.group.name', consumerGroup),
    ],
    ...(failure !== undefined && { failure }),
    counts: [
      {
        name: 'messaging.client.sent.messages',
        unit: '{message}',
        of: (request) => (type(request) === 'send' ? (batchSize?.(request) ?? 1) : 0),
      },
      {
        name: 'messaging.client.consumed.messages',
        unit: '{message}',
        of: (request, response) =>
          response === undefined || type(request) !== 'receive' ? 0 : (received?.(response) ?? 0),
      },
    ],
  }
  return {
    client: {
      ...both,
      attemptDuration: 'messaging.client.operation.duration',
      durationOf: (request) => (type(request) === 'process' ? PROCESSING : undefined),
    },
    server: { ...both, callDuration: PROCESSING },
  }
}

function attribute<Req>(
  name: string,
  of: ((request: Req) => string | undefined) | undefined,
): RequestAttribute<Req>[] {
  return of === undefined ? [] : [{ name, of }]
}

const OTHER = '_OTHER'
const PROCESSING = 'messaging.process.duration'
/** What the conventions advise for databases; for the others it is `DURATION_BUCKETS`. */
const DATABASE_BUCKETS: readonly number[] = Object.freeze([
  0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10,
])
