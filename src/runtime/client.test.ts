import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ScriptedExchanger,
  type ScriptedOptions,
  scriptedClassifier,
} from '../../test/runtime/scripted-exchanger.ts'
import { ip } from '../core/address.ts'
import { Call } from '../core/context.ts'
import { ClosedError, HeddleError, TransportError } from '../core/errors.ts'
import type { Endpoint, ResolverListener } from '../core/policy.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { seededRandom } from '../testing/seeded-random.ts'
import { type ClientCore, type ClientOptions, createClient } from './client.ts'
import { attemptsOf } from './middleware/retry.ts'
import { explain, explainText } from './stack/explain.ts'

interface Fixture {
  clock: ManualClock
  client: ClientCore<string, string>
  /** Every exchanger made so far, by address, in order. */
  exchangers: { address: string; exchanger: ScriptedExchanger }[]
  on(address: string): ScriptedExchanger
}

function fixture(
  options: Partial<ClientOptions<string, string>> & { scripted?: ScriptedOptions } = {},
): Fixture {
  const clock = new ManualClock()
  const exchangers: Fixture['exchangers'] = []
  const { scripted, ...rest } = options
  const client = createClient<string, string>({
    ...(rest.resolver === undefined && { endpoints: [{ address: ip('10.0.0.1', 80) }] }),
    connectEndpoint: async (endpoint) => {
      const exchanger = new ScriptedExchanger(scripted)
      exchangers.push({ address: (endpoint.address as { host: string }).host, exchanger })
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    random: seededRandom(1),
    ...rest,
  })
  const on = (address: string): ScriptedExchanger => {
    const found = exchangers.findLast((entry) => entry.address === address)
    assert.ok(found, `a connection to ${address}`)
    return found.exchanger
  }
  return { clock, client, exchangers, on }
}

const endpoints = (...hosts: string[]): Endpoint[] =>
  hosts.map((host) => ({ address: ip(host, 80) }))

test('ClientCore answers a call and uses the connection again', async () => {
  const { client, clock, exchangers, on } = fixture()
  const first = client.call('get a')
  await clock.settle()
  on('10.0.0.1').calls[0]?.reply('a')
  assert.equal(await first, 'a')
  const second = client.call('get b')
  on('10.0.0.1').calls[0]?.reply('b')
  assert.equal(await second, 'b')
  assert.equal(exchangers.length, 1)
  assert.deepEqual(client.counts, { started: 2, succeeded: 2, failed: 0, inFlight: 0 })
})

test('ClientCore gives a reply without a promise when the exchanger does', async () => {
  const { client } = fixture({ scripted: { answer: (request) => `re ${request}` } })
  assert.equal(await client.call('get a'), 're get a')
  assert.equal(client.call('get b'), 're get b')
})

test('ClientCore retries at another endpoint', async () => {
  const { client, clock, exchangers, on } = fixture({
    endpoints: endpoints('10.0.0.1', '10.0.0.2'),
  })
  const call = client.call('get a')
  await clock.settle()
  const { address, exchanger } = exchangers[0] as Fixture['exchangers'][0]
  exchanger.calls[0]?.fail(new TransportError('ERR_RESET', 'reset by peer'))
  await clock.advanceAsync(100)
  const other = address === '10.0.0.1' ? '10.0.0.2' : '10.0.0.1'
  on(other).calls[0]?.reply('a')
  assert.equal(await call, 'a')
})

test('ClientCore cancels at the deadline and leaves no timer that holds the process', async () => {
  const { client, clock, on } = fixture({ timeoutMs: 200 })
  const call = Promise.resolve(client.call('get a'))
  await clock.settle()
  assert.equal(on('10.0.0.1').calls.length, 1)
  const outcome = call.catch((error: unknown) => error)
  await clock.advanceAsync(210)
  const error = await outcome
  assert.ok(error instanceof HeddleError)
  assert.equal(error.code, 'ERR_DEADLINE')
  assert.equal(on('10.0.0.1').calls.length, 0)
})

test('ClientCore passes an abort reason through and does not retry', async () => {
  const { client, clock, exchangers } = fixture()
  const controller = new AbortController()
  const context = new Call({ signal: controller.signal })
  const call = Promise.resolve(client.call('get a', context))
  await clock.settle()
  const reason = new Error('mine')
  controller.abort(reason)
  await assert.rejects(call, (error) => error === reason)
  await clock.advanceAsync(1_000)
  assert.equal(exchangers.length, 1)
  assert.deepEqual(attemptsOf(reason), [])
})

test('ClientCore waits for the first endpoints and follows changes', async () => {
  const listeners: ResolverListener[] = []
  let disposed = false
  const { client, clock, on } = fixture({
    target: 'svc',
    resolver: {
      watch(target, to) {
        assert.equal(target, 'svc')
        listeners.push(to)
        return { [Symbol.dispose]: () => void (disposed = true) }
      },
    },
  })
  assert.equal(listeners.length, 0)
  const call = client.call('get a')
  const [listener] = listeners
  assert.ok(listener)
  listener.onEndpoints(endpoints('10.0.0.1'))
  await clock.settle()
  on('10.0.0.1').calls[0]?.reply('a')
  assert.equal(await call, 'a')
  listener.onError(new Error('dns is down'))
  const again = client.call('get b')
  const old = on('10.0.0.1')
  listener.onEndpoints(endpoints('10.0.0.2'))
  assert.equal(old.state, 'ready') // it still has a call
  old.calls[0]?.reply('b')
  assert.equal(await again, 'b')
  assert.equal(old.state, 'closed')
  const third = client.call('get c')
  await clock.settle()
  on('10.0.0.2').calls[0]?.reply('c')
  assert.equal(await third, 'c')
  await client.close()
  assert.ok(disposed)
  assert.equal(on('10.0.0.2').state, 'closed')
})

test('ClientCore fails waiting calls with the error of the resolver', async () => {
  const { client, clock } = fixture({
    target: 'svc',
    retry: false,
    resolver: {
      watch(_target, listener) {
        queueMicrotask(() => listener.onError(new Error('no such name')))
        return { [Symbol.dispose]() {} }
      },
    },
  })
  const call = Promise.resolve(client.call('get a'))
  await assert.rejects(call, { code: 'ERR_RESOLVE', message: /svc: no such name/ })
  await clock.settle()
})

test('ClientCore.close waits for calls in flight, then closes connections', async () => {
  const { client, clock, on } = fixture()
  const call = client.call('get a')
  await clock.settle()
  let closed = false
  const closing = client.close().then(() => {
    closed = true
  })
  assert.throws(() => client.call('get b'), ClosedError)
  await clock.settle()
  assert.equal(closed, false)
  on('10.0.0.1').calls[0]?.reply('a')
  assert.equal(await call, 'a')
  await closing
  assert.equal(on('10.0.0.1').state, 'closed')
  assert.equal(clock.pendingTimers <= 1, true) // the wheel's, which finds nothing
})

test('ClientCore.close destroys what is left after closeTimeoutMs', async () => {
  const { client, clock, on } = fixture({ closeTimeoutMs: 500, timeoutMs: 60_000 })
  const call = Promise.resolve(client.call('post a'))
  call.catch(() => {})
  await clock.settle()
  const closing = client.close()
  await clock.advanceAsync(500)
  await closing
  await assert.rejects(call, ClosedError)
  assert.equal(on('10.0.0.1').state, 'error')
})

test('explain prints the stack with its live state', async () => {
  const { client, clock, on } = fixture({ name: 'api' })
  const call = client.call('get a')
  await clock.settle()
  const { endpoints: explained, layers } = explain(client)
  assert.equal(explained[0]?.inFlight, 1)
  assert.equal(layers.find((layer) => layer.name === 'deadline')?.parameters['timeoutMs'], 30_000)
  const text = explainText(client)
  assert.match(
    text,
    /^client api → 10\.0\.0\.1:80 \(open\), 1 calls: 0 succeeded, 0 failed, 1 in flight/,
  )
  assert.match(text, /breaker: .*\| state closed/)
  assert.match(text, /pool: .*max 128.*\| state ready, idle 0, leased 1/)
  on('10.0.0.1').calls[0]?.reply('a')
  await call
})
