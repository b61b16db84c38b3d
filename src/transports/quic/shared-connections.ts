/**
 * The QUIC connections that streams of one transport share, by where they lead.
 *
 * A connection takes streams until it has carried `maxStreamsPerConnection`; then another takes
 * over, and the old one closes after its last stream: OpenSSL keeps a piece of every stream, and
 * looks at all of them in every pass, until their connection ends. When all have
 * `maxConcurrentStreams` open, another is dialled, up to `maxConnectionsPerOrigin`; then `take` waits.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { ClosedError } from '../../core/errors.ts'
import type { QuicDialer } from './quic-dialer.ts'
import type { DrivenConnection, DrivenStream } from './quic-driver.ts'

export interface SharedLimits {
  readonly maxStreamsPerConnection: number
  readonly maxConnectionsPerOrigin: number
  /** Open at a time on one connection: the peer would accept no more. */
  readonly maxConcurrentStreams: number
  readonly lingerMs: number
}

export class SharedConnections {
  readonly #dialer: QuicDialer
  readonly #limits: SharedLimits
  readonly #clock: Clock
  readonly #origins = new Map<string, Origin>()

  constructor(dialer: QuicDialer, limits: SharedLimits, clock: Clock) {
    this.#dialer = dialer
    this.#limits = limits
    this.#clock = clock
  }

  get connectionCount(): number {
    let count = 0
    for (const origin of this.#origins.values()) count += origin.connections.size
    return count
  }

  /** A new stream. Aborting affects this caller only. */
  take(
    address: Address,
    serverName: string | undefined,
    signal: AbortSignal,
  ): Promise<DrivenStream> {
    const key = `${serverName ?? ''} ${formatAddress(address)}`
    let origin = this.#origins.get(key)
    if (origin === undefined) {
      origin = new Origin(address, serverName, () => this.#origins.delete(key))
      this.#origins.set(key, origin)
    }
    const found = origin
    const stream = this.#open(found)
    if (stream !== undefined) return Promise.resolve(stream)
    const { promise, resolve, reject } = Promise.withResolvers<DrivenStream>()
    const waiter: Waiter = { resolve, reject }
    const onAbort = () => {
      found.waiters.delete(waiter)
      if (found.waiters.size === 0) found.abandon(signal.reason)
      reject(signal.reason)
    }
    if (signal.aborted) onAbort()
    else {
      found.waiters.add(waiter)
      signal.addEventListener('abort', onAbort, { once: true })
      const forget = () => signal.removeEventListener('abort', onAbort)
      promise.then(forget, forget)
      this.#dialIfNeeded(found)
    }
    return promise
  }

  /** Closes every connection after its streams, or at once when `signal` aborts. */
  async close(signal?: AbortSignal): Promise<void> {
    const closed = new ClosedError('ERR_CLOSED', 'the transport was closed')
    const closing: Promise<void>[] = []
    for (const origin of [...this.#origins.values()]) {
      origin.abandon(closed)
      for (const waiter of origin.waiters) waiter.reject(closed)
      origin.waiters.clear()
      for (const shared of [...origin.connections]) {
        shared.timer?.cancel()
        shared.retired = true
        closing.push(shared.connection.close(signal === undefined ? {} : { signal }))
      }
    }
    await Promise.all(closing)
  }

  #open(origin: Origin): DrivenStream | undefined {
    for (const shared of origin.connections) {
      if (shared.retired) continue
      if (shared.connection.streamCount >= this.#limits.maxConcurrentStreams) continue
      const stream = shared.connection.openStream()
      if (stream === undefined) continue
      shared.timer?.cancel()
      shared.timer = undefined
      shared.opened += 1
      if (shared.opened >= this.#limits.maxStreamsPerConnection) shared.retired = true
      return stream
    }
    return undefined
  }

  #dialIfNeeded(origin: Origin): void {
    const usable = [...origin.connections].filter(({ retired }) => !retired)
    // Those that are retired drain: they count, or a slow reader would hold up nobody forever.
    if (origin.dialing !== undefined || usable.length >= this.#limits.maxConnectionsPerOrigin)
      return
    const controller = new AbortController()
    origin.dialing = controller
    void this.#dial(origin, controller)
  }

  async #dial(origin: Origin, controller: AbortController): Promise<void> {
    let shared: Shared | undefined
    const { signal } = controller
    try {
      const connection = await this.#dialer.dial(
        origin.address,
        { signal, ...(origin.serverName !== undefined && { serverName: origin.serverName }) },
        { onStreamClosed: () => shared && this.#streamClosed(origin, shared) },
      )
      shared = { connection, opened: 0, retired: false, timer: undefined }
    } catch (error) {
      if (origin.dialing === controller) origin.dialing = undefined
      const waiters = [...origin.waiters]
      origin.waiters.clear()
      for (const waiter of waiters) waiter.reject(error as Error)
      origin.removeIfEmpty()
      return
    }
    if (origin.dialing === controller) origin.dialing = undefined
    this.#add(origin, shared)
    this.#serve(origin)
    if (shared.connection.streamCount === 0) this.#idle(shared)
  }

  #add(origin: Origin, shared: Shared): void {
    const { connection } = shared
    origin.connections.add(shared)
    // Streams keep the process alive; a connection that waits for the next one does not.
    connection.referenced = false
    connection.open({
      // The peer may not open any: there is nobody to take them.
      onStream: (stream) => stream.destroy(NOT_ACCEPTED),
      onStreamsAvailable: () => this.#serve(origin),
      onClose: () => {
        shared.timer?.cancel()
        origin.connections.delete(shared)
        origin.removeIfEmpty()
        if (origin.waiters.size > 0) this.#dialIfNeeded(origin)
      },
    })
  }

  #serve(origin: Origin): void {
    for (const waiter of [...origin.waiters]) {
      const stream = this.#open(origin)
      if (stream === undefined) break
      origin.waiters.delete(waiter)
      waiter.resolve(stream)
    }
    if (origin.waiters.size > 0) this.#dialIfNeeded(origin)
  }

  #streamClosed(origin: Origin, shared: Shared): void {
    if (origin.waiters.size > 0) this.#serve(origin)
    if (shared.connection.streamCount === 0) this.#idle(shared)
  }

  /** No stream is open: the connection waits a while for the next. */
  #idle(shared: Shared): void {
    if (shared.timer !== undefined) return
    // A retired one is not needed, but what its last stream sent may still be read over there.
    const waitMs = shared.retired ? RETIRED_LINGER_MS : this.#limits.lingerMs
    shared.timer = this.#clock.setTimer(this.#clock.now() + waitMs, () => {
      shared.timer = undefined
      if (shared.connection.streamCount > 0) return
      shared.retired = true
      void shared.connection.close()
    })
    shared.timer.unref()
  }
}

class Origin {
  readonly address: Address
  readonly serverName: string | undefined
  readonly connections = new Set<Shared>()
  readonly waiters = new Set<Waiter>()
  dialing: AbortController | undefined
  readonly #onEmpty: () => void

  constructor(address: Address, serverName: string | undefined, onEmpty: () => void) {
    this.address = address
    this.serverName = serverName
    this.#onEmpty = onEmpty
  }

  /** Nobody waits for what is being dialled. */
  abandon(reason: unknown): void {
    this.dialing?.abort(reason)
    this.dialing = undefined
    this.removeIfEmpty()
  }

  removeIfEmpty(): void {
    const { connections, waiters, dialing } = this
    if (connections.size === 0 && waiters.size === 0 && dialing === undefined) this.#onEmpty()
  }
}

interface Shared {
  readonly connection: DrivenConnection
  opened: number
  /** Takes no new streams. */
  retired: boolean
  timer: Timer | undefined
}

interface Waiter {
  resolve(stream: DrivenStream): void
  reject(error: Error): void
}

const NOT_ACCEPTED = new ClosedError('ERR_CLOSED', 'this side accepts no streams')
const RETIRED_LINGER_MS = 1_000
