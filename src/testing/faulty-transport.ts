/**
 * A transport that fails on purpose: refused connects, resets in the middle of a frame, readers that
 * stall, peers that fall silent. Around any transport; every choice comes from a seed, or is made by
 * whoever calls `resetAll`, `stallAll` and `silenceAll`, or changes the `plan`.
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
  readonly #onFault: FaultListener
  readonly #connections = new Set<FaultyConnection>()
  #plan: FaultPlan

  constructor(
    inner: Transport,
    clock: Clock,
    random: SeededRandom,
    plan: FaultPlan,
    onFault: FaultListener = () => {},
  ) {
    this.name = inner.name
    this.traits = inner.traits
    this.#inner = inner
    this.#clock = clock
    this.#random = random
    this.#plan = checkPlan(plan)
    this.#onFault = onFault
  }

  /** What new connections meet from now on; of those that are open only the chance of a stall. */
  get plan(): FaultPlan {
    return this.#plan
  }

  set plan(plan: FaultPlan) {
    this.#plan = checkPlan(plan)
  }

  /** Connections in use now: neither closed, nor ended or destroyed by this side. */
  get connections(): number {
    let count = 0
    for (const connection of this.#connections) if (!connection.ended) count++
    return count
  }

  /** Open connections that are stalled, silent, or about to be reset. */
  get impaired(): number {
    let count = 0
    for (const connection of this.#connections) if (connection.impaired) count++
    return count
  }

  /** Resets each connection that is open now, after at most so many more bytes. */
  resetAll(withinBytes: number): void {
    for (const connection of [...this.#connections]) connection.resetWithin(withinBytes)
  }

  /** The reader of each connection that is open now stalls for at most so long. */
  stallAll(maxMs: number): void {
    for (const connection of [...this.#connections]) connection.stall(maxMs)
  }

  /** Each connection that is open now delivers nothing more. */
  silenceAll(): void {
    for (const connection of [...this.#connections]) connection.fallSilent()
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
    const faulty = new FaultyConnection(
      connection,
      this.#clock,
      random,
      () => this.#plan,
      this.#onFault,
      () => this.#connections.delete(faulty),
    )
    this.#connections.add(faulty)
    return faulty
  }
}

function checkPlan(plan: FaultPlan): FaultPlan {
  const { refuse = 0, reset = 0, stall = 0, silence = 0 } = plan
  for (const [name, value] of Object.entries({ refuse, reset, stall, silence })) {
    checkRange(name, value, 0, 1)
  }
  return plan
}

class FaultyConnection implements Connection, ConnectionHandler {
  readonly #inner: Connection
  readonly #clock: Clock
  readonly #random: SeededRandom
  /** Stalls are decided chunk by chunk, by the plan of that moment. */
  readonly #plan: () => FaultPlan
  readonly #onFault: FaultListener
  readonly #onGone: () => void
  /** This side sends no more. */
  ended = false
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
    plan: () => FaultPlan,
    onFault: FaultListener,
    onGone: () => void,
  ) {
    const { reset = 0, resetWithinBytes = 10_000 } = plan()
    const { silence = 0, silenceWithinBytes = 10_000 } = plan()
    const within = (chance: number, bytes: number): number =>
      random.chance(chance) ? random.integer(0, bytes) : Number.POSITIVE_INFINITY
    this.#inner = inner
    this.#clock = clock
    this.#random = random
    this.#untilReset = within(reset, resetWithinBytes)
    this.#untilSilence = within(silence, silenceWithinBytes)
    this.#plan = plan
    this.#onFault = onFault
    this.#onGone = onGone
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

  get impaired(): boolean {
    if (this.#silent || this.#stalled !== undefined) return true
    return Math.min(this.#untilReset, this.#untilSilence) < Number.POSITIVE_INFINITY
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
    this.ended = true
    this.#inner.end()
  }

  destroy(reason?: Error): void {
    this.#onGone()
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
    else this.fallSilent()
  }

  onDrain(): void {
    if (!this.#silent) this.#handler?.onDrain()
  }

  onEnd(): void {
    this.#handler?.onEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#onGone()
    this.#stalled?.cancel()
    this.#stalled = undefined
    this.#handler?.onClose(reason)
  }

  #reset(): void {
    if (this.#closed) return
    this.#onFault(`connection ${this.facts.role} reset`)
    this.#inner.destroy(new TransportError('ERR_RESET', 'simulated'))
  }

  /** Reset after at most so many more bytes, in either direction; at once when it is 0. */
  resetWithin(bytes: number): void {
    this.#untilReset = Math.min(this.#untilReset, this.#random.integer(0, bytes))
    if (this.#untilReset === 0) this.#reset()
  }

  fallSilent(): void {
    if (this.#closed || this.#silent) return
    this.#onFault(`connection ${this.facts.role} fell silent`)
    this.#silent = true
    this.#inner.pause()
  }

  #maybeStall(): void {
    const { stall = 0, maxStallMs = 1_000 } = this.#plan()
    if (this.#random.chance(stall)) this.stall(maxStallMs)
  }

  stall(maxMs: number): void {
    if (this.#closed || this.#silent || this.#stalled !== undefined) return
    const ms = this.#random.integer(1, maxMs)
    this.#onFault(`reader ${this.facts.role} stalls for ${ms} ms`)
    this.#inner.pause()
    this.#stalled = this.#clock.setTimer(this.#clock.now() + ms, () => {
      this.#stalled = undefined
      if (!this.#paused && !this.#silent && !this.#closed) this.#inner.resume()
    })
  }
}
