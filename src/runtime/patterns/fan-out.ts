/**
 * One request to several branches at once, until it is decided.
 *
 *     all         every branch replied; one failure decides against it
 *     any         the first reply
 *     quorum(n)   n replies; undecidable as soon as too many have failed
 *     partial     every branch is over, each within its own deadline; takes what there is
 *
 * Branches that are not needed any more are cancelled and named. Each branch has a context of its
 * own, with the caller's correlation, trace, priority and metadata, and the earlier of its own
 * deadline and the caller's. Branches without a number of their own are bounded by `maxBranches`.
 */
import { Call, type CallContext } from '../../core/context.ts'
import {
  checkInteger,
  HeddleError,
  RemoteError,
  type Retryable,
  type Sent,
  TimeoutError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'

export interface Branch<Req, Res> {
  /** What results call it; one of its kind. */
  readonly name: string
  readonly service: Service<Req, Res>
  /** Its own limit, in milliseconds. @default the fan-out's `timeoutMs` */
  readonly timeoutMs?: number
}

export interface FanOutOptions<Res> {
  wheel: TimerWheel
  until: FanOutRule
  /** Of branches that have none of their own. @default none: only the caller's deadline */
  timeoutMs?: number
  /** @default 1_000: each costs a call, a timer and its reply in memory */
  maxBranches?: number
  /** Lets go of a reply that came after it was decided (a body nobody reads). */
  discard?(reply: Res): void
}

export type FanOutRule = 'all' | 'any' | 'partial' | { readonly quorum: number }

export interface FanOutResult<Res> {
  /** In the order of the branches. */
  readonly replies: readonly { readonly branch: string; readonly reply: Res }[]
  readonly failures: readonly BranchFailure[]
  /** Decided without them: they were cancelled. */
  readonly cancelled: readonly string[]
}

export interface BranchFailure {
  readonly branch: string
  readonly error: Error
}

export const fanOutDefaults: Readonly<{ maxBranches: number }> = Object.freeze({
  maxBranches: 1_000,
})

/** `{ quorum: n }`, to be read aloud. */
export function quorum(n: number): FanOutRule {
  return { quorum: checkInteger('quorum', n, 1, 1_000_000) }
}

/**
 * @throws UsageError for branches that can never satisfy the rule; the service rejects with
 *   RemoteError ERR_QUORUM when too few replied: `detail.failures` and `attempts` say why
 */
export function fanOut<Req, Res>(
  branches: readonly Branch<Req, Res>[],
  options: FanOutOptions<Res>,
): Service<Req, FanOutResult<Res>> {
  const { maxBranches = fanOutDefaults.maxBranches } = options
  checkInteger('branches', branches.length, 1, checkInteger('maxBranches', maxBranches, 1, 100_000))
  if (new Set(branches.map(({ name }) => name)).size < branches.length) {
    throw new UsageError('ERR_ARGUMENT', 'two branches have the same name')
  }
  const needed = repliesNeeded(options.until, branches.length)
  return (request, context) => {
    if (context.cancelled) throw context.cancelReason
    return new Promise((resolve, reject) => {
      new RunningFanOut(branches, options, needed, context, resolve, reject).start(request)
    })
  }
}

function repliesNeeded(rule: FanOutRule, branches: number): number {
  if (rule === 'all') return branches
  if (rule === 'any') return 1
  if (rule === 'partial') return 0
  return checkInteger('quorum', rule.quorum, 1, branches)
}

class RunningFanOut<Req, Res> {
  readonly #branches: readonly Branch<Req, Res>[]
  readonly #options: FanOutOptions<Res>
  /** 0: none is needed, and all are waited for. */
  readonly #needed: number
  readonly #context: CallContext
  readonly #resolve: (result: FanOutResult<Res>) => void
  readonly #reject: (reason: unknown) => void
  readonly #calls: (BranchCall | undefined)[] = []
  readonly #replies = new Map<number, Res>()
  readonly #failures: (Error | undefined)[] = []
  #failed = 0
  #decided = false
  #removeCancel: (() => void) | undefined

  constructor(
    branches: readonly Branch<Req, Res>[],
    options: FanOutOptions<Res>,
    needed: number,
    context: CallContext,
    resolve: (result: FanOutResult<Res>) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#branches = branches
    this.#options = options
    this.#needed = needed
    this.#context = context
    this.#resolve = resolve
    this.#reject = reject
  }

  start(request: Req): void {
    // First of all, so that a cancelled caller hears its own reason and not the branches'.
    this.#removeCancel = this.#context.onCancel((reason) => this.#end(() => this.#reject(reason)))
    this.#branches.forEach((branch, index) => {
      if (!this.#decided) this.#startBranch(branch, index, request)
    })
  }

  #startBranch(branch: Branch<Req, Res>, index: number, request: Req): void {
    const { wheel, timeoutMs } = this.#options
    const limit = branch.timeoutMs ?? timeoutMs ?? Number.POSITIVE_INFINITY
    const at = Math.min(wheel.clock.now() + limit, this.#context.deadline ?? Infinity)
    const call = new BranchCall(this.#context, wheel, at, branch.name)
    this.#calls[index] = call
    const over = (): boolean => {
      if (this.#calls[index] !== call) return false
      this.#calls[index] = undefined
      call.end()
      return true
    }
    // A branch that does not listen to its deadline must not hold up the others.
    call.onTimeout = (error) => void (over() && this.#onFailure(index, error))
    const onReply = (reply: Res): void => {
      if (over()) this.#onReply(index, reply)
      else this.#options.discard?.(reply)
    }
    const onError = (error: unknown): void =>
      void (over() && this.#onFailure(index, toError(error)))
    try {
      const reply: MaybePromise<Res> = branch.service(request, call)
      if (reply instanceof Promise) reply.then(onReply, onError)
      else onReply(reply)
    } catch (error) {
      onError(error)
    }
  }

  #onReply(index: number, reply: Res): void {
    this.#replies.set(index, reply)
    this.#decide()
  }

  #onFailure(index: number, error: Error): void {
    this.#failures[index] = error
    this.#failed++
    this.#decide()
  }

  #decide(): void {
    if (this.#decided) return
    const all = this.#branches.length
    if (this.#needed === 0) {
      if (this.#replies.size + this.#failed === all)
        this.#end(() => this.#resolve(this.#result([])))
    } else if (this.#replies.size >= this.#needed) {
      this.#end((cancelled) => this.#resolve(this.#result(cancelled)))
    } else if (this.#failed > all - this.#needed) {
      this.#end((cancelled) => this.#reject(this.#error(cancelled)))
    }
  }

  #end(tell: (cancelled: readonly string[]) => void): void {
    if (this.#decided) return
    this.#decided = true
    this.#removeCancel?.()
    const cancelled: string[] = []
    this.#calls.forEach((call, index) => {
      if (call === undefined) return
      cancelled.push((this.#branches[index] as Branch<Req, Res>).name)
      this.#calls[index] = undefined
      call.cancel()
      call.end()
    })
    tell(cancelled)
  }

  #result(cancelled: readonly string[]): FanOutResult<Res> {
    const replies: { branch: string; reply: Res }[] = []
    this.#branches.forEach(({ name }, index) => {
      if (this.#replies.has(index)) {
        replies.push({ branch: name, reply: this.#replies.get(index) as Res })
      }
    })
    return { replies, failures: this.#failureList(), cancelled }
  }

  #failureList(): BranchFailure[] {
    const failures: BranchFailure[] = []
    this.#branches.forEach(({ name }, index) => {
      const error = this.#failures[index]
      if (error !== undefined) failures.push({ branch: name, error })
    })
    return failures
  }

  #error(cancelled: readonly string[]): RemoteError {
    const { discard } = this.#options
    if (discard !== undefined) for (const reply of this.#replies.values()) discard(reply)
    const failures = this.#failureList()
    const errors = failures.map(({ error }) => error)
    const why = failures.map(({ branch, error }) => `${branch}: ${error.message}`).join('; ')
    const { size } = this.#replies
    const message = `${size} of ${this.#needed} needed branches replied (${why.slice(0, MAX_WHY)})`
    const error = new RemoteError('ERR_QUORUM', message, {
      cause: errors[0],
      retryable: worstOf(errors),
      // What others were sent is not known to be nothing once one of them replied.
      sent: size === 0 && cancelled.length === 0 ? mostSent(errors) : 'some',
      detail: { failures, cancelled },
    })
    error.attempts = errors
    return error
  }
}

/** A branch's context and its time limit. */
class BranchCall extends Call implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  onTimeout: ((error: Error) => void) | undefined
  readonly #wheel: TimerWheel
  readonly #name: string

  constructor(parent: CallContext, wheel: TimerWheel, at: number, name: string) {
    super(at === Number.POSITIVE_INFINITY ? {} : { deadline: at }, parent)
    this.#wheel = wheel
    this.#name = name
    if (at < Number.POSITIVE_INFINITY) wheel.arm(this, at)
  }

  expire(): void {
    const error = new TimeoutError('ERR_DEADLINE', `branch ${this.#name} took too long`)
    this.cancel(error)
    this.onTimeout?.(error)
  }

  end(): void {
    this.#wheel.cancel(this)
    this.finish()
  }
}

function worstOf(errors: readonly Error[]): Retryable {
  const all = errors.map((error) => (error instanceof HeddleError ? error.retryable : 'no'))
  if (all.includes('no')) return 'no'
  return all.includes('if-idempotent') ? 'if-idempotent' : 'yes'
}

function mostSent(errors: readonly Error[]): Sent {
  const all = errors.map((error) => (error instanceof HeddleError ? error.sent : 'some'))
  if (all.every((sent) => sent === 'nothing')) return 'nothing'
  return all.every((sent) => sent === 'all') ? 'all' : 'some'
}

const MAX_WHY = 500
