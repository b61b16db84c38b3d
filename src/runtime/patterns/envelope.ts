/**
 * What requests and replies over a message connection look like.
 *
 *     request   1 | id u32 | deadline u32 | priority u8 | head length u16 | head (JSON) | body
 *     reply     2 | id u32 | body
 *     error     3 | id u32 | JSON { code, message, retryable }
 *     cancel    4 | id u32
 *
 * Big-endian. The deadline is what remains, in milliseconds, 0xffffffff for none: clocks of two
 * machines are never compared. The head has correlation id, trace and metadata, each only if there.
 */
import type { CallContext, CallInit, TraceContext } from '../../core/context.ts'
import { ProtocolError, type Retryable, UsageError } from '../../core/errors.ts'
import { formatTraceparent, traceFrom } from '../../core/trace-context.ts'

export type Envelope =
  | {
      readonly type: 'request'
      readonly id: number
      /** What remains; undefined: no limit. */
      readonly remainingMs: number | undefined
      readonly priority: number
      readonly head: EnvelopeHead
      /** Borrowed, as the message it is in. */
      readonly body: Uint8Array
    }
  | { readonly type: 'reply'; readonly id: number; readonly body: Uint8Array }
  | { readonly type: 'error'; readonly id: number; readonly error: EnvelopeError }
  | { readonly type: 'cancel'; readonly id: number }

export interface EnvelopeHead {
  readonly correlationId?: string
  readonly traceparent?: string
  readonly tracestate?: string
  readonly baggage?: string
  readonly metadata?: Readonly<Record<string, string>>
}

export interface EnvelopeError {
  readonly code: string
  readonly message: string
  readonly retryable: Retryable
}

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  switch (envelope.type) {
    case 'request': {
      const head = ENCODER.encode(JSON.stringify(envelope.head))
      if (head.length > MAX_HEAD_BYTES) {
        const message = `correlation, trace and metadata are ${head.length} bytes, at most ${MAX_HEAD_BYTES}`
        throw new UsageError('ERR_ARGUMENT', message)
      }
      const { remainingMs = NO_DEADLINE } = envelope
      const bytes = start(1, envelope.id, REQUEST_BYTES + head.length + envelope.body.length)
      const view = new DataView(bytes.buffer)
      view.setUint32(5, Math.min(Math.max(0, Math.floor(remainingMs)), NO_DEADLINE))
      view.setUint8(9, envelope.priority)
      view.setUint16(10, head.length)
      bytes.set(head, REQUEST_BYTES)
      bytes.set(envelope.body, REQUEST_BYTES + head.length)
      return bytes
    }
    case 'reply': {
      const bytes = start(2, envelope.id, ID_BYTES + envelope.body.length)
      bytes.set(envelope.body, ID_BYTES)
      return bytes
    }
    case 'error': {
      const error = ENCODER.encode(JSON.stringify(envelope.error))
      const bytes = start(3, envelope.id, ID_BYTES + error.length)
      bytes.set(error, ID_BYTES)
      return bytes
    }
    case 'cancel':
      return start(4, envelope.id, ID_BYTES)
  }
}

/** @throws ProtocolError ERR_MALFORMED */
export function decodeEnvelope(message: Uint8Array): Envelope {
  if (message.length < ID_BYTES) throw malformed(`${message.length} bytes are no envelope`)
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  const id = view.getUint32(1)
  switch (view.getUint8(0)) {
    case 1: {
      if (message.length < REQUEST_BYTES) throw malformed('a request without its head')
      const remaining = view.getUint32(5)
      const bodyAt = REQUEST_BYTES + view.getUint16(10)
      if (bodyAt > message.length) throw malformed('the head is longer than its message')
      const head = parse(message.subarray(REQUEST_BYTES, bodyAt))
      return {
        type: 'request',
        id,
        remainingMs: remaining === NO_DEADLINE ? undefined : remaining,
        priority: Math.min(view.getUint8(9), 7),
        head: cleanHead(head),
        body: message.subarray(bodyAt),
      }
    }
    case 2:
      return { type: 'reply', id, body: message.subarray(ID_BYTES) }
    case 3:
      return { type: 'error', id, error: cleanError(parse(message.subarray(ID_BYTES))) }
    case 4:
      return { type: 'cancel', id }
    default:
      throw malformed(`an envelope of type ${view.getUint8(0)}`)
  }
}

/** What of a context goes with a request. */
export function headOf({ correlationId, trace, metadata }: CallContext): EnvelopeHead {
  return {
    ...(correlationId !== undefined && { correlationId }),
    ...(trace !== undefined && traceFields(trace)),
    ...(metadata.size > 0 && { metadata: Object.fromEntries(metadata) }),
  }
}

/** The same at the other side. */
export function contextOf(head: EnvelopeHead): CallInit {
  const { correlationId, traceparent, tracestate, baggage, metadata } = head
  return {
    correlationId,
    trace: traceFrom(traceparent, tracestate, baggage),
    ...(metadata !== undefined && { metadata: new Map(Object.entries(metadata)) }),
  }
}

function traceFields(trace: TraceContext): EnvelopeHead {
  return {
    traceparent: formatTraceparent(trace),
    ...(trace.state !== undefined && { tracestate: trace.state }),
    ...(trace.baggage !== undefined && { baggage: trace.baggage }),
  }
}

/** A peer's JSON: what is not as it should be is left out. */
function cleanHead(value: Record<string, unknown>): EnvelopeHead {
  const { metadata } = value
  const text = (name: keyof EnvelopeHead): object =>
    typeof value[name] === 'string' ? { [name]: value[name] } : {}
  return {
    ...text('correlationId'),
    ...text('traceparent'),
    ...text('tracestate'),
    ...text('baggage'),
    ...(typeof metadata === 'object' &&
      metadata !== null && {
        metadata: Object.fromEntries(
          Object.entries(metadata).filter(([, one]) => typeof one === 'string'),
        ),
      }),
  }
}

function cleanError({ code, message, retryable }: Record<string, unknown>): EnvelopeError {
  return {
    code: typeof code === 'string' ? code : 'unknown',
    message: typeof message === 'string' ? message : 'no message',
    retryable: retryable === 'yes' || retryable === 'if-idempotent' ? retryable : 'no',
  }
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(DECODER.decode(bytes))
  } catch (error) {
    throw new ProtocolError('ERR_MALFORMED', 'the envelope’s JSON is none', { cause: error })
  }
  if (typeof value !== 'object' || value === null) throw malformed('the envelope has no object')
  return value as Record<string, unknown>
}

function start(type: number, id: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  bytes[0] = type
  new DataView(bytes.buffer).setUint32(1, id)
  return bytes
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message)
}

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
const ID_BYTES = 5
const REQUEST_BYTES = 12
const NO_DEADLINE = 0xffff_ffff
const MAX_HEAD_BYTES = 0xffff
