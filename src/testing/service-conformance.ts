/**
 * Conformance kit for what wraps or is a `Service` (core/service.ts): middleware, clients, whole
 * stacks. A call is passed through or refused, settles exactly once, hears its abort with the
 * caller's own reason, keeps its deadline, and leaves neither timer nor listener.
 */
import type { Clock } from '../core/clock.ts'
import { Call, type CallContext } from '../core/context.ts'
import { HeddleError, TimeoutError } from '../core/errors.ts'
import type { Service } from '../core/service.ts'
import { deepEqual, describeValue } from './deep-equal.ts'
import type { Harness } from './harness.ts'
import { LeakCheck, type LeakProbes } from './leak-check.ts'
import { ManualClock } from './manual-clock.ts'

export interface ServiceSubject<Req, Res> {
  /** Wraps `next`, on a clock that moves only when the kit says so. */
  create(next: Service<Req, Res>, clock: Clock): ServiceFixture<Req, Res>
  readonly request: Req
  readonly response: Res
  /** It may call `next` again after an error (retry). @default false */
  readonly retries?: boolean
  /** It keeps the deadline itself, even when `next` does not. @default false */
  readonly enforcesDeadline?: boolean
  /**
   * It does not call `next` when aborted, and rejects at once on abort, even when `next` goes on.
   *
   * @default false
   */
  readonly enforcesAbort?: boolean
  /**
   * How long a timer of its own may stand after the last call, as that of a timer wheel does.
   *
   * @default 0
   */
  readonly lingerMs?: number
}

export interface ServiceFixture<Req, Res> {
  readonly service: Service<Req, Res>
  /** Further counts that must be back where they were. */
  readonly leaks?: LeakProbes
  dispose?(): void | Promise<void>
}

export function serviceConformance<Req, Res>(
  name: string,
  subject: ServiceSubject<Req, Res>,
  harness: Harness,
): void {
  const test = (behaviour: string, body: (run: ServiceRun<Req, Res>) => Promise<void>): void => {
    harness.test(`${name} service: ${behaviour}`, async () => {
      const run = new ServiceRun(subject, harness)
      await body(run)
      await run.finish()
    })
  }
  test('passes request and response through', passesThrough)
  test('passes a response through that is given at once', passesThroughAtOnce)
  test('passes the context on: metadata, priority, trace', passesContext)
  test('passes an error through untouched', passesErrors)
  test('passes an error through that is thrown at once', passesThrownErrors)
  test('serves a hundred calls at once, each its own answer', servesMany)
  test('hears an abort before the call: its own reason', abortedBefore)
  test('passes an abort on during the call: its own reason', abortedDuring)
  test('ignores an abort after the call', abortedAfter)
  test('settles once when answer and abort come together', answerAndAbort)
  test('passes a deadline on that is not later than the caller’s', passesDeadline)
  test('refuses a call whose deadline has passed, with nothing sent', deadlinePassed)
  if (subject.enforcesDeadline) test('ends a call at its deadline', endsAtDeadline)
  if (subject.enforcesAbort) test('ends an aborted call that goes on below', endsAborted)
  test('leaves no listener on the caller’s signal', leavesNoListener)
}

type Next<Req, Res> = (request: Req, context: CallContext) => Res | Promise<Res>

/** One fixture, what `next` does in it, and what was counted. */
class ServiceRun<Req, Res> {
  readonly clock: ManualClock = new ManualClock()
  readonly subject: ServiceSubject<Req, Res>
  readonly #harness: Harness
  readonly #fixture: ServiceFixture<Req, Res>
  readonly #leaks: LeakCheck
  readonly #calls: Call[] = []
  calls = 0
  next: Next<Req, Res>

  constructor(subject: ServiceSubject<Req, Res>, harness: Harness) {
    this.subject = subject
    this.#harness = harness
    this.next = () => subject.response
    this.#fixture = subject.create((request, context) => {
      this.calls += 1
      return this.next(request, context)
    }, this.clock)
    this.#leaks = new LeakCheck({
      timers: () => this.clock.pendingTimers,
      'deferred calls': () => this.clock.pendingDeferred,
      ...this.#fixture.leaks,
    })
  }

  ok(value: unknown, message: string): void {
    if (!value) this.#harness.ok(false, message)
  }

  equal(actual: unknown, expected: unknown, what: string): void {
    const difference = `${describeValue(actual)}, expected ${describeValue(expected)}`
    this.ok(deepEqual(actual, expected), `${what}: ${difference}`)
  }

  /** A context that is finished with the run. */
  context(init: ConstructorParameters<typeof Call>[0] = {}): Call {
    const call = new Call(init)
    this.#calls.push(call)
    return call
  }

  /** Calls the service; what it throws at once is an outcome as well. */
  start(context: CallContext): Outcome<Res> {
    const outcome: Outcome<Res> = { settled: 0, value: undefined, error: undefined }
    const resolve = (value: Res): void => {
      outcome.settled += 1
      outcome.value = value
    }
    const reject = (error: unknown): void => {
      outcome.settled += 1
      outcome.error = error ?? 'rejected with nothing'
    }
    try {
      const reply = this.#fixture.service(this.subject.request, context)
      if (reply instanceof Promise) reply.then(resolve, reject)
      else resolve(reply)
    } catch (error) {
      reject(error)
    }
    return outcome
  }

  /** Calls and waits for the outcome. */
  async call(context: CallContext): Promise<Outcome<Res>> {
    const outcome = this.start(context)
    await this.clock.settle()
    // A retry waits between attempts.
    for (let waits = 0; outcome.settled === 0 && waits < MAX_WAITS; waits++) {
      if (!this.clock.advanceToNext()) break
      await this.clock.settle()
    }
    this.equal(outcome.settled, 1, 'times settled')
    return outcome
  }

  async finish(): Promise<void> {
    for (const call of this.#calls) call.finish()
    await this.clock.settle()
    await this.#fixture.dispose?.()
    await this.clock.advanceAsync(this.subject.lingerMs ?? 0)
    const left = await this.#leaks.leaksAfter(() => this.clock.settle(), 10)
    this.ok(left.length === 0, left.join('; '))
  }
}

interface Outcome<Res> {
  settled: number
  value: Res | undefined
  error: unknown
}

async function passesThrough<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  let seen: Req | undefined
  run.next = async (request) => {
    seen = request
    await undefined
    return run.subject.response
  }
  const outcome = await run.call(run.context())
  run.ok(seen === run.subject.request, 'the request is another one')
  run.ok(outcome.value === run.subject.response, `response is ${describeValue(outcome)}`)
  run.equal(run.calls, 1, 'calls')
}

async function passesThroughAtOnce<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const outcome = await run.call(run.context())
  run.ok(outcome.value === run.subject.response, `response is ${describeValue(outcome)}`)
  run.equal(run.calls, 1, 'calls')
}

async function passesContext<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const trace = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    flags: 1,
    state: undefined,
    baggage: undefined,
  }
  let seen: CallContext | undefined
  run.next = (_request, context) => {
    seen = context
    return run.subject.response
  }
  await run.call(run.context({ metadata: new Map([['k', 'v']]), priority: 5, trace }))
  run.equal(seen?.metadata.get('k'), 'v', 'metadata')
  run.equal(seen?.priority, 5, 'priority')
  run.equal(seen?.trace?.traceId, trace.traceId, 'trace')
}

async function passesErrors<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const error = new Error('of the service')
  run.next = async () => {
    await undefined
    throw error
  }
  const outcome = await run.call(run.context())
  run.ok(outcome.error === error, `error is ${describeValue(outcome.error)}`)
  if (run.subject.retries !== true) run.equal(run.calls, 1, 'calls')
}

async function passesThrownErrors<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const error = new Error('of the service')
  run.next = () => {
    throw error
  }
  const outcome = await run.call(run.context())
  run.ok(outcome.error === error, `error is ${describeValue(outcome.error)}`)
}

async function servesMany<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const waiting: ((response: Res) => void)[] = []
  run.next = () => new Promise((resolve) => void waiting.push(resolve))
  const outcomes = Array.from({ length: MANY }, () => run.start(run.context()))
  await run.clock.settle()
  // Answered newest first, and those that waited for a slot when their turn comes.
  while (waiting.length > 0) {
    waiting.pop()?.(run.subject.response)
    await run.clock.settle()
  }
  for (const { settled } of outcomes) run.equal(settled, 1, 'times settled')
  // A limiter may refuse some; then it says so and has not called them.
  const answered = outcomes.filter(({ value }) => value === run.subject.response).length
  run.equal(answered, run.calls, 'calls answered')
  for (const { error } of outcomes) {
    run.ok(error === undefined || error instanceof HeddleError, `failed: ${describeValue(error)}`)
  }
}

async function abortedBefore<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  // Whoever does not look passes it on: then it is for those below.
  const reason = new Error('caller')
  run.next = (_request, context) => {
    run.ok(context.cancelReason === reason, 'called, and not told of the abort')
    throw context.cancelReason
  }
  const outcome = await run.call(run.context({ signal: AbortSignal.abort(reason) }))
  run.ok(outcome.error === reason, `outcome is ${describeValue(outcome)}`)
  if (run.subject.enforcesAbort === true) run.equal(run.calls, 0, 'calls')
}

async function abortedDuring<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const reason = new Error('caller')
  const controller = new AbortController()
  let heard: Error | undefined
  run.next = (_request, context) =>
    new Promise((_, reject) => {
      context.onCancel((why) => {
        heard = why
        reject(why)
      })
    })
  const outcome = run.start(run.context({ signal: controller.signal }))
  await run.clock.settle()
  run.equal(outcome.settled, 0, 'times settled before the abort')
  controller.abort(reason)
  await run.clock.settle()
  run.ok(heard === reason, `below heard ${describeValue(heard)}`)
  run.ok(outcome.error === reason, `outcome is ${describeValue(outcome)}`)
  run.equal(outcome.settled, 1, 'times settled')
  run.equal(run.calls, 1, 'calls')
}

async function abortedAfter<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const controller = new AbortController()
  const outcome = await run.call(run.context({ signal: controller.signal }))
  controller.abort(new Error('late'))
  await run.clock.settle()
  run.ok(outcome.value === run.subject.response, `outcome is ${describeValue(outcome)}`)
  run.equal(outcome.settled, 1, 'times settled')
}

async function answerAndAbort<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const controller = new AbortController()
  let answer: ((response: Res) => void) | undefined
  run.next = () =>
    new Promise((resolve) => {
      answer = resolve
    })
  const outcome = run.start(run.context({ signal: controller.signal }))
  await run.clock.settle()
  answer?.(run.subject.response)
  controller.abort(new Error('at the same time'))
  await run.clock.settle()
  run.equal(outcome.settled, 1, 'times settled')
}

async function passesDeadline<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const deadline = run.clock.now() + 5_000
  let seen: CallContext | undefined
  run.next = (_request, context) => {
    seen = context
    return run.subject.response
  }
  await run.call(run.context({ deadline }))
  const passed = seen?.deadline
  run.ok(passed !== undefined && passed <= deadline, `deadline below is ${passed}`)
}

async function deadlinePassed<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  // Whoever does not look at the deadline passes it on: then it is for those below.
  let below: number | undefined
  run.next = (_request, context) => {
    below = context.deadline
    return run.subject.response
  }
  const deadline = run.clock.now() - 1
  const outcome = await run.call(run.context({ deadline }))
  if (run.calls === 0) {
    run.ok(outcome.error instanceof TimeoutError, `error is ${describeValue(outcome.error)}`)
    run.equal((outcome.error as TimeoutError).sent, 'nothing', 'sent')
  } else {
    run.ok(run.subject.enforcesDeadline !== true, 'called after the deadline')
    run.equal(below, deadline, 'deadline below')
  }
}

async function endsAtDeadline<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  let cancelled = false
  run.next = (_request, context) => {
    context.onCancel(() => {
      cancelled = true
    })
    return new Promise(() => {})
  }
  const outcome = run.start(run.context({ deadline: run.clock.now() + 500 }))
  await run.clock.advanceAsync(499)
  run.equal(outcome.settled, 0, 'times settled before the deadline')
  await run.clock.advanceAsync(1)
  run.equal(outcome.settled, 1, 'times settled at the deadline')
  run.ok(outcome.error instanceof TimeoutError, `error is ${describeValue(outcome.error)}`)
  run.ok(cancelled, 'the call below was not cancelled')
}

async function endsAborted<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const reason = new Error('caller')
  const controller = new AbortController()
  run.next = () => new Promise(() => {})
  const outcome = run.start(run.context({ signal: controller.signal }))
  await run.clock.settle()
  controller.abort(reason)
  await run.clock.settle()
  run.ok(outcome.error === reason, `outcome is ${describeValue(outcome)}`)
}

async function leavesNoListener<Req, Res>(run: ServiceRun<Req, Res>): Promise<void> {
  const { signal } = new AbortController()
  let listeners = 0
  const counted = new Proxy(signal, {
    get(target, key) {
      if (key === 'addEventListener') {
        return (...args: Parameters<AbortSignal['addEventListener']>) => {
          listeners += 1
          target.addEventListener(...args)
        }
      }
      if (key === 'removeEventListener') {
        return (...args: Parameters<AbortSignal['removeEventListener']>) => {
          listeners -= 1
          target.removeEventListener(...args)
        }
      }
      return Reflect.get(target, key, target)
    },
  })
  const context = run.context({ signal: counted })
  const before = listeners
  await run.call(context)
  run.ok(listeners <= before, `${listeners - before} listeners left on the signal`)
  const observed = countCallbacks(context)
  await run.call(observed.context)
  run.equal(observed.count(), 0, 'callbacks left on the context')
}

/** A context that counts who waits for its cancellation. */
function countCallbacks(call: Call): { context: CallContext; count(): number } {
  let waiting = 0
  const context = new Proxy(call as CallContext, {
    get(target, key) {
      if (key !== 'onCancel') return Reflect.get(target, key, target)
      return (callback: (reason: Error) => void) => {
        waiting += 1
        let held = true
        const remove = target.onCancel(callback)
        return () => {
          if (held) waiting -= 1
          held = false
          remove()
        }
      }
    },
  })
  return { context, count: () => waiting }
}

const MANY = 100
/** Attempts of a retry, and then some. */
const MAX_WAITS = 100
