/**
 * A bad network around any datagram transport: loses, doubles and delays, by an injected `random`.
 * What is delayed unequally arrives in another order. Nothing is changed: checksums are below.
 *
 *     const transport = new FaultyDatagramTransport(memoryDatagrams({ clock }), {
 *       clock, random, loss: 0.2, duplication: 0.1, maxDelayMs: 50,
 *     })
 */
import type { Address } from '../core/address.ts'
import type { Clock, Random } from '../core/clock.ts'
import type {
  BindOptions,
  DatagramHandler,
  DatagramSocket,
  DatagramTransport,
} from '../core/datagram-socket.ts'
import { checkInteger, checkRange } from '../core/errors.ts'

export interface FaultyDatagramOptions {
  clock: Clock
  random: Random
  /** Share of datagrams that are lost, 0 to 1. @default 0 */
  loss?: number
  /** Share of datagrams that arrive twice. @default 0 */
  duplication?: number
  /** Time on the way, in milliseconds: random between the two. @default 0 */
  minDelayMs?: number
  maxDelayMs?: number
  /** Datagrams that may be on their way; the rest is lost. @default 10_000 */
  maxUnderWay?: number
}

export class FaultyDatagramTransport implements DatagramTransport {
  readonly name: string
  readonly #inner: DatagramTransport
  readonly #faults: Faults

  constructor(inner: DatagramTransport, options: FaultyDatagramOptions) {
    const { clock, random, loss = 0, duplication = 0, minDelayMs = 0 } = options
    const { maxDelayMs = minDelayMs, maxUnderWay = 10_000 } = options
    this.name = inner.name
    this.#inner = inner
    this.#faults = {
      clock,
      random,
      loss: checkRange('loss', loss, 0, 1),
      duplication: checkRange('duplication', duplication, 0, 1),
      minDelayMs: checkRange('minDelayMs', minDelayMs, 0, 3_600_000),
      maxDelayMs: checkRange('maxDelayMs', maxDelayMs, minDelayMs, 3_600_000),
      maxUnderWay: checkInteger('maxUnderWay', maxUnderWay, 0, 1_000_000),
      underWay: 0,
      lost: 0,
      doubled: 0,
    }
  }

  /** Datagrams that were lost and doubled on purpose so far. */
  get lostCount(): number {
    return this.#faults.lost
  }
  get doubledCount(): number {
    return this.#faults.doubled
  }

  async bind(address: Address, options?: BindOptions): Promise<DatagramSocket> {
    return new FaultySocket(await this.#inner.bind(address, options), this.#faults)
  }

  async connect(remote: Address, options?: BindOptions): Promise<DatagramSocket> {
    return new FaultySocket(await this.#inner.connect(remote, options), this.#faults)
  }
}

class FaultySocket implements DatagramSocket {
  readonly #inner: DatagramSocket
  readonly #faults: Faults
  #closed = false

  constructor(inner: DatagramSocket, faults: Faults) {
    this.#inner = inner
    this.#faults = faults
  }

  get address(): Address {
    return this.#inner.address
  }
  get remote(): Address | undefined {
    return this.#inner.remote
  }
  get maxPayloadBytes(): number {
    return this.#inner.maxPayloadBytes
  }
  get droppedCount(): number {
    return this.#inner.droppedCount
  }

  open(handler: DatagramHandler): void {
    this.#inner.open(handler)
  }

  send(payload: Uint8Array, to?: Address): boolean {
    const faults = this.#faults
    // What is refused is refused at once, whatever the network would have done with it.
    if (this.#closed || payload.length > this.maxPayloadBytes) return this.#inner.send(payload, to)
    if (faults.random() < faults.loss || faults.underWay >= faults.maxUnderWay) {
      faults.lost += 1
      return true
    }
    const isDoubled = faults.random() < faults.duplication
    if (isDoubled) faults.doubled += 1
    if (faults.maxDelayMs === 0) {
      const sent = this.#inner.send(payload, to)
      return isDoubled ? this.#inner.send(payload, to) && sent : sent
    }
    const copy = payload.slice() // the sender may reuse its memory at once
    for (let copies = isDoubled ? 2 : 1; copies > 0; copies--) this.#sendLater(copy, to)
    return true
  }

  pause(): void {
    this.#inner.pause()
  }
  resume(): void {
    this.#inner.resume()
  }
  close(): Promise<void> {
    this.#closed = true
    return this.#inner.close()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #sendLater(payload: Uint8Array, to: Address | undefined): void {
    const faults = this.#faults
    const { clock, minDelayMs, maxDelayMs, random } = faults
    faults.underWay += 1
    clock.setTimer(clock.now() + minDelayMs + (maxDelayMs - minDelayMs) * random(), () => {
      faults.underWay -= 1
      if (!this.#closed) this.#inner.send(payload, to)
    })
  }
}

interface Faults {
  readonly clock: Clock
  readonly random: Random
  readonly loss: number
  readonly duplication: number
  readonly minDelayMs: number
  readonly maxDelayMs: number
  readonly maxUnderWay: number
  underWay: number
  lost: number
  doubled: number
}
