/**
 * Blocks on a connection of many streams, as the seed has QUIC.
 *
 *     sendBlock   a stream of one direction for each block: none waits for one that was lost
 *     request     a stream of two directions: one block each way, each side finished behind it
 *     openStream  a stream that stays: as many blocks as both like
 *
 * Each message is `| length u32 | message |`; more behind it on a stream of one block resets that
 * stream with code 1. Blocks are received in the order in which they are complete.
 */

import type { Address } from '../../core/address.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Timer } from '../../core/clock.ts'
import type { Connection, ConnectionHandler } from '../../core/connection.ts'
import {
  ClosedError,
  ProtocolError,
  TimeoutError,
  TransportError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import type {
  MultiplexedConnection,
  MultiplexedHandler,
} from '../../core/multiplexed-connection.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { BlockFrameDecoder, encodeBlockFrame } from '../../protocols/olocus/frame-decoder.ts'
import type { Agreement } from '../../protocols/olocus/hello.ts'
import type { ReceivedMessage } from './block-carrier.ts'
import {
  BlockConnection,
  type BlockPeer,
  type ReceiveOptions,
  type WaitOptions,
} from './block-connection.ts'
import { BlockReader, writeBlock } from './block-messages.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { helloDeadline, type NegotiateOptions, negotiate } from './negotiate.ts'
import { randomUuid } from './random-uuid.ts'
import { ReceiveQueue, type Waiter } from './receive-queue.ts'
import { StreamCarrier } from './stream-carrier.ts'

/** Answers the block of a request. */
export type BlockResponder = (block: Block) => Block | Promise<Block>

export class QuicBlockConnection implements BlockPeer, MultiplexedHandler {
  readonly connectionId: string = randomUuid()
  readonly transportType = 'QUIC'
  readonly supportsMultiplexing = true
  readonly supportsEncryption = true
  readonly closed: Promise<Error | undefined>
  /** Streams and blocks that were refused while the connection went on. */
  onProblem: ((error: Error) => void) | undefined
  readonly #connection: MultiplexedConnection
  #settings: ResolvedBlockOptions
  #agreement: Agreement | undefined
  #negotiating = false
  readonly #received: ReceiveQueue
  readonly #reader: BlockReader
  #responder: BlockResponder | undefined
  #settleClosed!: (reason: Error | undefined) => void
  #over = false
  #reason: Error | undefined
  /** Streams of the peer that wait for room, or for somebody to take them. Bounded by its limit. */
  #unread: Connection[] = []
  #offered: Connection[] = []
  #accepting: { resolve(stream: BlockConnection): void; reject(error: unknown): void }[] = []
  #credit: (() => void)[] = []
  #full = false

  constructor(connection: MultiplexedConnection, settings: ResolvedBlockOptions) {
    this.#connection = connection
    this.#settings = settings
    this.#reader = new BlockReader(settings)
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    this.#received = new ReceiveQueue({
      maxMessages: settings.maxQueuedMessages,
      maxBytes: settings.maxQueuedBytes,
      decode: (message) => this.#reader.read(message, this.#settings.format),
      onInvalid: (error) => this.#onInvalid(error),
      onPressure: (full) => this.#onPressure(full),
    })
    connection.open(this)
  }

  get peerAddr(): Address {
    return this.#connection.facts.remote
  }
  get localAddr(): Address {
    return this.#connection.facts.local
  }
  get streamCount(): number {
    return this.#connection.streamCount
  }
  get agreement(): Agreement | undefined {
    return this.#agreement
  }

  /**
   * The exchange of hellos, by the transport and before anybody has the connection: on the first
   * stream of two directions, which the dialer opens. Whatever else comes waits until both agree.
   */
  async negotiate(options: NegotiateOptions, signal?: AbortSignal): Promise<void> {
    this.#negotiating = true
    const deadline = helloDeadline(options, this.#settings.clock, signal)
    try {
      const wait = { signal: deadline.signal }
      const dials = this.#connection.facts.role === 'initiating'
      const stream = await (dials ? this.openStream(wait) : this.acceptStream(wait))
      this.#agreement = await negotiate(stream, options, this.#settings, deadline.signal)
      void stream.close().catch(() => {}) // its end, not ours
    } catch (error) {
      this.destroy(toError(error))
      throw error
    } finally {
      deadline.cancel()
    }
    this.#settings = { ...this.#settings, format: this.#agreement.format }
    this.#negotiating = false
    this.#onPressure(this.#full)
  }

  async send(bytes: Uint8Array, options: WaitOptions = {}): Promise<void> {
    if (bytes.length === 0) throw new UsageError('ERR_ARGUMENT', 'a message of length 0')
    ByteWriter.checkLength('message', bytes.length, this.#settings.maxMessageBytes)
    const stream = await this.#open('unidirectional', options)
    await new Outgoing(stream, bytes).sent
  }

  async sendBlock(block: Block, options: WaitOptions = {}): Promise<void> {
    const { format } = this.#settings
    const { bytes } = await writeBlock(block, format, false, this.#settings)
    await this.send(bytes, options)
  }

  recv(options: ReceiveOptions = {}): Promise<Uint8Array> {
    return this.#receive('raw', options) as Promise<Uint8Array>
  }

  recvBlock<Payload = unknown>(options: ReceiveOptions = {}): Promise<Block<Payload>> {
    return this.#receive('block', options) as Promise<Block<Payload>>
  }

  onBlock(listener: (block: Block) => void): () => void {
    this.#received.listen(listener)
    return () => this.#received.unlisten()
  }

  /** One block there, one block back, on a stream of their own. */
  async request<Payload = unknown>(
    block: Block,
    options: ReceiveOptions = {},
  ): Promise<Block<Payload>> {
    const stream = await this.openStream(options)
    try {
      await stream.sendBlock(block, options)
      await stream.finish()
      const answer = await stream.recvBlock<Payload>(options)
      await stream.close()
      return answer
    } catch (error) {
      stream.destroy(toError(error))
      throw error
    }
  }

  /** Answers requests, instead of `acceptStream`. */
  onRequest(responder: BlockResponder): void {
    this.#responder = responder
    for (const stream of this.#offered.splice(0)) void this.#respond(stream, responder)
  }

  /** Waits for credit when the peer allows no more streams now. */
  async openStream(options: WaitOptions = {}): Promise<BlockConnection> {
    return this.#wrap(await this.#open('bidirectional', options))
  }

  acceptStream(options: WaitOptions = {}): Promise<BlockConnection> {
    const { signal } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    const first = this.#offered.shift()
    if (first !== undefined) return Promise.resolve(this.#wrap(first))
    if (this.#over) return Promise.reject(this.#ended())
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#accepting = this.#accepting.filter((one) => one !== entry)
        reject(signal?.reason)
      }
      const entry = { resolve, reject }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#accepting.push(entry)
    })
  }

  async close(options: WaitOptions = {}): Promise<void> {
    const { clock, closeTimeoutMs } = this.#settings
    const late = new AbortController()
    const timer = clock.setTimer(clock.now() + closeTimeoutMs, () => late.abort())
    const signals = options.signal === undefined ? [] : [options.signal]
    this.#reason ??= new ClosedError('ERR_CLOSED', 'the connection was closed')
    this.#received.destroy(this.#reason)
    try {
      await this.#connection.close({ signal: AbortSignal.any([late.signal, ...signals]) })
    } finally {
      timer.cancel()
    }
  }

  destroy(reason?: Error): void {
    this.#reason ??= reason
    this.#connection.destroy(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // From the connection.

  onStream(stream: Connection): void {
    const { direction } = stream as { readonly direction?: unknown }
    if (direction === 'unidirectional') {
      if (this.#full || this.#negotiating) this.#unread.push(stream)
      else this.#read(stream)
      return
    }
    const waiting = this.#accepting.shift()
    if (waiting !== undefined) waiting.resolve(this.#wrap(stream))
    else if (this.#responder !== undefined) void this.#respond(stream, this.#responder)
    else this.#offered.push(stream)
  }

  onStreamsAvailable(): void {
    for (const wake of this.#credit.splice(0)) wake()
  }

  onClose(reason: Error | undefined): void {
    this.#over = true
    this.#reason ??= reason
    const told = this.#ended()
    for (const one of this.#accepting.splice(0)) one.reject(told)
    this.onStreamsAvailable() // who waits for credit finds out
    if (reason === undefined) this.#received.end(told)
    else this.#received.destroy(told)
    this.#settleClosed(reason)
  }

  #read(stream: Connection): void {
    new Incoming(stream, this.#settings, {
      onMessage: (message) => this.#received.push(message),
      onProblem: (error) => this.onProblem?.(error),
    })
  }

  async #respond(stream: Connection, responder: BlockResponder): Promise<void> {
    const blocks = this.#wrap(stream)
    try {
      await blocks.sendBlock(await responder(await blocks.recvBlock()))
      await blocks.finish()
    } catch (error) {
      this.onProblem?.(toError(error))
      blocks.destroy(toError(error))
    }
  }

  #wrap(stream: Connection): BlockConnection {
    return new BlockConnection('QUIC', new StreamCarrier(stream, this.#settings), this.#settings)
  }

  /** Credit that has run out is waited for: it is no error. */
  async #open(
    direction: 'bidirectional' | 'unidirectional',
    options: WaitOptions,
  ): Promise<Connection> {
    const { signal } = options
    for (;;) {
      signal?.throwIfAborted()
      if (this.#over || this.#reason !== undefined) throw this.#ended()
      const stream = this.#connection.openStream({ direction })
      if (stream !== undefined) return stream
      if (this.#credit.length >= this.#settings.maxPendingSends) {
        throw new TransportError('ERR_DISCONNECTED', 'too many wait for a stream')
      }
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => reject(signal?.reason)
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#credit.push(() => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
      })
    }
  }

  #receive(kind: 'raw' | 'block', options: ReceiveOptions): Promise<unknown> {
    const { signal, timeoutMs } = options
    const { clock } = this.#settings
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
      if (timeoutMs !== undefined) {
        const text = `nothing was received within ${timeoutMs} ms`
        const late = (): void => giveUp(new TimeoutError('ERR_DEADLINE', text))
        timer = clock.setTimer(clock.now() + timeoutMs, late)
      }
      try {
        this.#received.wait(waiter)
      } catch (error) {
        waiter.reject(error)
      }
    })
  }

  #onInvalid(error: Error): void {
    if (this.#settings.onInvalid === 'report') this.onProblem?.(error)
    else this.destroy(error)
  }

  #onPressure(full: boolean): void {
    this.#full = full
    while (!this.#full) {
      const stream = this.#unread.shift()
      if (stream === undefined) return
      this.#read(stream)
    }
  }

  #ended(): Error {
    const text = 'the peer has ended the connection'
    return this.#reason ?? new TransportError('ERR_DISCONNECTED', text)
  }
}

/** A stream of one message: written, finished, done. */
class Outgoing implements ConnectionHandler {
  readonly sent: Promise<void>
  #settle!: (error: unknown) => void

  constructor(stream: Connection, bytes: Uint8Array) {
    this.sent = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error))
    })
    stream.open(this)
    const out = new ByteWriter()
    encodeBlockFrame(bytes, out)
    const writable = out.flushTo(stream)
    stream.end()
    if (writable) this.#settle(undefined)
  }

  onData(): void {}
  onEnd(): void {}
  onDrain(): void {
    this.#settle(undefined)
  }
  onClose(reason: Error | undefined): void {
    this.#settle(reason)
  }
}

interface IncomingOwner {
  onMessage(message: ReceivedMessage): void
  onProblem(error: Error): void
}

/** A stream of one message, from the peer. It is handed on when the peer has finished it. */
class Incoming implements ConnectionHandler {
  readonly #stream: Connection
  readonly #owner: IncomingOwner
  readonly #decoder: BlockFrameDecoder
  #message: Uint8Array | undefined
  #failed = false

  constructor(
    stream: Connection,
    settings: Pick<ResolvedBlockOptions, 'maxMessageBytes'>,
    owner: IncomingOwner,
  ) {
    this.#stream = stream
    this.#owner = owner
    this.#decoder = new BlockFrameDecoder({ maxMessageBytes: settings.maxMessageBytes })
    stream.open(this)
  }

  onData(chunk: Uint8Array): void {
    if (this.#failed) return
    try {
      this.#decoder.push(chunk)
      const message = this.#decoder.next()
      if (message !== undefined && this.#message === undefined) {
        this.#message = new Uint8Array(message)
        this.#decoder.next() // takes the rest of the chunk, if there is any
      }
      if (this.#message !== undefined && this.#decoder.partial) {
        throw new ProtocolError('ERR_PROTOCOL', 'more than one message on a stream of one')
      }
    } catch (error) {
      this.#fail(toError(error))
    }
  }

  onEnd(): void {
    if (this.#failed) return
    const bytes = this.#message
    if (bytes !== undefined) {
      return this.#owner.onMessage({ bytes, kind: 'message', blockHash: undefined })
    }
    this.#fail(new ProtocolError('ERR_TRUNCATED', 'a stream ended inside its message'))
  }

  onDrain(): void {}
  onClose(reason: Error | undefined): void {
    if (reason !== undefined && !this.#failed) this.#owner.onProblem(reason)
  }

  #fail(error: Error): void {
    this.#failed = true
    this.#stream.destroy(error)
    this.#owner.onProblem(error)
  }
}
