/** Several observers of one client as one: the user's, metrics, diagnostics channels. */
import type { ClientObserver } from './client-options.ts'

/** Each is told, in this order. What one of them throws is its own fault and stops the others. */
export function combineObservers(
  ...observers: readonly (ClientObserver | undefined)[]
): ClientObserver {
  const present = observers.filter((one) => one !== undefined)
  const [only] = present
  if (only !== undefined && present.length === 1) return only
  const combined: Record<string, (...args: unknown[]) => void> = {}
  for (const name of Object.keys(METHODS) as (keyof ClientObserver)[]) {
    const listening = present.filter((one) => one[name] !== undefined)
    const [only] = listening
    if (only === undefined) continue
    if (listening.length === 1) {
      combined[name] = (only[name] as (...args: unknown[]) => void).bind(only)
      continue
    }
    combined[name] = (...args) => {
      for (const one of listening) (one[name] as (...args: unknown[]) => void)(...args)
    }
  }
  return combined
}

/** Every method, so that a new one cannot be forgotten: the compiler compares. */
const METHODS: Readonly<Record<keyof Required<ClientObserver>, true>> = Object.freeze({
  onBreaker: true,
  onRetry: true,
  onHedge: true,
  onEndpoints: true,
  onResolveError: true,
  onRefused: true,
  onConnectError: true,
  onConnection: true,
  onClockJump: true,
  onAttempt: true,
  onEjected: true,
  onReturned: true,
  onPanic: true,
  onOverload: true,
})
