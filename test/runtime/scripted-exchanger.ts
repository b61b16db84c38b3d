/**
 * Exchangers whose answers a test gives by hand, and the classifier that goes with them. A request
 * is a string; `fail…` and `busy…` responses are failures of the endpoint, `busy:N` asks for N ms.
 */
import type { ConnectionState } from '../../src/core/connection-state.ts'
import type { CallContext } from '../../src/core/context.ts'
import type { Classifier, Verdict } from '../../src/core/policy.ts'
import {
  ENDPOINT_FAILED_RETRY,
  FAILED_RETRY,
  SUCCEEDED,
  verdictOfError,
} from '../../src/core/verdicts.ts'
import type { Exchanger } from '../../src/runtime/exchanger.ts'

/** One call that waits for its answer. */
export interface ScriptedCall {
  readonly request: string
  readonly context: CallContext
  reply(response: string): void
  fail(error: unknown): void
}

export interface ScriptedOptions {
  /** Calls at a time. */
  capacity?: number
  /** Answers at once, without a promise, instead of waiting for the test. */
  answer?: (request: string, context: CallContext) => string | Promise<string>
}

export class ScriptedExchanger implements Exchanger<string, string> {
  state: ConnectionState = 'ready'
  idleTimeoutMs: number | undefined = undefined
  onChange: (() => void) | undefined = undefined
  inFlight = 0
  held = true
  destroyedWith: Error | undefined
  readonly calls: ScriptedCall[] = []
  readonly #capacity: number
  readonly #answer: ScriptedOptions['answer']

  constructor(options: ScriptedOptions = {}) {
    this.#capacity = options.capacity ?? 1
    this.#answer = options.answer
  }

  get available(): number {
    return this.state === 'ready' ? this.#capacity - this.inFlight : 0
  }

  call(request: string, context: CallContext): string | Promise<string> {
    if (this.available <= 0) throw new Error('called beyond available')
    if (this.#answer !== undefined) return this.#answer(request, context)
    this.inFlight++
    return new Promise((resolve, reject) => {
      const over = (): void => {
        remove()
        const at = this.calls.indexOf(call)
        if (at >= 0) this.calls.splice(at, 1)
        this.inFlight--
        if (this.state === 'draining' && this.inFlight === 0) this.#to('closed')
        else this.onChange?.()
      }
      const call: ScriptedCall = {
        request,
        context,
        reply(response) {
          over()
          resolve(response)
        },
        fail(error) {
          over()
          reject(error)
        },
      }
      this.calls.push(call)
      const remove = context.onCancel((reason) => call.fail(reason))
    })
  }

  close(): void {
    this.#to(this.inFlight === 0 ? 'closed' : 'draining')
  }

  destroy(reason: Error): void {
    this.destroyedWith = reason
    for (const call of [...this.calls]) call.fail(reason)
    this.#to('error')
  }

  /** The peer closed the connection. */
  disconnect(reason: Error): void {
    this.destroy(reason)
  }

  ref(): void {
    this.held = true
  }

  unref(): void {
    this.held = false
  }

  #to(state: ConnectionState): void {
    if (this.state === 'closed' || this.state === 'error') return
    this.state = state
    this.onChange?.()
  }
}

export const scriptedClassifier: Classifier<string, string> = {
  protocol: 'scripted',
  isIdempotent: (request) => !request.startsWith('post'),
  isReplayable: (request) => !request.includes('once'),
  classifyResponse: (_request, response) => classify(response),
  classifyError: (_request, error, context) => verdictOfError(error, context),
  errorResponse: (error) => `error: ${(error as Error).message}`,
  operation: (request) => request.split(' ', 1)[0] as string,
}

function classify(response: string): Verdict {
  if (response.startsWith('fail')) return ENDPOINT_FAILED_RETRY
  if (!response.startsWith('busy')) return SUCCEEDED
  const pushbackMs = Number(response.split(':')[1])
  return Number.isNaN(pushbackMs) ? FAILED_RETRY : { ...FAILED_RETRY, pushbackMs }
}
