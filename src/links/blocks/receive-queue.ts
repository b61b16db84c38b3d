/**
 * What has arrived and nobody has received: whoever asks gets the next message, raw or as a block.
 *
 * Order is kept whatever has to be waited for: a block whose signature is computed elsewhere stays at
 * the front until it is there, or until nobody wants it any more.
 */
import { UsageError } from '../../core/errors.ts'
import type { Eventual } from '../../core/signing.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import type { ReceivedMessage } from './block-carrier.ts'

/** `refused`: a block was read, and is not true. */
export type Outcome =
  | { readonly block: Block }
  | { readonly error: Error; readonly refused?: Block }

export interface ReceiveQueueOptions {
  readonly maxMessages: number
  readonly maxBytes: number
  /** Never an error: the outcome has it. */
  decode(message: ReceivedMessage): Eventual<Outcome>
  /** A block that is none was received by whoever asked, or by the listener. */
  onInvalid(error: Error, message: ReceivedMessage): void
  /** Everything was received, and nothing more will come. */
  onOver?(): void
  /** Whether more may arrive. */
  onPressure(full: boolean): void
}

interface Item {
  readonly message: ReceivedMessage
  outcome: Eventual<Outcome> | undefined
}

export interface Waiter {
  readonly kind: 'raw' | 'block'
  resolve(value: Uint8Array | Block, message: ReceivedMessage): void
  reject(error: unknown): void
}

export type BlockListenerCallback = (block: Block, message: ReceivedMessage) => void

export class ReceiveQueue {
  readonly #options: ReceiveQueueOptions
  readonly #items: Item[] = []
  #bytes = 0
  #full = false
  #waiter: Waiter | undefined
  #listener: BlockListenerCallback | undefined
  #pumping = false
  #over = false
  /** Nothing more will arrive, and what a receiver is told after the rest. */
  #end: Error | undefined

  constructor(options: ReceiveQueueOptions) {
    this.#options = options
  }

  get length(): number {
    return this.#items.length
  }
  get waiting(): boolean {
    return this.#waiter !== undefined || this.#listener !== undefined
  }

  /** @param outcome when it is known already */
  push(message: ReceivedMessage, outcome?: Outcome): void {
    this.#items.push({ message, outcome })
    this.#bytes += message.bytes.length
    this.#pump()
    this.#tellPressure()
  }

  /** @throws UsageError ERR_STATE when somebody waits already: messages have one receiver */
  wait(waiter: Waiter): void {
    this.#refuseSecond()
    this.#waiter = waiter
    this.#pump()
    this.#tellPressure()
  }

  /** @param waiter does not wait any more; nothing is lost */
  forget(waiter: Waiter): void {
    if (this.#waiter === waiter) this.#waiter = undefined
  }

  listen(listener: BlockListenerCallback): void {
    this.#refuseSecond()
    this.#listener = listener
    this.#pump()
    this.#tellPressure()
  }

  unlisten(): void {
    this.#listener = undefined
  }

  /** What is there is still received, then `reason`. */
  end(reason: Error): void {
    this.#end ??= reason
    this.#tellEnd()
  }

  /** What is there is dropped. */
  destroy(reason: Error): void {
    this.#items.length = 0
    this.#bytes = 0
    this.#end = reason
    this.#tellEnd()
  }

  #refuseSecond(): void {
    if (this.waiting) throw new UsageError('ERR_STATE', 'somebody receives already')
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#items.length > 0 && this.waiting && this.#deliverFirst());
    } finally {
      this.#pumping = false
    }
    this.#tellEnd()
  }

  /** @returns false: the first is not there yet */
  #deliverFirst(): boolean {
    const item = this.#items[0] as Item
    if (this.#waiter?.kind === 'raw') {
      this.#take()
      this.#settle((waiter) => waiter.resolve(item.message.bytes, item.message))
      return true
    }
    if (item.outcome === undefined) {
      item.outcome = this.#options.decode(item.message)
      if (item.outcome instanceof Promise) {
        void item.outcome.then((outcome) => {
          item.outcome = outcome
          this.#pump()
          this.#tellPressure()
        })
      }
    }
    if (item.outcome instanceof Promise) return false
    this.#take()
    this.#deliver(item.outcome, item.message)
    return true
  }

  #deliver(outcome: Outcome, message: ReceivedMessage): void {
    if ('error' in outcome) {
      this.#settle((waiter) => waiter.reject(outcome.error))
      this.#options.onInvalid(outcome.error, message)
    } else if (this.#waiter !== undefined) {
      this.#settle((waiter) => waiter.resolve(outcome.block, message))
    } else this.#listener?.(outcome.block, message)
  }

  #take(): void {
    const item = this.#items.shift() as Item
    this.#bytes -= item.message.bytes.length
  }

  #settle(how: (waiter: Waiter) => void): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter !== undefined) how(waiter)
  }

  #tellEnd(): void {
    const reason = this.#end
    if (reason === undefined || this.#items.length > 0) return
    if (!this.#over) {
      this.#over = true
      this.#options.onOver?.()
    }
    this.#settle((waiter) => waiter.reject(reason))
  }

  #tellPressure(): void {
    const { maxMessages, maxBytes, onPressure } = this.#options
    const full = this.#items.length >= maxMessages || this.#bytes >= maxBytes
    // Half of it has to be received first: a queue at its limit does not pause for every message.
    const roomy = this.#items.length * 2 <= maxMessages && this.#bytes * 2 <= maxBytes
    if (full === this.#full || (this.#full && !roomy)) return
    this.#full = full
    onPressure(full)
  }
}
