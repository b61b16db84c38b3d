/**
 * The last response heads and trailers that were nothing but indices, as they were written: most
 * answers of a connection have the same few fields again. They mean the same as long as the HPACK table has not
 * changed.
 *
 * What holds a literal is not kept: it is new, or a secret that goes into no table either.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'

interface KnownHead {
  readonly status: number
  /** Name, value, name, value … as given. */
  readonly list: readonly string[]
  readonly length: number | undefined
  readonly date: string | undefined
  readonly block: Uint8Array
  /** Of the table, when it was written. */
  readonly changes: number
}

export class HeadCache {
  readonly #heads: (KnownHead | undefined)[] = [undefined, undefined, undefined, undefined]

  /**
   * `changes`: of the table, as it is now. There must be room.
   *
   * @returns whether it was known, and is written
   */
  write(
    out: ByteWriter,
    status: number,
    list: readonly string[],
    length: number | undefined,
    date: string | undefined,
    changes: number,
  ): boolean {
    const head = this.#heads[placeOf(status, list)]
    if (head === undefined || head.changes !== changes) return false
    if (head.status !== status || head.length !== length || head.date !== date) return false
    if (!isSame(head.list, list)) return false
    const { block } = head
    const { bytes } = out
    let to = out.length
    for (let at = 0; at < block.length; at++) bytes[to++] = block[at] as number
    out.length = to
    return true
  }

  /** What was written for it stands from `start` on, and has not changed the table. */
  keep(
    out: ByteWriter,
    start: number,
    status: number,
    list: readonly string[],
    length: number | undefined,
    date: string | undefined,
    changes: number,
  ): void {
    const { bytes } = out
    const end = out.length
    if (end - start > MAX_BYTES) return
    for (let at = start; at < end; at++) if ((bytes[at] as number) < FIRST_INDEX) return
    const block = bytes.slice(start, end)
    // The list is the caller's, who may change it.
    const kept = list.slice()
    this.#heads[placeOf(status, list)] = { status, list: kept, length, date, block, changes }
  }
}

function placeOf(status: number, list: readonly string[]): number {
  return (status + (list.length >>> 1)) & MASK
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  const { length } = a
  if (length !== b.length) return false
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return false
  return true
}

const MASK = 3
const MAX_BYTES = 32
/** Of a block: the field at an index. Those that need a second byte are rare. */
const FIRST_INDEX = 0x80
