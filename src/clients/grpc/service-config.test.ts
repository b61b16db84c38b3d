import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { echoService } from '../../../test/support/echo-service.ts'
import { Call } from '../../core/context.ts'
import { TransportError } from '../../core/errors.ts'
import { grpcErrorResponse } from '../../protocols/grpc/classifier.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { methodConfigOf, parseServiceConfig } from '../../protocols/grpc/service-config.ts'
import type { HttpRequest, HttpService } from '../../protocols/http/messages.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { balancerOf } from './grpc-channel.ts'
import { grpcClient } from './grpc-client.ts'
import { GrpcRetryPolicy, RetryThrottle } from './method-policies.ts'

const RETRY = {
  maxAttempts: 3,
  initialBackoff: '0.1s',
  maxBackoff: '1s',
  backoffMultiplier: 2,
  retryableStatusCodes: ['UNAVAILABLE', 8],
}

test('parseServiceConfig reads the format of service_config.proto', () => {
  const config = parseServiceConfig(
    JSON.stringify({
      methodConfig: [
        { name: [{ service: 'a.B', method: 'C' }], timeout: '1.5s', retryPolicy: RETRY },
        { name: [{ service: 'a.B' }], waitForReady: true, maxRequestMessageBytes: '100' },
        { name: [{}], hedgingPolicy: { maxAttempts: 9, hedgingDelay: '0.05s' }, newField: 1 },
      ],
      retryThrottling: { maxTokens: 10, tokenRatio: 0.1234 },
      loadBalancingConfig: [{ unheard_of: {} }, { round_robin: {} }],
    }),
  )
  const [own, service, all] = config.methods
  assert.equal(methodConfigOf(config, 'a.B', 'C'), own)
  assert.equal(methodConfigOf(config, 'a.B', 'D'), service)
  assert.equal(methodConfigOf(config, 'x.Y', 'Z'), all)
  assert.equal(own?.timeoutMs, 1_500)
  assert.deepEqual([...(own?.retry?.retryable ?? [])], [14, 8])
  assert.deepEqual([service?.waitForReady, service?.maxRequestBytes], [true, 100])
  assert.deepEqual([all?.hedging?.maxAttempts, all?.hedging?.hedgingDelayMs], [5, 50])
  assert.equal(config.retryThrottling?.tokenRatio, 0.123)
  assert.equal(balancerOf(config)?.({}).name, 'round-robin')
})

test('parseServiceConfig refuses what is wrong and says where', () => {
  const method = (entry: object): object => ({ methodConfig: [{ name: [{}], ...entry }] })
  const retry = (change: object): object => method({ retryPolicy: { ...RETRY, ...change } })
  const cases: [unknown, RegExp][] = [
    ['{', /no JSON/],
    [[], /service config must be an object/],
    [{ methodConfig: {} }, /methodConfig must be a list/],
    [method({ timeout: '1' }), /methodConfig\[0\]\.timeout/],
    [method({ timeout: '-1s' }), /timeout/],
    [method({ waitForReady: 1 }), /waitForReady/],
    [method({ name: [{ method: 'x' }] }), /method without a service/],
    [method({ retryPolicy: RETRY, hedgingPolicy: { maxAttempts: 2 } }), /one of them/],
    [method({ maxRequestMessageBytes: -1 }), /maxRequestMessageBytes/],
    [retry({ maxAttempts: 1 }), /maxAttempts must be a whole number from 2/],
    [retry({ maxAttempts: 2.5 }), /maxAttempts/],
    [retry({ initialBackoff: '0s' }), /initialBackoff must be longer/],
    [retry({ backoffMultiplier: 0 }), /backoffMultiplier/],
    [retry({ retryableStatusCodes: [] }), /names no status/],
    [retry({ retryableStatusCodes: ['NOPE'] }), /"NOPE"/],
    [retry({ retryableStatusCodes: [17] }), /17/],
    [{ retryThrottling: { maxTokens: 1_001, tokenRatio: 1 } }, /maxTokens/],
    [{ retryThrottling: { maxTokens: 1, tokenRatio: 0 } }, /tokenRatio/],
    [{ loadBalancingConfig: [{ a: {}, b: {} }] }, /exactly one policy/],
  ]
  for (const [config, message] of cases) {
    assert.throws(() => parseServiceConfig(config), { code: 'ERR_CONFIG', message })
  }
  assert.equal(
    parseServiceConfig({ retryThrottling: { maxTokens: 1_000, tokenRatio: 1 } }).methods.length,
    0,
  )
})

test('retryPolicy sends again what may be, with its backoff, and counts the attempts', async () => {
  const { service, seen } = flaky([unavailable(), unavailable()])
  const { client, clock } = clientOf(service, { retryPolicy: RETRY })
  const call = client.say({ text: 'x' })
  await turns()
  assert.equal(seen.length, 1)
  await pass(clock, 79) // 100 ms less 20 %
  assert.equal(seen.length, 1)
  await pass(clock, 42)
  assert.equal(seen.length, 2)
  await pass(clock, 241)
  assert.equal((await call).text, 'x')
  assert.deepEqual(
    seen.map((request) => request.fields.get('grpc-previous-rpc-attempts')),
    [undefined, '1', '2'],
  )
})

test('retryPolicy gives up after maxAttempts, and at once for other statuses', async () => {
  const always = flaky(Array.from({ length: 9 }, unavailable))
  const first = clientOf(always.service, { retryPolicy: RETRY })
  const call = assert.rejects(first.client.say({}), { status: 'UNAVAILABLE' })
  for (let round = 0; round < 4; round++) await pass(first.clock, 1_300)
  await call
  assert.equal(always.seen.length, 3)
  const other = flaky([grpcErrorResponse(new GrpcError('INTERNAL', 'no'))])
  await assert.rejects(clientOf(other.service, { retryPolicy: RETRY }).client.say({}), {
    status: 'INTERNAL',
  })
  assert.equal(other.seen.length, 1)
})

test('retryPolicy sends streamed requests again, as far as they are kept', async () => {
  const { service, seen } = flaky([unavailable()])
  const { client, clock } = clientOf(service, { retryPolicy: RETRY })
  async function* requests(): AsyncGenerator<{ text: string }> {
    yield { text: 'a' }
    yield { text: 'b' }
  }
  const call = client.collect(requests())
  await turns()
  await pass(clock, 130)
  assert.deepEqual((await call).texts, ['a', 'b'])
  assert.equal(seen.length, 2)
})

test('grpc-retry-pushback-ms says when, or that never', async () => {
  const later = flaky([unavailable('700')])
  const first = clientOf(later.service, { retryPolicy: RETRY })
  const call = first.client.say({ text: 'y' })
  await pass(first.clock, 690)
  assert.equal(later.seen.length, 1)
  await pass(first.clock, 20)
  assert.equal((await call).text, 'y')
  for (const never of ['-1', 'soon']) {
    const { service, seen } = flaky([unavailable(never)])
    const { client } = clientOf(service, { retryPolicy: RETRY })
    await assert.rejects(client.say({}), { status: 'UNAVAILABLE' })
    assert.equal(seen.length, 1)
  }
})

test('RetryThrottle stops retries at half of its tokens and starts again above', () => {
  const throttle = new RetryThrottle({ maxTokens: 4, tokenRatio: 0.5 })
  assert.equal(throttle.tryWithdraw(), true)
  throttle.onFailure()
  assert.equal(throttle.tryWithdraw(), true) // 3 is over 2
  throttle.onFailure()
  assert.equal(throttle.tryWithdraw(), false) // 2 is not
  throttle.onSuccess()
  assert.equal(throttle.tryWithdraw(), true)
  for (let count = 0; count < 20; count++) throttle.onSuccess()
  assert.equal(throttle.balance, 4)
  for (let count = 0; count < 20; count++) throttle.onFailure()
  assert.equal(throttle.balance, 0)
})

test('GrpcRetryPolicy grows its backoff to the maximum, 20 % more or less', () => {
  const policy = new GrpcRetryPolicy({
    maxAttempts: 5,
    initialBackoffMs: 100,
    maxBackoffMs: 300,
    backoffMultiplier: 2,
    retryable: new Set(),
  })
  const verdict = { retry: true, failed: true, endpointFailure: false, pushbackMs: undefined }
  const delay = (attempt: number, random: number): number | undefined =>
    policy.delay({ attempt, elapsedMs: 0, verdict }, () => random)
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((attempt) => delay(attempt, 0.5)),
    [100, 200, 300, 300, undefined],
  )
  assert.equal(Math.round(delay(1, 0) ?? 0), 80)
  assert.equal(Math.round(delay(1, 1) ?? 0), 120)
})

test('hedgingPolicy sends a call again that takes too long, and takes the first answer', async () => {
  let calls = 0
  const cancelled: number[] = []
  const echo = echoService({ clock: CLOCK })
  const service: HttpService = (request, context) => {
    const call = ++calls
    if (call === 3) return echo(request, context)
    context.onCancel(() => cancelled.push(call))
    return new Promise(() => {})
  }
  const { client, clock } = clientOf(service, {
    hedgingPolicy: { maxAttempts: 3, hedgingDelay: '0.1s' },
  })
  const call = client.say({ text: 'z' })
  await pass(clock, 105)
  assert.equal(calls, 2)
  await pass(clock, 105)
  assert.equal((await call).text, 'z')
  assert.deepEqual(cancelled, [1, 2])
})

test('hedgingPolicy sends the next at once after a non-fatal failure, and ends with another', async () => {
  const hedgingPolicy = {
    maxAttempts: 3,
    hedgingDelay: '10s',
    nonFatalStatusCodes: ['UNAVAILABLE'],
  }
  const { service, seen } = flaky([unavailable(), unavailable()])
  const { client } = clientOf(service, { hedgingPolicy })
  assert.equal((await client.say({ text: 'now' })).text, 'now')
  assert.deepEqual(
    seen.map((request) => request.fields.get('grpc-previous-rpc-attempts')),
    [undefined, '1', '2'],
  )
  const fatal = flaky([unavailable(), grpcErrorResponse(new GrpcError('INTERNAL', 'no'))])
  await assert.rejects(clientOf(fatal.service, { hedgingPolicy }).client.say({}), {
    status: 'INTERNAL',
  })
  assert.equal(fatal.seen.length, 2)
  const later = flaky([unavailable('700')])
  const pushed = clientOf(later.service, { hedgingPolicy })
  const call = pushed.client.say({ text: 'later' })
  await pass(pushed.clock, 690)
  assert.equal(later.seen.length, 1)
  await pass(pushed.clock, 20)
  assert.equal((await call).text, 'later')
  const never = flaky([unavailable('-1')])
  await assert.rejects(clientOf(never.service, { hedgingPolicy }).client.say({}), {
    status: 'UNAVAILABLE',
  })
  assert.equal(never.seen.length, 1)
})

test('waitForReady waits for an endpoint, other calls fail at once', async () => {
  let up = false
  const echo = echoService({ clock: CLOCK })
  const service: HttpService = (request, context) => {
    if (up) return echo(request, context)
    throw new TransportError('ERR_CONNECT_REFUSED', 'nobody listens', { sent: 'nothing' })
  }
  const { client, clock } = clientOf(service, {})
  await assert.rejects(client.say({}), { code: 'ERR_CONNECT_REFUSED' })
  const waiting = client.say({ text: 'at last' }, { waitForReady: true })
  await pass(clock, 5_000)
  up = true
  await pass(clock, 6_000)
  assert.equal((await waiting).text, 'at last')
  const configured = clientOf(service, { waitForReady: true })
  assert.equal((await configured.client.say({ text: 'up' })).text, 'up')
})

test('timeout and message limits of the service config bind the calls', async () => {
  const timeouts: (string | undefined)[] = []
  const echo = echoService({ clock: CLOCK })
  const service: HttpService = (request, context) => {
    timeouts.push(request.fields.get('grpc-timeout'))
    return echo(request, context)
  }
  const config = { timeout: '2s', maxRequestMessageBytes: 10, maxResponseMessageBytes: 5 }
  const { client } = clientOf(service, config)
  await client.say({ text: 'abc' })
  await client.say({ text: 'abc' }, { timeoutMs: 100 })
  await client.say({ text: 'abc' }, { timeoutMs: 9_000 })
  assert.deepEqual(
    timeouts.map((text) => Number(text?.slice(0, 4))),
    [2000, 1000, 2000],
  )
  await assert.rejects(client.say({ text: 'x'.repeat(9) }), { status: 'RESOURCE_EXHAUSTED' })
  await assert.rejects(client.say({ text: 'x'.repeat(4) }), { status: 'RESOURCE_EXHAUSTED' })
})

/** Of clients and services alike: a deadline is a time of the clock. */
const CLOCK = new ManualClock()

function clientOf(
  service: HttpService,
  method: object,
): { client: ReturnType<typeof grpcClient<typeof Echo>>; clock: ManualClock } {
  const clock = CLOCK
  const serviceConfig = { methodConfig: [{ name: [{}], ...method }] }
  return { client: grpcClient(Echo, service, { clock, serviceConfig }), clock }
}

/** Answers so, then as the echo does. */
function flaky(answers: ReturnType<typeof grpcErrorResponse>[]): {
  service: HttpService
  seen: HttpRequest[]
} {
  const seen: HttpRequest[] = []
  const echo = echoService({ clock: CLOCK })
  const service: HttpService = async (request, context = new Call()) => {
    seen.push(request)
    const answer = answers.shift()
    if (answer === undefined) return echo(request, context)
    await request.body.bytes()
    return answer
  }
  return { service, seen }
}

function unavailable(pushback?: string | number): ReturnType<typeof grpcErrorResponse> {
  const metadata = typeof pushback === 'string' ? { 'grpc-retry-pushback-ms': pushback } : {}
  return grpcErrorResponse(new GrpcError('UNAVAILABLE', 'later', { metadata }))
}

async function pass(clock: ManualClock, ms: number): Promise<void> {
  await turns()
  clock.advance(ms)
  await turns()
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}
