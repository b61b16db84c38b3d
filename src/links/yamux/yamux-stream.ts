/**
 * One stream of a yamux connection, as a `Connection` in full.
 *
 * What is written is copied into the session's queue, which stands for a kernel's buffer: a stream
 * over `maxQueuedBytes` is stuck until all of that has left. What arrives is delivered as it comes;
 * while nobody reads, the session keeps it and counts it.
 */
import type { Clock } from '../../core/clock.ts'
import type { ChunkLease, ConnectionFacts } from '../../core/connection.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import type { YamuxCommand } from '../../protocols/yamux/messages.ts'
import type { YamuxSession } from '../../protocols/yamux/session.ts'
import { LayerConnection } from '../layer/layer-connection.ts'

/** What a stream needs of its connection. */
export interface StreamCarrier {
  readonly clock: Clock
  readonly session: YamuxSession
  /** Bytes that a stream may be sent beyond what it has taken. */
  readonly creditBytes: number
  submit(command: YamuxCommand): void
  /** Inside `receive`: keeps the memory of the chunk. */
  leaseChunk(): ChunkLease
}

export class YamuxStreamConnection extends LayerConnection {
  readonly id: number = nextConnectionId()
  readonly facts: ConnectionFacts
  /** Set by a listener, to count. Called when the stream has ended, heard or not. */
  onClosed: (() => void) | undefined
  /** Set by the connection, which keeps the stream until its owner has heard the close. */
  onTold: (() => void) | undefined
  readonly #carrier: StreamCarrier
  readonly #stream: number
  /** Copies that the session does not take yet. */
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #stuck = false
  #endWaits = false
  /** Delivered, and not given back as credit. */
  #owedCredit = 0
  #held = true
  #peerEnded = false
  #closed = false

  constructor(carrier: StreamCarrier, stream: number, facts: ConnectionFacts) {
    super(carrier.clock)
    this.facts = facts
    this.#carrier = carrier
    this.#stream = stream
  }

  /** Once the session knows the stream. Nothing is delivered before somebody reads. */
  start(): void {
    const { creditBytes } = this.#carrier
    const stream = this.#stream
    this.#carrier.submit({ type: 'hold', stream, held: true })
    this.#carrier.submit({ type: 'credit', stream, bytes: creditBytes })
  }

  /** The session has said its last about it. */
  get finished(): boolean {
    return this.#closed
  }

  /** Its owner is still to hear the close. */
  get listened(): boolean {
    return this.attached
  }

  get writableLength(): number {
    if (!this.#stuck || this.over) return 0
    return this.#waitingBytes + this.#carrier.session.queuedBytes(this.#stream)
  }

  protected get writable(): boolean {
    return !this.#stuck
  }

  protected transmit(chunk: Uint8Array): void {
    if (this.#closed) return
    const bytes = chunk.slice()
    if (this.#stuck) {
      this.#waiting.push(bytes)
      this.#waitingBytes += bytes.length
    } else this.#submitData(bytes)
  }

  protected transmitEnd(): void {
    if (this.#closed) return
    if (this.#waitingBytes > 0) this.#endWaits = true
    else this.#carrier.submit({ type: 'end', stream: this.#stream })
  }

  protected override closeWasTold(): void {
    this.onTold?.()
  }

  protected abort(): void {
    this.#waiting = []
    if (this.#closed) return
    this.#carrier.submit({ type: 'reset', stream: this.#stream })
  }

  protected readingChanged(reading: boolean): void {
    if (reading === !this.#held || this.#closed) return
    this.#held = !reading
    this.#carrier.submit({ type: 'hold', stream: this.#stream, held: this.#held })
  }

  // From the session, by way of the connection.

  receive(bytes: Uint8Array): void {
    this.deliver(bytes, () => this.#carrier.leaseChunk())
    this.#owedCredit += bytes.length
    if (this.#owedCredit < this.#carrier.creditBytes / 2 || this.#peerEnded || this.#closed) return
    this.#carrier.submit({ type: 'credit', stream: this.#stream, bytes: this.#owedCredit })
    this.#owedCredit = 0
  }

  ended(): void {
    this.#peerEnded = true
    this.receiveEnd()
  }

  /** Everything that was queued has left. */
  becameWritable(): void {
    this.#stuck = false
    while (!this.#stuck && this.#waiting.length > 0) {
      const bytes = this.#waiting.shift() as Uint8Array
      this.#waitingBytes -= bytes.length
      this.#submitData(bytes)
    }
    if (this.#endWaits && this.#waitingBytes === 0) {
      this.#endWaits = false
      this.#carrier.submit({ type: 'end', stream: this.#stream })
    }
    this.drained()
  }

  closed(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#stuck = false
    this.onClosed?.()
    this.receiveClose(error)
  }

  /** The connection is closing: whoever reads the stream hears it before. */
  closedWithConnection(error: Error | undefined): void {
    const first = !this.#closed
    this.#closed = true
    if (first) this.onClosed?.()
    this.closeNow(error)
  }

  #submitData(bytes: Uint8Array): void {
    this.#carrier.submit({ type: 'data', stream: this.#stream, bytes })
    this.#stuck = !this.#carrier.session.isWritable(this.#stream)
  }
}
