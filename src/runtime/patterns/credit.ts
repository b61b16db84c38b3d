/**
 * A bounded queue between a writer and a taker, counted in items and in bytes: the writer has credit
 * for so much, and gets back what the taker has taken.
 *
 *     writer ──write──▶ │ items, bytes │ ──▶ source ──▶ sink
 *            ◀─credit──                  ◀─ taken ─
 *
 * It is what flow control is inside one process: between an iterable and a connection, between a
 * fast source and a slow one. One item larger than all credit passes alone, so nothing is stuck.
 */
import { Channel } from '../../core/channel.ts'
import { checkInteger, checkRange, OverloadError, UsageError } from '../../core/errors.ts'
import type { Flow, Source } from '../../core/flow.ts'

export interface CreditOptions<Item> {
  /** Written and not taken yet. @default 64 */
  maxItems?: number
  /** Of these, as `sizeOf` says. @default 1_048_576 where there is a `sizeOf`, else no limit */
  maxBytes?: number
  sizeOf?(item: Item): number
}

export const creditDefaults: Readonly<{ maxItems: number; maxBytes: number }> = Object.freeze({
  maxItems: 64,
  maxBytes: 1_048_576,
})

/** The writing end. */
export interface CreditWriter<Item> {
  /** An item may be written now. */
  readonly hasCredit: boolean
  /** Written and not taken. */
  readonly queuedItems: number
  readonly queuedBytes: number
  /** The taker wants no more, or everything was taken after the end. */
  readonly done: boolean
  /**
   * @returns false: no credit is left, wait for `ready`
   * @throws OverloadError ERR_BUSY without credit
   */
  write(item: Item): boolean
  /** Resolves when there is credit, true; or when nobody takes any more, false. */
  ready(): Promise<boolean>
  end(): void
  fail(reason: unknown): void
}

export interface CreditChannel<Item> {
  readonly writer: CreditWriter<Item>
  readonly source: Source<Item>
}

export function creditChannel<Item>(options: CreditOptions<Item> = {}): CreditChannel<Item> {
  const queue = new CreditQueue(options)
  return { writer: queue, source: queue.source }
}

/**
 * Reads ahead of its taker, as far as the credit goes: a source that is slow to begin (a connection)
 * and a taker that is slow to take no longer wait for each other at each item.
 *
 * @param keep makes an item the queue's own: byte chunks are borrowed and must be copied
 */
export function readAhead<Item>(
  source: Source<Item>,
  keep: (item: Item) => Item,
  options: CreditOptions<Item> = {},
): Source<Item> {
  let flow: Flow | undefined
  const queue = new CreditQueue<Item>({
    ...options,
    onCredit: () => flow?.resume(),
    onCancel: (reason) => flow?.cancel(reason),
  })
  flow = source.open({
    write: (item) => queue.write(keep(item)),
    end: () => queue.end(),
    fail: (reason) => queue.fail(reason),
  })
  flow.resume()
  return queue.source
}

interface QueueOptions<Item> extends CreditOptions<Item> {
  onCredit?(): void
  onCancel?(reason: Error | undefined): void
}

class CreditQueue<Item> implements CreditWriter<Item> {
  readonly source: Channel<Item>
  readonly #maxItems: number
  readonly #maxBytes: number
  readonly #options: QueueOptions<Item>
  readonly #items: Item[] = []
  #taken = 0
  #bytes = 0
  #ending: 'no' | 'end' | Error = 'no'
  #cancelled = false
  #wake: (() => void)[] = []

  constructor(options: QueueOptions<Item>) {
    const { maxItems = creditDefaults.maxItems, sizeOf } = options
    const { maxBytes = sizeOf === undefined ? Infinity : creditDefaults.maxBytes } = options
    this.#options = options
    this.#maxItems = checkInteger('maxItems', maxItems, 1, 10_000_000)
    this.#maxBytes = checkRange('maxBytes', maxBytes, 1, Number.POSITIVE_INFINITY)
    if (maxBytes < Infinity && sizeOf === undefined) {
      throw new UsageError('ERR_ARGUMENT', 'maxBytes needs a sizeOf')
    }
    this.source = new Channel<Item>(
      () => this.#deliver(),
      (reason) => this.#cancel(reason),
    )
  }

  get queuedItems(): number {
    return this.#items.length - this.#taken
  }

  get queuedBytes(): number {
    return this.#bytes
  }

  get done(): boolean {
    return this.#cancelled || (this.#ending !== 'no' && this.queuedItems === 0)
  }

  get hasCredit(): boolean {
    if (this.#cancelled || this.#ending !== 'no') return false
    return this.queuedItems < this.#maxItems && this.#bytes < this.#maxBytes
  }

  write(item: Item): boolean {
    // What comes after the taker has gone is nobody's.
    if (this.#cancelled) return false
    if (this.#ending !== 'no') throw new UsageError('ERR_STATE', 'the stream has ended')
    if (!this.hasCredit) {
      const message = `${this.queuedItems} items and ${this.#bytes} bytes wait, of ${this.#maxItems} and ${this.#maxBytes}`
      throw new OverloadError('ERR_BUSY', message)
    }
    this.#items.push(item)
    this.#bytes += this.#options.sizeOf?.(item) ?? 0
    this.#deliver()
    return this.hasCredit
  }

  ready(): Promise<boolean> {
    if (this.hasCredit) return Promise.resolve(true)
    if (this.#cancelled || this.#ending !== 'no') return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#wake.push(() => resolve(!this.#cancelled && this.#ending === 'no'))
    })
  }

  end(): void {
    if (this.#ending !== 'no' || this.#cancelled) return
    this.#ending = 'end'
    this.#deliver()
    this.#wakeAll()
  }

  /** What was written before is still taken first. */
  fail(reason: unknown): void {
    if (this.#ending !== 'no' || this.#cancelled) return
    this.#ending = reason instanceof Error ? reason : new Error(String(reason))
    this.#deliver()
    this.#wakeAll()
  }

  #deliver(): void {
    const { sizeOf } = this.#options
    const had = this.hasCredit
    while (this.source.flowing && this.queuedItems > 0) {
      const item = this.#items[this.#taken++] as Item
      this.#bytes -= sizeOf?.(item) ?? 0
      if (this.#taken > 32 && this.#taken * 2 > this.#items.length) {
        this.#items.splice(0, this.#taken)
        this.#taken = 0
      }
      this.source.write(item)
    }
    if (this.queuedItems === 0 && this.#ending !== 'no') {
      if (this.#ending === 'end') this.source.end()
      else this.source.fail(this.#ending)
    }
    if (!had && this.hasCredit) {
      this.#wakeAll()
      this.#options.onCredit?.()
    }
  }

  #cancel(reason: Error | undefined): void {
    this.#cancelled = true
    this.#items.length = 0
    this.#taken = 0
    this.#bytes = 0
    this.#wakeAll()
    this.#options.onCancel?.(reason)
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
