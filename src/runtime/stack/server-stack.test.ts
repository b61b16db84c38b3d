import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { Call } from '../../core/context.ts'
import type { Middleware, Service } from '../../core/service.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { SlowCall } from '../middleware/slow-calls.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { type ServerStackOptions, serverStack } from './server-stack.ts'

function fixture(
  service: Service<string, string>,
  options: Partial<ServerStackOptions<string, string>> = {},
) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const base = { clock, wheel, classifier: scriptedClassifier }
  const stack = serverStack(service, { ...base, ...options })
  return { clock, wheel, stack }
}

const spy = (name: string, log: string[]): Middleware<string, string> => {
  return (next) => async (request, context) => {
    log.push(`>${name}`)
    const reply = await next(request, context)
    log.push(`<${name} ${reply}`)
    return reply
  }
}

test('serverStack answers errors of the service, told to onError first', async () => {
  const told: unknown[] = []
  for (const failing of [
    (): string => {
      throw new Error('inside')
    },
    async (): Promise<string> => {
      throw new Error('inside')
    },
  ]) {
    const { stack } = fixture(failing, { onError: (error) => void told.push(error) })
    assert.equal(await stack('get', new Call()), 'error: inside')
  }
  assert.equal(told.length, 2)
})

test('serverStack answers in place of a service that is too slow', async () => {
  const { clock, stack, wheel } = fixture(() => new Promise(() => {}), { timeoutMs: 100 })
  const reply = stack('get', new Call())
  await clock.advanceAsync(104)
  assert.match(await reply, /error: the deadline passed after/)
  assert.equal(wheel.size, 0)
})

test('serverStack refuses over maxConcurrent with an answer', async () => {
  const answer = Promise.withResolvers<string>()
  const { stack } = fixture(() => answer.promise, { maxConcurrent: 1 })
  const first = stack('get', new Call())
  assert.match(await stack('get', new Call()), /error: limiter: 1 of 1 calls are under way/)
  answer.resolve('ok')
  assert.equal(await first, 'ok')
})

test('serverStack answers nobody when the caller is gone', async () => {
  const context = new Call()
  const { stack } = fixture(
    (_request, call) => new Promise((_resolve, reject) => void call.onCancel(reject)),
  )
  const reply = Promise.resolve(stack('get', context))
  context.cancel(new Error('disconnected'))
  await assert.rejects(reply, /disconnected/)
})

test('serverStack reports a call that took too long, as its caller got it', async () => {
  const slow: SlowCall[] = []
  const { clock, stack } = fixture(
    (_request, context) => {
      context.timing?.attempted('10.0.0.1:80', 7, true)
      return new Promise(() => {})
    },
    {
      timeoutMs: 100,
      slowCalls: { thresholdMs: 50, onSlow: (call) => void slow.push(call as SlowCall) },
    },
  )
  const reply = stack('get a', new Call())
  await clock.advanceAsync(104)
  assert.match(await reply, /error: the deadline passed/)
  const [{ operation, reply: told, thresholdMs, timing } = assert.fail('not told')] = slow
  assert.deepEqual([operation, told, thresholdMs], ['get', await reply, 50])
  assert.equal(timing.attempts[0]?.endpoint, '10.0.0.1:80')
})

test('serverStack keeps the order of its layers', async () => {
  const log: string[] = []
  const { stack } = fixture(
    (request) => {
      log.push('service')
      return request
    },
    {
      accessLog: spy('log', log),
      tracing: spy('trace', log),
      middleware: [spy('a', log), spy('b', log)],
      timeoutMs: 1_000,
      maxConcurrent: 5,
    },
  )
  await stack('r', new Call())
  assert.deepEqual(log, [
    ...['>trace', '>log', '>a', '>b', 'service'],
    ...['<b r', '<a r', '<log r', '<trace r'],
  ])
})

test('serverStack gives a reply without a promise when the service does', () => {
  const { stack } = fixture((request) => request, { timeoutMs: 1_000, maxConcurrent: 1 })
  assert.equal(stack('r', new Call()), 'r')
})
