/**
 * What every connection on Node has in common: whose turn it is to hear, what is held for the next
 * handler, and in which order things are told. Subclasses do the I/O through seven hooks.
 *
 *     open ─► held bytes ─► reading ◄──pause/resume──► paused
 *                │              │
 *             detach         onEnd, our end has left ─► close ─► onClose (once, last)
 *
 * Reading and writing end separately; the connection closes when both have, or when it is destroyed.
 */
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../core/connection.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import { UsageError } from '../../core/errors.ts'
import { defer } from '../../platform/process-access.ts'

/** Who counts a connection until it has closed: the listener that accepted it. */
export interface ConnectionKeeper {
  onConnectionClosed(connection: NodeConnection): void
}

export abstract class NodeConnection implements Connection {
  readonly id: number = nextConnectionId()
  abstract readonly facts: ConnectionFacts
  abstract readonly writableLength: number
  keeper: ConnectionKeeper | undefined

  /** False once `write` must drop: after `end`, `destroy` or a failed write. */
  protected writable = true
  #handler: ConnectionHandler | undefined
  #paused = true
  #delivering = false
  #deliveringHeld = false
  /** Bytes that come before anything the subclass reads: from `detach`, or read although paused. */
  #held: Uint8Array[] | undefined
  #resumeScheduled = false
  #endReceived = false
  #endTold = false
  #endSent = false
  #closing = false
  #closed = false
  #closeTold = false
  #reason: Error | undefined
  /** A write failed while reading goes on: the peer may have said why before it reset. */
  #writeFailure: Error | undefined

  open(handler: ConnectionHandler): void {
    if (this.#handler !== undefined || this.#closeTold) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#paused = false
    this.#deliver()
    if (this.#closed) defer(() => this.#tellClose())
  }

  abstract write(chunk: Uint8Array): boolean
  abstract writeAll(chunks: readonly Uint8Array[]): boolean
  abstract ref(): void
  abstract unref(): void

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.stopReading()
  }

  resume(): void {
    if (!this.#paused || this.#handler === undefined) return
    this.#paused = false
    // Held bytes are not given out from inside `resume`: its caller is often in the middle of work.
    if (!this.#holdsSomething) return this.startReading()
    if (this.#resumeScheduled) return
    this.#resumeScheduled = true
    defer(() => {
      this.#resumeScheduled = false
      this.#deliver()
    })
  }

  end(): void {
    if (!this.writable) return
    this.writable = false
    this.sendEnd()
  }

  destroy(reason?: Error): void {
    if (this.#closing) return
    this.#held = undefined
    this.#close(reason)
  }

  leaseChunk(): ChunkLease {
    if (!this.#delivering) {
      throw new UsageError('ERR_STATE', 'leaseChunk is only legal inside onData')
    }
    return this.#deliveringHeld ? NOTHING_TO_RELEASE : this.lease()
  }

  detach(unread?: Uint8Array): void {
    if (this.#handler === undefined) {
      throw new UsageError('ERR_NOT_OPEN', `connection ${this.id} has no handler to detach`)
    }
    this.#handler = undefined
    if (!this.#paused) this.pause()
    if (unread !== undefined && unread.length > 0) this.#hold(unread, true)
  }

  /** Reads from now on; idempotent. What it reads goes to `received`. */
  protected abstract startReading(): void
  protected abstract stopReading(): void
  /** Lets everything queued leave, then ends our direction, then calls `endLeft`. */
  protected abstract sendEnd(): void
  /** Frees the resource, then calls `closed`; never before it returned. */
  protected abstract close(reason: Error | undefined): void
  /** Keeps the memory of the chunk that is being delivered. */
  protected abstract lease(): ChunkLease

  protected get isOpen(): boolean {
    return this.#handler !== undefined
  }

  protected get isClosing(): boolean {
    return this.#closing
  }

  /** A chunk was read. It is borrowed until this returns. */
  protected received(chunk: Uint8Array): void {
    if (this.#closing) return
    const handler = this.#handler
    if (handler === undefined || this.#paused || this.#held !== undefined) {
      this.#hold(chunk, false)
      return
    }
    this.#delivering = true
    handler.onData(chunk)
    this.#delivering = false
  }

  /** The peer sends no more. */
  protected receivedEnd(): void {
    if (this.#closing || this.#endReceived) return
    if (this.#writeFailure !== undefined) return this.#close(this.#writeFailure)
    this.#endReceived = true
    if (this.#handler !== undefined && !this.#paused && this.#held === undefined) this.#tellEnd()
  }

  /** Everything queued has been taken by the layer below. */
  protected drained(): void {
    if (!this.#closing) this.#handler?.onDrain()
  }

  /** Our end of stream has left. */
  protected endLeft(): void {
    this.#endSent = true
    this.#closeIfDone()
  }

  /**
   * Writing failed. What the peer said before it reset is worth reading (an early answer such as
   * 413), so reading goes on to its end, which cannot be far: nothing more arrives from the peer.
   * Not on the accepting side: what cannot be answered need not be read, and a server that stops
   * reading while it cannot write would never come to that end.
   */
  protected writeFailed(error: Error): void {
    if (this.#closing || this.#writeFailure !== undefined) return
    this.writable = false
    const reads = this.#handler !== undefined && !this.#paused && !this.#endReceived
    if (!reads || this.facts.role === 'accepting') return this.#close(error)
    this.#writeFailure = error
  }

  protected readFailed(error: Error): void {
    this.#close(this.#writeFailure ?? error)
  }

  /** The resource is free. */
  protected closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.keeper?.onConnectionClosed(this)
    this.keeper = undefined
    this.#tellClose()
  }

  get #holdsSomething(): boolean {
    return this.#held !== undefined || (this.#endReceived && !this.#endTold)
  }

  #hold(chunk: Uint8Array, first: boolean): void {
    // Not `slice`: a caller's Buffer would give a view.
    const copy = new Uint8Array(chunk)
    if (this.#held === undefined) this.#held = [copy]
    else if (first) this.#held.unshift(copy)
    else this.#held.push(copy)
  }

  /** Gives out what is held, then lets the subclass read. */
  #deliver(): void {
    while (this.#held !== undefined) {
      const handler = this.#handler
      if (handler === undefined || this.#paused) return
      const chunk = this.#held.shift()
      if (this.#held.length === 0) this.#held = undefined
      if (chunk === undefined) continue
      this.#delivering = true
      this.#deliveringHeld = true
      handler.onData(chunk)
      this.#delivering = false
      this.#deliveringHeld = false
    }
    if (this.#handler === undefined || this.#paused) return
    if (this.#endReceived) {
      if (!this.#endTold) this.#tellEnd()
    } else if (!this.#closing) {
      this.startReading()
    }
  }

  #tellEnd(): void {
    this.#endTold = true
    this.#handler?.onEnd()
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.#endSent && this.#endTold) this.#close(this.#writeFailure)
  }

  /**
   * What had arrived before the network broke is kept when nobody is attached: whoever opens the
   * connection next gets it first, then the close.
   */
  #close(reason: Error | undefined): void {
    if (this.#closing) return
    this.#closing = true
    this.writable = false
    this.#reason = reason
    if (this.#handler !== undefined) this.#held = undefined
    this.close(reason)
  }

  #tellClose(): void {
    const handler = this.#handler
    if (this.#closeTold || handler === undefined) return
    this.#closeTold = true
    this.#handler = undefined
    this.#held = undefined
    handler.onClose(this.#reason)
  }
}

const NOTHING_TO_RELEASE: ChunkLease = Object.freeze({ release() {} })
