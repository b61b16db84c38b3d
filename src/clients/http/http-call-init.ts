/**
 * What one call of an HTTP client may say beside its request. The types refuse what would be of no
 * use: a body that can be sent once in a call that is said to be repeatable.
 */
import type { CallContext, CallInit } from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import type { ReplayableBodyInit } from '../../protocols/http/body.ts'
import type { HttpRequestInit } from '../../protocols/http/messages.ts'

/** For a body that can be sent again. */
export type ReplayableRequestInit = HttpRequestInit &
  HttpCallInit & { readonly body?: ReplayableBodyInit }

/** For a body that can be sent once: that doing it twice were the same would be of no use. */
export type OneShotCallInit = HttpCallInit & { readonly idempotent?: false | undefined }

export interface HttpCallInit extends Pick<CallInit, 'signal' | 'idempotent' | 'priority'> {
  /**
   * The call that this one is a part of, as a service was given it: cancelled with it, within its
   * deadline, in its trace, under its request id.
   */
  context?: CallContext
  /** Of the whole call, from now, in milliseconds. */
  timeoutMs?: number
}

export function oneShotError(): UsageError {
  const way = 'give bytes, a function that makes it, or Body.buffered(source, maxBytes)'
  const message = `idempotent: true, but the body can be sent only once: ${way}`
  return new UsageError('ERR_ARGUMENT', message)
}
