/**
 * The body of a response that is still on its way: pulled from the connection under demand.
 *
 * It holds what had arrived with the head, copied, and nothing else: while the reader takes no more,
 * nothing is read from the connection.
 */
import { iterate } from '../../core/channel.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { copyForNow, giveCopyBack } from '../../core/region-pool.ts'

/** Who can get more, or give up what is still to come. */
export interface StreamOwner {
  demand(wanted: boolean): void
  /** The reader wants no more. */
  giveUp(reason: Error): void
}

export class ResponseStream implements Source<Uint8Array>, Flow {
  readonly #owner: StreamOwner
  #held: Uint8Array[]
  #sink: Sink<Uint8Array> | undefined
  #opened = false
  #flowing = false
  #delivering = false
  #outcome: 'open' | 'ended' | Error = 'open'
  #done = false

  /** @param held what came with the head; given. Copies for now are given back. */
  constructor(owner: StreamOwner, held: Uint8Array[]) {
    this.#owner = owner
    this.#held = held
  }

  open(sink: Sink<Uint8Array>): Flow {
    if (this.#opened) throw new UsageError('ERR_BODY_USED', 'the body was consumed already')
    this.#opened = true
    this.#sink = sink
    return this
  }

  resume(): void {
    if (this.#done) return
    this.#flowing = true
    if (this.#delivering) return
    if (this.#held.length > 0 && !this.#deliverHeld()) return
    if (this.#outcome !== 'open') return this.#settle()
    this.#owner.demand(true)
  }

  cancel(reason?: Error): void {
    if (this.#done) return
    this.#finish()
    if (this.#outcome === 'open') {
      this.#owner.giveUp(toError(reason ?? new Error('the body was cancelled')))
    }
  }

  /** One chunk, borrowed. @returns false: no more until the owner hears `demand` */
  push(chunk: Uint8Array): boolean {
    if (this.#done) return true
    if (this.#held.length > 0 || !this.#flowing) {
      this.#held.push(copyForNow(chunk))
      return false
    }
    this.#delivering = true
    this.#flowing = false
    const more = (this.#sink as Sink<Uint8Array>).write(chunk)
    this.#delivering = false
    if (more) this.#flowing = true
    return this.#flowing || this.#done
  }

  end(): void {
    if (this.#outcome !== 'open') return
    this.#outcome = 'ended'
    if (this.#flowing && this.#held.length === 0) this.#settle()
  }

  /** What was held is dropped: a reader must not take half a body for the whole. */
  fail(reason: Error): void {
    if (this.#done || this.#outcome !== 'open') return
    this.#outcome = reason
    this.#held = []
    if (this.#opened) this.#settle()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate<Uint8Array>(this, (chunk) => chunk.slice())
  }

  /** @returns false: the sink took not all of it, or gave up */
  #deliverHeld(): boolean {
    this.#delivering = true
    while (this.#held.length > 0 && this.#flowing && !this.#done) {
      this.#flowing = false
      const chunk = this.#held.shift() as Uint8Array
      if ((this.#sink as Sink<Uint8Array>).write(chunk)) this.#flowing = true
      giveCopyBack(chunk)
    }
    this.#delivering = false
    return this.#flowing && !this.#done
  }

  #settle(): void {
    const sink = this.#sink
    const outcome = this.#outcome
    if (this.#done || sink === undefined) return
    this.#finish()
    if (typeof outcome === 'object') sink.fail(outcome)
    else sink.end()
  }

  #finish(): void {
    this.#done = true
    this.#flowing = false
    this.#sink = undefined
    this.#held = []
  }
}
