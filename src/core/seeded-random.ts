/**
 * Randomness that can be replayed: the same seed gives the same run.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32: small, fast,
 * and good enough that no test sees a pattern. Not for secrets.
 */
import type { Random } from './clock.ts'
import { UsageError } from './errors.ts'

export class SeededRandom {
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** @param seed any whole number; its low 32 bits count */
  constructor(seed: number) {
    if (!Number.isInteger(seed)) {
      throw new UsageError('ERR_ARGUMENT', `seed is ${seed}, must be a whole number`)
    }
    this.seed = seed
    const mix = splitMix32(seed)
    this.#a = mix()
    this.#b = mix()
    this.#c = mix()
    for (let round = 0; round < WARM_UP; round++) this.uint32()
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** In [0, 1): the shape of `Random`. Bound, so that it can be handed on. */
  readonly next: Random = () => this.uint32() / TWO_TO_32

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor((this.uint32() / TWO_TO_32) * (max - min + 1))
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new UsageError('ERR_ARGUMENT', 'nothing to pick from')
    return items[this.integer(0, items.length - 1)] as Item
  }

  /** A new array, in another order. */
  shuffle<Item>(items: readonly Item[]): Item[] {
    const shuffled = items.slice()
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.integer(0, last)
      const kept = shuffled[last] as Item
      shuffled[last] = shuffled[other] as Item
      shuffled[other] = kept
    }
    return shuffled
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at++) bytes[at] = this.uint32() >>> 24
    return bytes
  }

  /** Cuts bytes into chunks of 1 to `maxBytes`; views, nothing is copied. */
  split(bytes: Uint8Array, maxBytes: number = bytes.length): Uint8Array[] {
    const chunks: Uint8Array[] = []
    let at = 0
    while (at < bytes.length) {
      const length = this.integer(1, Math.max(1, Math.min(maxBytes, bytes.length - at)))
      chunks.push(bytes.subarray(at, at + length))
      at += length
    }
    return chunks
  }

  /** An independent generator, so that one consumer more does not change what another sees. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32())
  }
}

/** The plain function, where only a `Random` is wanted. */
export function seededRandom(seed: number): Random {
  return new SeededRandom(seed).next
}

function splitMix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e37_79b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0_aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a_2d97)
    return mixed ^ (mixed >>> 15)
  }
}

const WARM_UP = 12
const TWO_TO_32 = 0x1_0000_0000
