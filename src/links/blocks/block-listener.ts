/**
 * Newcomers, by `accept` or by a callback. Those that nobody accepts wait, and over a bound the
 * listener stops taking more: the kernel's queue holds them.
 */
import type { Address } from '../../core/address.ts'
import { ClosedError, checkInteger, UsageError } from '../../core/errors.ts'
import type { Listener } from '../../core/transport.ts'
import type { BlockPeer, WaitOptions } from './block-connection.ts'

export interface BlockListenOptions<Peer = BlockPeer> {
  /** Called for each connection, instead of `accept`. */
  onConnection?: (connection: Peer) => void
  /** Connections that wait for `accept`; then newcomers wait in the kernel. @default 128, as a backlog */
  maxPendingConnections?: number
  /** A newcomer that came to nothing: its handshake failed, it did not agree. */
  onError?: (error: Error) => void
}

export const blockListenDefaults: Readonly<{ maxPendingConnections: number }> = Object.freeze({
  maxPendingConnections: 128,
})

export class BlockListener<Peer extends BlockPeer = BlockPeer> implements AsyncDisposable {
  readonly #maxPending: number
  readonly #onConnection: ((connection: Peer) => void) | undefined
  readonly #connections = new Set<Peer>()
  #pending: Peer[] = []
  #waiters: { resolve(peer: Peer): void; reject(error: unknown): void }[] = []
  #listener: Listener | undefined
  #paused = false
  #closed = false

  constructor(options: BlockListenOptions<Peer>) {
    const { maxPendingConnections = blockListenDefaults.maxPendingConnections } = options
    this.#maxPending = checkInteger('maxPendingConnections', maxPendingConnections, 1, 65_536)
    this.#onConnection = options.onConnection
  }

  /** Once, by the transport that made it. */
  attach(listener: Listener): this {
    this.#listener = listener
    if (this.#paused) listener.pause()
    return this
  }

  get localAddr(): Address {
    if (this.#listener === undefined) throw new UsageError('ERR_NOT_OPEN', 'not listening')
    return this.#listener.address
  }
  /** Accepted and not closed, or waiting to be accepted. */
  get connectionCount(): number {
    return this.#connections.size
  }

  accept(options: WaitOptions = {}): Promise<Peer> {
    const { signal } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    const first = this.#pending.shift()
    if (first !== undefined) {
      this.#relieve()
      return Promise.resolve(first)
    }
    if (this.#closed) return Promise.reject(closed())
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(signal?.reason)
      }
      const done = (): void => signal?.removeEventListener('abort', onAbort)
      const waiter = {
        resolve: (peer: Peer) => {
          done()
          resolve(peer)
        },
        reject: (error: unknown) => {
          done()
          reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.push(waiter)
    })
  }

  /** Every connection until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Peer> {
    while (!this.#closed || this.#pending.length > 0) {
      let peer: Peer
      try {
        peer = await this.accept()
      } catch {
        return
      }
      yield peer
    }
  }

  /** From the transport: one more. */
  add(peer: Peer): void {
    this.#connections.add(peer)
    void peer.closed.then(() => this.#connections.delete(peer))
    if (this.#onConnection !== undefined) return this.#onConnection(peer)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return waiter.resolve(peer)
    this.#pending.push(peer)
    if (this.#pending.length >= this.#maxPending && !this.#paused) {
      this.#paused = true
      this.#listener?.pause()
    }
  }

  /** Stops listening, closes those that nobody accepted, waits for the others. */
  async close(options: WaitOptions = {}): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
      for (const peer of this.#pending.splice(0)) peer.destroy(closed())
    }
    await this.#listener?.close(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #relieve(): void {
    if (!this.#paused || this.#pending.length * 2 > this.#maxPending) return
    this.#paused = false
    this.#listener?.resume()
  }
}

const closed = (): Error => new ClosedError('ERR_CLOSED', 'the listener was closed')
