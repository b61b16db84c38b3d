/**
 * What a session told its owner, in a form that does not depend on how its input was cut: pieces of
 * one exchange are joined, and only the order within an exchange counts.
 */
export interface EventDescription {
  /** Which exchange or stream it belongs to; '' for the connection as a whole. */
  readonly exchange: string
  /** What happened. Undefined for a piece of data. */
  readonly text?: string
  /** Data: borrowed, joined with the pieces before it. */
  readonly bytes?: Uint8Array
  /** The exchange begins with this event, and is owed a last one. */
  readonly begins?: boolean
  /** Nothing may follow in this exchange. */
  readonly last?: boolean
  /** What the same event means besides: a whole message in one event is a head, data and an end. */
  readonly next?: EventDescription
}

export class Transcript {
  readonly #name: string
  readonly #lines = new Map<string, string[]>()
  readonly #begun = new Set<string>()
  readonly #own = new Set<string>()
  readonly #ended = new Set<string>()
  /** Exchanges whose last line is data that goes on. */
  readonly #inData = new Set<string>()
  /** Broken promises about exchanges. */
  readonly problems: string[] = []

  constructor(name: string) {
    this.#name = name
  }

  /** An exchange that this side's own command began. */
  begin(exchange: string): void {
    this.#begun.add(exchange)
    this.#own.add(exchange)
  }

  add({ exchange, text, bytes, begins = false, last = false, next }: EventDescription): void {
    if (this.#ended.has(exchange)) {
      const twice = last ? 'got a second last event' : 'got an event after its last'
      this.#problem(`exchange ${exchange} ${twice}: ${text ?? 'data'}`)
    }
    if (begins) this.#begun.add(exchange)
    let lines = this.#lines.get(exchange)
    if (lines === undefined) {
      lines = []
      this.#lines.set(exchange, lines)
    }
    if (bytes !== undefined && bytes.length > 0) {
      const hex = toHex(bytes)
      if (this.#inData.has(exchange)) lines[lines.length - 1] += hex
      else lines.push(`data ${hex}`)
      this.#inData.add(exchange)
    }
    if (text !== undefined) {
      lines.push(text)
      this.#inData.delete(exchange)
    }
    if (last) this.#ended.add(exchange)
    if (next !== undefined) this.add(next)
  }

  /** All lines, exchange by exchange. */
  get lines(): readonly string[] {
    const keys = [...this.#lines.keys()].sort()
    return keys.flatMap((key) =>
      (this.#lines.get(key) as string[]).map((line) => `${key}: ${line}`),
    )
  }

  /** The lines of one exchange. */
  of(exchange: string): readonly string[] {
    return this.#lines.get(exchange) ?? []
  }

  /** Exchanges that began and have not ended. */
  get open(): readonly string[] {
    return [...this.#begun].filter((exchange) => !this.#ended.has(exchange))
  }

  /** Exchanges that this side began and that wait for the peer. */
  get waiting(): readonly string[] {
    return this.open.filter((exchange) => this.#own.has(exchange))
  }

  /** Call when the connection is gone. */
  finish(): void {
    for (const exchange of this.open) {
      this.#problem(`exchange ${exchange} never got its last event`)
    }
  }

  #problem(what: string): void {
    this.problems.push(`${this.#name}: ${what}`)
  }
}

function toHex(bytes: Uint8Array): string {
  let hex = ''
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0')
  return hex
}
