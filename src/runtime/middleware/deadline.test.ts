import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type CallContext } from '../../core/context.ts'
import type { Service } from '../../core/service.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { attemptTimeout } from './attempt-timeout.ts'
import { type DeadlineOptions, deadline } from './deadline.ts'

/** Settles when it is cancelled, or when told. */
class Waiting {
  readonly contexts: CallContext[] = []
  readonly replies: ((reply: string) => void)[] = []
  listens = true

  readonly service: Service<string, string> = (_request, context) => {
    this.contexts.push(context)
    return new Promise((resolve, reject) => {
      const remove = this.listens ? context.onCancel(reject) : (): void => {}
      this.replies.push((reply) => {
        remove()
        resolve(reply)
      })
    })
  }
}

function fixture(options: Partial<DeadlineOptions<string>> = {}) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const waiting = new Waiting()
  const service = deadline<string, string>({ wheel, ...options })(waiting.service)
  const call = (context = new Call()): Promise<string> => Promise.resolve(service('r', context))
  return { clock, wheel, waiting, service, call }
}

test('deadline cancels at the default, at the call’s own, whichever is earlier', async () => {
  for (const [timeoutMs, ownMs, expectedMs] of [
    [100, undefined, 100],
    [100, 40, 40],
    [100, 400, 100],
    [Number.POSITIVE_INFINITY, 40, 40],
  ] as const) {
    const { clock, wheel, waiting, call } = fixture({ timeoutMs })
    const own = ownMs === undefined ? undefined : clock.now() + ownMs
    const started = clock.now()
    const outcome = call(new Call({ deadline: own })).catch((error: unknown) => error)
    assert.equal(waiting.contexts[0]?.deadline, started + expectedMs)
    await clock.advanceAsync(expectedMs - 1)
    assert.equal(waiting.contexts[0]?.cancelled, false)
    await clock.advanceAsync(5)
    const error = (await outcome) as { code?: string; message?: string }
    assert.equal(error.code, 'ERR_DEADLINE')
    assert.match(String(error.message), /passed after \d+ ms/)
    assert.equal(wheel.size, 0)
  }
})

test('deadline leaves calls without any alone', () => {
  const { waiting, service, wheel } = fixture()
  const context = new Call()
  void service('r', context)
  assert.equal(waiting.contexts[0], context)
  assert.equal(wheel.size, 0)
})

test('deadline refuses a call whose deadline has passed, and sends nothing', async () => {
  const { clock, waiting, service } = fixture()
  assert.throws(() => service('r', new Call({ deadline: clock.now() })), {
    code: 'ERR_DEADLINE',
    sent: 'nothing',
  })
  assert.equal(waiting.contexts.length, 0)
})

test('deadline lets go of everything when the call ends', async () => {
  const { clock, wheel, waiting, call } = fixture({ timeoutMs: 100 })
  const parent = new Call()
  let listeners = 0
  const onCancel = parent.onCancel.bind(parent)
  parent.onCancel = (callback) => {
    listeners++
    const remove = onCancel(callback)
    return () => {
      listeners--
      remove()
    }
  }
  const answered = call(parent)
  assert.equal(listeners, 1)
  waiting.replies[0]?.('a')
  assert.equal(await answered, 'a')
  assert.equal(listeners, 0)
  assert.equal(wheel.size, 0)
  await clock.advanceAsync(1_000)
  assert.equal(waiting.contexts[0]?.cancelled, false)
})

test('deadline passes the caller’s cancellation on', async () => {
  const { waiting, call, wheel } = fixture({ timeoutMs: 100 })
  const parent = new Call()
  const outcome = call(parent)
  const reason = new Error('mine')
  parent.cancel(reason)
  await assert.rejects(outcome, (error) => error === reason)
  assert.equal(waiting.contexts[0]?.cancelReason, reason)
  assert.equal(wheel.size, 0)
})

test('deadline holds for a streamed reply when it is the caller’s own, to the end of it', async () => {
  for (const own of [true, false]) {
    const { clock, wheel, waiting, service } = fixture({ timeoutMs: own ? 500 : 100 })
    const parent = new Call({ deadline: own ? clock.now() + 100 : undefined })
    const reply = Promise.resolve(service('r', parent))
    // The stream listens on after the reply.
    const context = waiting.contexts[0] as CallContext
    let cut: Error | undefined
    const over = context.onCancel((reason) => void (cut = reason))
    waiting.replies[0]?.('head')
    assert.equal(await reply, 'head')
    await clock.advanceAsync(50)
    assert.equal(wheel.size, own ? 1 : 0)
    await clock.advanceAsync(60)
    assert.equal((cut as { code?: string } | undefined)?.code, own ? 'ERR_DEADLINE' : undefined)
    over()
    assert.equal(wheel.size, 0)
  }
})

test('deadline passes a cancellation to a streamed reply, and lets go at its end', async () => {
  const { wheel, waiting, service, clock } = fixture({ timeoutMs: 500 })
  const parent = new Call({ deadline: clock.now() + 100 })
  const [first, second] = [service('r', parent), service('r', parent)]
  const cut: Error[] = []
  const overs = waiting.contexts.map((context) =>
    context.onCancel((reason) => void cut.push(reason)),
  )
  for (const reply of waiting.replies) reply('head')
  await Promise.all([first, second])
  assert.equal(wheel.size, 2)
  overs[0]?.() // the first stream ends
  assert.equal(wheel.size, 1)
  const reason = new Error('mine')
  parent.cancel(reason)
  assert.deepEqual(cut, [reason])
  assert.equal(wheel.size, 0)
})

test('deadline with race answers for a service that does not listen', async () => {
  const late: string[] = []
  const { clock, waiting, call, wheel } = fixture({
    timeoutMs: 100,
    race: true,
    discard: (reply) => void late.push(reply),
  })
  waiting.listens = false
  const outcome = assert.rejects(call(), { code: 'ERR_DEADLINE' })
  await clock.advanceAsync(104)
  await outcome
  waiting.replies[0]?.('late')
  await clock.settle()
  assert.deepEqual(late, ['late'])
  assert.equal(wheel.size, 0)
  const inTime = call()
  waiting.replies[1]?.('in time')
  assert.equal(await inTime, 'in time')
  assert.deepEqual(late, ['late'])
})

test('deadline without race trusts the service to settle', async () => {
  const { clock, waiting, call } = fixture({ timeoutMs: 100 })
  waiting.listens = false
  let settled = false
  const outcome = call().finally(() => {
    settled = true
  })
  await clock.advanceAsync(200)
  assert.equal(settled, false)
  waiting.replies[0]?.('after all')
  assert.equal(await outcome, 'after all')
})

test('deadline passes a synchronous reply and error through', () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const middleware = deadline<string, string>({ wheel, timeoutMs: 100, race: true })
  assert.equal(middleware((request) => request)('r', new Call()), 'r')
  const failing = middleware(() => {
    throw new Error('x')
  })
  assert.throws(() => failing('r', new Call()), /x/)
  assert.equal(wheel.size, 0)
})

test('attemptTimeout cancels its attempt only', async () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const waiting = new Waiting()
  const service = attemptTimeout<string, string>({ wheel, timeoutMs: 50 })(waiting.service)
  const call = new Call({ attempt: 2 })
  const outcome = Promise.resolve(service('r', call)).catch((error: unknown) => error)
  await clock.advanceAsync(54)
  const error = (await outcome) as { code?: string; message?: string }
  assert.equal(error.code, 'ERR_ATTEMPT_TIMEOUT')
  assert.match(String(error.message), /attempt 2 took longer than 50 ms/)
  assert.equal(call.cancelled, false)
  assert.equal(wheel.size, 0)
})

test('attemptTimeout stands back when the deadline comes first', () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const waiting = new Waiting()
  const service = attemptTimeout<string, string>({ wheel, timeoutMs: 50 })(waiting.service)
  const call = new Call({ deadline: clock.now() + 50 })
  void service('r', call)
  assert.equal(waiting.contexts[0], call)
  assert.equal(wheel.size, 0)
})
