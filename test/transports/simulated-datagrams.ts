/**
 * A network of datagrams for tests: loss, duplicates, delays and reordering, by seed.
 *
 *     const datagrams = simulatedDatagrams({ lossRate: 0.05, random: seededRandom(1) })
 *     const socket = await datagrams.bind(memory('server'))
 *
 * A datagram arrives in a turn of its own, after `minDelayMs` to `maxDelayMs`; different delays
 * change the order. A socket that is not open yet keeps a bounded number. Sending to nobody is told
 * the sender by `onError`, as ICMP does.
 */
import { type Address, formatAddress } from '../../src/core/address.ts'
import type { Clock, Random } from '../../src/core/clock.ts'
import type {
  BindOptions,
  DatagramHandler,
  DatagramSocket,
  DatagramTransport,
} from '../../src/core/datagram-socket.ts'
import { checkInteger, checkRange, TransportError, UsageError } from '../../src/core/errors.ts'
import { afterInput } from '../../src/platform/process-access.ts'
import { systemClock } from '../../src/platform/system-clock.ts'

export interface SimulatedDatagramsOptions {
  /** Share of datagrams that is lost. @default 0 */
  lossRate?: number
  /** Share that arrives twice. @default 0 */
  duplicateRate?: number
  /** @default 0 */
  minDelayMs?: number
  /** @default 0 */
  maxDelayMs?: number
  /** Chance for all of it; needed when any of them is not 0. */
  random?: Random
  /** Largest payload. @default 65_507, as UDP over IPv4 */
  maxPayloadBytes?: number
  /** Datagrams that wait for a socket that is paused or not open; more are lost. @default 4_096 */
  maxQueuedDatagrams?: number
  /** @default the system clock */
  clock?: Clock
}

export const simulatedDatagramsDefaults: Readonly<
  Required<Pick<SimulatedDatagramsOptions, 'maxPayloadBytes' | 'maxQueuedDatagrams'>>
> = Object.freeze({
  maxPayloadBytes: 65_507,
  maxQueuedDatagrams: 4_096, // five megabytes of QUIC: more than any window keeps on its way
})

/** A network of its own for every call. */
export function simulatedDatagrams(options: SimulatedDatagramsOptions = {}): SimulatedDatagrams {
  return new SimulatedDatagrams(options)
}

export class SimulatedDatagrams implements DatagramTransport {
  readonly name = 'simulated'
  readonly settings: Required<Omit<SimulatedDatagramsOptions, 'random'>> & { random: Random }
  readonly #sockets = new Map<string, SimulatedSocket>()
  #lastName = 0
  /** Datagrams that were lost on purpose. */
  lostCount = 0

  constructor(options: SimulatedDatagramsOptions) {
    const {
      lossRate = 0,
      duplicateRate = 0,
      minDelayMs = 0,
      maxDelayMs = minDelayMs,
      random,
      maxPayloadBytes = simulatedDatagramsDefaults.maxPayloadBytes,
      maxQueuedDatagrams = simulatedDatagramsDefaults.maxQueuedDatagrams,
      clock = systemClock,
    } = options
    const chance = lossRate > 0 || duplicateRate > 0 || maxDelayMs > minDelayMs
    if (chance && random === undefined) {
      throw new UsageError('ERR_ARGUMENT', 'loss, duplicates and different delays need `random`')
    }
    this.settings = {
      lossRate: checkRange('lossRate', lossRate, 0, 1),
      duplicateRate: checkRange('duplicateRate', duplicateRate, 0, 1),
      minDelayMs: checkRange('minDelayMs', minDelayMs, 0, 60_000),
      maxDelayMs: checkRange('maxDelayMs', maxDelayMs, minDelayMs, 60_000),
      random: random ?? (() => 0),
      maxPayloadBytes: checkInteger('maxPayloadBytes', maxPayloadBytes, 1, 65_507),
      maxQueuedDatagrams: checkInteger('maxQueuedDatagrams', maxQueuedDatagrams, 0, 1_000_000),
      clock,
    }
  }

  get socketCount(): number {
    return this.#sockets.size
  }

  async bind(address: Address, options: BindOptions = {}): Promise<DatagramSocket> {
    options.signal?.throwIfAborted()
    return this.#add(address, undefined)
  }

  async connect(remote: Address, options: BindOptions = {}): Promise<DatagramSocket> {
    options.signal?.throwIfAborted()
    return this.#add({ kind: 'memory', name: '0' }, remote)
  }

  find(address: Address): SimulatedSocket | undefined {
    return this.#sockets.get(formatAddress(address))
  }

  remove(socket: SimulatedSocket): void {
    this.#sockets.delete(formatAddress(socket.address))
  }

  #add(address: Address, remote: Address | undefined): SimulatedSocket {
    const named = this.#name(address)
    const key = formatAddress(named)
    if (this.#sockets.has(key)) {
      throw new TransportError('ERR_ADDRESS_IN_USE', `${key} is in use by another socket`)
    }
    const socket = new SimulatedSocket(this, named, remote)
    this.#sockets.set(key, socket)
    return socket
  }

  #name(address: Address): Address {
    if (address.kind === 'memory' && address.name === '0') {
      this.#lastName += 1
      return { kind: 'memory', name: `datagrams-${this.#lastName}` }
    }
    if (address.kind === 'ip' && address.port === 0) {
      this.#lastName += 1
      return { kind: 'ip', host: address.host, port: 32_768 + (this.#lastName % 32_768) }
    }
    return address
  }
}

class SimulatedSocket implements DatagramSocket {
  readonly address: Address
  readonly remote: Address | undefined
  readonly #network: SimulatedDatagrams
  readonly #queue: { readonly payload: Uint8Array; readonly from: Address }[] = []
  #handler: DatagramHandler | undefined
  #paused = false
  #closed = false
  #scheduled = false
  droppedCount = 0

  constructor(network: SimulatedDatagrams, address: Address, remote: Address | undefined) {
    this.#network = network
    this.address = address
    this.remote = remote
  }

  get maxPayloadBytes(): number {
    return this.#network.settings.maxPayloadBytes
  }

  open(handler: DatagramHandler): void {
    if (this.#handler !== undefined || this.#closed) {
      throw new UsageError('ERR_ALREADY_OPEN', `${formatAddress(this.address)} is already open`)
    }
    this.#handler = handler
    this.#schedule()
  }

  send(payload: Uint8Array, to: Address | undefined = this.remote): boolean {
    if (to === undefined) throw new UsageError('ERR_ARGUMENT', 'send needs an address')
    const { settings } = this.#network
    if (this.#closed || payload.length > settings.maxPayloadBytes) {
      this.droppedCount += 1
      return false
    }
    if (settings.lossRate > 0 && settings.random() < settings.lossRate) {
      this.#network.lostCount += 1
      return true
    }
    const twice = settings.duplicateRate > 0 && settings.random() < settings.duplicateRate
    for (let copies = twice ? 2 : 1; copies > 0; copies--) this.#launch(payload.slice(), to)
    return true
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#network.remove(this)
    this.#queue.length = 0
    const handler = this.#handler
    if (handler !== undefined) this.#network.settings.clock.defer(() => handler.onClose(undefined))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** From another socket, after its delay. */
  arrive(payload: Uint8Array, from: Address): void {
    if (this.#closed) return
    if (this.#queue.length >= this.#network.settings.maxQueuedDatagrams) {
      this.droppedCount += 1
      return
    }
    this.#queue.push({ payload, from })
    this.#schedule()
  }

  #launch(payload: Uint8Array, to: Address): void {
    const { clock, minDelayMs, maxDelayMs, random } = this.#network.settings
    const land = () => {
      const target = this.#network.find(to)
      if (target !== undefined) target.arrive(payload, this.address)
      else if (!this.#closed) this.#handler?.onError(nobody(to))
    }
    if (maxDelayMs === 0) return clock.defer(land)
    clock.setTimer(clock.now() + minDelayMs + random() * (maxDelayMs - minDelayMs), land)
  }

  /** In a turn of the loop of its own, as what comes from a kernel. */
  #schedule(): void {
    if (this.#scheduled || this.#handler === undefined || this.#paused) return
    if (this.#queue.length === 0) return
    this.#scheduled = true
    afterInput(() => {
      this.#scheduled = false
      const batch = this.#queue.splice(0)
      for (const { payload, from } of batch) {
        if (this.#closed) return
        this.#handler?.onDatagram(payload, from)
      }
    })
  }
}

function nobody(remote: Address): TransportError {
  const message = `${formatAddress(remote)}: nobody is there`
  return new TransportError('ERR_CONNECT_REFUSED', message, { sent: 'nothing', detail: { remote } })
}
