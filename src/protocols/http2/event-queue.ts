/**
 * Events that came about together, oldest first. It is emptied after each input batch, so one array
 * that is filled and reset beats a ring.
 */
export class EventQueue<Event> {
  #events: Event[] = []
  #at = 0

  get isEmpty(): boolean {
    return this.#at === this.#events.length
  }

  push(event: Event): void {
    this.#events.push(event)
  }

  shift(): Event | undefined {
    if (this.#at === this.#events.length) return undefined
    const event = this.#events[this.#at++]
    if (this.#at === this.#events.length) {
      // What one burst made long is not kept.
      if (this.#events.length > KEPT) this.#events = []
      else this.#events.length = 0
      this.#at = 0
    }
    return event
  }
}

const KEPT = 256
