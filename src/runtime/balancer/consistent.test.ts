import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyCall, nodesOf, TestNode } from '../../../test/runtime/balancer-node.ts'
import { Call } from '../../core/context.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import type { BalancerFactory, EndpointBalancer } from './balancer.ts'
import { hashText } from './hash.ts'
import {
  firstHashKey,
  hashByMetadata,
  hashByOperation,
  hashByPeerAddress,
  hashByPrincipal,
} from './hash-key.ts'
import { maglev, makeTable } from './maglev.ts'
import { Group, Member } from './member.ts'
import { makeRing, ringHash } from './ring-hash.ts'

const key = (request: string): string => request
const BOTH: Readonly<Record<string, (more?: { boundedLoad?: number }) => BalancerFactory<string>>> =
  {
    'ring-hash': (more) => ringHash({ key, ...more }),
    maglev: (more) => maglev({ key, tableSize: 10_007, ...more }),
  }
const KEYS = Array.from({ length: 2_000 }, (_, index) => `user-${index}`)

type Balancer = EndpointBalancer<TestNode, string>

function balancerOf(factory: BalancerFactory<string>, nodes: readonly TestNode[]): Balancer {
  const balancer = factory<TestNode>()
  balancer.update(nodes, 0)
  return balancer
}

/** Which node each key goes to. */
function places(balancer: Balancer, seed = 1): string[] {
  const chance = seededRandom(seed)
  return KEYS.map((one) => {
    const pick = balancer.pick(anyCall, 0, chance, undefined, one)
    assert.ok(pick)
    pick.done(0, 1, false)
    return pick.node.name
  })
}

const moved = (before: readonly string[], after: readonly string[]): number[] =>
  before.flatMap((place, index) => (place === after[index] ? [] : [index]))

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

for (const [name, make] of Object.entries(BOTH)) {
  test(`${name} gives a key the same endpoint, whatever the order of endpoints and the chance`, () => {
    const before = places(balancerOf(make(), nodesOf(10)), 1)
    assert.deepEqual(places(balancerOf(make(), nodesOf(10).reverse()), 2), before)
  })

  test(`${name} spreads keys by weight`, () => {
    const nodes = [...nodesOf(3), new TestNode('heavy', { weight: 3 })]
    const counts = countsOf(places(balancerOf(make(), nodes)))
    for (const [place, count] of counts) {
      const fair = (KEYS.length * (place === 'heavy' ? 3 : 1)) / 6
      assert.ok(Math.abs(count - fair) < fair * 0.3, `${place} has ${count} of ${fair}`)
    }
  })

  test(`${name} moves about its share of the keys when an endpoint goes or comes`, () => {
    const nodes = nodesOf(10)
    const balancer = balancerOf(make(), nodes)
    const before = places(balancer)
    balancer.update(nodes.slice(1), 0)
    const without = places(balancer)
    const needless = moved(before, without).filter((at) => before[at] !== nodes[0]?.name)
    // A ring moves nothing needlessly; maglev's paper allows a few percent.
    const allowed = name === 'maglev' ? KEYS.length * 0.05 : 0
    assert.ok(needless.length <= allowed, `${needless.length} keys moved that need not`)
    assert.equal(without.includes(nodes[0]?.name ?? ''), false)
    // Those that had to move went to everybody.
    assert.equal(countsOf(without).size, 9)
    balancer.update(nodes, 0)
    assert.deepEqual(places(balancer), before)
  })

  test(`${name} moves only the keys of an endpoint that is out, to all others, and back`, () => {
    const nodes = nodesOf(10)
    const balancer = balancerOf(make(), nodes)
    const before = places(balancer)
    const [first] = nodes as [TestNode]
    first.up = false
    const during = places(balancer)
    const keys = moved(before, during)
    assert.ok(keys.every((at) => before[at] === first.name))
    assert.equal(keys.length, countsOf(before).get(first.name))
    assert.ok(countsOf(keys.map((at) => during[at] as string)).size >= 8)
    first.up = true
    assert.deepEqual(places(balancer), before)
  })

  test(`${name} sends a call elsewhere that has failed at its place, always to the same`, () => {
    const nodes = nodesOf(5)
    const balancer = balancerOf(make(), nodes)
    const chance = seededRandom(1)
    const first = balancer.pick(anyCall, 0, chance, undefined, 'k')?.node as TestNode
    const second = balancer.pick(anyCall, 0, chance, new Set([first]), 'k')?.node
    assert.ok(second !== undefined && second !== first)
    assert.equal(balancer.pick(anyCall, 0, chance, new Set([first]), 'k')?.node, second)
    assert.equal(balancer.pick(anyCall, 0, chance, new Set(nodes), 'k')?.node, first)
  })

  test(`${name} sends calls without a key anywhere`, () => {
    const factory = name === 'maglev' ? maglev : ringHash
    const balancer = balancerOf(factory({ key: () => undefined }), nodesOf(4))
    const counts = countsOf(places(balancer))
    assert.equal(counts.size, 4)
    for (const count of counts.values()) assert.ok(count > 300, String(count))
  })

  test(`${name} with boundedLoad never loads an endpoint beyond its bound`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.double({ min: 1, max: 2, noNaN: true }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }),
        (count, boundedLoad, keys) => {
          const nodes = nodesOf(count)
          const balancer = balancerOf(make({ boundedLoad }), nodes)
          keys.forEach((one, index) => {
            const pick = balancer.pick(anyCall, 0, () => 0, undefined, `hot-${one}`)
            const load = balancer.loadOf(pick?.node as TestNode)
            const bound = Math.ceil((boundedLoad * (index + 1)) / count)
            assert.ok(load <= bound, `${load} in flight, at most ${bound}`)
          })
        },
      ),
      { numRuns: 30 },
    )
  })

  test(`${name} finds the endpoints that are left when nearly all are out`, () => {
    const nodes = nodesOf(300)
    const balancer = balancerOf(make(), nodes)
    for (const node of nodes) node.up = false
    assert.equal(
      balancer.pick(anyCall, 0, () => 0, undefined, 'a'),
      undefined,
    )
    for (const at of [7, 200]) (nodes[at] as TestNode).up = true
    const counts = countsOf(places(balancer))
    assert.equal(counts.size, 2)
    for (const count of counts.values()) assert.ok(count > 600, String(count))
  })

  test(`${name} refuses what would move keys`, () => {
    for (const balancing of [
      { slowStart: {} },
      { locality: { zone: 'a' } },
      { subset: { client: 0, clients: 2 } },
    ]) {
      assert.throws(() => make()<TestNode>(balancing), { code: 'ERR_ARGUMENT' })
    }
    assert.throws(() => make({ boundedLoad: 0.9 }), { code: 'ERR_OPTION_RANGE' })
  })
}

const membersOf = (weights: readonly number[]): Member<TestNode>[] =>
  weights.map((weight, index) => {
    const node = new TestNode(`10.1.0.${index}`, { weight })
    return new Member(node, `${node.name}:80`, weight, 1, new Group())
  })

test('makeTable fills every place, with shares that follow weights closely', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 30 }),
      (weights) => {
        const size = 5_003
        const table = makeTable(membersOf(weights), size)
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        weights.forEach((weight, owner) => {
          const places = table.filter((one) => one === owner).length
          const fair = (size * weight) / total
          // Each other member may have taken one place before its turn.
          const most = Math.max(2, weights.length)
          assert.ok(Math.abs(places - fair) <= most, `${places} places, fair are ${fair}`)
        })
      },
    ),
    { numRuns: 30 },
  )
})

test('makeRing gives points by weight, at least one, in order', () => {
  const ring = makeRing(membersOf([1, 1, 2, 0.001]), 100)
  const counts = [0, 1, 2, 3].map((owner) => ring.owners.filter((one) => one === owner).length)
  assert.deepEqual(counts, [100, 100, 200, 1])
  assert.ok(ring.points.every((point, at) => at === 0 || point >= (ring.points[at - 1] as number)))
})

test('maglev and ringHash refuse tables that do not work', () => {
  assert.throws(() => maglev({ key, tableSize: 65_536 }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => maglev({ key, tableSize: 5_000_012 }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => ringHash({ key, pointsPerEndpoint: 0 }), { code: 'ERR_OPTION_RANGE' })
})

test('hashText spreads similar names evenly, and depends on every character and the seed', () => {
  const buckets = new Uint32Array(64)
  for (let index = 0; index < 64_000; index++) buckets[hashText(`10.0.0.${index}:80`) % 64]!++
  // 64 buckets of 1,000: six standard deviations are 190.
  for (const count of buckets) assert.ok(Math.abs(count - 1_000) < 190, String(count))
  const texts = ['', 'a', 'b', 'ab', 'ba', 'a\0', 'ä', 'aa'].map((text) => hashText(text))
  assert.equal(new Set(texts).size, texts.length)
  assert.notEqual(hashText('a', 1), hashText('a', 2))
})

test('hash keys take what they name from call and context', () => {
  const principal = { id: 'ada', method: 'basic', roles: [], attributes: {} }
  const context = new Call({ principal, metadata: new Map([['tenant', 'a']]) })
  assert.equal(hashByMetadata('tenant')(undefined, context), 'a')
  assert.equal(hashByMetadata('other')(undefined, context), undefined)
  assert.equal(hashByPrincipal()(undefined, context), 'basic/ada')
  assert.equal(hashByPrincipal()(undefined, new Call()), undefined)
  assert.equal(hashByPeerAddress()(undefined, context), undefined)
  const operation = hashByOperation<string>({ operation: (request) => request.slice(0, 3) })
  assert.equal(operation('GET x', context), 'GET')
  const first = firstHashKey<string>(hashByMetadata('other'), hashByPrincipal(), operation)
  assert.equal(first('GET', context), 'basic/ada')
  assert.equal(first('GET', new Call()), 'GET')
  assert.equal(firstHashKey()('', context), undefined)
})
