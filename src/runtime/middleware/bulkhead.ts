/**
 * Bulkheads around a service: each call has a place in the compartment of its key, and waits or is
 * refused there when it is full, whatever room others have.
 */
import type { Classifier } from '../../core/policy.ts'
import type { Middleware } from '../../core/service.ts'
import type { CallKey } from '../call-key.ts'
import type { Bulkheads } from '../concurrency/bulkheads.ts'
import { type ConcurrencyMiddlewareOptions, gated } from './concurrency.ts'

export interface BulkheadMiddlewareOptions<Req, Res>
  extends ConcurrencyMiddlewareOptions<Req, Res> {
  classifier: Classifier<Req, Res>
  /** Undefined: the call needs no place. */
  key: CallKey<Req>
}

export function bulkhead<Req, Res>(
  bulkheads: Bulkheads,
  options: BulkheadMiddlewareOptions<Req, Res>,
): Middleware<Req, Res> {
  const { key: keyOf } = options
  return gated(
    (request, context) => {
      const key = keyOf(request, context)
      return key === undefined ? undefined : bulkheads.of(key)
    },
    options,
    (gate) => bulkheads.left(gate),
  )
}
