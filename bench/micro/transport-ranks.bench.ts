/**
 * A 64-byte round trip over every transport, one at a time: what `latencyRank` in
 * src/links/selection/transport-profiles.ts is sorted by. `transport-bulk` is for `throughputRank`.
 */
import type { Benchmark, Variant } from '../benchmark.ts'
import { openPair, TRANSPORTS, type TransportName } from './transport-pairs.ts'

export const benchmark: Benchmark = {
  about: 'a 64-byte round trip on this machine, one under way',
  variants: Object.fromEntries(TRANSPORTS.map((name) => [name, () => roundTrips(name)])),
}

async function roundTrips(name: TransportName): Promise<Variant> {
  const payload = new Uint8Array(64).fill(1)
  let left = 0
  let heard = 0
  let done: (() => void) | undefined
  const pair = await openPair(name, 'echo', (bytes) => {
    heard += bytes
    if (heard < payload.length) return
    heard = 0
    left -= 1
    if (left > 0) pair.send(payload)
    else done?.()
  })
  return {
    async run(count) {
      left = count
      await new Promise<void>((resolve) => {
        done = resolve
        pair.send(payload)
      })
    },
    close: () => pair.close(),
  }
}
