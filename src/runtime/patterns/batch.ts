/**
 * Many calls as one: collected until there are enough, or enough bytes, or the first has waited long
 * enough; each caller gets its own answer or its own error.
 *
 * The batch's context: the latest of its calls' deadlines (none, when one has none), the most urgent
 * priority, the correlation id when all have the same. Its calls are its `links`, not its parents: a
 * trace of the batch points at all of them. A call that is cancelled leaves the batch before it is
 * sent; afterwards it just stops waiting, and a batch that nobody waits for is cancelled.
 */
import { Call, type CallContext } from '../../core/context.ts'
import {
  ClosedError,
  checkInteger,
  checkRange,
  HeddleError,
  InternalError,
  OverloadError,
  TimeoutError,
  toError,
} from '../../core/errors.ts'
import type { Service } from '../../core/service.ts'
import { unsent } from '../exchanger.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'

export interface BatchOptions<Req> {
  wheel: TimerWheel
  /** @default 100 */
  maxItems?: number
  /** Together, as `sizeOf` says. @default Infinity */
  maxBytes?: number
  /** Bytes of one request. Needed for `maxBytes`. */
  sizeOf?(request: Req): number
  /**
   * Longest that the first of a batch waits for others, in milliseconds. It adds to the latency of
   * every call. Not exact: up to a tick of the wheel longer.
   *
   * @default 5
   */
  maxDelayMs?: number
  /** Batches under way; what comes meanwhile is collected. @default 4 */
  maxConcurrent?: number
  /** Calls that wait to be sent, over all batches. @default 10_000 */
  maxPending?: number
}

export const batchDefaults: Readonly<{
  maxItems: number
  maxBytes: number
  maxDelayMs: number
  maxConcurrent: number
  maxPending: number
}> = Object.freeze({
  maxItems: 100,
  maxBytes: Number.POSITIVE_INFINITY,
  maxDelayMs: 5,
  maxConcurrent: 4,
  maxPending: 10_000,
})

/** The answer of one call of a batch. An error is that call's only. */
export type BatchAnswer<Res> = { readonly reply: Res } | { readonly error: Error }

/** Takes the requests of a batch in their order and answers them in the same order. */
export type BatchService<Req, Res> = Service<readonly Req[], readonly BatchAnswer<Res>[]>

/** The context of a batch. */
export class BatchCall extends Call {
  /** The contexts of its calls: for spans that link to them. */
  readonly links: readonly CallContext[]

  constructor(links: readonly CallContext[]) {
    super({
      deadline: latestDeadline(links),
      priority: Math.min(...links.map(({ priority }) => priority)),
      correlationId: common(links.map(({ correlationId }) => correlationId)),
      idempotent: links.every(({ idempotent }) => idempotent === true) ? true : undefined,
    })
    this.links = links
  }
}

export function batching<Req, Res>(
  service: BatchService<Req, Res>,
  options: BatchOptions<Req>,
): Batcher<Req, Res> {
  return new Batcher(service, options)
}

export class Batcher<Req, Res> implements WheelEntry, AsyncDisposable {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly #service: BatchService<Req, Res>
  readonly #options: BatchOptions<Req>
  readonly #limits: typeof batchDefaults
  /** In the order they came. */
  #waiting = new Set<BatchMember<Req, Res>>()
  #waitingBytes = 0
  /** The time of the first is over: what waits goes as soon as a batch may. */
  #due = false
  #running = 0
  #closing = false
  #onIdle: (() => void) | undefined

  constructor(service: BatchService<Req, Res>, options: BatchOptions<Req>) {
    this.#service = service
    this.#options = options
    this.#limits = checkLimits(options)
  }

  get stats(): {
    readonly waiting: number
    readonly waitingBytes: number
    readonly running: number
  } {
    return {
      waiting: this.#waiting.size,
      waitingBytes: this.#waitingBytes,
      running: this.#running,
    }
  }

  readonly call: Service<Req, Res> = (request, context) => {
    if (context.cancelled) throw context.cancelReason
    if (this.#closing) throw new ClosedError('ERR_CLOSED', 'the batcher is closed')
    const { maxPending } = this.#limits
    if (this.#waiting.size >= maxPending) {
      const message = `${maxPending} calls wait for a batch, maxPending ${maxPending}`
      throw new OverloadError('ERR_LIMITED', message)
    }
    return new Promise((resolve, reject) => {
      const bytes = this.#options.sizeOf?.(request) ?? 0
      const { wheel } = this.#options
      const left = this.#onLeft
      const member = new BatchMember<Req, Res>(
        request,
        bytes,
        context,
        wheel,
        resolve,
        reject,
        left,
      )
      // One that does not fit begins the next batch.
      if (this.#waitingBytes + bytes > this.#limits.maxBytes) this.#flush()
      this.#waiting.add(member)
      this.#waitingBytes += bytes
      member.start()
      this.#flushIfFull()
      this.#armIfNeeded()
    })
  }

  /** Sends what waits without waiting for more. */
  flush(): void {
    if (this.#waiting.size === 0) return
    this.#due = true
    this.#sendWhatIsDue()
  }

  /** Sends what waits, and resolves when everything is answered. */
  async close(): Promise<void> {
    this.#closing = true
    this.flush()
    if (this.#waiting.size === 0 && this.#running === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  expire(): void {
    this.#due = true
    this.#sendWhatIsDue()
  }

  get #isFull(): boolean {
    const { maxItems, maxBytes } = this.#limits
    return this.#waiting.size >= maxItems || this.#waitingBytes >= maxBytes
  }

  #flushIfFull(): void {
    if (this.#isFull) this.#flush()
  }

  #flush(): void {
    if (this.#waiting.size > 0 && this.#running < this.#limits.maxConcurrent) this.#send()
  }

  #sendWhatIsDue(): void {
    while (
      this.#waiting.size > 0 &&
      this.#running < this.#limits.maxConcurrent &&
      (this.#due || this.#isFull)
    ) {
      this.#send()
    }
    if (this.#waiting.size === 0) this.#due = false
    this.#armIfNeeded()
  }

  #armIfNeeded(): void {
    const { wheel } = this.#options
    if (this.#waiting.size === 0) return wheel.cancel(this)
    if (this.#due || wheel.isArmed(this)) return
    wheel.arm(this, wheel.clock.now() + this.#limits.maxDelayMs)
  }

  /** The first that fit together. */
  #take(): BatchMember<Req, Res>[] {
    const { maxItems, maxBytes } = this.#limits
    const members: BatchMember<Req, Res>[] = []
    let bytes = 0
    for (const member of this.#waiting) {
      // One that is larger than a batch goes alone.
      if (members.length >= maxItems) break
      if (members.length > 0 && bytes + member.bytes > maxBytes) break
      members.push(member)
      bytes += member.bytes
    }
    for (const member of members) this.#waiting.delete(member)
    this.#waitingBytes -= bytes
    return members
  }

  #send(): void {
    const members = this.#take()
    this.#options.wheel.cancel(this)
    if (this.#waiting.size === 0) this.#due = false
    this.#running++
    const call = new BatchCall(members.map(({ context }) => context))
    let left = members.length
    for (const member of members) {
      member.sent = () => {
        if (--left > 0) return
        call.cancel(new ClosedError('ERR_ABORTED', 'nobody waits for the batch any more'))
      }
    }
    const over = (settle: (member: BatchMember<Req, Res>, index: number) => void): void => {
      call.finish()
      this.#running--
      members.forEach(settle)
      this.#sendWhatIsDue()
      if (this.#closing && this.#running === 0 && this.#waiting.size === 0) this.#onIdle?.()
    }
    const requests = members.map(({ request }) => request)
    Promise.resolve()
      .then(() => this.#service(requests, call))
      .then(
        (answers) => {
          if (answers.length === members.length) {
            return over((member, index) => member.settle(answers[index] as BatchAnswer<Res>))
          }
          const message = `a batch of ${members.length} got ${answers.length} answers`
          over((member) => member.settle({ error: new InternalError('ERR_INVARIANT', message) }))
        },
        // Each caller writes on its own error.
        (error: unknown) => over((member) => member.settle({ error: ownError(toError(error)) })),
      )
  }

  readonly #onLeft = (member: BatchMember<Req, Res>): void => {
    if (!this.#waiting.delete(member)) return
    this.#waitingBytes -= member.bytes
    this.#armIfNeeded()
  }
}

/** One call that waits, first for its batch and then for its answer. */
class BatchMember<Req, Res> implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly request: Req
  readonly bytes: number
  readonly context: CallContext
  /** Set when the batch was sent; called when this one gives up. */
  sent: (() => void) | undefined
  readonly #wheel: TimerWheel
  readonly #resolve: (reply: Res) => void
  readonly #reject: (error: Error) => void
  readonly #onLeft: (member: BatchMember<Req, Res>) => void
  #removeCancel: (() => void) | undefined
  #done = false

  constructor(
    request: Req,
    bytes: number,
    context: CallContext,
    wheel: TimerWheel,
    resolve: (reply: Res) => void,
    reject: (error: Error) => void,
    onLeft: (member: BatchMember<Req, Res>) => void,
  ) {
    this.request = request
    this.bytes = bytes
    this.context = context
    this.#wheel = wheel
    this.#resolve = resolve
    this.#reject = reject
    this.#onLeft = onLeft
  }

  start(): void {
    const { deadline } = this.context
    if (deadline !== undefined) this.#wheel.arm(this, deadline)
    this.#removeCancel = this.context.onCancel((reason) => this.#giveUp(reason))
  }

  expire(): void {
    const options = this.sent === undefined ? ({ sent: 'nothing' } as const) : {}
    this.#giveUp(new TimeoutError('ERR_DEADLINE', 'the deadline passed in a batch', options))
  }

  settle(answer: BatchAnswer<Res>): void {
    if (!this.#end()) return
    if ('error' in answer) this.#reject(answer.error)
    else this.#resolve(answer.reply)
  }

  #giveUp(reason: Error): void {
    if (!this.#end()) return
    this.#reject(this.sent === undefined ? unsent(reason) : reason)
    this.sent?.()
    this.#onLeft(this)
  }

  #end(): boolean {
    if (this.#done) return false
    this.#done = true
    this.#wheel.cancel(this)
    this.#removeCancel?.()
    return true
  }
}

function latestDeadline(links: readonly CallContext[]): number | undefined {
  let latest = Number.NEGATIVE_INFINITY
  for (const { deadline } of links) {
    if (deadline === undefined) return undefined
    latest = Math.max(latest, deadline)
  }
  return latest
}

function common<Value>(values: readonly Value[]): Value | undefined {
  return values.every((value) => value === values[0]) ? values[0] : undefined
}

/** A failed batch is one error, and its callers are many. */
function ownError(error: Error): Error {
  if (!(error instanceof HeddleError)) return error
  const own = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error))
  return own as Error
}

function checkLimits<Req>(options: BatchOptions<Req>): typeof batchDefaults {
  const {
    maxItems = batchDefaults.maxItems,
    maxBytes = batchDefaults.maxBytes,
    maxDelayMs = batchDefaults.maxDelayMs,
    maxConcurrent = batchDefaults.maxConcurrent,
    maxPending = batchDefaults.maxPending,
  } = options
  return Object.freeze({
    maxItems: checkInteger('maxItems', maxItems, 1, 1_000_000),
    maxBytes: checkRange('maxBytes', maxBytes, 1, Number.POSITIVE_INFINITY),
    maxDelayMs: checkRange('maxDelayMs', maxDelayMs, 0, 0x7fff_ffff),
    maxConcurrent: checkInteger('maxConcurrent', maxConcurrent, 1, 1_000_000),
    maxPending: checkInteger('maxPending', maxPending, 1, 10_000_000),
  })
}
