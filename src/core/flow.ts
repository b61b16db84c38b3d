/**
 * Streams of items between parts of one process: bodies, replies, pushes.
 *
 * Pushed synchronously, with a boolean for backpressure, like everything on the hot path. Async
 * iteration is the comfortable face for users: `for await (const item of source)`.
 */

/** Where items go. */
export interface Sink<Item> {
  /**
   * Takes one item. A byte chunk is borrowed until the call returns.
   * @returns false: no more until the source's `flow.resume()` is called
   */
  write(item: Item): boolean
  /** The last call of a stream that went well. */
  end(): void
  /** The last call of a stream that did not. */
  fail(reason: Error): void
}

/** What the taking side may ask of the giving side. */
export interface Flow {
  /** Starts, or goes on after `write` returned false. May call `write` before it returns. */
  resume(): void
  /** The taker wants no more: the source frees what it holds. Neither `end` nor `fail` follows. */
  cancel(reason?: Error): void
}

/** Where items come from. Single use. */
export interface Source<Item> extends AsyncIterable<Item> {
  /**
   * Connects the one sink. Nothing is written until `flow.resume()` is called.
   * @throws UsageError ERR_BODY_USED the second time
   */
  open(sink: Sink<Item>): Flow
}
