/**
 * Events that came about together, oldest first: a ring in one array, which is filled and emptied
 * without giving its memory away.
 */
export class EventQueue<Event> {
  #events: (Event | undefined)[] = new Array(FIRST_SIZE).fill(undefined)
  #first = 0
  #length = 0

  get isEmpty(): boolean {
    return this.#length === 0
  }

  push(event: Event): void {
    if (this.#length === this.#events.length) this.#grow()
    this.#events[(this.#first + this.#length) & (this.#events.length - 1)] = event
    this.#length++
  }

  shift(): Event | undefined {
    if (this.#length === 0) return undefined
    const events = this.#events
    const event = events[this.#first]
    events[this.#first] = undefined
    this.#first = (this.#first + 1) & (events.length - 1)
    this.#length--
    // What one burst made long is not kept.
    if (this.#length === 0 && events.length > KEPT) this.#events = events.slice(0, FIRST_SIZE)
    if (this.#length === 0) this.#first = 0
    return event
  }

  /** The size stays a power of two. */
  #grow(): void {
    const old = this.#events
    const events = old.slice(this.#first).concat(old.slice(0, this.#first))
    for (let index = old.length; index > 0; index--) events.push(undefined)
    this.#events = events
    this.#first = 0
  }
}

const FIRST_SIZE = 8
const KEPT = 256
