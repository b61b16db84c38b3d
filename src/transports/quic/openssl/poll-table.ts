/**
 * What one `SSL_poll` asks about: an array of SSL_POLL_ITEM in memory that OpenSSL reads and writes.
 *
 *     item (32 bytes): u32 type = 2, u32, SSL *, u64 events, u64 returned events
 *
 * Each object has one slot while it wants something. A freed object must leave the table first:
 * OpenSSL would follow its pointer.
 */
import { EVENT_FAILURE } from './functions.ts'
import type { Openssl } from './openssl.ts'

export interface Polled {
  /** Its place in the table; -1 outside. Only the table writes it. */
  slot: number
  /** The SSL object; 0 once it is free. */
  readonly ssl: number
  onEvents(events: number): void
}

export class PollTable {
  readonly #openssl: Openssl
  #memory!: Uint8Array
  #items32!: Uint32Array
  #items64!: BigUint64Array
  #at = 0
  #capacity = 0
  readonly #objects: (Polled | undefined)[] = []
  #count = 0
  readonly #hit: Polled[] = []
  readonly #hitEvents: number[] = []

  constructor(openssl: Openssl) {
    this.#openssl = openssl
    this.#grow(INITIAL_ITEMS)
  }

  get size(): number {
    return this.#count
  }

  /** Asks for these events of an object; 0: for none. */
  want(object: Polled, events: number): void {
    if (events === 0) return this.remove(object)
    if (object.ssl === 0) return
    if (object.slot < 0) this.#add(object)
    this.#items32[object.slot * 8 + 4] = events
  }

  remove(object: Polled): void {
    const { slot } = object
    if (slot < 0) return
    this.#count -= 1
    const last = this.#count
    if (slot !== last) {
      this.#memory.copyWithin(slot * ITEM_BYTES, last * ITEM_BYTES, (last + 1) * ITEM_BYTES)
      const moved = this.#objects[last] as Polled
      this.#objects[slot] = moved
      moved.slot = slot
    }
    this.#objects[last] = undefined
    object.slot = -1
  }

  /** Asks without waiting, then tells every object that has something. */
  dispatch(): void {
    if (this.#count === 0) return
    const { f, at, scratch32, scratch64 } = this.#openssl
    scratch64[TIMEOUT_AT / 8] = 0n
    scratch64[TIMEOUT_AT / 8 + 1] = 0n
    const timeout = at + TIMEOUT_AT
    const asked = f.SSL_poll(this.#at, this.#count, ITEM_BYTES, timeout, NO_HANDLE_EVENTS, at)
    // An item of its own fails with EVENT_FAILURE; the call does when one did.
    if (asked !== 1) f.ERR_clear_error()
    let left = asked === 1 ? (scratch32[0] as number) : this.#count
    // What is told may add, remove and move items: note first, tell afterwards.
    const hit = this.#hit
    const hitEvents = this.#hitEvents
    for (let slot = 0; slot < this.#count && left > 0; slot++) {
      const events = this.#items32[slot * 8 + 6] as number
      if (events === 0) continue
      left -= 1
      hit.push(this.#objects[slot] as Polled)
      hitEvents.push(events)
    }
    try {
      for (let index = 0; index < hit.length; index++) {
        const object = hit[index] as Polled
        if (object.slot >= 0 && object.ssl !== 0) object.onEvents(hitEvents[index] as number)
      }
    } finally {
      hit.length = 0
      hitEvents.length = 0
    }
  }

  #add(object: Polled): void {
    if (this.#count === this.#capacity) this.#grow(this.#capacity * 2)
    object.slot = this.#count
    this.#objects[this.#count] = object
    this.#count += 1
    const word = object.slot * 8
    this.#items32[word] = ITEM_TYPE_SSL
    this.#items32[word + 1] = 0
    this.#items64[object.slot * 4 + 1] = BigInt(object.ssl)
    this.#items32.fill(0, word + 4, word + 8)
  }

  #grow(capacity: number): void {
    const memory = new Uint8Array(new ArrayBuffer(capacity * ITEM_BYTES))
    if (this.#capacity > 0) memory.set(this.#memory)
    this.#memory = memory
    this.#items32 = new Uint32Array(memory.buffer)
    this.#items64 = new BigUint64Array(memory.buffer)
    this.#at = this.#openssl.addressOf(memory)
    this.#capacity = capacity
  }
}

/** Whether an object cannot be asked any more: its connection broke, or polling it is a mistake. */
export function hasFailed(events: number): boolean {
  return (events & EVENT_FAILURE) !== 0
}

const INITIAL_ITEMS = 64
const ITEM_BYTES = 32
const ITEM_TYPE_SSL = 2
const NO_HANDLE_EVENTS = 1
/** In the scratch page: a timeval of 0. */
const TIMEOUT_AT = 320
