import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../core/address.ts'
import { Call } from '../core/context.ts'
import type { Endpoint, ResolverListener } from '../core/policy.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { EndpointSet } from './endpoint-set.ts'
import { TimerWheel } from './timer-wheel.ts'

function setOf() {
  const clock = new ManualClock()
  let listener: ResolverListener | undefined
  const set = new EndpointSet<{ endpoint: Endpoint }>({
    resolver: {
      watch(_target, given) {
        listener = given
        return { [Symbol.dispose]() {} }
      },
    },
    target: 'a.example:80',
    wheel: new TimerWheel({ clock }),
    maxWaitMs: 30_000,
    maxWaiting: 10,
    create: (endpoint) => ({ endpoint }),
    retire() {},
    onNodes() {},
  })
  set.start()
  assert.ok(listener !== undefined)
  return { set, listener }
}

test('EndpointSet refuses at once while the resolver’s last word is an error', async () => {
  const { set, listener } = setOf()
  const early = set.whenKnown(new Call())
  listener.onError(new Error('ENOTFOUND'))
  const expected = { code: 'ERR_RESOLVE', message: 'cannot resolve a.example:80: ENOTFOUND' }
  await assert.rejects(early, expected)
  await assert.rejects(set.whenKnown(new Call()), expected)
  listener.onEndpoints([{ address: ip('10.0.0.1', 80) }])
  await set.whenKnown(new Call())
  // A known set outlives errors.
  listener.onError(new Error('SERVFAIL'))
  await set.whenKnown(new Call())
  assert.equal(set.size, 1)
})
