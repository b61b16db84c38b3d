/**
 * The endpoints of a cluster: addresses as they are configured, host names through DNS, one set.
 *
 * Weight, priority and zone of a configured name are those of each of its addresses. A name that cannot
 * be resolved leaves the others alone; only when nothing is known at all is the error reported.
 */
import { isIP } from 'node:net'
import { formatAddress, parseAddress } from '../../core/address.ts'
import type { Endpoint, Resolver, ResolverListener } from '../../core/policy.ts'
import type { EndpointConfig } from '../config/schema/cluster.ts'

/** @param names resolves `host:port` */
export function clusterResolver(endpoints: readonly EndpointConfig[], names: Resolver): Resolver {
  const parts = endpoints.map(parsePart)
  return { watch: (_target, listener) => new Watch(parts, names, listener) }
}

/** Whether the endpoint is a name that DNS is asked for. */
export function isHostName(endpoint: Endpoint): boolean {
  return endpoint.address.kind === 'ip' && isIP(endpoint.address.host) === 0
}

function parsePart(config: EndpointConfig): Endpoint {
  if (typeof config === 'string') return { address: parseAddress(config) }
  const { address, weight, priority, zone } = config
  const where = zone === undefined ? {} : { locality: zone }
  return { address: parseAddress(address), weight, priority, ...where }
}

class Watch implements Disposable {
  readonly #parts: readonly Endpoint[]
  readonly #listener: ResolverListener
  /** By part; undefined: not known yet. */
  readonly #known: (readonly Endpoint[] | undefined)[]
  readonly #watches: Disposable[] = []
  #started = false

  constructor(parts: readonly Endpoint[], names: Resolver, listener: ResolverListener) {
    this.#parts = parts
    this.#listener = listener
    this.#known = parts.map((part) => (isHostName(part) ? undefined : [part]))
    parts.forEach((part, index) => {
      if (this.#known[index] === undefined) this.#watches.push(this.#watchName(part, index, names))
    })
    this.#started = true
    this.#report()
  }

  [Symbol.dispose](): void {
    for (const watch of this.#watches) watch[Symbol.dispose]()
  }

  #watchName(part: Endpoint, index: number, names: Resolver): Disposable {
    const { address, weight, priority, locality } = part
    const hostname = address.kind === 'ip' ? address.host : ''
    return names.watch(formatAddress(address), {
      onEndpoints: (found) => {
        this.#known[index] = found.map((endpoint) => ({
          ...endpoint,
          hostname,
          ...(weight !== undefined && { weight }),
          ...(priority !== undefined && { priority }),
          ...(locality !== undefined && { locality }),
        }))
        if (this.#started) this.#report()
      },
      onError: (error) => {
        if (this.#known.every((one) => one === undefined)) this.#listener.onError(error)
      },
    })
  }

  #report(): void {
    const known = this.#known.filter((one) => one !== undefined)
    if (known.length > 0) this.#listener.onEndpoints(known.flat())
    else if (this.#parts.length === 0) this.#listener.onEndpoints([])
  }
}
