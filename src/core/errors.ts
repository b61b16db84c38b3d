/**
 * Errors by what the caller can do about them. One base, nine classes, a closed union of codes.
 *
 * Every error says whether a new attempt is sensible (`retryable`) and what had left the process
 * when it happened (`sent`): retries rely on both. Abort reasons of the caller's own signal are
 * never wrapped: they pass through untouched.
 */

import type { Retryable } from './error-codes.ts'
import {
  type Blame,
  type CodeOf,
  ERROR_CODES,
  type ErrorClass,
  type ErrorCode,
} from './error-codes.ts'

export type { Blame, ErrorClass, ErrorCode, Retryable }

/** What of the request had left: proof of `nothing` makes any request safe to send again. */
export type Sent = 'nothing' | 'some' | 'all'

export interface HeddleErrorOptions {
  cause?: unknown
  /** @default the code's own, see docs/errors.md */
  retryable?: Retryable
  /** @default 'nothing' for caller and load errors, 'some' otherwise: the safe guess */
  sent?: Sent
  /** Protocol status or code of the peer, for `RemoteError`. */
  status?: number | string
  /** Anything a report needs: both numbers of a limit, the peer's address, bytes seen. */
  detail?: Readonly<Record<string, unknown>>
}

const BRAND = Symbol.for('heddle.error')

const BLAME: Readonly<Record<ErrorClass, Blame>> = Object.freeze({
  UsageError: 'caller',
  ProtocolError: 'peer',
  RemoteError: 'peer',
  AccessError: 'caller',
  TransportError: 'network',
  TimeoutError: 'unknown',
  OverloadError: 'load',
  ClosedError: 'lifecycle',
  InternalError: 'library',
})

export abstract class HeddleError extends Error {
  readonly code: ErrorCode
  readonly retryable: Retryable
  readonly sent: Sent
  readonly status: number | string | undefined
  readonly detail: Readonly<Record<string, unknown>> | undefined
  /** Earlier attempts of the same call, oldest first; set by the retry middleware. */
  attempts: readonly unknown[] = NO_ATTEMPTS

  constructor(code: ErrorCode, message: string, options: HeddleErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const entry = ERROR_CODES[code]
    this.name = entry.class
    this.code = code
    this.retryable = options.retryable ?? entry.retryable
    this.sent = options.sent ?? (SENT_NOTHING.has(entry.class) ? 'nothing' : 'some')
    this.status = options.status
    this.detail = options.detail
  }

  get [BRAND](): true {
    return true
  }

  get blame(): Blame {
    return BLAME[ERROR_CODES[this.code].class]
  }

  /** Recognises errors of another copy of this package too (as undici and connect do). */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false
    // biome-ignore lint/complexity/noThisInStatic: the subclass on the right of instanceof
    return this === HeddleError || (value as unknown as Error).name === this.name
  }
}

/** The code must be fixed: wrong argument, wrong state. Thrown synchronously. */
export class UsageError extends HeddleError {
  constructor(code: CodeOf<'UsageError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** The peer broke the protocol. Sticky: the connection is of no more use. */
export class ProtocolError extends HeddleError {
  constructor(code: CodeOf<'ProtocolError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** The peer answered correctly, with an error: read `status` and `detail`. */
export class RemoteError extends HeddleError {
  constructor(code: CodeOf<'RemoteError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, { sent: 'all', ...options })
  }
}
/**
 * Refused because of who asks: other credentials, or another policy, are needed. The message never
 * holds a credential.
 */
export class AccessError extends HeddleError {
  constructor(code: CodeOf<'AccessError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** The network failed: try elsewhere. */
export class TransportError extends HeddleError {
  constructor(code: CodeOf<'TransportError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** Time ran out; whether the peer did the work is unknown unless `sent` is `nothing`. */
export class TimeoutError extends HeddleError {
  constructor(code: CodeOf<'TimeoutError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** Refused before work began, here or by the peer: back off. */
export class OverloadError extends HeddleError {
  constructor(code: CodeOf<'OverloadError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** The caller or the life cycle ended it. */
export class ClosedError extends HeddleError {
  constructor(code: CodeOf<'ClosedError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}
/** A bug in heddle. */
export class InternalError extends HeddleError {
  constructor(code: CodeOf<'InternalError'>, message: string, options?: HeddleErrorOptions) {
    super(code, message, options)
  }
}

/** Refuses a numeric option outside [min, max]; returns it otherwise. */
export function checkRange(name: string, value: number, min: number, max: number): number {
  // The comparison form also refuses NaN.
  if (!(value >= min && value <= max)) {
    throw new UsageError('ERR_OPTION_RANGE', `${name} is ${value}, must be ${min} to ${max}`)
  }
  return value
}

/** As {@link checkRange}, for counts and sizes: whole numbers only. */
export function checkInteger(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value)) {
    throw new UsageError('ERR_OPTION_RANGE', `${name} is ${value}, must be a whole number`)
  }
  return checkRange(name, value, min, max)
}

/** Any thrown value as an `Error`, the original kept: an `Error` is returned untouched. */
export function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value), { cause: value })
}

const NO_ATTEMPTS: readonly unknown[] = Object.freeze([])
const SENT_NOTHING: ReadonlySet<ErrorClass> = new Set([
  'UsageError',
  'AccessError',
  'OverloadError',
  'ClosedError',
])
