/** Counts calls of a server by how they end: with `grpc-status` 0, or any other way. */
import { iterate } from '../../../core/channel.ts'
import type { Clock } from '../../../core/clock.ts'
import type { Flow, Sink, Source } from '../../../core/flow.ts'
import { rewrittenResponse } from '../../../protocols/connect/grpc-web-bridge.ts'
import { Body } from '../../../protocols/http/body.ts'
import type { HttpFields } from '../../../protocols/http/fields.ts'
import type { HttpResponse } from '../../../protocols/http/messages.ts'

export class CallCounter {
  readonly createdAt: number
  started = 0
  succeeded = 0
  failed = 0
  /** Wall clock; undefined: no call has come. */
  lastStartedAt: number | undefined
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.createdAt = clock.wallNow()
    this.lastStartedAt = undefined
  }

  start(): CountedCall {
    this.started++
    this.lastStartedAt = this.#clock.wallNow()
    return new CountedCall(this)
  }
}

export class CountedCall {
  readonly #counter: CallCounter
  #over = false

  constructor(counter: CallCounter) {
    this.#counter = counter
  }

  /** Counts it when its end is known: at once where the body is there, else with the body. */
  follow(response: HttpResponse): HttpResponse {
    const { body, fields, status } = response
    if (body.isEmpty || body.content !== undefined) {
      this.#end(status, body.trailers ?? fields)
      return response
    }
    const followed = new FollowedBody(body, (trailers, well) => {
      if (well) this.#end(status, trailers ?? fields)
      else this.#count(false)
    })
    return rewrittenResponse(response, fields, Body.from(followed))
  }

  /** Counts it, and throws the error on. */
  fail(error: unknown): never {
    this.#count(false)
    throw error
  }

  #end(status: number, fields: HttpFields): void {
    const code = fields.get('grpc-status')
    this.#count(code === undefined ? status < 400 : code === '0')
  }

  #count(well: boolean): void {
    if (this.#over) return
    this.#over = true
    if (well) this.#counter.succeeded++
    else this.#counter.failed++
  }
}

/** A body that tells how it ended. */
class FollowedBody implements Source<Uint8Array> {
  readonly #body: Body
  readonly #onEnd: (trailers: HttpFields | undefined, well: boolean) => void

  constructor(body: Body, onEnd: (trailers: HttpFields | undefined, well: boolean) => void) {
    this.#body = body
    this.#onEnd = onEnd
  }

  get trailers(): HttpFields | undefined {
    return this.#body.trailers
  }

  open(sink: Sink<Uint8Array>): Flow {
    const flow = this.#body.open({
      write: (chunk) => sink.write(chunk),
      end: () => {
        this.#onEnd(this.#body.trailers, true)
        sink.end()
      },
      fail: (reason) => {
        this.#onEnd(undefined, false)
        sink.fail(reason)
      },
    })
    return {
      resume: () => flow.resume(),
      cancel: (reason) => {
        this.#onEnd(undefined, false)
        flow.cancel(reason)
      },
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk.slice())
  }
}
