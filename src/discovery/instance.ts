/**
 * What a registry says about one place where a service runs, before it is an endpoint.
 *
 * Each registry has its own idea of health; here it is one word, and what people wrote beside it
 * (tags, labels, metadata) is text. `accept` decides who gets calls.
 */
import type { Endpoint } from '../core/policy.ts'

export interface Instance {
  readonly endpoint: Endpoint
  /** As far as the registry knows. */
  readonly healthy: boolean
  readonly tags?: readonly string[]
  readonly metadata?: Readonly<Record<string, string>>
}

/** Whether an instance gets calls. */
export type Accept = (instance: Instance) => boolean

/** @default what every resolver here uses: those that the registry calls healthy */
export const acceptHealthy: Accept = (instance) => instance.healthy

export function acceptedEndpoints(
  instances: Iterable<Instance>,
  accept: Accept = acceptHealthy,
): Endpoint[] {
  const endpoints: Endpoint[] = []
  for (const instance of instances) if (accept(instance)) endpoints.push(instance.endpoint)
  return endpoints
}
