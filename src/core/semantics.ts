/**
 * How calls look in spans, for protocols whose conventions OpenTelemetry has: one small description
 * beside the classifier, and a builder that knows the names. HTTP's is protocols/http/semantics.ts.
 *
 *     const redisSemantics = databaseSemantics({
 *       system: 'redis',
 *       operation: (command) => command.name,
 *       failure: (reply) => (reply.type === 'error' ? reply.prefix : undefined),
 *     })
 *
 * Conventions: https://opentelemetry.io/docs/specs/semconv/ (rpc, database, messaging).
 */

import { GRPC_SERVER_ERRORS, RPC_SUCCESSES, statusTextOf } from './call-status.ts'
import type { TraceContext } from './context.ts'
import type { Attributes } from './metrics.ts'
import type { Classifier } from './policy.ts'
import type { CallSemantics, Side, SpanKind } from './tracing.ts'

/** The operation's name and nothing else: for protocols without conventions. */
export function plainSemantics<Req, Res>(
  classifier: Pick<Classifier<Req, Res>, 'operation' | 'protocol'>,
): CallSemantics<Req, Res> {
  const attributes = { 'network.protocol.name': classifier.protocol }
  return {
    spanName: (request) => classifier.operation(request),
    startAttributes: (_request, side, { attempt }) => numbered(attributes, side, attempt),
  }
}

export interface RpcSemanticsOptions<Req, Res> {
  /** `grpc`, `connectrpc`, `jsonrpc`, … */
  system: string
  /** Fully qualified: `package.Service/Method`; undefined: not one that is known. */
  method(request: Req): string | undefined
  /** `rpc.response.status_code`: the protocol's own code, as text. */
  status?(reply: Res): string | undefined
  /** The same of an error. @default its `status`, where it has one */
  errorStatus?(error: unknown): string | undefined
  /** Statuses that are no error. @default OK, 0 */
  successes?: readonly string[]
  /**
   * Statuses that are the server's own failure; every other one is the caller's.
   *
   * @default those of gRPC: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
   */
  serverErrors?: readonly string[]
}

export function rpcSemantics<Req, Res>(
  options: RpcSemanticsOptions<Req, Res>,
): CallSemantics<Req, Res> {
  const { system, method, status, errorStatus = statusTextOf } = options
  const successes = new Set(options.successes ?? RPC_SUCCESSES)
  const serverErrors = new Set(options.serverErrors ?? GRPC_SERVER_ERRORS)
  const codeName = 'rpc.response.status_code'
  return {
    spanName: (request) => method(request) ?? system,
    startAttributes(request, side, { attempt }) {
      const name = method(request) ?? '_OTHER'
      return numbered({ 'rpc.system.name': system, 'rpc.method': name }, side, attempt)
    },
    replyAttributes(reply) {
      const code = status?.(reply)
      return code === undefined ? undefined : { [codeName]: code }
    },
    replyErrorType(reply, _request, side) {
      const code = status?.(reply)
      if (code === undefined || successes.has(code)) return undefined
      return side !== 'server' || serverErrors.has(code) ? code : undefined
    },
    errorAttributes(error): Attributes | undefined {
      const code = errorStatus(error)
      return code === undefined ? undefined : { [codeName]: code, 'error.type': code }
    },
  }
}

export interface DatabaseSemanticsOptions<Req, Res> {
  /** `redis`, `postgresql`, `mysql`, `mongodb`, … */
  system: string
  /** `SELECT`, `HGET`, `findAndModify`; undefined: not known without parsing. */
  operation(request: Req): string | undefined
  /** Table, collection or the like, where there is exactly one. */
  collection?(request: Req): string | undefined
  /** Database, keyspace, index: `db.namespace`. */
  namespace?(request: Req): string | undefined
  /** Operations in one request, from 2. */
  batchSize?(request: Req): number | undefined
  /**
   * Query text with every literal replaced. What is given here is written as it is: raw text holds
   * other people's data.
   *
   * @default none is written
   */
  sanitizedText?(request: Req): string | undefined
  /** SQLSTATE, or the prefix of a Redis error; undefined: the reply is no error. */
  failure?(reply: Res): string | undefined
  /** The same of an error. @default its `status`, where it has one */
  errorStatus?(error: unknown): string | undefined
}

export function databaseSemantics<Req, Res>(
  options: DatabaseSemanticsOptions<Req, Res>,
): CallSemantics<Req, Res> {
  const { system, operation, collection, namespace, batchSize, sanitizedText, failure } = options
  const { errorStatus = statusTextOf } = options
  return {
    spanName(request) {
      const name = operation(request)
      const target = collection?.(request) ?? namespace?.(request)
      if (name === undefined) return target ?? system
      return target === undefined ? name : `${name} ${target}`
    },
    startAttributes(request, side, { attempt }) {
      const size = batchSize?.(request)
      const attributes = withoutUndefined({
        'db.system.name': system,
        'db.operation.name': operation(request),
        'db.collection.name': collection?.(request),
        'db.namespace': namespace?.(request),
        // The conventions: a batch of one is no batch.
        'db.operation.batch.size': size === undefined || size < 2 ? undefined : size,
        'db.query.text': sanitizedText?.(request),
      })
      return numbered(attributes, side, attempt)
    },
    replyAttributes(reply) {
      const code = failure?.(reply)
      return code === undefined ? undefined : { 'db.response.status_code': code }
    },
    replyErrorType: (reply) => failure?.(reply),
    errorAttributes(error): Attributes | undefined {
      const code = errorStatus(error)
      return code === undefined
        ? undefined
        : { 'db.response.status_code': code, 'error.type': code }
    },
  }
}

export interface MessagingSemanticsOptions<Req> {
  /** `kafka`, `rabbitmq`, `nats`, … */
  system: string
  /** What the request does with messages. */
  type(request: Req): MessagingOperation
  /** Queue or topic; undefined where the request names none. */
  destination(request: Req): string | undefined
  /** As the system's own client calls it. @default the type */
  operation?(request: Req): string
  consumerGroup?(request: Req): string | undefined
  messageId?(request: Req): string | undefined
  /** Messages in one request: two or more are a batch. */
  batchSize?(request: Req): number | undefined
  /** The traces that the messages came with: links, because a batch has no one parent. */
  traces?(request: Req): readonly TraceContext[] | undefined
}

export type MessagingOperation = 'create' | 'send' | 'receive' | 'process' | 'settle'

export function messagingSemantics<Req, Res>(
  options: MessagingSemanticsOptions<Req>,
): CallSemantics<Req, Res> {
  const { system, type, destination, consumerGroup, messageId, batchSize, traces } = options
  const operation = options.operation ?? type
  return {
    spanName(request) {
      const target = destination(request)
      return target === undefined ? operation(request) : `${operation(request)} ${target}`
    },
    startAttributes(request, side, { attempt }) {
      const size = batchSize?.(request)
      const attributes = withoutUndefined({
        'messaging.system': system,
        'messaging.operation.type': type(request),
        'messaging.operation.name': operation(request),
        'messaging.destination.name': destination(request),
        'messaging.consumer.group.name': consumerGroup?.(request),
        'messaging.message.id': messageId?.(request),
        'messaging.batch.message_count': size === undefined || size < 2 ? undefined : size,
      })
      return numbered(attributes, side, attempt)
    },
    kind: (request, side) => (side === 'call' ? 'internal' : MESSAGING_KINDS[type(request)]),
    links: (request) => traces?.(request),
  }
}

/** Which attempt it is: HTTP's own counter has no counterpart in the other conventions. */
function numbered(attributes: Attributes, side: Side, attempt: number): Attributes {
  return side === 'attempt' && attempt > 1
    ? { ...attributes, 'heddle.resend_count': attempt - 1 }
    : attributes
}

function withoutUndefined(
  attributes: Readonly<Record<string, string | number | undefined>>,
): Attributes {
  const defined: Record<string, string | number> = {}
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined) defined[name] = value
  }
  return defined
}

const MESSAGING_KINDS: Readonly<Record<MessagingOperation, SpanKind>> = Object.freeze({
  create: 'producer',
  send: 'producer',
  receive: 'client',
  process: 'consumer',
  settle: 'client',
})
