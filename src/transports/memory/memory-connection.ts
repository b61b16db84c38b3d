/**
 * One end of a memory link: the `Connection` contract in full, without a kernel.
 *
 *     write → queue (by reference) → peer's pipe (copied, bounded) → peer's onData
 *
 * What fits into the pipe counts as taken by the layer below; the rest waits in the queue, is
 * `writableLength`, and belongs to this connection. Callbacks come in turns of their own, deferred
 * by the clock, so that none is ever called from within a call of the other end.
 */
import type { Address } from '../../core/address.ts'
import type { Clock, Random, Timer } from '../../core/clock.ts'
import {
  Capability,
  type ChunkLease,
  type Connection,
  type ConnectionFacts,
  type ConnectionHandler,
  type ConnectionRole,
} from '../../core/connection.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import { TransportError, UsageError } from '../../core/errors.ts'
import { MemoryPipe, makeLease } from './memory-pipe.ts'
import type { TurnScheduler } from './turn-scheduler.ts'

/** How a link behaves: `MemoryOptions` after validation. */
export interface LinkSettings {
  readonly clock: Clock
  readonly scheduler: TurnScheduler
  readonly highWaterMarkBytes: number
  readonly bufferBytes: number
  readonly maxChunkBytes: number
  readonly minDelayMs: number
  readonly maxDelayMs: number
  readonly random: Random | undefined
  readonly strict: boolean
  readonly onLease: (change: number) => void
}

/** Two connections that are each other's peer. Neither is open yet. */
export function linkPair(
  settings: LinkSettings,
  initiatingAddress: Address,
  acceptingAddress: Address,
): [initiating: MemoryConnection, accepting: MemoryConnection] {
  const initiating = new MemoryConnection(
    settings,
    makeFacts(settings, 'initiating', initiatingAddress, acceptingAddress),
  )
  const accepting = new MemoryConnection(
    settings,
    makeFacts(settings, 'accepting', acceptingAddress, initiatingAddress),
  )
  initiating.attachPeer(accepting)
  accepting.attachPeer(initiating)
  return [initiating, accepting]
}

export class MemoryConnection implements Connection {
  readonly id: number = nextConnectionId()
  readonly facts: ConnectionFacts
  /** Set by the listener, to count. Called when the connection is closed, opened or not. */
  onClosed: (() => void) | undefined
  readonly #settings: LinkSettings
  #peer!: MemoryConnection
  #handler: ConnectionHandler | undefined
  readonly #runTurn = (): void => this.#turn()
  #scheduled = false

  // Towards the peer.
  #queue: QueuedRegion[] = []
  #queueHead = 0 // shifting a long array would move all of it
  #queuedBytes = 0
  #drainDue = false
  #ending: 'no' | 'asked' | 'sent' = 'no'

  // From the peer.
  readonly #incoming: MemoryPipe
  /** With delays: what is on its way, in order, and how much of the pipe has arrived. */
  #arrivals: Arrival[] = []
  #arrivedBytes = 0
  #lastArrivalAt = 0
  #endAt: number | undefined
  #resetAt: number | undefined
  #endDelivered = false
  #paused = false
  #unread: Uint8Array | undefined
  #leasable: 'nothing' | 'pipe' | 'unread' = 'nothing'
  #arrivalTimer: Timer | undefined
  #refs = true

  #closed = false
  #closeReason: Error | undefined
  #closeDelivered = false

  constructor(settings: LinkSettings, facts: ConnectionFacts) {
    this.#settings = settings
    this.facts = facts
    this.#incoming = new MemoryPipe(settings.bufferBytes, settings.strict, settings.onLease)
  }

  /** Once, by `linkPair`. */
  attachPeer(peer: MemoryConnection): void {
    this.#peer = peer
  }

  get writableLength(): number {
    return this.#queuedBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} has a handler`)
    }
    if (this.#closeDelivered) {
      throw new UsageError('ERR_STATE', `connection ${this.id} is closed`)
    }
    this.#handler = handler
    this.#deliverUnread()
    this.#schedule()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending !== 'no') return false
    this.#send(chunk)
    return this.#hasRoom()
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (this.#closed || this.#ending !== 'no') return false
    for (const chunk of chunks) this.#send(chunk)
    return this.#hasRoom()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    if (this.#closed || this.#ending !== 'no') return
    this.#ending = 'asked'
    if (this.#queuedBytes === 0) this.#sendEnd()
  }

  destroy(reason?: Error): void {
    if (this.#closed) return
    this.#unread = undefined
    this.#close(reason)
    this.#peer.#receiveReset()
  }

  leaseChunk(): ChunkLease {
    switch (this.#leasable) {
      case 'nothing':
        throw new UsageError('ERR_STATE', 'leaseChunk is legal inside onData only')
      case 'pipe':
        return this.#incoming.lease()
      case 'unread': {
        // Bytes that were put back are in memory of their own: nothing overwrites it.
        const { onLease } = this.#settings
        onLease(1)
        return makeLease(() => onLease(-1))
      }
    }
  }

  detach(unread?: Uint8Array): void {
    if (this.#handler === undefined) {
      throw new UsageError('ERR_NOT_OPEN', `connection ${this.id} has no handler`)
    }
    this.#handler = undefined
    this.#paused = false
    const behind = this.#unread
    if (unread === undefined || unread.length === 0) return
    // What a second detach puts back stands before what the first put back and nobody took.
    const whole = new Uint8Array(unread.length + (behind?.length ?? 0))
    whole.set(unread)
    if (behind !== undefined) whole.set(behind, unread.length)
    this.#unread = whole
  }

  ref(): void {
    this.#refs = true
    this.#arrivalTimer?.ref()
  }

  unref(): void {
    this.#refs = false
    this.#arrivalTimer?.unref()
  }

  // Towards the peer.

  /** None once the peer is gone: who is told of room again and again would never let the reset come. */
  #hasRoom(): boolean {
    return this.#queuedBytes <= this.#settings.highWaterMarkBytes && this.#resetAt === undefined
  }

  #send(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    const taken = this.#queuedBytes === 0 ? this.#peer.#receive(chunk) : 0
    if (taken === chunk.length) return
    const rest = chunk.subarray(taken)
    const snapshot = this.#settings.strict ? rest.slice() : undefined
    this.#queue.push({ rest, snapshot })
    this.#queuedBytes += rest.length
  }

  /** The peer has read: there may be room in its pipe. */
  #refill(): void {
    if (this.#queuedBytes === 0) return
    for (let first = this.#queue[this.#queueHead]; first !== undefined; ) {
      const taken = this.#peer.#receive(first.rest)
      if (first.snapshot !== undefined) checkUnchanged(first.rest, first.snapshot, taken)
      this.#queuedBytes -= taken
      if (taken < first.rest.length) {
        first.rest = first.rest.subarray(taken)
        first.snapshot = first.snapshot?.subarray(taken)
        return
      }
      this.#queueHead += 1
      first = this.#queue[this.#queueHead]
    }
    this.#queue = []
    this.#queueHead = 0
    this.#drainDue = true
    if (this.#ending === 'asked') this.#sendEnd()
    this.#schedule()
  }

  #sendEnd(): void {
    this.#ending = 'sent'
    this.#peer.#receiveEnd()
    this.#schedule()
  }

  // From the peer. Called within its calls, so nothing here calls the handler.

  #receive(chunk: Uint8Array): number {
    // A closed end takes everything: nothing that is queued for it keeps the reset from being told.
    if (this.#closed) return chunk.length
    const taken = this.#incoming.put(chunk)
    if (taken > 0 && this.#settings.maxDelayMs > 0) {
      this.#arrivals.push({ bytes: taken, at: this.#arrivalTime() })
    }
    if (taken > 0) this.#schedule()
    return taken
  }

  #receiveEnd(): void {
    if (this.#closed) return
    this.#endAt = this.#arrivalTime()
    this.#schedule()
  }

  #receiveReset(): void {
    if (this.#closed) return
    this.#resetAt = this.#arrivalTime()
    this.#schedule()
  }

  /** Order is kept: nothing arrives before what was sent before it. */
  #arrivalTime(): number {
    const { clock, minDelayMs, maxDelayMs, random } = this.#settings
    if (maxDelayMs === 0) return 0
    const spread = random === undefined ? 0 : (maxDelayMs - minDelayMs) * random()
    this.#lastArrivalAt = Math.max(this.#lastArrivalAt, clock.now() + minDelayMs + spread)
    return this.#lastArrivalAt
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#settings.scheduler.schedule(this.#runTurn)
  }

  /** Everything that the handler is to hear now, in order. */
  #turn(): void {
    this.#scheduled = false
    if (!this.#closed) {
      const now = this.#settings.maxDelayMs === 0 ? 0 : this.#settings.clock.now()
      this.#deliverDrain()
      this.#deliverUnread()
      this.#deliverData(now)
      this.#deliverEnd(now)
      if (this.#closed) return // by a callback; it scheduled a turn
      if (this.#resetArrived(now)) {
        this.#close(new TransportError('ERR_RESET', 'the peer reset the connection'))
      } else if (this.#ending === 'sent' && this.#endDelivered) this.#close(undefined)
      else this.#awaitArrival(now)
      return
    }
    this.#deliverUnread()
    this.#deliverClose()
  }

  #deliverDrain(): void {
    const handler = this.#handler
    if (!this.#drainDue || handler === undefined) return
    this.#drainDue = false
    if (this.#queuedBytes === 0) handler.onDrain()
  }

  #deliverData(now: number): void {
    let budget = TURN_BYTES
    while (this.#handler !== undefined && !this.#paused && !this.#closed) {
      const ready = this.#readyBytes(now)
      if (ready === 0 || this.#unread !== undefined) return
      if (budget <= 0) return this.#schedule()
      const chunk = this.#incoming.take(Math.min(ready, this.#chunkBytes()))
      budget -= chunk.length
      this.#arrivedBytes -= chunk.length
      this.#leasable = 'pipe'
      let threw = true
      try {
        this.#handler.onData(chunk)
        threw = false
      } finally {
        this.#leasable = 'nothing'
        this.#incoming.settle()
        if (!this.#closed) this.#peer.#refill()
        if (threw) this.#schedule() // the rest is not stuck behind a handler's mistake
      }
    }
  }

  /** Bytes that a handler before this one put back. */
  #deliverUnread(): void {
    while (this.#unread !== undefined && this.#handler !== undefined && !this.#paused) {
      const unread = this.#unread
      const chunk = unread.subarray(0, this.#chunkBytes())
      this.#unread = chunk.length === unread.length ? undefined : unread.subarray(chunk.length)
      const outer = this.#leasable // open may be called from within the onData that detached
      this.#leasable = 'unread'
      try {
        this.#handler.onData(chunk)
      } finally {
        this.#leasable = outer
      }
    }
  }

  #deliverEnd(now: number): void {
    if (this.#endAt === undefined || this.#endAt > now || this.#endDelivered) return
    if (this.#incoming.length > 0 || this.#unread !== undefined) return
    const handler = this.#handler
    if (handler === undefined || this.#paused || this.#closed) return
    this.#endDelivered = true
    handler.onEnd()
  }

  /** A reset stands behind the bytes sent before it, but does not wait for a paused reader. */
  #resetArrived(now: number): boolean {
    if (this.#resetAt === undefined || this.#resetAt > now) return false
    const reads = this.#handler !== undefined && !this.#paused
    return !reads || this.#readyBytes(now) === 0
  }

  #close(reason: Error | undefined): void {
    this.#closed = true
    this.#closeReason = reason
    this.#queue = []
    this.#queueHead = 0
    this.#queuedBytes = 0
    this.#incoming.clear()
    this.#arrivals = []
    this.#arrivedBytes = 0
    this.#arrivalTimer?.cancel()
    this.#arrivalTimer = undefined
    this.#schedule()
    this.onClosed?.()
  }

  #deliverClose(): void {
    const handler = this.#handler
    if (handler === undefined || this.#closeDelivered) return
    this.#closeDelivered = true
    this.#handler = undefined
    this.#unread = undefined
    handler.onClose(this.#closeReason)
  }

  #chunkBytes(): number {
    const { maxChunkBytes, random } = this.#settings
    return random === undefined ? maxChunkBytes : 1 + Math.floor(random() * maxChunkBytes)
  }

  /** Bytes that may be delivered now. */
  #readyBytes(now: number): number {
    if (this.#settings.maxDelayMs === 0) return this.#incoming.length
    let count = 0
    for (let next = this.#arrivals[0]; next !== undefined; next = this.#arrivals[count]) {
      if (next.at > now) break
      this.#arrivedBytes += next.bytes
      count += 1
    }
    if (count > 0) this.#arrivals.splice(0, count)
    return this.#arrivedBytes
  }

  /** Delays only: a turn when the next thing arrives. */
  #awaitArrival(now: number): void {
    if (this.#settings.maxDelayMs === 0) return
    this.#arrivalTimer?.cancel()
    this.#arrivalTimer = undefined
    let at = Number.POSITIVE_INFINITY
    for (const candidate of [this.#arrivals[0]?.at, this.#endAt, this.#resetAt]) {
      if (candidate !== undefined && candidate > now && candidate < at) at = candidate
    }
    if (at === Number.POSITIVE_INFINITY) return
    this.#arrivalTimer = this.#settings.clock.setTimer(at, () => {
      this.#arrivalTimer = undefined
      this.#schedule()
    })
    if (!this.#refs) this.#arrivalTimer.unref()
  }
}

interface QueuedRegion {
  rest: Uint8Array
  /** Strict links only: what the region held when it was given. */
  snapshot: Uint8Array | undefined
}

interface Arrival {
  readonly bytes: number
  readonly at: number
}

function makeFacts(
  settings: LinkSettings,
  role: ConnectionRole,
  local: Address,
  remote: Address,
): ConnectionFacts {
  return Object.freeze({
    transport: 'memory',
    local,
    remote,
    role,
    tls: undefined,
    mtu: undefined,
    receiveBufferBytes: settings.bufferBytes,
    sendBufferBytes: settings.bufferBytes,
    capabilities: Capability.HALF_CLOSE | Capability.VECTORED_WRITE | Capability.LEASED_READ,
    roundTripMs: () => settings.minDelayMs + settings.maxDelayMs,
  })
}

function checkUnchanged(region: Uint8Array, snapshot: Uint8Array, length: number): void {
  for (let at = 0; at < length; at++) {
    if (region[at] === snapshot[at]) continue
    const message = `byte ${at} of a region given to write was changed while writableLength was not 0`
    throw new UsageError('ERR_STATE', message)
  }
}

/** Most bytes one end is given in one turn, so that many links share a thread fairly. */
const TURN_BYTES = 65_536
