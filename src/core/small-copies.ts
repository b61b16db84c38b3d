/**
 * Copies of small pieces, to keep: cut from a block that many share, as Node's `Buffer` does it. An
 * ArrayBuffer of its own for each costs more than everything else of a short call together. A piece
 * that is kept holds its block, so only pieces that are small against it are cut from it.
 */
export function copyToKeep(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const count = end - start
  if (count > MAX_SMALL) return bytes.slice(start, end)
  if (count === 0) return EMPTY
  if (BLOCK_BYTES - used < count) {
    block = new Uint8Array(BLOCK_BYTES)
    used = 0
  }
  const at = used
  if (count <= SHORT)
    for (let index = 0; index < count; index++) block[at + index] = bytes[start + index] as number
  else block.set(bytes.subarray(start, end), at)
  // The next one begins at a word.
  used = at + ((count + 7) & ~7)
  return block.subarray(at, at + count)
}

const BLOCK_BYTES = 8_192
const MAX_SMALL = 1_024
/** Up to here a loop beats a view and a native call. */
const SHORT = 96
const EMPTY = new Uint8Array(0)
let block = new Uint8Array(BLOCK_BYTES)
let used = 0
