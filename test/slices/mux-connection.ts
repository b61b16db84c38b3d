/**
 * `MultiplexedConnection` over any stream connection, for the slice `multiplexed-connection.test.ts`.
 * Each stream is a `Connection` in full: whatever runs over TCP runs over a stream.
 */
import type { Clock } from '../../src/core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../src/core/connection.ts'
import { nextConnectionId } from '../../src/core/connection-id.ts'
import { UsageError } from '../../src/core/errors.ts'
import type {
  MultiplexedConnection,
  MultiplexedHandler,
  OpenStreamOptions,
} from '../../src/core/multiplexed-connection.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import {
  type MuxCommand,
  type MuxEvent,
  MuxSession,
  type MuxSessionOptions,
} from './mux-session.ts'

export class MuxConnection implements MultiplexedConnection, DriverOwner<MuxEvent> {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly clock: Clock
  readonly session: MuxSession
  readonly #driver: Driver<MuxCommand, MuxEvent>
  readonly #streams = new Map<number, MuxStream>()
  #handler: MultiplexedHandler | undefined
  #closed = false
  #waiting: (() => void)[] = []

  constructor(carrier: Connection, clock: Clock, options: MuxSessionOptions = {}) {
    this.id = carrier.id
    this.facts = carrier.facts
    this.clock = clock
    this.session = new MuxSession(carrier.facts.role, options)
    this.#driver = new Driver(carrier, this.session, this, { clock })
  }

  get openableStreams(): number {
    return this.#closed ? 0 : this.session.openable
  }

  get streamCount(): number {
    return this.#streams.size
  }

  open(handler: MultiplexedHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'opened twice')
    this.#handler = handler
    this.#driver.start()
  }

  openStream(options: OpenStreamOptions = {}): Connection | undefined {
    if (this.openableStreams === 0) return undefined
    const stream = this.session.nextStream
    this.submit({ type: 'open', stream, urgency: options.urgency ?? 3 })
    return this.#add(stream, 'initiating')
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    return new Promise((resolve) => {
      if (this.#closed) return resolve()
      this.#waiting.push(resolve)
      this.submit({ type: 'close' })
      if (signal?.aborted) this.destroy()
      else signal?.addEventListener('abort', () => this.destroy(), { once: true })
    })
  }

  destroy(reason?: Error): void {
    this.#driver.destroy(reason)
  }

  /** A stream's command; after the end of the session there is nobody to take it. */
  submit(command: MuxCommand): void {
    if (!this.#closed && this.session.state !== 'closed') this.#driver.submit(command)
  }

  onEvent(event: MuxEvent): void {
    switch (event.type) {
      case 'opened':
        return this.#handler?.onStream(this.#add(event.stream, 'accepting'))
      case 'data':
        return this.#streams.get(event.stream)?.receive(event.bytes)
      case 'end':
        return this.#streams.get(event.stream)?.receiveEnd()
      case 'drained':
        return this.#streams.get(event.stream)?.drained()
      case 'finished': {
        const stream = this.#streams.get(event.stream)
        this.#streams.delete(event.stream)
        return stream?.finished(event.error)
      }
      case 'available':
        this.#handler?.onStreamsAvailable()
    }
  }

  onWritable(): void {}

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    for (const stream of this.#streams.values()) stream.finished(reason)
    this.#streams.clear()
    this.#handler?.onClose(reason)
    for (const resolve of this.#waiting) resolve()
  }

  #add(id: number, role: ConnectionFacts['role']): MuxStream {
    const stream = new MuxStream(this, id, { ...this.facts, transport: 'mux', role })
    this.#streams.set(id, stream)
    return stream
  }
}

class MuxStream implements Connection {
  readonly id: number = nextConnectionId()
  readonly facts: ConnectionFacts
  readonly #mux: MuxConnection
  readonly #stream: number
  #handler: ConnectionHandler | undefined
  /** Copies, at most one window. What `detach` put back was paid for already. */
  #received: { readonly bytes: Uint8Array; readonly owesCredit: boolean }[] = []
  #owedCredit = 0
  #paused = false
  #inData = false
  #scheduled = false
  #ended = false
  #drainDue = false
  #peerEnd: 'no' | 'came' | 'delivered' = 'no'
  #finish: 'no' | 'cleanly' | 'early' = 'no'
  #closed = false
  #closeDelivered = false
  #reason: Error | undefined

  constructor(mux: MuxConnection, stream: number, facts: ConnectionFacts) {
    this.#mux = mux
    this.#stream = stream
    this.facts = facts
  }

  get writableLength(): number {
    return this.#closed ? 0 : this.#mux.session.queuedBytes(this.#stream)
  }

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    if (this.#closeDelivered) throw new UsageError('ERR_STATE', 'is closed')
    this.#handler = handler
    this.#schedule()
  }

  write(chunk: Uint8Array): boolean {
    return this.writeAll([chunk])
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    if (this.#closed || this.#ended) return false
    const stream = this.#stream
    for (const bytes of chunks) {
      if (bytes.length > 0) this.#mux.submit({ type: 'data', stream, bytes })
    }
    return this.writableLength <= HIGH_WATER_MARK_BYTES
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    this.#mux.submit({ type: 'end', stream: this.#stream })
  }

  destroy(reason?: Error): void {
    if (this.#closed) return
    const finished = this.#finish !== 'no'
    this.#close(reason)
    if (!finished) this.#mux.submit({ type: 'reset', stream: this.#stream })
  }

  /** Chunks are copies: their memory is nobody else's. */
  leaseChunk(): ChunkLease {
    if (!this.#inData) throw new UsageError('ERR_STATE', 'outside onData')
    return { release() {} }
  }

  detach(unread?: Uint8Array): void {
    if (this.#handler === undefined) throw new UsageError('ERR_NOT_OPEN', 'has no handler')
    this.#handler = undefined
    this.#paused = false
    if (unread === undefined || unread.length === 0) return
    this.#received.unshift({ bytes: unread.slice(), owesCredit: false })
  }

  ref(): void {}
  unref(): void {}

  // From the session, by way of the connection.

  receive(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#received.push({ bytes: bytes.slice(), owesCredit: true })
    this.#schedule()
  }

  receiveEnd(): void {
    this.#peerEnd = 'came'
    this.#schedule()
  }

  drained(): void {
    this.#drainDue = true
    this.#schedule()
  }

  finished(error: Error | undefined): void {
    if (this.#closed) return
    this.#finish = error === undefined && this.#peerEnd !== 'no' ? 'cleanly' : 'early'
    if (this.#finish === 'cleanly') return this.#schedule()
    // At once: each stream hears its close before the connection tells its own.
    this.#close(error)
    this.#deliverClose()
  }

  // Callbacks come in turns of their own.

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#mux.clock.defer(() => {
      this.#scheduled = false
      this.#turn()
    })
  }

  #turn(): void {
    if (!this.#closed) {
      if (this.#drainDue && this.#handler !== undefined && this.writableLength === 0) {
        this.#drainDue = false
        this.#handler.onDrain()
      }
      this.#deliverData()
      this.#deliverEnd()
      if (this.#finish === 'cleanly' && this.#peerEnd === 'delivered') this.#close(undefined)
    }
    this.#deliverClose()
  }

  #deliverClose(): void {
    const handler = this.#handler
    if (!this.#closed || this.#closeDelivered || handler === undefined) return
    this.#closeDelivered = true
    this.#handler = undefined
    handler.onClose(this.#reason)
  }

  #deliverData(): void {
    while (this.#handler !== undefined && !this.#paused && !this.#closed) {
      const first = this.#received.shift()
      if (first === undefined) return
      if (first.owesCredit) this.#giveCredit(first.bytes.length)
      this.#inData = true
      try {
        this.#handler.onData(first.bytes)
      } finally {
        this.#inData = false
      }
    }
  }

  #deliverEnd(): void {
    if (this.#peerEnd !== 'came' || this.#received.length > 0) return
    if (this.#handler === undefined || this.#paused || this.#closed) return
    this.#peerEnd = 'delivered'
    this.#handler.onEnd()
  }

  /** In halves of a window: one small frame for many chunks. */
  #giveCredit(bytes: number): void {
    this.#owedCredit += bytes
    if (this.#owedCredit < this.#mux.session.windowBytes / 2 || this.#peerEnd !== 'no') return
    this.#mux.submit({ type: 'credit', stream: this.#stream, bytes: this.#owedCredit })
    this.#owedCredit = 0
  }

  #close(reason: Error | undefined): void {
    this.#closed = true
    this.#reason = reason
    this.#received = []
    this.#schedule()
  }
}

const HIGH_WATER_MARK_BYTES = 65_536
