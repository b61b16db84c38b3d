import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type IpAddress, ip } from '../../core/address.ts'
import { checkSubset, subsetOf, subsetOfEndpoints } from './subset.ts'

const servers = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `10.0.0.${index}:80`)
const keyOf = (item: string): string => item

/** What all clients together put on each server: the sum of shares, and how many use it. */
function together(items: readonly string[], clients: number, size: number) {
  const load = new Map(items.map((item) => [item, 0]))
  const users = new Map(items.map((item) => [item, 0]))
  const sizes: number[] = []
  for (let client = 0; client < clients; client++) {
    const subset = subsetOf(items, keyOf, { client, clients, size })
    sizes.push(subset.length)
    // A client spreads one unit of load over what it uses.
    const total = subset.reduce((sum, { share }) => sum + share, 0)
    for (const { item, share } of subset) {
      load.set(item, (load.get(item) as number) + share / total)
      users.set(item, (users.get(item) as number) + 1)
    }
  }
  return { load: [...load.values()], users: [...users.values()], sizes }
}

test('subsetOf loads every server the same, with an even number of clients, for any numbers', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 30 }),
      (count, clients, size) => {
        const { load, users, sizes } = together(servers(count), clients, size)
        const fair = clients / count
        for (const one of load) assert.ok(Math.abs(one - fair) < 1e-9, `${one}, not ${fair}`)
        assert.ok(Math.max(...users) - Math.min(...users) <= 2, users.join())
        for (const one of sizes) {
          assert.ok(one >= Math.min(size, count), `${one} of ${count}`)
          // Whole steps: up to a step more than asked for, and a server cut at either end.
          assert.ok(one <= Math.min(count, size + Math.ceil(count / clients) + 2), `${one}`)
        }
      },
    ),
  )
})

test('subsetOf gives each server one whole or part, never twice', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 40 }), fc.nat(39), (count, client) => {
      const clients = 40
      const subset = subsetOf(servers(count), keyOf, { client, clients, size: 3 })
      assert.equal(new Set(subset.map(({ item }) => item)).size, subset.length)
      for (const { share } of subset) assert.ok(share > 0 && share <= 1 + 1e-12, `${share}`)
    }),
  )
})

test('subsetOf does not depend on the order of the endpoints', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(servers(30), { minLength: 30 }), (shuffled) => {
      const options = { client: 3, clients: 7, size: 5 }
      assert.deepEqual(subsetOf(shuffled, keyOf, options), subsetOf(servers(30), keyOf, options))
    }),
  )
})

test('subsetOfEndpoints takes its part of each priority, by weight, and nothing without weight', () => {
  const endpoints = Array.from({ length: 60 }, (_, index) => ({
    address: ip(`10.0.0.${index}`, 80),
    priority: index % 2,
    weight: index < 10 ? 0 : 2,
  }))
  const totals = [0, 0]
  const loads = new Map<string, number>()
  for (let client = 0; client < 7; client++) {
    const options = { client, clients: 7, size: 5 }
    for (const { address, priority, weight } of subsetOfEndpoints(endpoints, options)) {
      assert.ok(weight !== undefined && weight > 0 && weight <= 2)
      totals[priority as number]! += weight
      const { host } = address as IpAddress
      loads.set(host, (loads.get(host) ?? 0) + weight)
    }
  }
  assert.equal(totals[0], totals[1])
  assert.equal(loads.size, 50)
  const [first] = loads.values()
  for (const load of loads.values()) assert.ok(Math.abs(load - (first as number)) < 1e-9)
})

test('subsetOf moves by few servers when one comes', () => {
  const clients = 20
  for (let client = 0; client < clients; client++) {
    const options = { client, clients, size: 20 }
    const before = subsetOf(servers(100), keyOf, options).map(({ item }) => item)
    const after = subsetOf(servers(101), keyOf, options).map(({ item }) => item)
    const gone = before.filter((item) => !after.includes(item))
    assert.ok(gone.length <= 3, `client ${client} lost ${gone.length} of ${before.length}`)
  }
})

test('subsetOf uses everything when there is no more than its size', () => {
  const subset = subsetOf(servers(20), keyOf, checkSubset({ client: 1, clients: 9 }))
  assert.equal(subset.length, 20)
  assert.ok(subset.every(({ share }) => share === 1))
  assert.ok(subsetOf(servers(21), keyOf, checkSubset({ client: 1, clients: 9 })).length < 25)
})

test('checkSubset refuses numbers that do not fit', () => {
  for (const options of [
    { client: 3, clients: 3 },
    { client: -1, clients: 3 },
    { client: 0, clients: 0 },
    { client: 0, clients: 1, size: 0 },
    { client: 0.5, clients: 1 },
  ]) {
    assert.throws(() => checkSubset(options), { code: 'ERR_OPTION_RANGE' })
  }
})
