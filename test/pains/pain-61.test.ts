/**
 * Pain 61 (envoyproxy/envoy #30205, #10869, #13196): retry budgets that do not see retries in
 * backoff, that are off by default, and an expected-timeout header that ignores the time that has
 * passed.
 *
 * Invariants: a budget is on without being asked for; retries under way and those that still wait
 * are together at most a fifth of the calls; what is sent as deadline is what remains at the moment
 * an attempt goes out, over every hop, and never more.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { ip } from '../../src/core/address.ts'
import type { CallContext } from '../../src/core/context.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { createClient } from '../../src/runtime/client.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { ScriptedExchanger, scriptedClassifier } from '../runtime/scripted-exchanger.ts'

test('pain 61: the budget is there by default and counts retries that still wait', async () => {
  const clock = new ManualClock()
  let sent = 0
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () =>
      new ScriptedExchanger({
        answer: () => {
          sent++
          return 'fail'
        },
      }),
    classifier: scriptedClassifier,
    clock,
    random: () => 0.999,
    breaker: false,
    // Every retry waits for five seconds: nothing of it has been sent when the next call decides.
    retry: { backoff: 'fixed', baseMs: 5_000, maxAttempts: 10 },
  })
  const calls = [Promise.resolve(client.call('get'))]
  await clock.advanceAsync(60_000) // it is connected, and what it has withdrawn is forgotten
  await Promise.all(calls)
  sent = 0
  for (let count = 0; count < 1_000; count++) calls.push(Promise.resolve(client.call('get')))
  await clock.advanceAsync(60_000)
  await Promise.all(calls)
  const retries = sent - 1_000
  // A fifth of the calls, and the reserve of one a second in a window of 10 s for each of its turns.
  assert.ok(retries <= 200 + 70, `${retries} retries`)
  assert.ok(retries >= 200, `${retries} retries`)
  await client.close()
})

interface Hop {
  remainingMs: number | undefined
  field: string | undefined
}

/** A client, and two services behind it of which the first calls the second with its context. */
async function twoHops(options: { waitMs: number; answers?: number[] }) {
  const clock = new ManualClock()
  const transport = memory({ clock })
  const hops: Hop[] = []
  const propagation = { deadline: true, trustDeadline: true } as const
  const seen = (request: HttpRequest, context: CallContext): void => {
    const { deadline } = context
    hops.push({
      remainingMs: deadline === undefined ? undefined : deadline - clock.now(),
      field: request.fields.get('x-envoy-expected-rq-timeout-ms'),
    })
  }
  const listen = async (name: string, service: HttpService) => {
    const server = httpServer(service, { clock, propagation })
    await server.listen(transport, `mem:${name}`)
    return server
  }
  const clientOf = (name: string) =>
    httpClient('http://service', {
      transport,
      clock,
      propagation,
      endpoints: [{ address: { kind: 'memory', name } }],
      retry: { backoff: 'fixed', baseMs: 100 },
    })
  const inner = clientOf('b')
  const answers = [...(options.answers ?? [])]
  const servers = [
    await listen('a', async (request, context) => {
      seen(request, context)
      await new Promise<void>((resolve) => {
        clock.setTimer(clock.now() + options.waitMs, resolve)
      })
      return inner.call(new HttpRequest({ target: '/inner' }), context)
    }),
    await listen('b', (request, context) => {
      seen(request, context)
      return HttpResponse.text('done', { status: answers.shift() ?? 200 })
    }),
  ]
  const client = clientOf('a')
  return {
    clock,
    hops,
    client,
    async close() {
      await Promise.all([client.close(), inner.close()])
      await Promise.all(servers.map((server) => server.close()))
    },
  }
}

test('pain 61: each hop is told what remains, not what was configured', async () => {
  const { clock, hops, client, close } = await twoHops({ waitMs: 300 })
  const call = client.get('/', { timeoutMs: 1_000 })
  await clock.advanceAsync(400)
  assert.equal((await call).status, 200)
  assert.deepEqual(hops, [
    { remainingMs: 1_000, field: '1000' },
    { remainingMs: 700, field: '700' },
  ])
  const closing = close()
  await clock.advanceAsync(20_000)
  await closing
})

test('pain 61: a second attempt is told less than the first', async () => {
  const { clock, hops, client, close } = await twoHops({ waitMs: 200, answers: [503, 200] })
  const call = client.get('/', { timeoutMs: 1_000 })
  await clock.advanceAsync(400)
  assert.equal((await call).status, 200)
  assert.deepEqual(
    hops.map(({ field }) => field),
    ['1000', '800', '700'],
  )
  const closing = close()
  await clock.advanceAsync(20_000)
  await closing
})

test('pain 61: a service is cut off when its caller’s time is up', async () => {
  const { clock, hops, client, close } = await twoHops({ waitMs: 5_000 })
  const call = client.get('/', { timeoutMs: 1_000 })
  const outcome = call.then(
    ({ status }) => status,
    (error: { code: string }) => error.code,
  )
  await clock.advanceAsync(1_010)
  assert.ok([504, 'ERR_DEADLINE'].includes(await outcome))
  await clock.advanceAsync(6_000)
  assert.equal(hops.length, 1) // nobody asks the second service any more
  const closing = close()
  await clock.advanceAsync(20_000)
  await closing
})
