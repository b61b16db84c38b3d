/**
 * A first-in first-out queue in one array. `Array.shift` on a short array gives its memory away, so
 * that the next `push` allocates again; here nothing is allocated once it has its size.
 */

export class Ring<Item> {
  #items: (Item | undefined)[] = [undefined, undefined, undefined, undefined]
  #first = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: Item): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#first + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  /** The oldest; undefined when empty. */
  shift(): Item | undefined {
    if (this.#length === 0) return undefined
    const first = this.#first
    const item = this.#items[first]
    this.#items[first] = undefined
    this.#first = (first + 1) & (this.#items.length - 1)
    this.#length--
    return item
  }

  /** The item `index` places behind the oldest. */
  at(index: number): Item | undefined {
    if (index < 0 || index >= this.#length) return undefined
    return this.#items[(this.#first + index) & (this.#items.length - 1)]
  }

  set(index: number, item: Item): void {
    this.#items[(this.#first + index) & (this.#items.length - 1)] = item
  }

  clear(): void {
    while (this.#length > 0) this.shift()
  }

  /** The size stays a power of two. */
  #grow(): void {
    const items: (Item | undefined)[] = []
    for (let index = 0; index < this.#length; index++) items.push(this.at(index))
    for (let index = 0; index < this.#length; index++) items.push(undefined)
    this.#items = items
    this.#first = 0
  }
}
