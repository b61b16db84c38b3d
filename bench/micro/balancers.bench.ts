/** One endpoint chosen and its call ended, of a hundred endpoints with each strategy, and of three. */
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import type { BalancerFactory, BalancerNode } from '../../src/runtime/balancer/balancer.ts'
import { leastRequest } from '../../src/runtime/balancer/least-request.ts'
import { maglev } from '../../src/runtime/balancer/maglev.ts'
import { p2c } from '../../src/runtime/balancer/p2c.ts'
import { random } from '../../src/runtime/balancer/random.ts'
import { ringHash } from '../../src/runtime/balancer/ring-hash.ts'
import { roundRobin } from '../../src/runtime/balancer/round-robin.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const key = (request: unknown): string => KEYS[(request as number) % KEYS.length] as string
const KEYS = Array.from({ length: 1_024 }, (_, index) => `user-${index}`)

export const benchmark: Benchmark = {
  about: 'one endpoint chosen, and its call ended',
  variants: {
    'p2c, 3 endpoints': () => picks(p2c(), 3),
    'p2c, 100': () => picks(p2c(), 100),
    'random, 100': () => picks(random(), 100),
    'round robin, 100': () => picks(roundRobin(), 100),
    'least request, 100': () => picks(leastRequest(), 100),
    'ring hash, 100': () => picks(ringHash({ key }), 100),
    'maglev, 100': () => picks(maglev({ key }), 100),
    'p2c with ejection and slow start, 100': () =>
      picks((balancing) => p2c()({ ...balancing, outlierEjection: {}, slowStart: {} }), 100),
  },
}

function picks(factory: BalancerFactory, endpoints: number): Variant {
  const balancer = factory<BalancerNode>()
  const nodes = Array.from({ length: endpoints }, (_, index) => ({
    endpoint: { address: ip(`10.0.0.${index}`, 80) },
    available: () => true,
  }))
  balancer.update(nodes, 0)
  const context = new Call()
  let now = 0
  return {
    run(count) {
      for (let index = 0; index < count; index++) {
        now += 0.01
        balancer.pick(context, now, Math.random, undefined, index)?.done(now, 1, false)
      }
    },
  }
}
