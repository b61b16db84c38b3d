/**
 * Fault injection around any transport of datagrams: loss, reordering, duplication, corruption,
 * latency, bandwidth and partitions, by seed.
 *
 *     const network = chaosDatagrams(udp(), { seed: 7, toxics: [
 *       { type: 'loss', attributes: { probability: 0.1 } },
 *     ] })
 *
 * `upstream` is what a connected socket sends and what a bound one receives; `downstream` the way
 * back. A socket draws by its own seed; all peers of a bound one share its toxics.
 */
import type { Address } from '../../core/address.ts'
import type { ToxicLink } from '../../core/chaos/toxic-link.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type {
  BindOptions,
  DatagramHandler,
  DatagramSocket,
  DatagramTransport,
} from '../../core/datagram-socket.ts'
import { type ChaosOptions, chaosParts } from './chaos-options.ts'

export interface ChaosDatagrams extends DatagramTransport {
  /** Changed at any time; sockets that are open meet the change at once. */
  readonly toxics: ToxicSet
}

export function chaosDatagrams(
  carrier: DatagramTransport,
  options: ChaosOptions = {},
): ChaosDatagrams {
  const { toxics } = chaosParts('datagram', options)
  return {
    name: carrier.name,
    toxics,
    bind: async (address: Address, bindOptions?: BindOptions) =>
      new ChaosSocket(await carrier.bind(address, bindOptions), toxics),
    connect: async (remote: Address, bindOptions?: BindOptions) =>
      new ChaosSocket(await carrier.connect(remote, bindOptions), toxics),
  }
}

class ChaosSocket implements DatagramSocket {
  readonly #carrier: DatagramSocket
  readonly #toxics: ToxicSet
  readonly #in: ToxicLink<Address>
  readonly #out: ToxicLink<Address | undefined>
  #handler: DatagramHandler | undefined
  #paused = false
  /** Came out of a toxic while nobody reads: one, then its link waits. */
  #held: { readonly payload: Uint8Array; readonly from: Address } | undefined
  #dropped = 0
  #closed = false

  constructor(carrier: DatagramSocket, toxics: ToxicSet) {
    this.#carrier = carrier
    this.#toxics = toxics
    const seed = toxics.nextSeed()
    const connected = carrier.remote !== undefined
    const ignored = { end() {}, cut() {}, room() {} }
    this.#out = toxics.createLink(connected ? 'upstream' : 'downstream', seed, {
      ...ignored,
      take: (payload, to) => {
        if (!this.#closed) carrier.send(payload, to)
        return true // what finds no room is lost
      },
    })
    this.#in = toxics.createLink(connected ? 'downstream' : 'upstream', seed, {
      ...ignored,
      take: (payload, from) => {
        if (this.#paused) this.#held = { payload, from }
        else this.#handler?.onDatagram(payload, from)
        return !this.#paused
      },
    })
  }

  get address(): Address {
    return this.#carrier.address
  }
  get remote(): Address | undefined {
    return this.#carrier.remote
  }
  get maxPayloadBytes(): number {
    return this.#carrier.maxPayloadBytes
  }
  /** What toxics lose is not in it: that is the network's. What had no room in one is. */
  get droppedCount(): number {
    return this.#carrier.droppedCount + this.#dropped
  }

  open(handler: DatagramHandler): void {
    this.#carrier.open({
      onDatagram: (payload, from) => {
        if (this.#in.isOpen) handler.onDatagram(payload, from)
        else this.#give(this.#in, payload, from)
      },
      onError: (error) => handler.onError(error),
      onClose: (reason) => {
        this.#shut()
        handler.onClose(reason)
      },
    })
    this.#handler = handler
  }

  send(payload: Uint8Array, to?: Address): boolean {
    // What is refused is refused at once, whatever the network would have done with it.
    if (this.#out.isOpen || this.#closed || !this.#isSendable(payload, to)) {
      return this.#carrier.send(payload, to)
    }
    return this.#give(this.#out, payload, to)
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }

  resume(): void {
    this.#paused = false
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#handler?.onDatagram(held.payload, held.from)
    if (!this.#paused) this.#in.resume()
    if (!this.#paused) this.#carrier.resume()
  }

  close(): Promise<void> {
    this.#shut()
    return this.#carrier.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #give<Tag>(link: ToxicLink<Tag>, payload: Uint8Array, tag: Tag): boolean {
    if (link.full) {
      this.#dropped += 1
      return false
    }
    link.push(payload.slice(), tag)
    return true
  }

  #isSendable(payload: Uint8Array, to: Address | undefined): boolean {
    if (payload.length > this.maxPayloadBytes) return false
    return this.remote === undefined ? to !== undefined : to === undefined
  }

  #shut(): void {
    if (this.#closed) return
    this.#closed = true
    this.#held = undefined
    this.#toxics.forget(this.#in)
    this.#toxics.forget(this.#out)
  }
}
