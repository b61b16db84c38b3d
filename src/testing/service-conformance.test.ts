/**
 * The kit must be able to fail: each mutant is a middleware with one mistake.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../core/clock.ts'
import { Call, type CallContext } from '../core/context.ts'
import { TimeoutError } from '../core/errors.ts'
import type { Service } from '../core/service.ts'
import { CollectingHarness } from './harness.ts'
import { type ServiceSubject, serviceConformance } from './service-conformance.ts'

type Toy = Service<string, { text: string }>
type Middleware = (next: Toy, clock: Clock) => Toy

/** Keeps deadline and abort, as a whole client does. */
const correct: Middleware = (next, clock) => (request, context) => {
  if (context.cancelReason !== undefined) throw context.cancelReason
  const { deadline } = context
  if (deadline !== undefined && deadline <= clock.now()) {
    throw new TimeoutError('ERR_DEADLINE', 'passed', { sent: 'nothing' })
  }
  const call = new Call({}, context)
  return new Promise((resolve, reject) => {
    const timer =
      deadline === undefined
        ? undefined
        : clock.setTimer(deadline, () => call.cancel(new TimeoutError('ERR_DEADLINE', 'now')))
    const stop = call.onCancel((reason) => reject(reason))
    Promise.resolve()
      .then(() => next(request, call))
      .then(resolve, reject)
      .finally(() => {
        stop()
        letGo()
        timer?.cancel()
        call.finish()
      })
    const letGo = call.onCancel(() => {
      timer?.cancel()
      call.finish()
    })
  })
}

function failures(middleware: Middleware, only?: RegExp): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  const subject: ServiceSubject<string, { text: string }> = {
    create: (next, clock) => ({ service: middleware(next, clock) }),
    request: 'request',
    response: { text: 'response' },
    enforcesDeadline: true,
    enforcesAbort: true,
  }
  serviceConformance('toy', subject, harness)
  return harness.failures(only)
}

test('serviceConformance passes a correct middleware', async () => {
  assert.deepEqual(await failures(correct), [])
})

test('serviceConformance passes a middleware that only passes on', async () => {
  const harness = new CollectingHarness()
  const subject: ServiceSubject<string, string> = {
    create: (next) => ({
      service(request, context) {
        if (context.cancelReason !== undefined) throw context.cancelReason
        return next(request, context)
      },
    }),
    request: 'request',
    response: 'response',
  }
  serviceConformance('plain', subject, harness)
  assert.deepEqual(await harness.failures(), [])
})

const MUTANTS: Readonly<Record<string, readonly [Middleware, RegExp]>> = {
  'answers with something else': [
    (next, clock) => async (request, context) => ({
      ...(await correct(next, clock)(request, context)),
    }),
    /passes request and response/,
  ],
  'wraps errors': [
    (next, clock) => async (request, context) => {
      try {
        return await correct(next, clock)(request, context)
      } catch (cause) {
        throw new Error('failed', { cause })
      }
    },
    /an error through untouched/,
  ],
  'calls twice': [
    (next, clock) => (request, context) => {
      void Promise.resolve(correct(next, clock)(request, context)).catch(() => {})
      return correct(next, clock)(request, context)
    },
    /passes request and response/,
  ],
  'never settles an aborted call': [
    (next) => (request, context) => {
      if (context.cancelled) return new Promise(() => {})
      return next(request, context)
    },
    /hears an abort before/,
  ],
  'calls although aborted': [
    (next) => (request, context) => next(request, context),
    /abort before/,
  ],
  'does not pass cancellation on': [
    (next, clock) => (request, context) => {
      if (context.cancelReason !== undefined) throw context.cancelReason
      const { deadline } = context
      return correct(next, clock)(request, new Call({ deadline }))
    },
    /passes an abort on/,
  ],
  'loses metadata': [
    (next, clock) => (request, context) =>
      correct(next, clock)(request, new Call({ metadata: new Map() }, context)),
    /passes the context on/,
  ],
  'forgets the deadline': [
    (next) => (request, context) => {
      if (context.cancelReason !== undefined) throw context.cancelReason
      const call = new Call({ metadata: context.metadata })
      const stop = context.onCancel((reason) => call.cancel(reason))
      return Promise.resolve(next(request, call)).finally(stop)
    },
    /passes a deadline on/,
  ],
  'ends calls late': [
    (next, clock) => (request, context) => {
      const late = { ...plain(context), deadline: (context.deadline ?? 0) + 100 }
      return correct(next, clock)(request, new Call(late))
    },
    /ends a call at its deadline/,
  ],
  'leaves a timer': [
    (next, clock) => (request, context) => {
      clock.setTimer(clock.now() + 60_000, () => {})
      return correct(next, clock)(request, context)
    },
    /passes request and response/,
  ],
  'leaves a callback on the context': [
    (next, clock) => (request, context) => {
      context.onCancel(() => {})
      return correct(next, clock)(request, context)
    },
    /leaves no listener/,
  ],
  'serves one call at a time and drops the others': [
    (next, clock) => {
      let busy = false
      return (request, context) => {
        if (busy) return new Promise(() => {})
        busy = true
        const reply = Promise.resolve(correct(next, clock)(request, context))
        return reply.finally(() => {
          busy = false
        })
      }
    },
    /serves a hundred calls/,
  ],
}

for (const [what, [middleware, caught]] of Object.entries(MUTANTS)) {
  test(`serviceConformance reports a middleware that ${what}`, async () => {
    const failed = await failures(middleware, caught)
    assert.ok(failed.length > 0, `not found by ${caught}`)
  })
}

function plain(context: CallContext): { metadata: ReadonlyMap<string, string> } {
  return { metadata: context.metadata }
}
