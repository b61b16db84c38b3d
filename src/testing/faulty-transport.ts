/**
 * A transport that fails on purpose: refused connects, resets in the middle of a frame, readers that
 * stall, peers that fall silent. Around any transport; every choice comes from a seed.
 *
 * Bytes are never lost, doubled or changed while a connection lives: that would be a transport that
 * breaks its contract, and no protocol has to survive it.
 */
import type { Address } from '../core/address.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../core/connection.ts'
import { checkRange, TransportError } from '../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../core/transport.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Probabilities from 0 to 1. Everything is off unless asked for. */
export interface FaultPlan {
  /** Of each connect. */
  readonly refuse?: number
  /** Of each connection: that it is reset … */
  readonly reset?: number
  /** … after at most so many bytes in both directions. @default 10_000 */
  readonly resetWithinBytes?: number
  /** Of each chunk: that the reader stalls … */
  readonly stall?: number
  /** … for at most so long. @default 1_000 */
  readonly maxStallMs?: number
  /** Of each connection: that it delivers nothing more, for ever … */
  readonly silence?: number
  /** … after at most so many bytes. @default 10_000 */
  readonly silenceWithinBytes?: number
}

export type FaultListener = (fault: string) => void

export class FaultyTransport implements Transport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #inner: Transport
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #plan: FaultPlan
  readonly #onFault: FaultListener

  constructor(
    inner: Transport,
    clock: Clock,
    random: SeededRandom,
    plan: FaultPlan,
    onFault: FaultListener = () => {},
  ) {
    const { refuse = 0, reset = 0, stall = 0, silence = 0 } = plan
    for (const [name, value] of Object.entries({ refuse, reset, stall, silence })) {
      checkRange(name, value, 0, 1)
    }
    this.name = inner.name
    this.traits = inner.traits
    this.#inner = inner
    this.#clock = clock
    this.#random = random
    this.#plan = plan
    this.#onFault = onFault
  }

  async connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    const { refuse = 0 } = this.#plan
    if (this.#random.chance(refuse)) {
      this.#onFault('connect refused')
      throw new TransportError('ERR_CONNECT_REFUSED', 'simulated', { sent: 'nothing' })
    }
    return this.#wrap(await this.#inner.connect(address, options))
  }

  listen(address: Address, options: ListenOptions): Promise<Listener> {
    const onConnection = (connection: Connection): void => {
      options.onConnection(this.#wrap(connection))
    }
    return this.#inner.listen(address, { ...options, onConnection })
  }

  #wrap(connection: Connection): Connection {
    const random = this.#random.fork()
    return new FaultyConnection(connection, this.#clock, random, this.#plan, this.#onFault)
  }
}

class FaultyConnection implements Connection, ConnectionHandler {
  readonly #inner: Connection
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #stall: number
  readonly #maxStallMs: number
  readonly #onFault: FaultListener
  #handler: ConnectionHandler | undefined
  /** Bytes until it happens; infinite: never. */
  #untilReset: number
  #untilSilence: number
  #paused = false
  #stalled: Timer | undefined
  #silent = false
  #closed = false

  constructor(
    inner: Connection,
    clock: Clock,
    random: SeededRandom,
    plan: FaultPlan,
    onFault: FaultListener,
  ) {
    const { reset = 0, resetWithinBytes = 10_000, stall = 0, maxStallMs = 1_000 } = plan
    const { silence = 0, silenceWithinBytes = 10_000 } = plan
    const within = (chance: number, bytes: number): number =>
      random.chance(chance) ? random.integer(0, bytes) : Number.POSITIVE_INFINITY
    this.#inner = inner
    this.#clock = clock
    this.#random = random
    this.#untilReset = within(reset, resetWithinBytes)
    this.#untilSilence = within(silence, silenceWithinBytes)
    this.#stall = stall
    this.#maxStallMs = maxStallMs
    this.#onFault = onFault
  }

  get id(): number {
    return this.#inner.id
  }
  get facts(): ConnectionFacts {
    return this.#inner.facts
  }
  get writableLength(): number {
    return this.#inner.writableLength
  }

  open(handler: ConnectionHandler): void {
    const before = this.#handler
    this.#handler = handler
    try {
      this.#inner.open(this)
    } catch (error) {
      this.#handler = before
      throw error
    }
  }

  write(chunk: Uint8Array): boolean {
    return this.writeAll([chunk])
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    const whole = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (whole <= this.#untilReset) {
      this.#untilReset -= whole
      return this.#inner.writeAll(chunks)
    }
    // What fits before the reset still leaves: the peer sees a frame cut anywhere.
    for (const chunk of chunks) {
      this.#inner.write(chunk.slice(0, this.#untilReset))
      this.#untilReset -= Math.min(this.#untilReset, chunk.length)
    }
    this.#reset()
    return false
  }

  pause(): void {
    this.#paused = true
    this.#inner.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#stalled === undefined && !this.#silent) this.#inner.resume()
  }

  end(): void {
    this.#inner.end()
  }

  destroy(reason?: Error): void {
    this.#inner.destroy(reason)
  }

  leaseChunk(): ChunkLease {
    return this.#inner.leaseChunk()
  }

  detach(unread?: Uint8Array): void {
    this.#inner.detach(unread)
    this.#handler = undefined
    this.#paused = false
    // A pause ends with its handler, a stall of the network does not.
    if (this.#stalled !== undefined || this.#silent) this.#inner.pause()
  }

  ref(): void {
    this.#inner.ref()
  }

  unref(): void {
    this.#inner.unref()
  }

  onData(chunk: Uint8Array): void {
    const limit = Math.min(this.#untilReset, this.#untilSilence)
    const { length } = chunk
    this.#untilReset -= Math.min(length, this.#untilReset)
    this.#untilSilence -= Math.min(length, this.#untilSilence)
    const part = length > limit ? chunk.subarray(0, limit) : chunk
    if (part.length > 0) this.#handler?.onData(part)
    if (this.#closed || length <= limit) return this.#maybeStall()
    // A byte more than the limit: the rest of this chunk is lost with the connection.
    if (this.#untilReset === 0) this.#reset()
    else this.#fallSilent()
  }

  onDrain(): void {
    if (!this.#silent) this.#handler?.onDrain()
  }

  onEnd(): void {
    this.#handler?.onEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#stalled?.cancel()
    this.#stalled = undefined
    this.#handler?.onClose(reason)
  }

  #reset(): void {
    if (this.#closed) return
    this.#onFault(`connection ${this.facts.role} reset`)
    this.#inner.destroy(new TransportError('ERR_RESET', 'simulated'))
  }

  #fallSilent(): void {
    this.#onFault(`connection ${this.facts.role} fell silent`)
    this.#silent = true
    this.#inner.pause()
  }

  #maybeStall(): void {
    if (this.#closed || this.#silent || this.#stalled !== undefined) return
    if (!this.#random.chance(this.#stall)) return
    const ms = this.#random.integer(1, this.#maxStallMs)
    this.#onFault(`reader ${this.facts.role} stalls for ${ms} ms`)
    this.#inner.pause()
    this.#stalled = this.#clock.setTimer(this.#clock.now() + ms, () => {
      this.#stalled = undefined
      if (!this.#paused && !this.#silent && !this.#closed) this.#inner.resume()
    })
  }
}
