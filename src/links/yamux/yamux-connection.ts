/**
 * A yamux session over one byte stream, as a `MultiplexedConnection`: each stream is a `Connection`.
 */
import type { Clock } from '../../core/clock.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionRole,
} from '../../core/connection.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type {
  MultiplexedConnection,
  MultiplexedHandler,
  OpenStreamOptions,
} from '../../core/multiplexed-connection.ts'
import type { YamuxCommand, YamuxEvent } from '../../protocols/yamux/messages.ts'
import type { YamuxOptions } from '../../protocols/yamux/options.ts'
import {
  YamuxClientSession,
  YamuxServerSession,
  type YamuxSession,
} from '../../protocols/yamux/session.ts'
import { Driver, type DriverOwner } from '../../runtime/driver.ts'
import { LayeredFacts } from '../layer/layered-facts.ts'
import { type StreamCarrier, YamuxStreamConnection } from './yamux-stream.ts'

export interface YamuxConnectionSettings {
  /** Of the transport. */
  readonly name: string
  readonly clock: Clock
  readonly session: YamuxOptions
  readonly creditBytes: number
}

export class YamuxConnection
  implements MultiplexedConnection, DriverOwner<YamuxEvent>, StreamCarrier
{
  readonly id: number
  readonly facts: ConnectionFacts
  readonly clock: Clock
  readonly creditBytes: number
  readonly session: YamuxSession
  readonly #carrier: Connection
  readonly #driver: Driver<YamuxCommand, YamuxEvent>
  readonly #streams = new Map<number, YamuxStreamConnection>()
  readonly #name: string
  #roundTripMs: number | undefined
  #handler: MultiplexedHandler | undefined
  #closing: Promise<void> | undefined
  #told: (() => void) | undefined
  #destroyed: { readonly reason: Error | undefined } | undefined
  #closed = false

  constructor(carrier: Connection, settings: YamuxConnectionSettings) {
    const { name, clock, session, creditBytes } = settings
    this.id = carrier.id
    this.clock = clock
    this.creditBytes = creditBytes
    this.facts = new MultiplexedFacts(name, carrier.facts, () => this.#roundTripMs)
    this.#name = name
    this.#carrier = carrier
    const Session = carrier.facts.role === 'initiating' ? YamuxClientSession : YamuxServerSession
    this.session = new Session(session, clock.now())
    this.#driver = new Driver<YamuxCommand, YamuxEvent>(carrier, this.session, this, { clock })
  }

  get openableStreams(): number {
    return this.#closed || this.#destroyed !== undefined ? 0 : this.session.openableStreams
  }

  get streamCount(): number {
    return this.session.streamCount
  }

  /** Keeps the process alive, or not. */
  ref(): void {
    this.#carrier.ref()
  }
  unref(): void {
    this.#carrier.unref()
  }

  open(handler: MultiplexedHandler): void {
    if (this.#handler !== undefined) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} has a handler`)
    }
    this.#handler = handler
    this.#driver.start()
  }

  openStream(options: OpenStreamOptions = {}): YamuxStreamConnection | undefined {
    const { direction = 'bidirectional', urgency = 3 } = options
    if (direction !== 'bidirectional') {
      throw new UsageError('ERR_OPTION_UNSUPPORTED', 'streams of yamux are bidirectional')
    }
    checkInteger('urgency', urgency, 0, 7)
    if (this.openableStreams === 0) return undefined
    const stream = this.session.nextStream
    this.submit({ type: 'open', stream })
    if (urgency !== 3) this.submit({ type: 'priority', stream, urgency })
    return this.#add(stream, 'initiating')
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    this.#closing ??= new Promise((resolve) => {
      this.#told = resolve
      if (this.#closed) return resolve()
      this.submit({ type: 'close' })
    })
    if (signal?.aborted) this.destroy()
    else signal?.addEventListener('abort', () => this.destroy(), { once: true })
    return this.#closing
  }

  destroy(reason?: Error): void {
    if (this.#closed) return
    this.#destroyed ??= { reason }
    this.#driver.destroy(reason)
  }

  /** After the end of the session there is nobody to take a command. */
  submit(command: YamuxCommand): void {
    if (this.#closed || this.session.state === 'closed') return
    this.#driver.submit(command)
  }

  leaseChunk(): ChunkLease {
    return this.#carrier.leaseChunk()
  }

  // From the driver.

  onEvent(event: YamuxEvent): void {
    switch (event.type) {
      case 'stream':
        this.submit({ type: 'accept', stream: event.stream })
        return this.#handler?.onStream(this.#add(event.stream, 'accepting'))
      case 'data':
        return this.#streams.get(event.stream)?.receive(event.bytes)
      case 'end':
        return this.#streams.get(event.stream)?.ended()
      case 'writable':
        return this.#streams.get(event.stream)?.becameWritable()
      case 'stream-closed': {
        const stream = this.#streams.get(event.stream)
        // It stays known until it has told its owner: the connection may close before.
        stream?.closed(event.error)
        if (stream?.listened !== true) this.#streams.delete(event.stream)
        return
      }
      case 'openable':
        return this.#handler?.onStreamsAvailable()
      case 'pong':
        this.#roundTripMs = event.roundTripMs
    }
  }

  onWritable(): void {}

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    const why = this.#destroyed === undefined ? reason : this.#destroyed.reason
    for (const stream of this.#streams.values()) stream.closedWithConnection(why)
    this.#streams.clear()
    this.#handler?.onClose(why)
    this.#told?.()
  }

  #add(id: number, role: ConnectionRole): YamuxStreamConnection {
    const facts = new StreamFacts(this.#name, this.facts, role)
    const stream = new YamuxStreamConnection(this, id, facts)
    this.#streams.set(id, stream)
    stream.onTold = () => {
      if (stream.finished) this.#streams.delete(id)
    }
    stream.start()
    return stream
  }
}

class MultiplexedFacts extends LayeredFacts {
  readonly #measured: () => number | undefined

  constructor(name: string, carrier: ConnectionFacts, measured: () => number | undefined) {
    super(name, carrier)
    this.#measured = measured
  }

  /** Of the last ping, or what the carrier knows. */
  override roundTripMs(): number | undefined {
    return this.#measured() ?? super.roundTripMs()
  }
}

/** Who opened a stream is its initiating side, whoever made the connection. */
class StreamFacts extends LayeredFacts {
  readonly #role: ConnectionRole

  constructor(name: string, carrier: ConnectionFacts, role: ConnectionRole) {
    super(name, carrier)
    this.#role = role
  }

  override get role(): ConnectionRole {
    return this.#role
  }
}
