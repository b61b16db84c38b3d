import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ScriptedExchanger,
  type ScriptedOptions,
  scriptedClassifier,
} from '../../test/runtime/scripted-exchanger.ts'
import { formatAddress, ip } from '../core/address.ts'
import { Call } from '../core/context.ts'
import { ClosedError, HeddleError, TransportError } from '../core/errors.ts'
import { type Meter, noopMeter } from '../core/metrics.ts'
import type { Endpoint, ResolverListener } from '../core/policy.ts'
import type { Middleware } from '../core/service.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts'
import { type ClientCore, createClient } from './client.ts'
import type { ClientOptions } from './client-options.ts'
import { attemptsOf } from './middleware/retry.ts'
import { SlidingRetryBudget } from './retry-budget.ts'
import { SharedBreakers } from './shared-breakers.ts'
import { explain, explainText } from './stack/explain.ts'
import { TimerWheel } from './timer-wheel.ts'

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

test('ClientCore sends calls elsewhere that wait for an endpoint whose breaker opens', async () => {
  const { client, clock, exchangers, on } = fixture({
    endpoints: endpoints('10.0.0.1'),
    breaker: { consecutiveFailures: 1 },
    pool: { max: 1 },
    retry: false,
  })
  const first = client.call('get')
  await clock.settle()
  on('10.0.0.1').calls[0]?.reply('ok')
  await first
  const calls = ['get a', 'get b', 'get c'].map((request) => Promise.resolve(client.call(request)))
  await clock.settle()
  const refused = assert.rejects(calls[2] as Promise<string>, {
    code: 'ERR_BREAKER_OPEN',
    sent: 'nothing',
    message: 'the circuit breaker of 10.0.0.1:80 opened while the call waited',
  })
  // The connection goes to the next in the queue before anybody has judged the answer.
  on('10.0.0.1').calls[0]?.reply('fail')
  assert.equal(await calls[0], 'fail')
  await refused
  on('10.0.0.1').calls[0]?.reply('b')
  assert.equal(await calls[1], 'b')
  assert.equal(exchangers.length, 1)
})

test('ClientCore leaves an endpoint alone whose breaker is open, and says so when all are', async () => {
  const changes: string[] = []
  const { client } = fixture({
    endpoints: endpoints('10.0.0.1', '10.0.0.2'),
    breaker: { consecutiveFailures: 1 },
    retry: false,
    connectEndpoint: async ({ address }) =>
      new ScriptedExchanger({
        answer: () => ((address as { host: string }).host === '10.0.0.1' ? 'fail' : 'ok'),
      }),
    observer: {
      onBreaker: ({ address }, next) => {
        changes.push(`${(address as { host: string }).host} ${next}`)
      },
    },
  })
  const answers: string[] = []
  for (let count = 0; count < 20; count++) answers.push(await client.call('get'))
  assert.ok(answers.filter((answer) => answer === 'fail').length <= 1, answers.join(' '))
  assert.deepEqual(changes, ['10.0.0.1 open'])
  const down = fixture({
    breaker: { consecutiveFailures: 1 },
    retry: false,
    scripted: { answer: () => 'fail' },
  })
  assert.equal(await down.client.call('get'), 'fail')
  await assert.rejects(async () => down.client.call('get'), {
    code: 'ERR_NO_ENDPOINT',
    message: /none of 1 endpoints is available \(10\.0\.0\.1:80: breaker open for \d+ ms\)/,
  })
})

test('ClientCore tries again elsewhere after an attempt timed out waiting, whatever the method', async () => {
  const { client, clock, on } = fixture({ attemptTimeoutMs: 100, pool: { max: 1 } })
  const blocking = Promise.resolve(client.call('get'))
  await clock.settle()
  const waiting = client.call('post')
  await clock.advanceAsync(90)
  const blocker = on('10.0.0.1').calls[0]
  // Both attempts are over at 100; the one that waited had sent nothing.
  await clock.advanceAsync(12)
  assert.equal(blocker?.context.cancelled, true)
  await clock.advanceAsync(60)
  const calls = on('10.0.0.1').calls
  assert.equal(calls.length, 1)
  calls[0]?.reply('a')
  await clock.settle()
  on('10.0.0.1').calls[0]?.reply('b')
  assert.deepEqual([await blocking, await waiting].sort(), ['a', 'b'])
})

test('ClientCore limits calls on one connection', async () => {
  const { client, clock, exchangers } = fixture({
    scripted: { capacity: 10 },
    maxConcurrentPerConnection: 2,
    pool: { expectedCapacity: 2 },
  })
  const calls = Array.from({ length: 5 }, async () => client.call('get'))
  await clock.settle()
  assert.deepEqual(
    exchangers.map(({ exchanger }) => exchanger.inFlight),
    [2, 2, 1],
  )
  client.destroy()
  for (const outcome of await Promise.allSettled(calls)) assert.equal(outcome.status, 'rejected')
})

test('ClientCore keeps the load within the budget when everything fails', async () => {
  let sent = 0
  const { client, clock } = fixture({
    breaker: false,
    retry: { budget: { minPerSecond: 0 } },
    scripted: {
      answer: () => {
        sent++
        return 'fail'
      },
    },
  })
  const calls: (string | Promise<string>)[] = []
  for (let count = 0; count < 1_000; count++) {
    calls.push(client.call('get'))
    await clock.advanceAsync(5)
  }
  await clock.advanceAsync(1_000)
  await Promise.all(calls)
  assert.ok(sent <= 1_201, `${sent} requests for 1,000 calls`)
  assert.ok(sent >= 1_150, `${sent} requests for 1,000 calls`)
})

test('ClientCore counts calls outside the retry and attempts inside', async () => {
  const counted: string[] = []
  const meter: Meter = {
    ...noopMeter,
    histogram: (name, _options, attributes) => ({
      record: () => void counted.push(`${name} ${JSON.stringify(attributes)}`),
    }),
  }
  const answers = ['fail', 'ok']
  const { client, clock } = fixture({
    meter,
    scripted: { answer: () => answers.shift() ?? 'ok' },
    metricNames: { outcomeAttribute: 'status', outcome: (reply) => reply },
  })
  const call = client.call('get')
  await clock.advanceAsync(100)
  assert.equal(await call, 'ok')
  assert.deepEqual(
    counted.filter((line) => line.startsWith('heddle.client')),
    [
      'heddle.client.attempt.duration {"network.peer.address":"10.0.0.1:80","heddle.operation":"get","status":"fail"}',
      'heddle.client.attempt.duration {"network.peer.address":"10.0.0.1:80","heddle.operation":"get","status":"ok"}',
      'heddle.client.call.duration {"heddle.operation":"get","status":"ok"}',
    ],
  )
  assert.ok(counted.some((line) => line.startsWith('db.client.connection.create_time')))
})

test('ClientCore ends every call exactly once and keeps nothing, over random faults', async () => {
  for (let seed = 1; seed <= 40; seed++) await randomFaults(seed)
})

async function randomFaults(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const exchangers: ScriptedExchanger[] = []
  const listeners: ResolverListener[] = []
  const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3']
  const client = createClient<string, string>({
    target: 'svc',
    resolver: {
      watch(_target, listener) {
        listeners.push(listener)
        return { [Symbol.dispose]: () => void listeners.pop() }
      },
    },
    async connectEndpoint(_endpoint, { signal }) {
      await new Promise<void>((resolve) => {
        clock.setTimer(clock.now() + random.integer(0, 40), resolve)
      })
      if (random.chance(0.2)) throw new TransportError('ERR_CONNECT', 'refused')
      signal.throwIfAborted()
      const exchanger = new ScriptedExchanger({ capacity: random.integer(1, 3) })
      exchangers.push(exchanger)
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    wheel,
    random: random.next,
    timeoutMs: 800,
    attemptTimeoutMs: 250,
    pool: { max: 3, maxWaiting: 5, idleTimeoutMs: 400, maxConnecting: 2 },
  })
  let ended = 0
  const contexts: Call[] = []
  const calls = 60
  for (let count = 0; count < calls; count++) {
    const context = new Call()
    contexts.push(context)
    Promise.resolve()
      .then(() => client.call(random.pick(['get', 'post', 'get once']), context))
      .then(
        () => void ended++,
        () => void ended++,
      )
    await clock.advanceAsync(random.integer(0, 30))
    if (random.chance(0.3) && listeners.length > 0) {
      const listener = listeners[0] as ResolverListener
      if (random.chance(0.2)) listener.onError(new Error('dns'))
      else listener.onEndpoints(endpoints(...random.shuffle(hosts).slice(random.integer(0, 2))))
    }
    for (const exchanger of exchangers) {
      if (random.chance(0.05)) exchanger.disconnect(new TransportError('ERR_RESET', 'reset'))
      for (const call of [...exchanger.calls]) {
        if (random.chance(0.4)) call.reply(random.pick(['ok', 'ok', 'fail', 'busy:50', 'busy:x']))
        else if (random.chance(0.1)) call.fail(new TransportError('ERR_RESET', 'reset'))
      }
    }
    if (random.chance(0.1)) random.pick(contexts).cancel(new Error('cancelled'))
  }
  const closing = client.close()
  await clock.advanceAsync(20_000)
  await closing
  assert.equal(ended, calls, `seed ${seed}: every call ended`)
  assert.equal(client.counts.inFlight, 0, `seed ${seed}`)
  assert.equal(wheel.size, 0, `seed ${seed}: timeouts left`)
  assert.equal(clock.pendingTimers, 0, `seed ${seed}: timers left`)
  assert.equal(listeners.length, 0, `seed ${seed}: still watching`)
  for (const exchanger of exchangers) {
    assert.equal(exchanger.calls.length, 0, `seed ${seed}: calls left`)
    assert.ok(
      exchanger.state === 'closed' || exchanger.state === 'error',
      `seed ${seed}: left open`,
    )
  }
  for (const stack of client.endpoints.nodes) {
    assert.equal(client.balancer.loadOf(stack), 0, `seed ${seed}: load left`)
  }
}

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
  assert.match(text, /breaker: state closed\n.*consecutiveFailures 5/)
  assert.match(text, /pool: state ready, idle 0, leased 1(.|\n)*max 128, min 0/)
  for (const line of text.split('\n')) assert.ok(line.length <= 100, line)
  assert.match(explainText(client, { rules: true }), /· above the pool: waiting for a connection/)
  on('10.0.0.1').calls[0]?.reply('a')
  await call
})

test('ClientCore keeps the order of what a user adds, whatever the order it is given in', async () => {
  const log: string[] = []
  const spy = (name: string): Middleware<string, string> => {
    return (next) => (request, context) => {
      log.push(name)
      return next(request, context)
    }
  }
  const answers = ['fail', 'ok']
  const { client, clock } = fixture({
    endpointLimiter: ({ address }) => spy(`endpoint limiter ${formatAddress(address)}`),
    attemptTracing: spy('attempt tracing'),
    credentials: spy('credentials'),
    limiter: spy('limiter'),
    middleware: [spy('a'), spy('b')],
    tracing: spy('tracing'),
    scripted: { answer: () => answers.shift() ?? 'ok' },
  })
  const call = client.call('get')
  await clock.advanceAsync(100)
  assert.equal(await call, 'ok')
  const attempt = ['credentials', 'attempt tracing', 'endpoint limiter 10.0.0.1:80']
  assert.deepEqual(log, ['tracing', 'a', 'b', 'limiter', ...attempt, ...attempt])
})

test('ClientCore shares one retry budget with other clients that are given it', async () => {
  const budget = new SlidingRetryBudget({ minPerSecond: 0, ratio: 0.5 })
  let sent = 0
  const answer = (): string => {
    sent++
    return 'fail'
  }
  const made = [1, 2].map(() =>
    fixture({ breaker: false, retry: { budget }, scripted: { answer } }),
  )
  // Two calls pay for one retry, whichever client makes it.
  for (const { client, clock } of made) {
    const call = client.call('get')
    await clock.advanceAsync(1_000)
    assert.equal(await call, 'fail')
  }
  assert.equal(sent, 3)
})

test('ClientCore keeps the breaker of an endpoint where it is told, by protocol and address', async () => {
  const shared = SharedBreakers.create({ capacity: 2 })
  const options = { breaker: { shared, consecutiveFailures: 1 }, retry: false } as const
  const one = fixture({ ...options, scripted: { answer: () => 'fail' } })
  const other = fixture({ ...options, scripted: { answer: () => 'ok' } })
  assert.equal(await other.client.call('get'), 'ok')
  assert.equal(await one.client.call('get'), 'fail')
  await assert.rejects(async () => other.client.call('get'), { code: 'ERR_NO_ENDPOINT' })
  assert.match(explainText(other.client), /breaker: state open, retryInMs \d+, shared/)
  assert.equal(shared.cellFor('scripted 10.0.0.1:80')?.version, 5)
  // Clients that close give the place back.
  await Promise.all([one.client.close(), other.client.close()])
  assert.ok(shared.cellFor('another'))
})

test('ClientCore hedges at another endpoint and returns everything of the loser', async () => {
  const hedges: number[] = []
  const { client, clock, exchangers } = fixture({
    endpoints: endpoints('10.0.0.1', '10.0.0.2'),
    hedge: { delayMs: 100 },
    breaker: { successesToClose: 1 },
    observer: { onHedge: (hedge) => void hedges.push(hedge) },
  })
  const call = client.call('get')
  await clock.advanceAsync(110)
  assert.deepEqual(hedges, [1])
  assert.equal(exchangers.length, 2)
  assert.notEqual(exchangers[0]?.address, exchangers[1]?.address)
  exchangers[1]?.exchanger.calls[0]?.reply('fast')
  assert.equal(await call, 'fast')
  await clock.settle()
  const { endpoints: stacks, layers } = explain(client)
  for (const { inFlight, layers: below } of stacks) {
    assert.equal(inFlight, 0)
    assert.equal(below.find(({ name }) => name === 'pool')?.state.leased, 0)
  }
  assert.deepEqual(layers.find(({ name }) => name === 'hedge')?.state, { sent: 1, won: 1 })
  // The slow endpoint is known to take at least so long.
  assert.ok(stacks.every(({ latencyMs }) => latencyMs !== undefined))
})

test('ClientCore keeps retries and hedges together within the budget when all is slow', async () => {
  let sent = 0
  const { client, clock } = fixture({
    hedge: { delayMs: 20, maxHedges: 3 },
    attemptTimeoutMs: 200,
    breaker: false,
    retry: { budget: { minPerSecond: 0 } },
    pool: { max: 1_000 },
    scripted: {
      answer: (_request, context) => {
        sent++
        return new Promise((_resolve, reject) => void context.onCancel(reject))
      },
    },
  })
  const calls: Promise<unknown>[] = []
  for (let count = 0; count < 400; count++) {
    calls.push(Promise.resolve(client.call('get')).catch(() => {}))
    await clock.advanceAsync(10)
  }
  await clock.advanceAsync(5_000)
  await Promise.all(calls)
  assert.ok(sent <= 481, `${sent} requests for 400 calls`)
  assert.ok(sent >= 440, `${sent} requests for 400 calls`)
})
