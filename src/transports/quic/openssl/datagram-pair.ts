/**
 * How datagrams leave OpenSSL: a pair of BIOs. It owns one half and writes datagrams into it; we
 * read them from the other, up to 64 at a time, each with the address it is for.
 *
 *     OpenSSL ── bio ══ net ──► slots ──► carrier
 *     OpenSSL ◄── SSL_inject_net_dgram ── carrier
 *
 * Sockets stay ours this way. Given a socket, OpenSSL would take the first ENETUNREACH or EPERM of
 * any peer as the end of the whole endpoint, and nobody could learn where a connection comes from.
 *
 * The slots belong to the thread: a batch is read and sent before anything else runs.
 */

import { type DatagramSlots, MESSAGE_BYTES, SLOTS } from './datagram-slots.ts'
import { DGRAM_CAPS_ALL, DGRAM_SET_CAPS, DGRAM_SET_LOCAL_ADDR_ENABLE } from './functions.ts'
import type { Openssl } from './openssl.ts'

export class DatagramPair {
  readonly #openssl: Openssl
  readonly slots: DatagramSlots
  /** Owned by the SSL object that it is given to. */
  readonly bio: number
  #net: number

  constructor(openssl: Openssl) {
    this.#openssl = openssl
    this.slots = openssl.slots
    const { f, at } = openssl
    const made = f.BIO_new_bio_dgram_pair(at, OUTGOING_BYTES, at + 8, UNUSED_BYTES)
    openssl.must(made, 'BIO_new_bio_dgram_pair')
    this.bio = Number(openssl.scratch64[0])
    this.#net = Number(openssl.scratch64[1])
    f.BIO_ctrl(this.bio, DGRAM_SET_CAPS, DGRAM_CAPS_ALL, 0)
    f.BIO_ctrl(this.#net, DGRAM_SET_CAPS, DGRAM_CAPS_ALL, 0)
    // Whoever reads a pair finds the destination as the local address.
    const enabled = f.BIO_ctrl(this.#net, DGRAM_SET_LOCAL_ADDR_ENABLE, 1, 0)
    openssl.must(enabled > 0 ? 1 : 0, 'addresses of a datagram pair')
  }

  /** Reads a batch into the slots. @returns how many; 0: none is left */
  read(): number {
    const { f, at, scratch32 } = this.#openssl
    const { slots } = this
    slots.reset()
    slots.filled = 0
    if (this.#net === 0) return 0
    if (f.BIO_recvmmsg(this.#net, slots.messagesAt, MESSAGE_BYTES, SLOTS, 0, at) !== 1) {
      f.ERR_clear_error()
      return 0
    }
    slots.filled = scratch32[0] as number
    return slots.filled
  }

  /** The last batch was full. Asking once more for nothing would cost an error of OpenSSL. */
  get mayHaveMore(): boolean {
    return this.slots.filled === SLOTS
  }

  /** Frees our half. The other goes with its SSL object. */
  free(): void {
    if (this.#net === 0) return
    this.#openssl.f.BIO_free(this.#net)
    this.#net = 0
  }
}

/** What one pass may produce; more is kept by OpenSSL for the next. */
const OUTGOING_BYTES = 2 * 1024 * 1024
/** The least that OpenSSL takes: nothing goes this way. */
const UNUSED_BYTES = 16_384
