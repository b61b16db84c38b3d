/**
 * Blocks between two peers, whatever carries them.
 *
 *     await connection.sendBlock(block)          const block = await connection.recvBlock()
 *     await connection.send(bytes)               const bytes = await connection.recv()
 *
 * A block is one message: `sendBlock(b)` is `send` of its encoding, `recvBlock()` decodes what `recv()`
 * gives. Both may be mixed on one connection. What arrives is verified unless `verify` is false, and
 * bounded: with too much that nobody receives, reading stops, and the peer feels it.
 *
 * Errors are heddle's; `networkErrorKind(error)` says which of the seed's kinds one is.
 */
import type { Address } from '../../core/address.ts'
import type { Timer } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { ClosedError, TimeoutError, TransportError, UsageError } from '../../core/errors.ts'
import type { Eventual } from '../../core/signing.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import type { Agreement } from '../../protocols/olocus/hello.ts'
import type { WireFormat } from '../../protocols/olocus/wire-format.ts'
import type {
  BlockCarrier,
  BlockCarrierHandler,
  OutgoingMessage,
  ReceivedMessage,
} from './block-carrier.ts'
import { BlockReader, writeBlock } from './block-messages.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { randomUuid } from './random-uuid.ts'
import { ReceiveQueue, type Waiter } from './receive-queue.ts'
import { SendQueue } from './send-queue.ts'
import type { TransportType } from './transport-type.ts'

export interface WaitOptions {
  /** Ends the wait, never the connection; rejects with the signal's reason. */
  signal?: AbortSignal
}
export interface ReceiveOptions extends WaitOptions {
  /** Ends the wait with TimeoutError ERR_DEADLINE; the connection goes on. */
  timeoutMs?: number
}

/** What every connection for blocks has, whatever is under it. */
export interface BlockPeer extends AsyncDisposable {
  /** A UUID, for logs. */
  readonly connectionId: string
  readonly transportType: TransportType
  readonly supportsMultiplexing: boolean
  /** Whether this connection is encrypted, not whether it could be. */
  readonly supportsEncryption: boolean
  readonly peerAddr: Address
  readonly localAddr: Address
  /** What was negotiated, if that was asked for. */
  readonly agreement: Agreement | undefined
  send(bytes: Uint8Array, options?: WaitOptions): Promise<void>
  recv(options?: ReceiveOptions): Promise<Uint8Array>
  sendBlock(block: Block, options?: WaitOptions): Promise<void>
  recvBlock<Payload = unknown>(options?: ReceiveOptions): Promise<Block<Payload>>
  /** Calls for each block instead of `recvBlock`. @returns ends that */
  onBlock(listener: (block: Block) => void): () => void
  /** Sends what is queued, ends, waits for the peer's end for `closeTimeoutMs`. */
  close(options?: WaitOptions): Promise<void>
  destroy(reason?: Error): void
  /** Settles when the connection is over: with the reason, or undefined when both sides ended it. */
  readonly closed: Promise<Error | undefined>
}

export class BlockConnection implements BlockPeer, BlockCarrierHandler {
  readonly connectionId: string = randomUuid()
  readonly transportType: TransportType
  readonly closed: Promise<Error | undefined>
  /** Settles when the peer has ended its side, or the connection is over, and everything was received. */
  readonly ended: Promise<void>
  /** Messages and blocks that were lost or refused while the connection went on. */
  onProblem: ((error: Error) => void) | undefined
  readonly #carrier: BlockCarrier
  readonly #options: ResolvedBlockOptions
  readonly #reader: BlockReader
  readonly #received: ReceiveQueue
  readonly #sending: SendQueue
  #format: WireFormat
  #agreement: Agreement | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  #reason: Error | undefined
  #settleClosed!: (reason: Error | undefined) => void
  #readTimer: Timer | undefined
  #progress = 0
  #finished = false
  #writeTimer: Timer | undefined

  constructor(type: TransportType, carrier: BlockCarrier, options: ResolvedBlockOptions) {
    this.transportType = type
    this.#carrier = carrier
    this.#options = options
    this.#format = options.format
    this.#reader = new BlockReader(options)
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    let settleEnded!: () => void
    this.ended = new Promise((resolve) => {
      settleEnded = resolve
    })
    this.#received = new ReceiveQueue({
      onOver: settleEnded,
      maxMessages: options.maxQueuedMessages,
      maxBytes: options.maxQueuedBytes,
      decode: (message) => this.#reader.read(message, this.#format),
      onInvalid: (error) => this.#onInvalid(error),
      onPressure: (full) => (full ? carrier.pause() : carrier.resume()),
    })
    this.#sending = new SendQueue(carrier, options.maxPendingSends, (blocked) =>
      blocked ? this.#armWriteTimer() : this.#cancelWriteTimer(),
    )
    carrier.open(this)
  }

  get facts(): ConnectionFacts {
    return this.#carrier.facts
  }
  get peerAddr(): Address {
    return this.facts.remote
  }
  get localAddr(): Address {
    return this.facts.local
  }
  get supportsMultiplexing(): boolean {
    return this.transportType === 'WebRTC'
  }
  get supportsEncryption(): boolean {
    const { seal, tls } = this.facts
    return this.transportType === 'WebRTC' || tls !== undefined || seal !== undefined
  }
  get agreement(): Agreement | undefined {
    return this.#agreement
  }
  get format(): WireFormat {
    return this.#format
  }
  /** Messages that have arrived and that nobody has received. */
  get queuedMessages(): number {
    return this.#received.length
  }

  send(bytes: Uint8Array, options: WaitOptions = {}): Promise<void> {
    if (bytes.length === 0) {
      return Promise.reject(new UsageError('ERR_ARGUMENT', 'a message of length 0'))
    }
    const message = { bytes, block: undefined, blockHash: undefined, text: false }
    return this.#send(message, options)
  }

  recv(options: ReceiveOptions = {}): Promise<Uint8Array> {
    return this.#receive('raw', options) as Promise<Uint8Array>
  }

  sendBlock(block: Block, options: WaitOptions = {}): Promise<void> {
    let message: Eventual<OutgoingMessage>
    try {
      message = writeBlock(block, this.#format, this.transportType === 'WebRTC', this.#options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#send(message, options)
  }

  recvBlock<Payload = unknown>(options: ReceiveOptions = {}): Promise<Block<Payload>> {
    return this.#receive('block', options) as Promise<Block<Payload>>
  }

  onBlock(listener: (block: Block) => void): () => void {
    this.#received.listen(listener)
    return () => this.#received.unlisten()
  }

  /** Every block until both sides have ended; an error ends it with that error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Block> {
    for (;;) {
      let block: Block
      try {
        block = await this.recvBlock()
      } catch (error) {
        if ((error as { code?: string }).code === 'ERR_DISCONNECTED') return
        throw error
      }
      yield block
    }
  }

  /** Sends what is queued, and that no more will come; receiving goes on (half-close). */
  async finish(): Promise<void> {
    if (this.#state !== 'open' || this.#finished) return
    this.#finished = true
    await this.#sending.whenIdle()
    if (this.#state === 'open') this.#carrier.end()
  }

  async close(options: WaitOptions = {}): Promise<void> {
    const { signal } = options
    if (this.#state === 'open') {
      this.#state = 'closing'
      await this.#sending.whenIdle()
      this.#received.destroy(CLOSED_HERE())
      this.#carrier.resume() // what still comes is dropped: the peer's end is behind it
      this.#carrier.end()
    }
    const { clock, closeTimeoutMs } = this.#options
    const timer = clock.setTimer(clock.now() + closeTimeoutMs, () => this.#giveUpClosing())
    const onAbort = (): void => this.#giveUpClosing()
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.closed
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  destroy(reason?: Error): void {
    if (this.#state === 'closed') return
    this.#reason ??= reason
    this.#carrier.destroy(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What a negotiation has found; from now on blocks travel in its format. */
  adopt(agreement: Agreement): void {
    this.#agreement = agreement
    this.#format = agreement.format
  }

  // From the carrier.

  onMessage(message: ReceivedMessage): void {
    if (this.#state === 'open') this.#received.push(message)
  }

  onProgress(): void {
    this.#progress += 1
    if (this.#readTimer === undefined) this.#armReadTimer()
  }

  onLost(error: Error): void {
    this.onProblem?.(error)
  }

  onDrain(): void {
    this.#sending.onDrain()
  }

  onEnd(): void {
    this.#received.end(new TransportError('ERR_DISCONNECTED', 'the peer has ended the connection'))
  }

  onClose(reason: Error | undefined): void {
    const error = this.#reason ?? reason
    const closing = this.#state === 'closing'
    this.#state = 'closed'
    this.#readTimer?.cancel()
    this.#cancelWriteTimer()
    const told = error ?? (closing ? CLOSED_HERE() : disconnected())
    this.#sending.fail(told)
    // A clean end comes after everything that was delivered; anything else cuts it off.
    if (error === undefined) this.#received.end(told)
    else this.#received.destroy(told)
    this.#settleClosed(error)
  }

  #send(message: Eventual<OutgoingMessage>, options: WaitOptions): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(this.#reason ?? CLOSED_HERE())
    if (this.#finished) {
      return Promise.reject(new ClosedError('ERR_CLOSED', 'this side has finished sending'))
    }
    return this.#sending.send(message, options.signal)
  }

  #receive(kind: 'raw' | 'block', options: ReceiveOptions): Promise<unknown> {
    const { signal, timeoutMs } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const done = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        kind,
        resolve: (value) => {
          done()
          resolve(value)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      const giveUp = (error: unknown): void => {
        this.#received.forget(waiter)
        waiter.reject(error)
      }
      const onAbort = (): void => giveUp(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (timeoutMs !== undefined) timer = this.#timeLimit(timeoutMs, giveUp)
      try {
        this.#received.wait(waiter)
      } catch (error) {
        waiter.reject(error)
      }
    })
  }

  #timeLimit(timeoutMs: number, giveUp: (error: unknown) => void): Timer {
    const { clock } = this.#options
    return clock.setTimer(clock.now() + timeoutMs, () => {
      giveUp(new TimeoutError('ERR_DEADLINE', `nothing was received within ${timeoutMs} ms`))
    })
  }

  #onInvalid(error: Error): void {
    if (this.#options.onInvalid === 'report') this.onProblem?.(error)
    else this.destroy(error)
  }

  #giveUpClosing(): void {
    this.#carrier.destroy(new ClosedError('ERR_CLOSED', 'the peer did not end its side in time'))
  }

  /** One timer while something is heard; a message that stands still is a peer that is gone. */
  #armReadTimer(): void {
    const { clock, readTimeoutMs } = this.#options
    const seen = this.#progress
    this.#readTimer = clock.setTimer(clock.now() + readTimeoutMs, () => {
      this.#readTimer = undefined
      if (!this.#carrier.partial) return
      if (this.#progress !== seen) return this.#armReadTimer()
      const text = `a message has stood still for ${readTimeoutMs} ms`
      this.destroy(new TimeoutError('ERR_IDLE', text))
    })
    this.#readTimer.unref()
  }

  #armWriteTimer(): void {
    const { clock, writeTimeoutMs } = this.#options
    const waiting = this.#carrier.writableLength
    this.#writeTimer = clock.setTimer(clock.now() + writeTimeoutMs, () => {
      if (this.#carrier.writableLength < waiting) return this.#armWriteTimer()
      const text = `the peer has taken nothing for ${writeTimeoutMs} ms`
      this.destroy(new TimeoutError('ERR_IDLE', text))
    })
    this.#writeTimer.unref()
  }

  #cancelWriteTimer(): void {
    this.#writeTimer?.cancel()
    this.#writeTimer = undefined
  }
}

const CLOSED_HERE = (): Error => new ClosedError('ERR_CLOSED', 'the connection was closed')
const disconnected = (): Error =>
  new TransportError('ERR_DISCONNECTED', 'the peer has ended the connection')
