/**
 * Adaptive limits through a running gateway: they grow while the endpoint keeps up, and shrink when
 * it does not. Time is the test's own, so that a latency is what the endpoint says.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { nodeTransports } from '../../src/gateway/node-transports.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { HTTP, SocketClock, start, upstream } from './running-gateway.ts'

type Where = 'listener' | 'route' | 'cluster'

/** A gateway with one adaptive limit; the endpoint answers all of a wave when the last has come. */
async function limited(t: TestContext, where: Where, adaptive: object) {
  const clock = new SocketClock()
  const world = { latencyMs: 10, status: 200, arrived: 0, wave: 1 }
  let waiting: (() => void)[] = []
  const address = await upstream(t, async () => {
    world.arrived++
    const answer = new Promise<void>((resolve) => waiting.push(resolve))
    if (waiting.length === world.wave) {
      clock.advance(world.latencyMs)
      for (const resolve of waiting) resolve()
      waiting = []
    }
    await answer
    return HttpResponse.text('', { status: world.status })
  })
  const concurrency = { concurrency: { adaptive } }
  const { gateway, url } = await start(
    t,
    {
      listeners: [{ ...HTTP, ...(where === 'listener' && concurrency) }],
      routes: [{ name: 'r', cluster: 'c', ...(where === 'route' && concurrency) }],
      clusters: [
        {
          name: 'c',
          endpoints: [address],
          retry_policy: { num_retries: 0 },
          circuit_breakers: { consecutive_failures: 10_000, failure_percent: 100, min_calls: 1e6 },
          ...(where === 'cluster' && concurrency),
        },
      ],
    },
    silentLogger,
    nodeTransports(clock),
    { clock, random: () => 0.5 },
  )
  const limit = (): number => gateway.limits().find((one) => one.limit !== undefined)?.limit ?? 0
  /** Places come back when an answer has gone out whole, a little after the client has it. */
  const free = async (): Promise<void> => {
    while (gateway.limits().some(({ inFlight }) => (inFlight ?? 0) > 0)) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  /** So many requests at once, of which `size` are answered together; their statuses. */
  const wave = async (size: number, requests: number = size): Promise<number[]> => {
    await free()
    world.wave = size
    return Promise.all(
      Array.from({ length: requests }, async () => {
        const response = await fetch(url('/'))
        await response.arrayBuffer()
        return response.status
      }),
    )
  }
  return { world, limit, wave, gateway }
}

for (const where of ['listener', 'route', 'cluster'] as const) {
  test(`Gateway ${where} with aimd grows while answers are good and shrinks when the endpoint is full`, async (t) => {
    const adaptive = { algorithm: 'aimd', initial: 4, min: 1, max: 8 }
    const { world, limit, wave } = await limited(t, where, adaptive)
    assert.equal(limit(), 4)
    for (let round = 0; round < 4; round++) {
      assert.deepEqual(new Set(await wave(4)), new Set([200]))
    }
    const grown = limit()
    assert.ok(grown > 4 && grown <= 8, `grown to ${grown}`)
    world.status = 503
    for (let round = 0; round < 12; round++) await wave(1)
    assert.ok(limit() < grown - 2, `from ${grown} to ${limit()}`)
  })

  test(`Gateway ${where} with gradient shrinks when latency grows, and says it with 503`, async (t) => {
    const adaptive = { algorithm: 'gradient', initial: 8, min: 2, max: 8 }
    const { world, limit, wave } = await limited(t, where, adaptive)
    assert.equal(limit(), 8)
    // A window is 100 ms and 20 calls at least; the second looks whether the first had queued.
    const windows = async (count: number): Promise<void> => {
      for (let calls = 0; calls < count * 11; calls++) await wave(2)
    }
    await windows(3)
    const healthy = limit()
    assert.ok(healthy >= 4, `${healthy} when it does well`)
    world.latencyMs = 100
    await windows(3)
    const slow = limit()
    assert.ok(slow < healthy && slow >= 2, `from ${healthy} to ${slow}`)
    const { arrived } = world
    // As many as fit arrive, the others are told at once.
    const refused = (await wave(slow, slow + 1)).filter((status) => status === 503)
    assert.equal(refused.length, 1)
    assert.equal(world.arrived - arrived, slow)
  })
}
