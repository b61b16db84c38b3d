/**
 * The last header blocks that were nothing but indices, with the fields they mean: most calls of a
 * connection send the same few again. They mean the same as long as the HPACK table has not changed.
 *
 * Blocks with literals are not kept: whoever could try values, and measure the time of a hit, would
 * learn secrets from it.
 */
export class BlockCache {
  readonly #kept: (KnownBlock | undefined)[] = [undefined, undefined, undefined, undefined]

  /**
   * The block is from `start` to `end`. `changes`: of the table, as it is now. The list is shared: it
   * must not be changed.
   */
  find(bytes: Uint8Array, start: number, end: number, changes: number): string[] | undefined {
    const length = end - start
    if (length === 0) return undefined
    const known = this.#kept[(length ^ (bytes[end - 1] as number)) & MASK]
    if (known === undefined || known.changes !== changes) return undefined
    const { block } = known
    if (block.length !== length) return undefined
    for (let at = 0; at < length; at++) if (bytes[start + at] !== block[at]) return undefined
    return known.list
  }

  keep(block: Uint8Array, changes: number, list: string[]): void {
    const { length } = block
    if (length === 0 || length > MAX_BYTES) return
    // The bytes of indices below 127; others are rare.
    for (let at = 0; at < length; at++) if ((block[at] as number) < 0x80) return
    const place = (length ^ (block[length - 1] as number)) & MASK
    this.#kept[place] = { block: block.slice(), list, changes }
  }
}

interface KnownBlock {
  readonly block: Uint8Array
  readonly list: string[]
  readonly changes: number
}

const MASK = 3
const MAX_BYTES = 64
