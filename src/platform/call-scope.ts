/**
 * The call that code runs for, without passing it along: `AsyncLocalStorage`, at the edge only. What
 * is inside heddle takes its context as an argument.
 *
 *     httpServer(callScope()(service))     // everything below the service has `currentCall()`
 *     client.call(request, childCall())    // correlation, trace, deadline go on
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Call, type CallContext, type CallInit } from '../core/context.ts'
import type { Middleware } from '../core/service.ts'

/** Undefined outside of any call. */
export function currentCall(): CallContext | undefined {
  return STORAGE.getStore()
}

/** Runs `work`, and whatever it begins, as part of the call. */
export function withCall<Result>(context: CallContext, work: () => Result): Result {
  return STORAGE.run(context, work)
}

/** A call of its own, part of the current one if there is any. `finish()` it when it is over. */
export function childCall(init: CallInit = {}): Call {
  return new Call(init, currentCall())
}

/** Makes each call the current one of its service. */
export function callScope<Req, Res>(): Middleware<Req, Res> {
  return (next) => (request, context) => STORAGE.run(context, () => next(request, context))
}

const STORAGE = new AsyncLocalStorage<CallContext>()
