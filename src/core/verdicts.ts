/**
 * Verdicts that every protocol shares: success, and what heddle's own errors mean. A classifier
 * adds what only its protocol knows (status codes) and leaves the rest to `verdictOfError`.
 *
 * The objects are shared and frozen: classifying a call allocates nothing.
 */
import type { CallContext } from './context.ts'
import { HeddleError, TimeoutError } from './errors.ts'
import { loadSignalOf } from './load-signal.ts'
import { NEVER_AGAIN, type Verdict } from './policy.ts'

/** It went well. */
export const SUCCEEDED: Verdict = verdict(false, false, false)
/** Failed, says nothing about the endpoint, and trying again is of no use. */
export const FAILED: Verdict = verdict(true, false, false)
/** Failed, says nothing about the endpoint, another attempt may help. */
export const FAILED_RETRY: Verdict = verdict(true, false, true)
/** Failed, and the endpoint is to blame. */
export const ENDPOINT_FAILED: Verdict = verdict(true, true, false)
/** Failed, the endpoint is to blame, another attempt may help. */
export const ENDPOINT_FAILED_RETRY: Verdict = verdict(true, true, true)

/**
 * What an error means, whatever the protocol. Errors that are not heddle's are nobody's fault. So is
 * what a caller causes by giving up, whatever its reason: that it lost its own connection, say, which
 * looks like a failure of the network but is none of the endpoint's. A deadline that passed is the
 * endpoint's, as far as something had been sent.
 */
export function verdictOfError(error: unknown, context: CallContext): Verdict {
  if (!(error instanceof HeddleError)) return FAILED
  const { cancelReason } = context
  if (cancelReason !== undefined && !(cancelReason instanceof TimeoutError)) return FAILED
  const retry = error.retryable !== 'no'
  if (blamesEndpoint(error)) return retry ? ENDPOINT_FAILED_RETRY : ENDPOINT_FAILED
  if (!retry) return FAILED
  // A limit of our own knows when it has room again: our retry waits for it.
  const signal = error.blame === 'load' ? loadSignalOf(error) : undefined
  return signal === undefined ? FAILED_RETRY : { ...FAILED_RETRY, pushbackMs: signal.retryAfterMs }
}

/**
 * A peer's pushback as text, the milliseconds that it wants to be left alone: what is negative or no
 * number forbids another attempt (gRFC A6, `grpc-retry-pushback-ms`).
 */
export function pushbackOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  return /^\d{1,9}$/.test(text) ? Number(text) : NEVER_AGAIN
}

function blamesEndpoint(error: HeddleError): boolean {
  switch (error.blame) {
    case 'network':
    case 'peer':
      return error.code !== 'ERR_REMOTE' // a correct answer, even if it is a refusal
    case 'unknown':
      // A call that ran out of time before anything was sent waited here, not there.
      return error.code === 'ERR_CONNECT_TIMEOUT' || error.sent !== 'nothing'
    default:
      return false
  }
}

function verdict(failed: boolean, endpointFailure: boolean, retry: boolean): Verdict {
  return Object.freeze({ failed, endpointFailure, retry, pushbackMs: undefined })
}
