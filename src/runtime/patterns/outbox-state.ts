/**
 * What an outbox's log means: which entries wait, in their order, and which are dead. Built by
 * applying records, the same way at a start as while it runs.
 */
import type { OutboxHead, OutboxRecord } from './outbox-record.ts'

export interface OutboxEntry {
  readonly sequence: number
  readonly head: OutboxHead
  readonly body: Uint8Array
  /** Attempts that failed. */
  attempts: number
  /** Why it is dead; undefined: it waits. */
  reason: string | undefined
}

export class OutboxState {
  readonly #waiting = new Map<number, OutboxEntry>()
  readonly #dead = new Map<number, OutboxEntry>()
  readonly #ids = new Map<string, OutboxEntry>()
  #bytes = 0
  #last = 0

  /** Waiting and dead. */
  get size(): number {
    return this.#waiting.size + this.#dead.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Bodies of both. */
  get bytes(): number {
    return this.#bytes
  }

  get nextSequence(): number {
    return this.#last + 1
  }

  /** The one to be delivered next. */
  get first(): OutboxEntry | undefined {
    return this.#waiting.values().next().value
  }

  get dead(): Iterable<OutboxEntry> {
    return this.#dead.values()
  }

  get deadCount(): number {
    return this.#dead.size
  }

  byId(id: string): OutboxEntry | undefined {
    return this.#ids.get(id)
  }

  /** Records that say nothing new (of an entry that is gone) change nothing. */
  apply(record: OutboxRecord): void {
    const { sequence } = record
    if (record.type === 'entry') {
      this.#last = Math.max(this.#last, sequence)
      const { head, body } = record
      const entry = { sequence, head, body, attempts: 0, reason: undefined }
      this.#waiting.set(sequence, entry)
      this.#ids.set(head.id, entry)
      this.#bytes += body.length
      return
    }
    const entry = this.#waiting.get(sequence) ?? this.#dead.get(sequence)
    if (entry === undefined) return
    switch (record.type) {
      case 'delivered':
        this.#waiting.delete(sequence)
        this.#dead.delete(sequence)
        this.#ids.delete(entry.head.id)
        this.#bytes -= entry.body.length
        return
      case 'failed':
        entry.attempts = record.attempts
        return
      case 'dead':
        entry.reason = record.reason
        this.#waiting.delete(sequence)
        this.#dead.set(sequence, entry)
        return
      case 'revived':
        // Behind all that wait: its turn has passed.
        entry.reason = undefined
        entry.attempts = 0
        this.#dead.delete(sequence)
        this.#waiting.set(sequence, entry)
    }
  }

  /** The shortest log that means the same. */
  *records(): Generator<OutboxRecord> {
    const all = [...this.#waiting.values(), ...this.#dead.values()]
    for (const { sequence, head, body, attempts, reason } of all) {
      yield { type: 'entry', sequence, head, body }
      if (attempts > 0) yield { type: 'failed', sequence, attempts }
      if (reason !== undefined) yield { type: 'dead', sequence, reason }
    }
  }
}
