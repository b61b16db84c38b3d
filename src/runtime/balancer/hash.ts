/**
 * The hash that consistent balancers place endpoints and calls with: MurmurHash3's mixing (Austin
 * Appleby, public domain), one UTF-16 unit at a time. Well spread and quick; no secret is in it, so
 * whoever chooses keys can choose the endpoint as well. Not for signatures, and not the value that
 * other implementations of Murmur3 give for the same text.
 */

/** An unsigned 32-bit number. */
export function hashText(text: string, seed: number = 0): number {
  let hash = seed
  for (let at = 0; at < text.length; at++) {
    let unit = Math.imul(text.charCodeAt(at), 0xcc9e_2d51)
    unit = (unit << 15) | (unit >>> 17)
    hash ^= Math.imul(unit, 0x1b87_3593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe654_6b64) | 0
  }
  return mix(hash ^ text.length)
}

/** Another hash from a hash, as good as unrelated to it. */
export function rehash(hash: number, turn: number): number {
  return mix((hash + Math.imul(turn, 0x9e37_79b9)) | 0)
}

/** A hash as a number in [0, 1). */
export function hashFraction(hash: number): number {
  return hash / 0x1_0000_0000
}

/** Every input bit changes half of the output bits (fmix32). */
function mix(value: number): number {
  let mixed = value
  mixed ^= mixed >>> 16
  mixed = Math.imul(mixed, 0x85eb_ca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2_ae35)
  mixed ^= mixed >>> 16
  return mixed >>> 0
}
