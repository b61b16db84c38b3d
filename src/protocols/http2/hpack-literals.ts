/**
 * Text that was decoded before, found by the bytes it was decoded from: a path or an identifier that
 * comes again without being in the dynamic table is neither decoded nor made again.
 *
 * Direct-mapped and small, one for each decoder: what one connection sent is no secret for itself.
 * Nothing is made before the first literal, and a text that differs takes the place of the one before.
 */

export class LiteralCache {
  /** The encoded bytes of slot n from n × MAX_LITERAL_BYTES on. */
  #bytes: Uint8Array | undefined
  /** Length of each, negative for Huffman; 0: none. */
  readonly #lengths: number[] = []
  readonly #texts: string[] = []

  /** The text of `bytes[start, end)`, which are not empty. */
  find(bytes: Uint8Array, start: number, end: number, huffman: boolean): string | undefined {
    const kept = this.#bytes
    const length = end - start
    if (kept === undefined || length > MAX_LITERAL_BYTES) return undefined
    const slot = slotOf(bytes, start, end)
    if (this.#lengths[slot] !== (huffman ? -length : length)) return undefined
    let at = slot * MAX_LITERAL_BYTES
    // From the end, where paths and identifiers differ first.
    at += length
    for (let index = end - 1; index >= start; index--) {
      if (bytes[index] !== kept[--at]) return undefined
    }
    return this.#texts[slot]
  }

  /** `text` was decoded from `bytes[start, end)`, which `find` did not know. */
  learn(bytes: Uint8Array, start: number, end: number, huffman: boolean, text: string): void {
    const length = end - start
    if (length > MAX_LITERAL_BYTES) return
    this.#bytes ??= this.#make()
    const kept = this.#bytes
    const slot = slotOf(bytes, start, end)
    let at = slot * MAX_LITERAL_BYTES
    for (let index = start; index < end; index++) kept[at++] = bytes[index] as number
    this.#lengths[slot] = huffman ? -length : length
    this.#texts[slot] = text
  }

  #make(): Uint8Array {
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#lengths.push(0)
      this.#texts.push('')
    }
    return new Uint8Array(SLOTS * MAX_LITERAL_BYTES)
  }
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start
  // The last bytes say most; the first ones tell the few names apart.
  const from = Math.max(start, end - SAMPLE)
  for (let index = from; index < end; index++) hash = (hash * 31 + (bytes[index] as number)) | 0
  hash = (hash * 31 + (bytes[start] as number)) | 0
  return (hash ^ (hash >>> 7)) & (SLOTS - 1)
}

const SLOTS = 32
/** 2 KiB for a connection. Longer text hardly comes twice. */
const MAX_LITERAL_BYTES = 64
const SAMPLE = 6
