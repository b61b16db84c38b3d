/**
 * A multiplexed connection whose peer a test plays: settings that come late, a limit of streams that
 * moves, a GOAWAY. It counts every call beyond what the peer allowed.
 */
import type { ConnectionState } from '../../src/core/connection-state.ts'
import type { CallContext } from '../../src/core/context.ts'
import { ClosedError } from '../../src/core/errors.ts'
import type { Exchanger } from '../../src/runtime/exchanger.ts'

export interface Stream {
  readonly request: string
  reply(response: string): void
  fail(error: unknown): void
}

export class ScriptedMultiplexed implements Exchanger<string, string> {
  state: ConnectionState = 'connected'
  readonly idleTimeoutMs = undefined
  onChange: (() => void) | undefined = undefined
  /** Open streams, oldest first. */
  readonly streams: Stream[] = []
  /** Requests in the order they were sent. */
  readonly sent: string[] = []
  /** Most streams at a time. */
  peak = 0
  /** Calls beyond the peer's limit, or before it was known: has to stay 0. */
  violations = 0
  #limit = 0

  get available(): number {
    return this.state === 'ready' ? Math.max(0, this.#limit - this.streams.length) : 0
  }

  get inFlight(): number {
    return this.streams.length
  }

  /** The peer's settings: the first ones make the connection ready. */
  settings(limit: number): void {
    this.#limit = limit
    if (this.state === 'connected') this.state = 'ready'
    this.onChange?.()
  }

  /** GOAWAY: the first `accepted` of the open streams go on, the others were not looked at. */
  goAway(accepted: number): void {
    this.state = 'draining'
    const refused = this.streams.slice(accepted)
    this.onChange?.()
    for (const stream of refused) {
      stream.fail(new ClosedError('ERR_DRAINING', 'the peer is going away', { sent: 'nothing' }))
    }
  }

  call(request: string, context: CallContext): Promise<string> {
    if (this.available <= 0) this.violations++
    this.sent.push(request)
    return new Promise((resolve, reject) => {
      const over = (): boolean => {
        const at = this.streams.indexOf(stream)
        if (at < 0) return false
        this.streams.splice(at, 1)
        remove()
        if (this.state === 'draining' && this.streams.length === 0) this.state = 'closed'
        this.onChange?.()
        return true
      }
      const stream: Stream = {
        request,
        reply: (response) => void (over() && resolve(response)),
        fail: (error) => void (over() && reject(error)),
      }
      this.streams.push(stream)
      this.peak = Math.max(this.peak, this.streams.length)
      const remove = context.onCancel((reason) => stream.fail(reason))
    })
  }

  close(): void {
    this.state = this.streams.length === 0 ? 'closed' : 'draining'
    this.onChange?.()
  }

  destroy(reason: Error): void {
    this.state = 'error'
    for (const stream of [...this.streams]) stream.fail(reason)
    this.onChange?.()
  }

  ref(): void {}
  unref(): void {}
}
