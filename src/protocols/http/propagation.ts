/**
 * What of a call travels in HTTP fields: `traceparent`, `tracestate`, `baggage` (W3C), the request id
 * the priority (RFC 9218) and what remains of the deadline (deadline-header.ts). The same for every
 * version of HTTP.
 *
 * A server reads them into the call's context, a client writes those of the context it is called
 * with. The context wins over a `traceparent` among the caller's own fields, because each attempt is
 * a span of its own; a request id that the caller wrote stays.
 */
import { boundBaggage } from '../../core/baggage.ts'
import type { Clock } from '../../core/clock.ts'
import {
  type CallContext,
  type CallInit,
  callDefaults,
  type TraceContext,
} from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import { formatTraceparent, traceFrom } from '../../core/trace-context.ts'
import {
  DEADLINE_HEADERS,
  type DeadlineHeader,
  formatRemaining,
  parseGrpcTimeout,
  readRemainingMs,
} from './deadline-header.ts'
import { HttpFields, isToken } from './fields.ts'
import { type PriorityTrust, trustedPriority } from './priority-field.ts'

export interface ContextReaderOptions {
  /**
   * Believes `traceparent`, `tracestate` and `baggage` of clients. Where anybody may connect, a
   * client could make every trace recorded: false begins a trace of its own for each call.
   *
   * @default true: servers of this library stand behind a gateway or in one network
   */
  trustTrace?: boolean
  /**
   * Takes the caller's deadline from {@link DEADLINE_HEADERS}, as far as it is earlier than the
   * server's own: a client can shorten its call, never make it longer. The call is answered with 504
   * when it has passed, whatever the service does.
   *
   * @default false: a stranger's deadline may make work that is thrown away
   */
  trustDeadline?: boolean
  /** Field that carries the request id; false: none is read or made. @default 'x-request-id' */
  requestIdHeader?: string | false
  /** Believes a client's request id, within 128 visible characters. @default true */
  trustRequestId?: boolean
  /** Makes ids where none came. @default none are made */
  newRequestId?: () => string
  /**
   * How far a client's `priority` field is believed: `lower`: it may only make itself less
   * important; `trust`: it may say anything; `ignore`.
   *
   * @default 'lower': whoever could raise its own priority would
   */
  priority?: PriorityTrust
}

export interface ContextWriterOptions {
  /** Sends `traceparent` and `tracestate`. @default true */
  trace?: boolean
  /**
   * Sends `baggage`, which may hold what only one's own services should see.
   *
   * @default true: who calls foreign services turns it off
   */
  baggage?: boolean
  /** Field that carries the request id; false: it is not sent. @default 'x-request-id' */
  requestIdHeader?: string | false
  /** Sends the `priority` field for calls that are not of the middle priority. @default true */
  priority?: boolean
  /**
   * Sends what remains of the call's time, attempt timeout included, at the moment an attempt goes
   * out. True: as `x-envoy-expected-rq-timeout-ms`.
   *
   * @default false: for services that read it
   */
  deadline?: DeadlineHeader | boolean
  /**
   * A `grpc-timeout` among the fields is written anew with what remains, never with more: for
   * proxies, whose callers' time goes on while they wait and try again.
   *
   * @default false: a client's own fields are left alone
   */
  shortenGrpcTimeout?: boolean
}

export const contextReaderDefaults: Readonly<Required<Omit<ContextReaderOptions, 'newRequestId'>>> =
  Object.freeze({
    trustTrace: true,
    trustDeadline: false,
    requestIdHeader: 'x-request-id',
    trustRequestId: true,
    priority: 'lower',
  })

export const contextWriterDefaults: Readonly<Required<ContextWriterOptions>> = Object.freeze({
  trace: true,
  baggage: true,
  requestIdHeader: 'x-request-id',
  priority: true,
  deadline: false,
  shortenGrpcTimeout: false,
})

/** Reads a server's side. */
export class ContextReader {
  readonly #trustTrace: boolean
  readonly #trustDeadline: boolean
  readonly #requestIdHeader: string | undefined
  readonly #trustRequestId: boolean
  readonly #newRequestId: (() => string) | undefined
  readonly #priority: PriorityTrust

  constructor(options: ContextReaderOptions = {}) {
    const {
      trustTrace = contextReaderDefaults.trustTrace,
      trustDeadline = contextReaderDefaults.trustDeadline,
      requestIdHeader = contextReaderDefaults.requestIdHeader,
      trustRequestId = contextReaderDefaults.trustRequestId,
      newRequestId,
      priority = contextReaderDefaults.priority,
    } = options
    this.#trustTrace = trustTrace
    this.#trustDeadline = trustDeadline
    this.#requestIdHeader = headerName(requestIdHeader)
    this.#trustRequestId = trustRequestId
    this.#newRequestId = newRequestId
    this.#priority = priority
  }

  /** Sets what the fields say. @param now when the request arrived */
  read(fields: HttpFields, init: CallInit, now: number): void {
    if (this.#trustDeadline) init.deadline = earlier(init.deadline, fields, now)
    if (this.#requestIdHeader !== undefined) {
      init.correlationId = this.#requestId(fields, this.#requestIdHeader)
      // Most services never look at it.
      if (init.correlationId === undefined) init.newCorrelationId = this.#newRequestId
    }
    const priority = trustedPriority(fields, this.#priority)
    if (priority !== undefined) init.priority = priority
    if (!this.#trustTrace) return
    init.trace = readTrace(fields)
    if (init.trace !== undefined) return
    // Baggage needs no trace. Without one it waits in the metadata for a span, or to be passed on.
    const baggage = readBaggage(fields)
    if (baggage !== undefined) init.metadata = new Map([['baggage', baggage]])
  }

  #requestId(fields: HttpFields, header: string): string | undefined {
    const given = this.#trustRequestId ? fields.get(header) : undefined
    return given !== undefined && isRequestId(given) ? given : undefined
  }
}

/** Writes a client's side. */
export class ContextWriter {
  readonly #trace: boolean
  readonly #baggage: boolean
  readonly #requestIdHeader: string | undefined
  readonly #priority: boolean
  readonly #deadlineHeader: DeadlineHeader | undefined
  readonly #shorten: boolean

  constructor(options: ContextWriterOptions = {}) {
    const {
      trace = contextWriterDefaults.trace,
      baggage = contextWriterDefaults.baggage,
      requestIdHeader = contextWriterDefaults.requestIdHeader,
      priority = contextWriterDefaults.priority,
      deadline = contextWriterDefaults.deadline,
      shortenGrpcTimeout = contextWriterDefaults.shortenGrpcTimeout,
    } = options
    this.#shorten = shortenGrpcTimeout
    this.#priority = priority
    this.#trace = trace
    this.#baggage = baggage
    this.#deadlineHeader = deadlineHeader(deadline)
    this.#requestIdHeader = headerName(requestIdHeader)
  }

  /** `fields` untouched, and itself where nothing is to be added: most calls have no context. */
  write(fields: HttpFields, context: CallContext, clock: Pick<Clock, 'now'>): HttpFields {
    const { trace, correlationId } = context
    const baggage = this.#baggage ? baggageOf(context) : undefined
    const name = correlationId === undefined ? undefined : this.#requestIdHeader
    const writesTrace = trace !== undefined && this.#trace
    const urgency = this.#priority && context.priority !== callDefaults.priority
    const header = this.#deadlineHeader ?? this.#grpcTimeoutIn(fields)
    const until = header === undefined ? undefined : endOf(context)
    const nothing = !writesTrace && baggage === undefined && name === undefined && !urgency
    if (nothing && until === undefined) return fields
    const written = new HttpFields(fields)
    if (writesTrace) {
      written.set('traceparent', formatTraceparent(trace))
      // A state belongs to its parent: one of another trace would be a lie.
      if (trace.state === undefined) written.delete('tracestate')
      else written.set('tracestate', trace.state)
    }
    if (baggage !== undefined) written.set('baggage', baggage)
    if (name !== undefined && correlationId !== undefined && !written.has(name)) {
      written.set(name, correlationId)
    }
    if (urgency && !written.has('priority')) written.set('priority', `u=${context.priority}`)
    if (until !== undefined && header !== undefined) {
      // What a caller or an earlier hop wrote was true then.
      const stale = this.#deadlineHeader === undefined ? [header] : DEADLINE_HEADERS
      for (const name of stale) written.delete(name)
      written.set(header, formatRemaining(header, until - clock.now()))
    }
    return written
  }

  /** One that is no timeout has set no deadline either, and is the server's to refuse. */
  #grpcTimeoutIn(fields: HttpFields): DeadlineHeader | undefined {
    if (!this.#shorten) return undefined
    const text = fields.get('grpc-timeout')
    return text !== undefined && parseGrpcTimeout(text) !== undefined ? 'grpc-timeout' : undefined
  }
}

/** The trace that a peer's fields say; undefined: none, or not a valid one. */
export function readTrace(fields: HttpFields): TraceContext | undefined {
  const parent = fields.get('traceparent')
  if (parent === undefined) return undefined
  return traceFrom(parent, fields.get('tracestate'), readBaggage(fields))
}

/** Short, and nothing in it that could break a log line or a shell. */
export function isRequestId(text: string): boolean {
  return text.length <= MAX_REQUEST_ID && VISIBLE.test(text)
}

/**
 * Ids that are unique in this process and, by their random start, elsewhere; not a secret.
 *
 * @param prefix random text
 */
export function requestIds(prefix: string): () => string {
  let count = 0
  return () => `${prefix}-${(++count).toString(36).padStart(6, '0')}`
}

function readBaggage(fields: HttpFields): string | undefined {
  const baggage = fields.get('baggage')
  return baggage === undefined ? undefined : boundBaggage(baggage)
}

function baggageOf(context: CallContext): string | undefined {
  return context.trace === undefined ? context.metadata.get('baggage') : context.trace.baggage
}

/** When nobody waits for this attempt any more. */
function endOf(context: CallContext): number | undefined {
  const { deadline, attemptDeadline } = context
  if (deadline === undefined) return attemptDeadline
  return attemptDeadline === undefined ? deadline : Math.min(deadline, attemptDeadline)
}

function earlier(own: number | undefined, fields: HttpFields, now: number): number | undefined {
  const remainingMs = readRemainingMs(fields)
  if (remainingMs === undefined) return own
  return own === undefined ? now + remainingMs : Math.min(own, now + remainingMs)
}

function deadlineHeader(option: DeadlineHeader | boolean): DeadlineHeader | undefined {
  if (option === false) return undefined
  const header = option === true ? DEADLINE_HEADERS[0] : option
  if (header !== undefined && DEADLINE_HEADERS.includes(header)) return header
  const message = `deadline ${JSON.stringify(option)} is none of ${DEADLINE_HEADERS.join(', ')}`
  throw new UsageError('ERR_ARGUMENT', message)
}

function headerName(name: string | false): string | undefined {
  if (name === false) return undefined
  if (isToken(name)) return name.toLowerCase()
  throw new UsageError('ERR_ARGUMENT', `field name ${JSON.stringify(name)} is not a token`)
}

const MAX_REQUEST_ID = 128
const VISIBLE = /^[!-~]+$/
