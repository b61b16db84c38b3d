/**
 * Services with streams, written with async iterables: generators at the edge, sources and their
 * credit inside.
 *
 *     serverStream    one request, many replies       Service<Req, Source<Res>>
 *     clientStream    many requests, one reply        Service<Source<Req>, Res>
 *     bidirectional   both, each at its own pace      Service<Source<Req>, Source<Res>>
 *
 * A taker that stops taking stops the generator at its `yield`; a call that is cancelled ends it
 * (`finally` runs), and so does a taker that leaves. Nothing is read that nobody has asked for.
 */
import { Channel, iterate } from '../../core/channel.ts'
import type { CallContext } from '../../core/context.ts'
import { toError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import type { MaybePromise, Service } from '../../core/service.ts'

export type ServerStreamHandler<Req, Res> = (
  request: Req,
  context: CallContext,
) => AsyncIterable<Res>

export function serverStream<Req, Res>(
  handler: ServerStreamHandler<Req, Res>,
): Service<Req, Source<Res>> {
  return (request, context) => fromIterable(handler(request, context), context)
}

/** @param keep makes an item the handler's own; needed for byte chunks, which are borrowed */
export function clientStream<Req, Res>(
  handler: (requests: AsyncIterable<Req>, context: CallContext) => MaybePromise<Res>,
  keep: (item: Req) => Req = same,
): Service<Source<Req>, Res> {
  return (requests, context) => handler(untilCancelled(requests, context, keep), context)
}

export function bidirectional<Req, Res>(
  handler: (requests: AsyncIterable<Req>, context: CallContext) => AsyncIterable<Res>,
  keep: (item: Req) => Req = same,
): Service<Source<Req>, Source<Res>> {
  return (requests, context) =>
    fromIterable(handler(untilCancelled(requests, context, keep), context), context)
}

/** A source of what an iterable gives, one at a time and only when asked. */
export function fromIterable<Item>(
  iterable: AsyncIterable<Item> | Iterable<Item>,
  context?: CallContext,
): Source<Item> {
  return new IterableSource(iterable, context).channel
}

class IterableSource<Item> {
  readonly channel: Channel<Item>
  readonly #iterable: AsyncIterable<Item> | Iterable<Item>
  #iterator: AsyncIterator<Item> | Iterator<Item> | undefined
  #removeCancel: (() => void) | undefined
  #held: IteratorResult<Item> | undefined
  #pulling = false
  #over = false

  constructor(iterable: AsyncIterable<Item> | Iterable<Item>, context: CallContext | undefined) {
    this.#iterable = iterable
    this.channel = new Channel<Item>(
      () => void this.#pull(),
      () => this.#leave(),
    )
    this.#removeCancel = context?.onCancel((reason) => {
      this.channel.fail(reason)
      this.#leave()
    })
  }

  async #pull(): Promise<void> {
    if (this.#pulling || this.#over) return
    this.#pulling = true
    try {
      this.#iterator ??= iteratorOf(this.#iterable)
      while (this.channel.flowing && !this.#over) {
        const next = this.#held ?? (await this.#iterator.next())
        this.#held = undefined
        if (this.#over) return
        if (next.done === true) {
          this.#end()
          return this.channel.end()
        }
        if (this.channel.flowing) this.channel.write(next.value)
        // The taker paused while the item was on its way: it is for when it goes on.
        else this.#held = next
      }
    } catch (error) {
      this.#end()
      this.channel.fail(toError(error))
    } finally {
      this.#pulling = false
    }
  }

  #end(): void {
    this.#over = true
    this.#removeCancel?.()
  }

  /** Nobody takes any more: the generator runs its `finally`. */
  #leave(): void {
    if (this.#over) return
    this.#end()
    this.#iterator ??= iteratorOf(this.#iterable)
    Promise.resolve(this.#iterator.return?.()).catch(() => {})
  }
}

/** Requests as an iterable that ends with the call, also while it waits for the next one. */
async function* untilCancelled<Req>(
  requests: Source<Req>,
  context: CallContext,
  keep: (item: Req) => Req,
): AsyncGenerator<Req> {
  const cancellable: Source<Req> = {
    open(sink) {
      let over = false
      const end = (tell: () => void): void => {
        if (over) return
        over = true
        remove()
        tell()
      }
      let remove = (): void => {}
      const flow = requests.open({
        write: (item) => (over ? false : sink.write(item)),
        end: () => end(() => sink.end()),
        fail: (reason) => end(() => sink.fail(reason)),
      })
      remove = context.onCancel((reason) => {
        end(() => {
          flow.cancel(reason)
          sink.fail(reason)
        })
      })
      return {
        resume() {
          if (!over) flow.resume()
        },
        cancel: (reason) => end(() => flow.cancel(reason)),
      }
    },
    [Symbol.asyncIterator]: () => iterate(cancellable, keep),
  }
  yield* iterate(cancellable, keep)
}

function iteratorOf<Item>(
  iterable: AsyncIterable<Item> | Iterable<Item>,
): AsyncIterator<Item> | Iterator<Item> {
  return Symbol.asyncIterator in iterable
    ? iterable[Symbol.asyncIterator]()
    : iterable[Symbol.iterator]()
}

function same<Item>(item: Item): Item {
  return item
}
