/**
 * A context for work that outlives the call that asked for it: what says where it belongs goes along
 * (correlation, trace, priority, principal, metadata), cancellation and deadline stay behind.
 */
import { Call, type CallContext, type CallInit } from '../../core/context.ts'

export function detached(context: CallContext, init: CallInit = {}): Call {
  const { correlationId, trace, priority, principal, metadata, idempotent } = context
  return new Call({ correlationId, trace, priority, principal, metadata, idempotent, ...init })
}
