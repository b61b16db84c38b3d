/**
 * The wall clock jumps, back and forth, by seconds and by years, and no policy decides anything
 * differently: the same seed gives the same attempts, waits, refusals and answers at the same
 * moments of the monotonic clock, with jumps and without.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { memory as at } from '../../src/core/address.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { lockout } from '../../src/runtime/lockout.ts'
import { authenticate } from '../../src/servers/http/authentication/authenticate.ts'
import { basic } from '../../src/servers/http/authentication/basic.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

const HOUR = 3_600_000
const CALLS = 40

/** Everything that was decided, and when. */
async function history(seed: number, jumps: boolean): Promise<string[]> {
  const clock = new ManualClock()
  const start = clock.now()
  const random = seededRandom(seed)
  const jumpRandom = seededRandom(seed + 1)
  const events: string[] = []
  const note = (text: string) => void events.push(`${(clock.now() - start).toFixed(3)} ${text}`)
  const jump = () => {
    if (!jumps) return
    const sizes = [1_500, -1_500, HOUR, -HOUR, 8_760 * HOUR, -8_760 * HOUR]
    clock.jumpWall(sizes[Math.floor(jumpRandom() * sizes.length)] as number)
  }
  const host = { ...nodeHost, random }
  const network = new MemoryNetwork()
  const transport = memory({ clock, network })
  const guard = lockout({
    maxFailures: 3,
    lockMs: 2_000,
    onLockout: (event) => note(`locked ${event.scope}`),
  })
  const users = (_: string, password: string) => (password === 'right' ? { roles: [] } : undefined)
  const servers = await Promise.all(
    ['good', 'failing', 'slow'].map(async (name) => {
      let count = 0
      const server = httpServer(
        () => {
          note(`${name} is asked`)
          jump()
          count++
          if (name === 'failing' && count % 3 !== 0) return HttpResponse.text('', { status: 503 })
          if (name !== 'slow') return HttpResponse.text(name)
          return new Promise((resolve) => {
            clock.setTimer(clock.now() + 400, () => resolve(HttpResponse.text(name)))
          })
        },
        {
          clock,
          host,
          authentication: authenticate([basic({ users, clock, rememberMs: 1_000 })], {
            guard,
            clock,
          }),
        },
      )
      await server.listen(transport, at(name))
      return server
    }),
  )
  const client = httpClient('http://service', {
    clock,
    host,
    transport,
    endpoints: servers.map((_, index) => ({
      address: at(['good', 'failing', 'slow'][index] as string),
    })),
    timeoutMs: 1_000,
    attemptTimeoutMs: 300,
    retry: { maxAttempts: 3, baseMs: 20 },
    breaker: { consecutiveFailures: 3, openMs: 1_000 },
    // A process that stood still is the one thing that is found by both clocks: probes, no verdicts.
    pool: { clockJumpMs: Number.POSITIVE_INFINITY },
  })
  const calls: Promise<void>[] = []
  for (let call = 0; call < CALLS; call++) {
    const password = random() < 0.2 ? 'wrong' : 'right'
    const fields = { authorization: `Basic ${btoa(`u${call % 3}:${password}`)}` }
    const settle = (text: string) => note(`call ${call}: ${text}`)
    const done = client.get('/', { fields }).then(
      (response) => settle(`${response.status} ${response.fields.get('retry-after') ?? ''}`),
      (error: { code?: string }) => settle(String(error.code)),
    )
    calls.push(done)
    jump()
    await clock.advanceAsync(Math.floor(random() * 250))
    jump()
  }
  await clock.advanceAsync(5_000)
  await Promise.all(calls)
  const closing = [client.close(), ...servers.map((server) => server.close())]
  await clock.advanceAsync(20_000)
  await Promise.all(closing)
  return events
}

for (const seed of [1, 2, 3]) {
  test(`seed ${seed}: no policy decides by the wall clock`, async () => {
    const calm = await history(seed, false)
    const jumping = await history(seed, true)
    assert.deepEqual(jumping, calm)
    // It is worth comparing: answers, failures, refusals and retries are all there.
    const all = calm.join('\n')
    assert.ok(calm.length > CALLS * 2)
    for (const seen of [/call \d+: 200/, /call \d+: 401/, /failing is asked/, /slow is asked/]) {
      assert.match(all, seen)
    }
  })
}
