/**
 * What of a call travels in HTTP fields: `traceparent`, `tracestate`, `baggage` (W3C), the request id
 * and the priority (RFC 9218). The same for every version of HTTP.
 *
 * A server reads them into the call's context, a client writes those of the context it is called
 * with. The context wins over a `traceparent` among the caller's own fields, because each attempt is
 * a span of its own; a request id that the caller wrote stays.
 */
import { boundBaggage } from '../../core/baggage.ts'
import {
  type CallContext,
  type CallInit,
  callDefaults,
  type TraceContext,
} from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import { formatTraceparent, traceFrom } from '../../core/trace-context.ts'
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
}

export const contextReaderDefaults: Readonly<Required<Omit<ContextReaderOptions, 'newRequestId'>>> =
  Object.freeze({
    trustTrace: true,
    requestIdHeader: 'x-request-id',
    trustRequestId: true,
    priority: 'lower',
  })

export const contextWriterDefaults: Readonly<Required<ContextWriterOptions>> = Object.freeze({
  trace: true,
  baggage: true,
  requestIdHeader: 'x-request-id',
  priority: true,
})

/** Reads a server's side. */
export class ContextReader {
  readonly #trustTrace: boolean
  readonly #requestIdHeader: string | undefined
  readonly #trustRequestId: boolean
  readonly #newRequestId: (() => string) | undefined
  readonly #priority: PriorityTrust

  constructor(options: ContextReaderOptions = {}) {
    const {
      trustTrace = contextReaderDefaults.trustTrace,
      requestIdHeader = contextReaderDefaults.requestIdHeader,
      trustRequestId = contextReaderDefaults.trustRequestId,
      newRequestId,
      priority = contextReaderDefaults.priority,
    } = options
    this.#trustTrace = trustTrace
    this.#requestIdHeader = headerName(requestIdHeader)
    this.#trustRequestId = trustRequestId
    this.#newRequestId = newRequestId
    this.#priority = priority
  }

  /** Sets what the fields say. */
  read(fields: HttpFields, init: CallInit): void {
    if (this.#requestIdHeader !== undefined) init.correlationId = this.#requestId(fields)
    const priority = trustedPriority(fields, this.#priority)
    if (priority !== undefined) init.priority = priority
    if (!this.#trustTrace) return
    init.trace = readTrace(fields)
    if (init.trace !== undefined) return
    // Baggage needs no trace. Without one it waits in the metadata for a span, or to be passed on.
    const baggage = readBaggage(fields)
    if (baggage !== undefined) init.metadata = new Map([['baggage', baggage]])
  }

  #requestId(fields: HttpFields): string | undefined {
    const given = this.#trustRequestId ? fields.get(this.#requestIdHeader ?? '') : undefined
    return given !== undefined && isRequestId(given) ? given : this.#newRequestId?.()
  }
}

/** Writes a client's side. */
export class ContextWriter {
  readonly #trace: boolean
  readonly #baggage: boolean
  readonly #requestIdHeader: string | undefined
  readonly #priority: boolean

  constructor(options: ContextWriterOptions = {}) {
    const {
      trace = contextWriterDefaults.trace,
      baggage = contextWriterDefaults.baggage,
      requestIdHeader = contextWriterDefaults.requestIdHeader,
      priority = contextWriterDefaults.priority,
    } = options
    this.#priority = priority
    this.#trace = trace
    this.#baggage = baggage
    this.#requestIdHeader = headerName(requestIdHeader)
  }

  /** `fields` untouched, and itself where nothing is to be added: most calls have no context. */
  write(fields: HttpFields, context: CallContext): HttpFields {
    const { trace, correlationId } = context
    const baggage = this.#baggage ? baggageOf(context) : undefined
    const name = correlationId === undefined ? undefined : this.#requestIdHeader
    const writesTrace = trace !== undefined && this.#trace
    const urgency = this.#priority && context.priority !== callDefaults.priority
    if (!writesTrace && baggage === undefined && name === undefined && !urgency) return fields
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
    return written
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

function headerName(name: string | false): string | undefined {
  if (name === false) return undefined
  if (isToken(name)) return name.toLowerCase()
  throw new UsageError('ERR_ARGUMENT', `field name ${JSON.stringify(name)} is not a token`)
}

const MAX_REQUEST_ID = 128
const VISIBLE = /^[!-~]+$/
