/** The endpoints that a cluster lists: addresses as they are, host names through DNS, one set. */
import { parseAddress } from '../../core/address.ts'
import type { Endpoint, Resolver } from '../../core/policy.ts'
import { withNames } from '../../discovery/with-names.ts'
import { staticResolver } from '../../runtime/resolver/static.ts'
import type { EndpointConfig } from '../config/schema/cluster.ts'

/** @param names resolves `host:port` */
export function clusterResolver(endpoints: readonly EndpointConfig[], names: Resolver): Resolver {
  return withNames(staticResolver(endpoints.map(endpointOf)), names)
}

function endpointOf(config: EndpointConfig): Endpoint {
  if (typeof config === 'string') return { address: parseAddress(config) }
  const { address, weight, priority, zone } = config
  const where = zone === undefined ? {} : { locality: zone }
  return { address: parseAddress(address), weight, priority, ...where }
}
