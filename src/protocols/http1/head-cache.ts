/**
 * Response heads that were encoded before. A service says the same again and again (same status,
 * same type, the date of this second), and copying a head as one piece of bytes costs a fraction of
 * writing it field by field.
 *
 * Direct-mapped and small: a head that differs takes the place of the one before. A head is kept
 * only when it came twice in a row, so that heads that never repeat cost two comparisons.
 */
import type { HttpFields } from '../http/fields.ts'

interface Entry {
  status: number
  framing: number
  connection: number
  date: string | undefined
  list: readonly string[]
  /** Everything up to the content length, or the last empty line; undefined: seen once. */
  bytes: Uint8Array | undefined
}

export class HeadCache {
  readonly #entries: (Entry | undefined)[] = new Array(SLOTS).fill(undefined)

  /** The bytes; undefined: encode the head, then `learn` it. */
  find(
    status: number,
    framing: number,
    connection: number,
    date: string | undefined,
    fields: HttpFields,
  ): Uint8Array | undefined {
    const list = fields.list
    if (list === undefined) return undefined
    const entry = this.#entries[slotOf(status, list)]
    if (entry === undefined || !same(entry, status, framing, connection, date, list)) {
      return undefined
    }
    return entry.bytes
  }

  /** A head was encoded in `bytes[start, end)`. */
  learn(
    status: number,
    framing: number,
    connection: number,
    date: string | undefined,
    fields: HttpFields,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const list = fields.list
    if (list === undefined || end - start > MAX_ENTRY_BYTES) return
    const slot = slotOf(status, list)
    const entry = this.#entries[slot]
    if (entry !== undefined && same(entry, status, framing, connection, date, list)) {
      entry.bytes = bytes.slice(start, end)
    } else {
      // The list may be changed by its owner later: it is copied.
      const copy = list.slice()
      this.#entries[slot] = { status, framing, connection, date, list: copy, bytes: undefined }
    }
  }
}

function same(
  entry: Entry,
  status: number,
  framing: number,
  connection: number,
  date: string | undefined,
  list: readonly string[],
): boolean {
  const known = entry.list
  if (entry.status !== status || entry.framing !== framing) return false
  if (entry.connection !== connection || entry.date !== date) return false
  if (known.length !== list.length) return false
  // The same constants are the same object: most comparisons look at no character.
  for (let index = 0; index < list.length; index++) {
    if (known[index] !== list[index]) return false
  }
  return true
}

/** Responses of different kinds differ in status, or in the length of something. */
function slotOf(status: number, list: readonly string[]): number {
  let hash = status
  for (let index = 0; index < list.length; index++) hash = hash * 5 + (list[index] as string).length
  return hash & (SLOTS - 1)
}

const SLOTS = 32
/** Longer heads are rare, and most of what they say differs each time. */
const MAX_ENTRY_BYTES = 1_024
