/**
 * Reliable fire-and-forget: a call is on disk before its caller goes on, and is delivered later, in
 * order, at least once, whatever happens to this process in between.
 *
 *     enqueue → log (append, sync) → deliver ─ok→ log "delivered" → compaction now and then
 *                                     │ └─error→ log "failed", wait, again
 *                                     └─ maxAttempts, or an error that no retry mends → dead letter
 *
 * **At least once.** A crash between a delivery and its record delivers again: receivers tell by the
 * entry's `id`, the same in every attempt. **In order.** One entry at a time; the next goes when the
 * one before is delivered or dead. **Bounded**, in entries and bytes, the dead included.
 *
 * Of the caller's context the correlation id, trace, priority and metadata go with the entry. Its
 * deadline and cancellation end with `enqueue`: what is promised is kept without the caller.
 */
import type { Timer } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import {
  ClosedError,
  HeddleError,
  OverloadError,
  TimeoutError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import { type Backoff, backoff } from '../backoff.ts'
import {
  checkOutboxLimits,
  type OutboxLimits,
  type OutboxMessage,
  type OutboxOptions,
  type OutboxStats,
} from './outbox-options.ts'
import {
  encodeOutboxHeader,
  encodeOutboxRecord,
  type OutboxHead,
  type OutboxRecord,
  scanOutbox,
} from './outbox-record.ts'
import { type OutboxEntry, OutboxState } from './outbox-state.ts'

/** Reads what an earlier process left, and goes on with it. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const bytes = await options.log.read()
  const { records, length, salt: known } = scanOutbox(bytes)
  const state = new OutboxState()
  for (const record of records) state.apply(record)
  if (length < bytes.length) await options.log.truncate(length)
  let salt = known
  let logBytes = length
  if (length === 0) {
    salt = Math.floor(options.random() * 0x1_0000_0000)
    const header = encodeOutboxHeader(salt)
    await options.log.append(header)
    await options.log.sync()
    logBytes = header.length
  }
  const outbox = new Outbox(options, state, salt, logBytes, bytes.length - length)
  outbox.start()
  return outbox
}

export class Outbox implements AsyncDisposable {
  readonly #options: OutboxOptions
  readonly #limits: OutboxLimits
  readonly #state: OutboxState
  readonly #salt: number
  readonly #backoff: Backoff
  readonly #tornBytes: number
  /** Not written yet. Ids and sizes of these count already. */
  #batch: { readonly record: OutboxRecord; done(): void; fail(error: Error): void }[] = []
  #batched = { entries: 0, bytes: 0 }
  readonly #batchedIds = new Map<string, Promise<string>>()
  #sequence: number
  #logBytes: number
  #writing: Promise<void> | undefined
  #delivering: Promise<void> | undefined
  #attempt: Call | undefined
  #wake: (() => void) | undefined
  #timer: Timer | undefined
  #broken: Error | undefined
  #closing: Promise<void> | undefined
  #delivered = 0
  #failures = 0
  #refused = 0

  /** @internal `openOutbox` makes one. */
  constructor(
    options: OutboxOptions,
    state: OutboxState,
    salt: number,
    logBytes: number,
    tornBytes: number,
  ) {
    this.#options = options
    this.#limits = checkOutboxLimits(options)
    this.#state = state
    this.#salt = salt
    this.#logBytes = logBytes
    this.#tornBytes = tornBytes
    this.#sequence = state.nextSequence
    this.#backoff = backoff({ baseMs: 100, maxMs: 30_000, ...options.backoff })
  }

  /** @internal */
  start(): void {
    this.#deliverAll()
  }

  get stats(): OutboxStats {
    return {
      waiting: this.#state.waiting,
      dead: this.#state.deadCount,
      bytes: this.#state.bytes,
      logBytes: this.#logBytes,
      delivered: this.#delivered,
      failures: this.#failures,
      refused: this.#refused,
      tornBytes: this.#tornBytes,
    }
  }

  /** Those that are not tried any more, oldest first. */
  get deadLetters(): readonly (OutboxMessage & { readonly reason: string })[] {
    return [...this.#state.dead].map((entry) => ({
      ...messageOf(entry),
      reason: entry.reason ?? '',
    }))
  }

  /**
   * Resolves with the id when the message is on disk. An id that is there already is not taken twice.
   *
   * @throws OverloadError ERR_LIMITED when the outbox is full
   */
  async enqueue(
    body: Uint8Array,
    context: CallContext = new Call(),
    id: string = this.#newId(),
  ): Promise<string> {
    if (context.cancelled) throw context.cancelReason
    if (this.#closing !== undefined) throw new ClosedError('ERR_CLOSED', 'the outbox is closed')
    if (this.#broken !== undefined) throw this.#broken
    if (this.#state.byId(id) !== undefined) return id
    const same = this.#batchedIds.get(id)
    if (same !== undefined) return same
    this.#checkRoom(body)
    const head = headOf(id, context, this.#options.clock.wallNow())
    // The caller may use its buffer again.
    const record = { type: 'entry', sequence: this.#sequence++, head, body: body.slice() } as const
    this.#batched.entries++
    this.#batched.bytes += body.length
    const written = this.#write(record).then(
      () => id,
      (error: unknown) => {
        throw error
      },
    )
    this.#batchedIds.set(id, written)
    try {
      return await written
    } finally {
      this.#batchedIds.delete(id)
      this.#batched.entries--
      this.#batched.bytes -= body.length
      this.#deliverAll()
    }
  }

  /** A dead letter is tried again, behind all that wait. False: there is none of that id. */
  async revive(id: string): Promise<boolean> {
    const entry = this.#state.byId(id)
    if (entry?.reason === undefined) return false
    await this.#write({ type: 'revived', sequence: entry.sequence })
    this.#deliverAll()
    return true
  }

  /** A dead letter is forgotten. */
  async discard(id: string): Promise<boolean> {
    const entry = this.#state.byId(id)
    if (entry?.reason === undefined) return false
    await this.#write({ type: 'delivered', sequence: entry.sequence })
    return true
  }

  /** Resolves when nothing waits any more: delivered or dead. */
  async drained(): Promise<void> {
    while (this.#delivering !== undefined) await this.#delivering
    if (this.#broken !== undefined) throw this.#broken
  }

  /** Stops delivering (an attempt under way is cancelled) and closes the log. What waits, waits. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#attempt?.cancel(new ClosedError('ERR_CLOSED', 'the outbox is closing'))
    this.#stopWaiting()
    await this.#delivering
    while (this.#writing !== undefined) await this.#writing
    await this.#options.log.close()
  }

  #checkRoom(body: Uint8Array): void {
    const { maxEntries, maxBytes, maxEntryBytes } = this.#limits
    if (body.length > maxEntryBytes) {
      const message = `a body of ${body.length} bytes is over maxEntryBytes ${maxEntryBytes}`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    const entries = this.#state.size + this.#batched.entries
    const bytes = this.#state.bytes + this.#batched.bytes
    if (entries < maxEntries && bytes + body.length <= maxBytes) return
    this.#refused++
    const message = `the outbox is full: ${entries} entries of ${maxEntries}, ${bytes} bytes of ${maxBytes}`
    throw new OverloadError('ERR_LIMITED', message)
  }

  #newId(): string {
    let id = ''
    while (id.length < 32) {
      const part = Math.floor(this.#options.random() * 0x1_0000_0000)
      id += part.toString(16).padStart(8, '0')
    }
    return id
  }

  // ---- writing

  /** Resolves when the record is in the log, and synced where that is wanted. */
  #write(record: OutboxRecord): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    return new Promise((done, fail) => {
      this.#batch.push({ record, done, fail })
      this.#writing ??= this.#writeBatches()
    })
  }

  /** One write and one sync for everything that came while the last one was under way. */
  async #writeBatches(): Promise<void> {
    // Those of this turn go together.
    await undefined
    while (this.#batch.length > 0) {
      const batch = this.#batch
      this.#batch = []
      try {
        await this.#append(batch.map(({ record }) => encodeOutboxRecord(record, this.#salt)))
      } catch (error) {
        this.#break(toError(error))
        for (const { fail } of [...batch, ...this.#batch.splice(0)]) fail(toError(error))
        break
      }
      for (const { record, done } of batch) {
        this.#state.apply(record)
        done()
      }
      await this.#compactIfWorthwhile()
    }
    this.#writing = undefined
  }

  async #append(parts: readonly Uint8Array[]): Promise<void> {
    const { log } = this.#options
    const bytes = concat(parts)
    await log.append(bytes)
    this.#logBytes += bytes.length
    if (this.#limits.sync === 'always') await log.sync()
  }

  /** A log of which a write failed may end in anything: nothing is promised on it any more. */
  #break(error: Error): void {
    this.#broken = error
    this.#options.observer?.broken?.(error)
    this.#stopWaiting()
  }

  async #compactIfWorthwhile(): Promise<void> {
    const before = this.#logBytes
    if (before <= this.#limits.compactAfterBytes) return
    // Bodies are most of what is of use.
    if ((this.#state.bytes + this.#state.size * RECORD_OVERHEAD_BYTES) * 2 > before) return
    const parts = [encodeOutboxHeader(this.#salt)]
    for (const record of this.#state.records()) parts.push(encodeOutboxRecord(record, this.#salt))
    const bytes = concat(parts)
    try {
      await this.#options.log.replace(bytes)
      this.#logBytes = bytes.length
      this.#options.observer?.compacted?.(before, bytes.length)
    } catch (error) {
      this.#break(toError(error))
    }
  }

  // ---- delivering

  #deliverAll(): void {
    if (this.#delivering !== undefined || this.#closing !== undefined) return
    if (this.#broken !== undefined || this.#state.first === undefined) return
    this.#delivering = this.#deliverLoop().finally(() => {
      this.#delivering = undefined
      // One that came while the loop ended.
      this.#deliverAll()
    })
  }

  async #deliverLoop(): Promise<void> {
    for (;;) {
      const entry = this.#state.first
      if (entry === undefined || this.#closing !== undefined || this.#broken !== undefined) return
      const message = messageOf(entry)
      const error = await this.#deliver(entry, message)
      if (this.#closing !== undefined && error !== undefined) return
      try {
        if (error === undefined) await this.#onDelivered(entry, message)
        else await this.#onFailed(entry, message, error)
      } catch {
        return // the log is broken, which was told
      }
    }
  }

  /** @returns the error, if it was not delivered */
  async #deliver(entry: OutboxEntry, message: OutboxMessage): Promise<Error | undefined> {
    const { clock, deliver } = this.#options
    const { attemptTimeoutMs } = this.#limits
    const deadline = clock.now() + attemptTimeoutMs
    const call = new Call({ ...contextOf(entry.head), deadline, attempt: message.attempt })
    this.#attempt = call
    const timer = clock.setTimer(deadline, () => {
      const text = `delivery took longer than attemptTimeoutMs ${attemptTimeoutMs}`
      call.cancel(new TimeoutError('ERR_ATTEMPT_TIMEOUT', text))
    })
    try {
      await untilCancelled(() => deliver(message, call), call)
      return undefined
    } catch (error) {
      return toError(error)
    } finally {
      timer.cancel()
      call.finish()
      this.#attempt = undefined
    }
  }

  async #onDelivered(entry: OutboxEntry, message: OutboxMessage): Promise<void> {
    await this.#write({ type: 'delivered', sequence: entry.sequence })
    this.#delivered++
    this.#options.observer?.delivered?.(message)
  }

  async #onFailed(entry: OutboxEntry, message: OutboxMessage, error: Error): Promise<void> {
    const { random, observer } = this.#options
    const { sequence } = entry
    const attempts = entry.attempts + 1
    this.#failures++
    await this.#write({ type: 'failed', sequence, attempts })
    if (attempts >= this.#limits.maxAttempts || isHopeless(error)) {
      observer?.failed?.(message, error, undefined)
      await this.#write({ type: 'dead', sequence, reason: error.message.slice(0, MAX_REASON) })
      observer?.dead?.(message, error)
      return
    }
    const waitMs = this.#backoff(attempts, random)
    observer?.failed?.(message, error, waitMs)
    await this.#wait(waitMs)
  }

  #wait(ms: number): Promise<void> {
    const { clock } = this.#options
    if (this.#closing !== undefined || this.#broken !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#timer = clock.setTimer(clock.now() + ms, () => this.#stopWaiting())
    })
  }

  #stopWaiting(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

/** A handler that does not listen to its cancellation must not hold up all that wait behind it. */
function untilCancelled(run: () => unknown, call: Call): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const remove = call.onCancel(reject)
    Promise.resolve()
      .then(run)
      .then(resolve, reject)
      .finally(() => remove())
  })
}

/** The receiver understood it and says no: the same message will not do better. */
function isHopeless(error: Error): boolean {
  if (!(error instanceof HeddleError) || error.retryable !== 'no') return false
  return error.blame === 'caller' || error.code === 'ERR_REMOTE'
}

function messageOf({ head, body, attempts }: OutboxEntry): OutboxMessage {
  return { id: head.id, body, attempt: attempts + 1, enqueuedAt: head.enqueuedAt }
}

function headOf(id: string, context: CallContext, enqueuedAt: number): OutboxHead {
  const { correlationId, priority, metadata, trace } = context
  return {
    id,
    enqueuedAt,
    priority,
    ...(correlationId !== undefined && { correlationId }),
    ...(metadata.size > 0 && { metadata: Object.fromEntries(metadata) }),
    ...(trace !== undefined && {
      trace: {
        traceId: trace.traceId,
        spanId: trace.spanId,
        flags: trace.flags,
        ...(trace.state !== undefined && { state: trace.state }),
        ...(trace.baggage !== undefined && { baggage: trace.baggage }),
      },
    }),
  }
}

function contextOf(head: OutboxHead): ConstructorParameters<typeof Call>[0] {
  const { id, correlationId, priority, metadata = {}, trace } = head
  return {
    idempotent: true,
    correlationId,
    priority,
    trace: trace && { ...trace, state: trace.state, baggage: trace.baggage },
    metadata: new Map([...Object.entries(metadata), ['idempotency-key', id]]),
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Header and an ordinary head. */
const RECORD_OVERHEAD_BYTES = 200
const MAX_REASON = 500
