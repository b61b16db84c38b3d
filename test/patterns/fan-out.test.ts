/** One request to several branches: decided as early as possible, and the rest cancelled. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type CallContext } from '../../src/core/context.ts'
import { RemoteError, TransportError } from '../../src/core/errors.ts'
import {
  type Branch,
  type FanOutOptions,
  type FanOutResult,
  fanOut,
  quorum,
} from '../../src/runtime/patterns/fan-out.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watch } from '../runtime/pool-fixture.ts'

interface Played {
  readonly context: CallContext
  reply(text: string): void
  fail(error: Error): void
}

function fixture(
  options: Partial<FanOutOptions<string>> = {},
  limits: Record<string, number> = {},
) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const played = new Map<string, Played>()
  const discarded: string[] = []
  const branches: Branch<string, string>[] = ['a', 'b', 'c'].map((name) => ({
    name,
    ...(limits[name] !== undefined && { timeoutMs: limits[name] }),
    service: (_request, context) =>
      new Promise((resolve, reject) => {
        played.set(name, { context, reply: resolve, fail: reject })
        context.onCancel(reject)
      }),
  }))
  const service = fanOut(branches, {
    wheel,
    until: 'all',
    discard: (reply) => void discarded.push(reply),
    ...options,
  })
  const call = new Call()
  const run = (context: Call = call) =>
    watch(Promise.resolve(service('x', context)) as Promise<FanOutResult<string>>)
  const branch = (name: string): Played => played.get(name) as Played
  return { clock, wheel, run, call, branch, discarded }
}

const names = (list: readonly { branch: string }[] = []): string[] => list.map((one) => one.branch)
const reset = (): Error => new TransportError('ERR_RESET', 'reset')

test('fanOut all: every reply, in the order of the branches', async () => {
  const { run, branch, clock, wheel } = fixture({ timeoutMs: 1_000 })
  const outcome = run()
  branch('c').reply('C')
  branch('a').reply('A')
  await clock.settle()
  assert.ok(outcome.pending)
  branch('b').reply('B')
  await clock.settle()
  assert.deepEqual(
    outcome.value?.replies.map(({ branch: name, reply }) => `${name}${reply}`),
    ['aA', 'bB', 'cC'],
  )
  assert.equal(wheel.size, 0)
})

test('fanOut all: the first failure decides, names its branch, and cancels the others', async () => {
  const { run, branch, clock, discarded, wheel } = fixture({ timeoutMs: 1_000 })
  const outcome = run()
  branch('a').reply('A')
  branch('b').fail(reset())
  await clock.settle()
  assert.equal(outcome.error?.code, 'ERR_QUORUM')
  assert.match(String(outcome.error?.message), /1 of 3 needed branches replied \(b: reset\)/)
  assert.deepEqual(outcome.error?.detail?.cancelled, ['c'])
  assert.equal(outcome.error?.attempts.length, 1)
  assert.ok(branch('c').context.cancelled)
  assert.deepEqual(discarded, ['A'])
  assert.equal(wheel.size, 0)
})

test('fanOut any: the first reply wins, and the error of all names all', async () => {
  const { run, branch, clock } = fixture({ until: 'any' })
  const won = run()
  branch('a').fail(reset())
  branch('b').reply('B')
  await clock.settle()
  assert.deepEqual(names(won.value?.replies), ['b'])
  assert.deepEqual(names(won.value?.failures), ['a'])
  assert.deepEqual(won.value?.cancelled, ['c'])
  const lost = run(new Call())
  for (const name of ['a', 'b', 'c']) branch(name).fail(new RemoteError('ERR_REMOTE', `no ${name}`))
  await clock.settle()
  assert.match(String(lost.error?.message), /0 of 1 .*a: no a; b: no b; c: no c/)
  assert.equal(lost.error?.sent, 'all')
})

test('fanOut quorum: decided by the nth reply, or as soon as it cannot be reached', async () => {
  const { run, branch, clock } = fixture({ until: quorum(2) })
  const reached = run()
  branch('c').reply('C')
  await clock.settle()
  assert.ok(reached.pending)
  branch('b').reply('B')
  await clock.settle()
  assert.deepEqual(names(reached.value?.replies), ['b', 'c'])
  assert.deepEqual(reached.value?.cancelled, ['a'])
  const missed = run(new Call())
  branch('a').fail(reset())
  await clock.settle()
  assert.ok(missed.pending)
  branch('c').fail(reset())
  await clock.settle()
  assert.equal(missed.error?.code, 'ERR_QUORUM')
  assert.ok(branch('b').context.cancelled)
})

test('fanOut partial: each branch has its deadline, and what is there is taken', async () => {
  const { run, branch, clock, wheel } = fixture({ until: 'partial', timeoutMs: 500 }, { b: 50 })
  const outcome = run()
  await clock.advanceAsync(60)
  assert.ok(branch('b').context.cancelled)
  assert.ok(!branch('a').context.cancelled)
  branch('a').reply('A')
  await clock.advanceAsync(500)
  assert.deepEqual(names(outcome.value?.replies), ['a'])
  assert.deepEqual(names(outcome.value?.failures), ['b', 'c'])
  assert.match(String(outcome.value?.failures[0]?.error.message), /branch b took too long/)
  assert.equal(wheel.size, 0)
})

test('fanOut does not wait for a branch that ignores its deadline, and drops its late reply', async () => {
  const clock = new ManualClock()
  const discarded: string[] = []
  let late: ((reply: string) => void) | undefined
  const service = fanOut<string, string>(
    [
      { name: 'deaf', service: () => new Promise((resolve) => (late = resolve)) },
      { name: 'quick', service: () => 'Q' },
    ],
    {
      wheel: new TimerWheel({ clock }),
      until: 'partial',
      timeoutMs: 100,
      discard: (reply) => void discarded.push(reply),
    },
  )
  const outcome = watch(Promise.resolve(service('x', new Call())) as Promise<FanOutResult<string>>)
  await clock.advanceAsync(110)
  assert.deepEqual(names(outcome.value?.replies), ['quick'])
  late?.('too late')
  await clock.settle()
  assert.deepEqual(discarded, ['too late'])
})

test('fanOut passes correlation, trace, priority, metadata and the earlier deadline to branches', async () => {
  const { run, branch, clock } = fixture({ timeoutMs: 500 }, { b: 10_000 })
  const trace = {
    traceId: '1'.repeat(32),
    spanId: '2'.repeat(16),
    flags: 1,
    state: undefined,
    baggage: undefined,
  }
  const deadline = clock.now() + 2_000
  const metadata = new Map([['tenant', '7']])
  run(new Call({ correlationId: 'c-1', trace, priority: 1, metadata, deadline }))
  const { context } = branch('a')
  assert.deepEqual(
    [context.correlationId, context.trace, context.priority, context.metadata, context.deadline],
    ['c-1', trace, 1, metadata, clock.now() + 500],
  )
  assert.equal(branch('b').context.deadline, deadline)
})

test('fanOut ends with its caller, whose reason passes through', async () => {
  const { run, call, branch, clock, wheel } = fixture({ timeoutMs: 1_000 })
  const outcome = run()
  const reason = new Error('mine')
  call.cancel(reason)
  await clock.settle()
  assert.equal(outcome.error as unknown, reason)
  assert.ok(['a', 'b', 'c'].every((name) => branch(name).context.cancelled))
  assert.equal(wheel.size, 0)
  assert.equal(call.listened, false)
})

test('fanOut refuses what can never be', () => {
  const wheel = new TimerWheel({ clock: new ManualClock() })
  const one = { name: 'a', service: () => 'A' }
  assert.throws(() => fanOut([], { wheel, until: 'all' }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => fanOut([one, one], { wheel, until: 'all' }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => fanOut([one], { wheel, until: quorum(2) }), { code: 'ERR_OPTION_RANGE' })
  const two = [one, { ...one, name: 'b' }]
  assert.throws(() => fanOut(two, { wheel, until: 'all', maxBranches: 1 }), {
    code: 'ERR_OPTION_RANGE',
  })
})
