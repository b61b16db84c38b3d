/**
 * Things by their number, where numbers ascend and few are there at the same time: the streams of a
 * connection, its exchanges. Each has the place that the last bits of its number say.
 *
 *     get(19), eight places:  19 & 7 = 3 ─► places[3], number 19? ─no─► rest
 *
 * A `Map` out of which as much is taken as is put in rebuilds its table every few times.
 */

export interface Numbered {
  readonly id: number
}

export class NumberedMap<Item extends Numbered> {
  size = 0
  #places: (Item | undefined)[] = emptyPlaces(FIRST_PLACES)
  /** Those whose place was taken: beside one that stays for long. */
  #rest: Map<number, Item> | undefined

  get(id: number): Item | undefined {
    const item = this.#places[id & (this.#places.length - 1)]
    if (item !== undefined && item.id === id) return item
    return this.#rest?.get(id)
  }

  /** Its number must not be there. */
  add(item: Item): void {
    this.size++
    let place = item.id & (this.#places.length - 1)
    while (this.#places[place] !== undefined) {
      const { length } = this.#places
      // Where only the odd half of the numbers is in use, half of the places are.
      if (length >= MAX_PLACES || this.size * 4 < length) return this.#addToRest(item)
      this.#grow(length * 2)
      place = item.id & (this.#places.length - 1)
    }
    this.#places[place] = item
  }

  delete(id: number): boolean {
    const place = id & (this.#places.length - 1)
    const item = this.#places[place]
    if (item !== undefined && item.id === id) this.#places[place] = undefined
    else if (this.#rest?.delete(id) !== true) return false
    else if (this.#rest.size === 0) this.#rest = undefined
    this.size--
    // What a burst of many made long is not kept.
    if (this.size === 0 && this.#places.length > KEPT_PLACES) {
      this.#places = emptyPlaces(FIRST_PLACES)
    }
    return true
  }

  clear(): void {
    this.size = 0
    this.#places = emptyPlaces(FIRST_PLACES)
    this.#rest = undefined
  }

  /** A copy, lowest number first. */
  values(): Item[] {
    const items: Item[] = []
    for (const item of this.#places) if (item !== undefined) items.push(item)
    if (this.#rest !== undefined) items.push(...this.#rest.values())
    return items.sort((a, b) => a.id - b.id)
  }

  #addToRest(item: Item): void {
    this.#rest ??= new Map()
    this.#rest.set(item.id, item)
  }

  #grow(length: number): void {
    const places = emptyPlaces<Item>(length)
    for (const item of this.#places) {
      if (item !== undefined) places[item.id & (length - 1)] = item
    }
    this.#places = places
  }
}

function emptyPlaces<Item>(length: number): (Item | undefined)[] {
  return new Array<Item | undefined>(length).fill(undefined)
}

/** Powers of two. */
const FIRST_PLACES = 8
const MAX_PLACES = 1_024
const KEPT_PLACES = 256
