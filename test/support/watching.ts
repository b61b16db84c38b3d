/** What a watcher of a resolver hears, as lines: a set is its addresses, an error its message. */
import { formatAddress } from '../../src/core/address.ts'
import type { Endpoint, Resolver } from '../../src/core/policy.ts'

export interface Watching {
  readonly heard: string[]
  /** The last set. */
  readonly endpoints: readonly Endpoint[]
  stop(): void
}

export function watching(resolver: Resolver, target: string): Watching {
  const heard: string[] = []
  let endpoints: readonly Endpoint[] = []
  const watch = resolver.watch(target, {
    onEndpoints(found) {
      endpoints = found
      const addresses = found.map(({ address }) => formatAddress(address))
      heard.push(addresses.length === 0 ? '(nobody)' : addresses.join(' '))
    },
    onError: (error) => void heard.push(`error: ${error.message}`),
  })
  return {
    heard,
    get endpoints() {
      return endpoints
    },
    stop: () => watch[Symbol.dispose](),
  }
}
