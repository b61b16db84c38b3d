/**
 * Masking keys (RFC 6455 5.3), unpredictable: nobody may choose what stands on the wire. They are
 * taken from a stock, because asking for four bytes costs as much as asking for a thousand.
 */
export class MaskKeys {
  readonly #randomBytes: (into: Uint8Array) => void
  #keys: Int32Array = NONE
  #next = 0

  constructor(randomBytes: (into: Uint8Array) => void) {
    this.#randomBytes = randomBytes
  }

  /** As a little-endian word. */
  next(): number {
    if (this.#next === this.#keys.length) {
      if (this.#keys === NONE) this.#keys = new Int32Array(STOCK)
      this.#randomBytes(new Uint8Array(this.#keys.buffer))
      this.#next = 0
    }
    return this.#keys[this.#next++] as number
  }
}

const NONE = new Int32Array(0)
/** 1 KiB; a connection that sends nothing holds none. */
const STOCK = 256
