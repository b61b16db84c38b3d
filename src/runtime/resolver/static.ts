/** Endpoints that are known from the start. */
import type { Endpoint, Resolver } from '../../core/policy.ts'

/** Reports these endpoints once, before `watch` returns, whatever the target. */
export function staticResolver(endpoints: readonly Endpoint[]): Resolver {
  const set = Object.freeze([...endpoints])
  return {
    watch(_target, listener) {
      listener.onEndpoints(set)
      return NOTHING_TO_DISPOSE
    },
  }
}

const NOTHING_TO_DISPOSE: Disposable = { [Symbol.dispose]() {} }
