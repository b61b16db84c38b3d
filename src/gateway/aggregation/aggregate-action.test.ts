import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Channel } from '../../core/channel.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { route } from '../config/schema/route.ts'
import { type AggregateAnswer, compileAggregate } from './aggregate-action.ts'

function run(
  clock: ManualClock,
  aggregate: object,
  services: Record<string, HttpService>,
  context: CallContext = new Call(),
): Promise<AggregateAnswer> {
  const config = route.parse({ aggregate })
  const given = config.aggregate
  assert.ok(given)
  const action = compileAggregate({ ...config, aggregate: given }, (name) => ({
    name,
    call: services[name] as HttpService,
  }))
  return action.run({
    clock,
    request: new HttpRequest(),
    target: '/',
    fields: new HttpFields(),
    own: [],
    body: undefined,
    context,
    note: undefined,
  })
}

const stalledBody: HttpService = () => {
  const body = new Channel<Uint8Array>(
    () => {},
    () => {},
  )
  return new HttpResponse({ fields: { 'content-type': 'application/json' }, body })
}

test('compileAggregate gives each part its time, the body of its answer included', async () => {
  const clock = new ManualClock()
  const answer = run(
    clock,
    {
      parts: {
        good: { cluster: 'good' },
        head: { cluster: 'head', timeout: '100ms' },
        body: { cluster: 'body', timeout: '200ms' },
      },
    },
    { good: () => HttpResponse.json(1), head: () => new Promise(() => {}), body: stalledBody },
  )
  clock.advance(199)
  await turn()
  assert.equal(clock.pendingTimers, 1)
  clock.advance(1)
  const { status, body, failed } = await answer
  assert.deepEqual([status, failed], [200, ['head', 'body']])
  const { good, errors } = JSON.parse(body) as {
    good: number
    errors: Record<string, { code: string; status: number }>
  }
  assert.equal(good, 1)
  const codes = Object.values(errors).map((one) => [one.code, one.status])
  assert.deepEqual(codes, [
    ['ERR_DEADLINE', 504],
    ['ERR_DEADLINE', 504],
  ])
  assert.equal(clock.pendingTimers, 0)
})

test('compileAggregate gives no part longer than the whole has', async () => {
  const clock = new ManualClock()
  const context = new Call({ deadline: clock.now() + 50 })
  const parts = { slow: { cluster: 'slow', timeout: '10s', required: true } }
  const answer = run(clock, { parts }, { slow: stalledBody }, context)
  await turn()
  clock.advance(50)
  assert.equal((await answer).status, 504)
})

test('compileAggregate stops with its client', async () => {
  const clock = new ManualClock()
  const context = new Call()
  const answer = run(clock, { parts: { a: { cluster: 'a' } } }, { a: stalledBody }, context)
  await turn()
  const reason = new Error('gone')
  context.cancel(reason)
  await assert.rejects(answer, reason)
  assert.equal(clock.pendingTimers, 0)
})
