/**
 * Messages over a datagram socket that arrive once, or whose sender hears that they may not have.
 *
 *     const messages = reliableDatagrams(await udp().bind(ip('0.0.0.0', 4_000)), {
 *       onMessage(payload, from) { … },
 *     })
 *     await messages.send(payload, to)   // resolves when the peer has it
 *
 * Both ends speak it: what others send is dropped and counted. The rules of the exchange are in
 * protocols/reliable-datagrams, what it is and is not for in docs/transports/udp.md.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { DatagramSocket } from '../../core/datagram-socket.ts'
import { ClosedError, UsageError } from '../../core/errors.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { ReliableDatagramEvent } from '../../protocols/reliable-datagrams/messages.ts'
import {
  type ReliableDatagramOptions,
  resolveReliableDatagramOptions,
} from '../../protocols/reliable-datagrams/options.ts'
import { ReliableDatagramSession } from '../../protocols/reliable-datagrams/session.ts'
import { DatagramDriver } from '../../runtime/datagram-driver.ts'

export interface ReliableDatagramsOptions extends ReliableDatagramOptions {
  /** A message, once. The payload is borrowed until the call returns; `from` may be kept. */
  onMessage(payload: Uint8Array, from: Address): void
  /** Somebody sent what is no datagram of this exchange, or the socket heard of an error. */
  onError?(error: Error, from: Address | undefined): void
  /** Exactly once and last. */
  onClose?(reason: Error | undefined): void
  /** @default the system clock */
  clock?: Clock
  /** What tells this process from the one that had its address before. @default 32 random bits */
  epoch?: number
}

/** What became of a message that arrived. */
export interface Delivery {
  /** How often it was sent. */
  readonly attempts: number
}

/** The socket is opened, and belongs to the result from now on. */
export function reliableDatagrams(
  socket: DatagramSocket,
  options: ReliableDatagramsOptions,
): ReliableDatagrams {
  return new ReliableDatagrams(socket, options)
}

export class ReliableDatagrams implements AsyncDisposable {
  /** Longest message. */
  readonly maxMessageBytes: number
  readonly #options: ReliableDatagramsOptions
  readonly #socket: DatagramSocket
  readonly #session: ReliableDatagramSession
  readonly #driver: DatagramDriver<
    Parameters<ReliableDatagramSession['submit']>[0],
    ReliableDatagramEvent
  >
  readonly #waiting = new Map<number, Waiting>()
  #nextReference = 0
  #malformed = 0
  #closing: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(socket: DatagramSocket, options: ReliableDatagramsOptions) {
    const { onError, clock = systemClock, epoch = randomEpoch() } = options
    const { maxDatagramBytes } = resolveReliableDatagramOptions(options)
    const session = new ReliableDatagramSession(epoch, {
      ...options,
      maxDatagramBytes: Math.min(maxDatagramBytes, socket.maxPayloadBytes),
    })
    this.maxMessageBytes = session.maxMessageBytes
    this.#options = options
    this.#socket = socket
    this.#session = session
    this.#driver = new DatagramDriver(
      socket,
      session,
      {
        onEvent: (event) => this.#onEvent(event),
        onError: (error) => onError?.(error, socket.remote),
        onClose: (reason) => this.#onClosed(reason),
      },
      clock,
    )
  }

  get address(): Address {
    return this.#socket.address
  }

  /** Messages that wait for their acknowledgement. */
  get inFlight(): number {
    return this.#session.inFlight
  }

  /** Whether `send` would take a message now; while it is false `send` rejects with ERR_BUSY. */
  get writable(): boolean {
    return this.#session.writable
  }

  /** Datagrams that were none of this exchange. */
  get malformedCount(): number {
    return this.#malformed
  }

  /**
   * Resolves when the peer has acknowledged the message. The payload may be reused at once.
   *
   * @throws rejects with TimeoutError ERR_ATTEMPT_TIMEOUT when no acknowledgement came: the peer may
   *   have it all the same; ProtocolError ERR_FRAME_TOO_LARGE over `maxMessageBytes`; OverloadError
   *   ERR_BUSY when too many messages are in flight; ClosedError ERR_CLOSED
   */
  send(payload: Uint8Array, to: Address | undefined = this.#socket.remote): Promise<Delivery> {
    if (to === undefined) {
      const message = 'a socket that is not connected needs to know where to'
      throw new UsageError('ERR_ARGUMENT', message)
    }
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) throw new ClosedError('ERR_CLOSED', 'it was closed')
      const reference = this.#nextReference
      this.#driver.submit({ type: 'send', payload, to, reference })
      this.#nextReference += 1
      this.#waiting.set(reference, { resolve, reject })
    })
  }

  /** Waits for what is in flight, then closes the socket. `signal` cuts the waiting short. */
  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close(options.signal)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    this.#session.close()
    if (this.#session.inFlight > 0 && signal?.aborted !== true) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
        signal?.addEventListener('abort', resolve as () => void, { once: true })
      })
      signal?.removeEventListener('abort', this.#onIdle as () => void)
    }
    const message = 'it was closed before an acknowledgement came'
    this.#session.abort(new ClosedError('ERR_CLOSED', message, { sent: 'some' }))
    await this.#driver.close()
  }

  #onEvent(event: ReliableDatagramEvent): void {
    switch (event.type) {
      case 'message':
        return this.#options.onMessage(event.payload, event.from)
      case 'malformed':
        this.#malformed += 1
        return this.#options.onError?.(event.error, event.from)
      case 'delivered':
        this.#take(event.reference)?.resolve({ attempts: event.attempts })
        break
      case 'failed':
        this.#take(event.reference)?.reject(event.error)
        break
    }
    if (this.#session.inFlight === 0) this.#onIdle?.()
  }

  #onClosed(reason: Error | undefined): void {
    const error = reason ?? new ClosedError('ERR_CLOSED', 'it was closed')
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#onIdle?.()
    this.#options.onClose?.(reason)
  }

  #take(reference: number): Waiting | undefined {
    const waiting = this.#waiting.get(reference)
    this.#waiting.delete(reference)
    return waiting
  }
}

/** Hard to guess: who guesses it can acknowledge what never arrived. */
function randomEpoch(): number {
  const bytes = new Uint8Array(4)
  nodeHost.randomBytes(bytes)
  return new DataView(bytes.buffer).getUint32(0)
}

interface Waiting {
  resolve(delivery: Delivery): void
  reject(error: Error): void
}
