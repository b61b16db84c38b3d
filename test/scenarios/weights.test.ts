/**
 * What p2c makes of weights: docs/balancing.md states these figures. Two servers of weight 3 and 1
 * with exponential service times, calls by chance, a line before each server.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BalancerFactory } from '../../src/runtime/balancer/balancer.ts'
import { p2c } from '../../src/runtime/balancer/p2c.ts'
import { roundRobin } from '../../src/runtime/balancer/round-robin.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { anyCall, TestNode } from '../runtime/balancer-node.ts'

const CALLS = 12_000
const MEAN_MS = 10

/** @param load share of the capacity of both that is asked for */
function simulate(factory: BalancerFactory, workers: readonly [number, number], load: number) {
  const clock = new ManualClock()
  const random = new SeededRandom(1)
  const exponential = (mean: number): number => -mean * Math.log(1 - random.next())
  const servers = [3, 1].map((weight, at) => ({
    node: new TestNode(`10.0.0.${at}`, { weight }),
    free: workers[at] as number,
    line: [] as (() => void)[],
    calls: 0,
  }))
  const balancer = factory<TestNode>()
  balancer.update(
    servers.map(({ node }) => node),
    0,
  )
  const latencies: number[] = []
  const call = (): void => {
    const began = clock.now()
    const pick = balancer.pick(anyCall, began, random.next)
    const server = servers.find(({ node }) => node === pick?.node)
    assert.ok(pick !== undefined && server !== undefined)
    server.calls++
    const work = (): void => {
      server.free--
      clock.setTimer(clock.now() + exponential(MEAN_MS), () => {
        server.free++
        const latencyMs = clock.now() - began
        pick.done(clock.now(), latencyMs, false)
        latencies.push(latencyMs)
        server.line.shift()?.()
      })
    }
    if (server.free > 0) work()
    else server.line.push(work)
  }
  const gapMs = MEAN_MS / ((workers[0] + workers[1]) * load)
  let left = CALLS
  const arrive = (): void => {
    if (left-- === 0) return
    call()
    clock.setTimer(clock.now() + exponential(gapMs), arrive)
  }
  arrive()
  while (clock.advanceToNext());
  latencies.sort((a, b) => a - b)
  const p99Ms = latencies[Math.floor(latencies.length * 0.99)] as number
  return { share: (servers[0]?.calls ?? 0) / CALLS, p99Ms }
}

test('p2c keeps weights that are the capacities, from little load to much', () => {
  for (const load of [0.05, 0.3, 0.6, 0.85]) {
    const { share } = simulate(p2c(), [12, 4], load)
    assert.ok(share > 0.67 && share < 0.79, `${share} at load ${load}`)
  }
})

test('p2c leaves weights that the servers do not bear, where round robin drowns one of them', () => {
  const adapted = simulate(p2c(), [8, 8], 0.85)
  const inTurn = simulate(roundRobin(), [8, 8], 0.85)
  assert.ok(adapted.share < 0.65, `${adapted.share}`)
  assert.ok(Math.abs(inTurn.share - 0.75) < 0.001)
  assert.ok(adapted.p99Ms < 150, `${adapted.p99Ms}`)
  assert.ok(inTurn.p99Ms > 10 * adapted.p99Ms, `${inTurn.p99Ms}`)
})
