/**
 * The last N things, in constant memory: recent errors, recent events. The oldest is overwritten.
 */
import { checkInteger } from '../core/errors.ts'

export class Ring<Item> {
  readonly capacity: number
  readonly #items: (Item | undefined)[]
  #next = 0
  #total = 0

  constructor(capacity: number) {
    this.capacity = checkInteger('capacity', capacity, 1, 1_000_000)
    this.#items = new Array<Item | undefined>(capacity).fill(undefined)
  }

  /** How many are held. */
  get size(): number {
    return Math.min(this.#total, this.capacity)
  }

  /** How many were ever pushed. */
  get total(): number {
    return this.#total
  }

  push(item: Item): void {
    this.#items[this.#next] = item
    this.#next = (this.#next + 1) % this.capacity
    this.#total++
  }

  /** Newest first; at most `limit`. */
  latest(limit: number = this.capacity): Item[] {
    const count = Math.min(limit, this.size)
    const items: Item[] = []
    for (let back = 1; back <= count; back++) {
      items.push(this.#items[(this.#next - back + this.capacity) % this.capacity] as Item)
    }
    return items
  }

  clear(): void {
    this.#items.fill(undefined)
    this.#next = 0
    this.#total = 0
  }
}
