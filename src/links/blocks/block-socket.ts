/**
 * Blocks as datagrams: one block, one datagram. Lost, doubled and overtaken like any, unless they are
 * sent `reliable` to a peer that acknowledges.
 *
 * What cannot be read, is not true, or has no room is counted and told by `onProblem`; the socket goes
 * on. It never closes for what somebody sent.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Timer } from '../../core/clock.ts'
import type { DatagramSocket } from '../../core/datagram-socket.ts'
import { ClosedError, ProtocolError, TimeoutError, toError, UsageError } from '../../core/errors.ts'
import { type SigningKey, whenReady } from '../../core/signing.ts'
import { ackPayload, readAck } from '../../protocols/olocus/ack-payload.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import {
  BLOCK_CODES,
  type BlockCode,
  blockCodeOf,
  blockError,
} from '../../protocols/olocus/block-codes.ts'
import { createStandalone } from '../../protocols/olocus/create.ts'
import type { Agreement } from '../../protocols/olocus/hello.ts'
import type { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { Acknowledger, type ReliableOptions } from './acknowledger.ts'
import type { ReceivedMessage } from './block-carrier.ts'
import type { ReceiveOptions, WaitOptions } from './block-connection.ts'
import { BlockReader, writeBlock } from './block-messages.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { type DatagramHelloOptions, DatagramHellos } from './datagram-hellos.ts'
import { type Outcome, ReceiveQueue, type Waiter } from './receive-queue.ts'

export interface BlockSocketOptions {
  /** Signs acknowledgements: with it, each block that arrives is acknowledged. @default none */
  acknowledgeWith?: SigningKey
  reliable?: ReliableOptions
  /**
   * Hellos with each peer before the first block: a connected socket asks, a bound one answers.
   * Whatever comes from somebody who has not agreed is dropped, and nothing is sent to them.
   *
   * @default no exchange: a peer is known by the signatures of its blocks only
   */
  negotiate?: DatagramHelloOptions
}

export interface SendToOptions extends WaitOptions {
  /** Sent again until the peer acknowledges it. @default false */
  reliable?: boolean
}

export interface BlockSocketStatistics {
  readonly received: number
  readonly sent: number
  /** Not the bytes of a block. */
  readonly malformed: number
  /** A block that is not true. */
  readonly invalid: number
  /** Came again, and was acknowledged again. */
  readonly duplicates: number
  /** Had no room, because nobody received. */
  readonly dropped: number
  /** Acknowledgements that would have been more than their peer had sent. */
  readonly withheld: number
  /** Came from somebody who had not agreed. */
  readonly strangers: number
}

interface Datagram extends ReceivedMessage {
  readonly from: Address
  readonly format: WireFormat
}

export class BlockSocket implements AsyncDisposable {
  /** What was refused, and where it came from. */
  onProblem: ((error: Error, from: Address | undefined) => void) | undefined
  readonly #socket: DatagramSocket
  readonly #settings: ResolvedBlockOptions
  readonly #reader: BlockReader
  readonly #received: ReceiveQueue
  readonly #acknowledger: Acknowledger
  readonly #key: SigningKey | undefined
  readonly #counts = {
    received: 0,
    sent: 0,
    malformed: 0,
    invalid: 0,
    duplicates: 0,
    dropped: 0,
    withheld: 0,
    strangers: 0,
  }
  readonly #hellos: DatagramHellos | undefined
  #full = false
  #closed = false

  constructor(socket: DatagramSocket, settings: ResolvedBlockOptions, options: BlockSocketOptions) {
    this.#socket = socket
    this.#settings = settings
    this.#key = options.acknowledgeWith
    const { negotiate } = options
    this.#hellos =
      negotiate &&
      new DatagramHellos(negotiate, settings, socket.remote === undefined, {
        send: (bytes, to) => this.#send(bytes, to),
        mayAnswer: (to, bytes) => this.#acknowledger.mayAnswer(to, bytes),
        onProblem: (error, from) => this.onProblem?.(error, from),
      })
    this.#acknowledger = new Acknowledger(settings.clock, options.reliable ?? {})
    this.#reader = new BlockReader(settings)
    this.#received = new ReceiveQueue({
      maxMessages: settings.maxQueuedMessages,
      maxBytes: settings.maxQueuedBytes,
      decode: (message) => this.#reader.read(message, (message as Datagram).format),
      onInvalid: (error, message) => this.#refused(error, (message as Datagram).from),
      onPressure: (full) => {
        this.#full = full
      },
    })
    socket.open({
      onDatagram: (payload, from) => this.#onDatagram(payload, from),
      onError: (error) => this.onProblem?.(error, undefined),
      onClose: (reason) => this.#onClose(reason),
    })
  }

  get localAddr(): Address {
    return this.#socket.address
  }
  /** Of a connected socket. */
  get peerAddr(): Address | undefined {
    return this.#socket.remote
  }
  get maxPacketSize(): number {
    return this.#socket.maxPayloadBytes
  }
  get statistics(): BlockSocketStatistics {
    return { ...this.#counts }
  }
  /** Blocks sent `reliable` that are not acknowledged yet. */
  get unacknowledged(): number {
    return this.#acknowledger.pendingCount
  }

  /** What was agreed with a peer, if hellos are exchanged and have been. */
  agreementWith(peer: Address): Agreement | undefined {
    return this.#hellos?.agreementWith(peer)
  }

  /** Asks the peer of a connected socket; by the transport, before anybody has the socket. */
  async negotiate(signal?: AbortSignal): Promise<void> {
    await this.#hellos?.ask(this.#remote(), signal)
  }

  /** To the peer of a connected socket. */
  async sendBlock(block: Block, options: SendToOptions = {}): Promise<void> {
    return await this.sendBlockTo(block, this.#remote(), options)
  }

  /** @throws ProtocolError ERR_FRAME_TOO_LARGE over the longest datagram */
  async sendBlockTo(block: Block, to: Address, options: SendToOptions = {}): Promise<void> {
    const { reliable = false, signal } = options
    signal?.throwIfAborted()
    const { bytes } = await writeBlock(block, this.#formatFor(to), false, this.#settings)
    if (!reliable) return this.#send(bytes, to)
    const hash = await block.hash(this.#settings.signing)
    const send = (): void => {
      this.#send(bytes, to)
      // Its acknowledgement is longer, and may not be more than was sent.
      if (bytes.length < ACK_BLOCK_BYTES) this.#send(bytes, to)
    }
    return this.#acknowledger.deliver(hash, to, send, signal)
  }

  async sendTo(bytes: Uint8Array, to: Address): Promise<void> {
    this.#formatFor(to)
    this.#send(bytes, to)
  }

  /** To the peer of a connected socket. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.sendTo(bytes, this.#remote())
  }

  async recv(options: ReceiveOptions = {}): Promise<Uint8Array> {
    return (await this.recvFrom(options)).bytes
  }

  async recvFrom(options: ReceiveOptions = {}): Promise<{ bytes: Uint8Array; from: Address }> {
    const { value, from } = await this.#receive('raw', options)
    return { bytes: value as Uint8Array, from }
  }

  /** A block that is not true rejects this call; the next one goes on. */
  async recvBlockFrom<Payload = unknown>(
    options: ReceiveOptions = {},
  ): Promise<{ block: Block<Payload>; from: Address }> {
    const { value, from } = await this.#receive('block', options)
    return { block: value as Block<Payload>, from }
  }

  async recvBlock<Payload = unknown>(options: ReceiveOptions = {}): Promise<Block<Payload>> {
    return (await this.recvBlockFrom<Payload>(options)).block
  }

  /** Calls for each block instead of `recvBlockFrom`. @returns ends that */
  onBlock(listener: (block: Block, from: Address) => void): () => void {
    this.#received.listen((block, message) => listener(block, (message as Datagram).from))
    return () => this.#received.unlisten()
  }

  async close(): Promise<void> {
    this.#shut(new ClosedError('ERR_CLOSED', 'the socket was closed'))
    await this.#socket.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #send(bytes: Uint8Array, to: Address): void {
    if (this.#closed) throw new ClosedError('ERR_CLOSED', 'the socket was closed')
    const { maxPayloadBytes } = this.#socket
    if (bytes.length > maxPayloadBytes) {
      const text = `a datagram of ${bytes.length} bytes is over the limit of ${maxPayloadBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', text, { sent: 'nothing' })
    }
    if (this.#socket.send(bytes, to)) this.#counts.sent += 1
    else this.#counts.dropped += 1
  }

  #onDatagram(payload: Uint8Array, from: Address): void {
    this.#counts.received += 1
    const bytes = new Uint8Array(payload)
    const counts = this.#key !== undefined || this.#acknowledger.pendingCount > 0
    if (counts || this.#hellos !== undefined) this.#acknowledger.received(from, bytes.length)
    let { format } = this.#settings
    if (this.#hellos !== undefined) {
      const taken = this.#hellos.take(bytes, from)
      if (taken === 'stranger') this.#counts.strangers += 1
      if (typeof taken === 'string') return
      format = taken.format
    }
    const message: Datagram = { bytes, kind: 'message', blockHash: undefined, from, format }
    if (!counts) return this.#queue(message, undefined)
    const sorted = whenReady(this.#reader.read(message, format), (outcome) =>
      this.#sort(message, outcome),
    )
    if (sorted instanceof Promise) sorted.catch((error) => this.onProblem?.(toError(error), from))
  }

  /** Acknowledgements to who waits for them; blocks to who receives, and an answer to who sent them. */
  async #sort(message: Datagram, outcome: Outcome): Promise<void> {
    if (this.#closed) return
    const block = 'block' in outcome ? outcome.block : outcome.refused
    if (block === undefined) return this.#queue(message, outcome)
    const ack = 'block' in outcome ? readAck(block) : undefined
    if (ack !== undefined) return this.#acknowledger.onAck(ack, message.from)
    const hash = await block.hash(this.#settings.signing)
    const valid = 'block' in outcome
    const again =
      this.#key !== undefined && valid && this.#acknowledger.remember(hash, message.from)
    if (again) this.#counts.duplicates += 1
    else this.#queue(message, outcome)
    if (this.#key === undefined) return
    const code = valid ? BLOCK_CODES.Ok : codeOf((outcome as { error: Error }).error)
    await this.#acknowledge(this.#key, hash, block.index, code, message.from)
  }

  async #acknowledge(
    key: SigningKey,
    blockHash: Uint8Array,
    index: bigint,
    code: BlockCode,
    to: Address,
  ): Promise<void> {
    if (!this.#acknowledger.mayAnswer(to, ACK_BLOCK_BYTES)) {
      this.#counts.withheld += 1
      return
    }
    const { clock, signing } = this.#settings
    const timestamp = Math.floor(clock.wallNow() / 1_000)
    const payload = ackPayload({ blockHash, index, code })
    const block = await createStandalone(payload, { key, host: signing, timestamp })
    const { bytes } = await writeBlock(block, this.#formatFor(to), false, this.#settings)
    if (!this.#closed) this.#send(bytes, to)
  }

  #queue(message: Datagram, outcome: Outcome | undefined): void {
    if (this.#full) {
      this.#counts.dropped += 1
      return
    }
    this.#received.push(message, outcome)
  }

  #refused(error: Error, from: Address): void {
    const code = blockCodeOf(error)
    const malformed = code === 'MalformedBlock' || code === 'SerializationError'
    if (malformed) this.#counts.malformed += 1
    else this.#counts.invalid += 1
    this.onProblem?.(error, from)
  }

  #receive(
    kind: 'raw' | 'block',
    options: ReceiveOptions,
  ): Promise<{ value: Uint8Array | Block; from: Address }> {
    const { signal, timeoutMs } = options
    const { clock } = this.#settings
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      let timer: Timer | undefined
      const done = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        kind,
        resolve: (value, message) => {
          done()
          resolve({ value, from: (message as Datagram).from })
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
        timer = clock.setTimer(clock.now() + timeoutMs, () =>
          giveUp(new TimeoutError('ERR_DEADLINE', text)),
        )
      }
      try {
        this.#received.wait(waiter)
      } catch (error) {
        waiter.reject(error)
      }
    })
  }

  /** @throws ProtocolError NegotiationIncomplete before both have agreed */
  #formatFor(to: Address): WireFormat {
    if (this.#hellos === undefined) return this.#settings.format
    const agreement = this.#hellos.agreementWith(to)
    if (agreement !== undefined) return agreement.format
    throw blockError('NegotiationIncomplete', `no hellos were exchanged with ${formatAddress(to)}`)
  }

  #remote(): Address {
    const { remote } = this.#socket
    if (remote !== undefined) return remote
    throw new UsageError(
      'ERR_STATE',
      'this socket has no peer: sendTo and sendBlockTo say where to',
    )
  }

  #onClose(reason: Error | undefined): void {
    this.#shut(reason ?? new ClosedError('ERR_CLOSED', 'the socket was closed'))
  }

  #shut(reason: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#acknowledger.close(reason)
    this.#hellos?.close(reason)
    this.#received.destroy(reason)
  }
}

function codeOf(error: Error): BlockCode {
  return BLOCK_CODES[blockCodeOf(error) ?? 'MalformedBlock']
}

/** Envelope 186, hash 32, index 8, code 1. */
const ACK_BLOCK_BYTES = 227
