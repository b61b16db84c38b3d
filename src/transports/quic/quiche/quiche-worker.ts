/**
 * A native object of the addon with its thread, from the first call to the last.
 *
 * The process lives until `stop` has ended the thread. Handlers are called from inside a callback of
 * the addon, whose batch must be acknowledged whatever they do: what they throw is thrown again when
 * the batch is over.
 */
import { defer } from '../../../platform/process-access.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import { type NativeEvent, SHUTDOWN_COMPLETE } from './binding.ts'

interface Native {
  requestShutdown(): boolean
  joinWorker(): void
  ackEventBatch(count: number): void
}

export class QuicheWorker<Kind extends Native> {
  readonly native: Kind
  readonly #onEvent: (event: NativeEvent) => void
  readonly #ended = Promise.withResolvers<void>()
  #started = false
  #stopping: Promise<void> | undefined

  constructor(
    make: (callback: (error: Error | null, events: readonly NativeEvent[]) => void) => Kind,
    onEvent: (event: NativeEvent) => void,
  ) {
    this.#onEvent = onEvent
    this.native = make((_error, events) => this.#take(events))
  }

  /** A thread is running: `stop` waits for it. */
  started(): void {
    this.#started = true
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    if (this.#started) {
      this.native.requestShutdown()
      // A thread that hangs must not hang the one that waits for it.
      const at = systemClock.now() + STOP_TIMEOUT_MS
      const timer = systemClock.setTimer(at, () => this.#ended.resolve())
      await this.#ended.promise
      timer.cancel()
    }
    this.native.joinWorker()
  }

  #take(events: readonly NativeEvent[]): void {
    try {
      for (const event of events) this.#dispatch(event)
    } finally {
      this.native.ackEventBatch(events.length)
    }
  }

  #dispatch(event: NativeEvent): void {
    if (event.eventType === SHUTDOWN_COMPLETE) return this.#ended.resolve()
    try {
      this.#onEvent(event)
    } catch (error) {
      defer(() => {
        throw error
      })
    }
  }
}

/** Measured: some milliseconds. */
const STOP_TIMEOUT_MS = 5_000
