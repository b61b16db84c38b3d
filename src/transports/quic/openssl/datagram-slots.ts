/**
 * Memory for one batch of datagrams: payloads, BIO_MSGs and addresses, at fixed places.
 */
export class DatagramSlots {
  readonly slab: Uint8Array = new Uint8Array(new ArrayBuffer(SLOTS * SLOT_BYTES))
  readonly slabAt: number
  readonly addresses: Uint8Array = new Uint8Array(new ArrayBuffer(SLOTS * ADDRESS_BYTES))
  readonly addressesAt: number
  readonly messagesAt: number
  filled = 0
  readonly #messages: BigUint64Array
  readonly #messages32: Uint32Array

  constructor(addressOf: (view: ArrayBufferView) => number) {
    const memory = new ArrayBuffer(SLOTS * MESSAGE_BYTES)
    this.#messages = new BigUint64Array(memory)
    this.#messages32 = new Uint32Array(memory)
    this.slabAt = addressOf(this.slab)
    this.addressesAt = addressOf(this.addresses)
    this.messagesAt = addressOf(this.#messages)
    // BIO_MSG: data, length, peer, local, flags; 8 bytes each.
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#messages[slot * 5] = BigInt(this.slabAt + slot * SLOT_BYTES)
      this.#messages[slot * 5 + 1] = BigInt(SLOT_BYTES)
      this.#messages[slot * 5 + 3] = BigInt(this.addressesAt + slot * ADDRESS_BYTES)
    }
  }

  /** The lengths hold what was read: put back what there is room for. */
  reset(): void {
    for (let slot = 0; slot < this.filled; slot++) this.#messages32[slot * 10 + 2] = SLOT_BYTES
  }

  length(slot: number): number {
    return this.#messages32[slot * 10 + 2] as number
  }

  payload(slot: number): Uint8Array {
    const from = slot * SLOT_BYTES
    return this.slab.subarray(from, from + this.length(slot))
  }
}

export const SLOTS = 64
/** OpenSSL makes datagrams of at most 1,452 bytes. */
export const SLOT_BYTES = 2_048
/** BIO_ADDR is a union of socket addresses; the longest has 110 bytes. */
export const ADDRESS_BYTES = 128
/** BIO_MSG. */
export const MESSAGE_BYTES = 40
