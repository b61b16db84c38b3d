/**
 * Accepts QUIC connections: on one socket, or on several that share a port.
 *
 * A newcomer's address is proven by Retry before `admitAddress` is asked, and before anything is
 * kept for it. Handshakes are bounded in number and in time. While paused, newcomers finish their
 * handshakes and wait here, up to `maxPausedConnections`.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { ClosedError, OverloadError, TimeoutError, toError } from '../../core/errors.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import { connectionSettings } from './quic-dialer.ts'
import type {
  DrivenConnection,
  DrivenSettings,
  QuicDriver,
  QuicEndpoint,
  QuicServer,
} from './quic-driver.ts'
import type { ResolvedQuicOptions } from './quic-options.ts'
import type { QuicConnection } from './quic-types.ts'

export class QuicListener implements Listener, QuicServer {
  readonly #name: string
  readonly #options: ResolvedQuicOptions
  readonly #callbacks: ListenOptions<QuicConnection>
  readonly #clock: Clock
  #endpoints: readonly QuicEndpoint[] = []
  #address: Address
  readonly #handshakes = new Map<DrivenSettings, Handshake>()
  readonly #connections = new Set<DrivenConnection>()
  #waiting: DrivenConnection[] = []
  #paused = false
  #referenced = true
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  private constructor(
    name: string,
    address: Address,
    callbacks: ListenOptions<QuicConnection>,
    options: ResolvedQuicOptions,
    clock: Clock,
  ) {
    this.#name = name
    this.#address = address
    this.#callbacks = callbacks
    this.#options = options
    this.#clock = clock
  }

  /** @throws TransportError when the address cannot be had, UsageError for bad certificates */
  static async open(
    name: string,
    driver: QuicDriver,
    address: Address,
    callbacks: ListenOptions<QuicConnection>,
    options: ResolvedQuicOptions,
    clock: Clock,
  ): Promise<QuicListener> {
    const listener = new QuicListener(name, address, callbacks, options, clock)
    listener.#endpoints = await driver.openServer(address, listener)
    listener.#address = listener.#endpoints[0]?.local ?? address
    for (const endpoint of listener.#endpoints) endpoint.hold()
    return listener
  }

  get address(): Address {
    return this.#address
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    while (!this.#paused && this.#waiting.length > 0) {
      const connection = this.#waiting.shift() as DrivenConnection
      this.#callbacks.onConnection(connection)
    }
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close()
    const { signal } = options
    if (signal !== undefined) {
      const destroyAll = () => {
        for (const connection of [...this.#connections]) connection.destroy(toError(signal.reason))
      }
      if (signal.aborted) destroyAll()
      else {
        signal.addEventListener('abort', destroyAll, { once: true })
        const forget = () => signal.removeEventListener('abort', destroyAll)
        this.#closing.then(forget, forget)
      }
    }
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    if (this.#referenced || this.#closing !== undefined) return
    this.#referenced = true
    for (const endpoint of this.#endpoints) endpoint.hold()
  }

  unref(): void {
    if (!this.#referenced || this.#closing !== undefined) return
    this.#referenced = false
    for (const endpoint of this.#endpoints) endpoint.release()
  }

  // From the driver.

  onIncoming(remote: Address): DrivenSettings | Error {
    if (this.#closing !== undefined) return new ClosedError('ERR_CLOSED', 'the listener is closed')
    const refused = this.#callbacks.admitAddress?.(remote)
    if (refused !== undefined) return refused
    const { maxHandshakes } = this.#options
    if (this.#handshakes.size >= maxHandshakes) {
      const error = new OverloadError('ERR_LIMITED', `${maxHandshakes} handshakes are under way`)
      this.#report(error)
      return error
    }
    const settings: DrivenSettings = {
      ...connectionSettings(this.#name, this.#options, 'accepting', remote),
      serverName: undefined,
      onSettled: (error) => this.#settled(settings, error),
      onClosed: (connection) => this.#forget(connection),
    }
    return settings
  }

  onCreated(connection: DrivenConnection, settings: DrivenSettings): void {
    const { handshakeTimeoutMs } = this.#options
    const where = formatAddress(settings.remote)
    const timer = this.#clock.setTimer(this.#clock.now() + handshakeTimeoutMs, () => {
      const message = `${where}: the handshake took longer than ${handshakeTimeoutMs} ms`
      connection.fail(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
    })
    timer.unref()
    this.#handshakes.set(settings, { connection, timer })
  }

  onFailed(error: Error): void {
    this.#report(error)
  }

  #settled(settings: DrivenSettings, error: Error | undefined): void {
    const handshake = this.#handshakes.get(settings)
    this.#handshakes.delete(settings)
    if (handshake === undefined) return
    handshake.timer.cancel()
    if (error !== undefined) return this.#report(error)
    this.#accept(handshake.connection)
  }

  #accept(connection: DrivenConnection): void {
    if (this.#closing !== undefined) {
      return connection.destroy(new ClosedError('ERR_CLOSED', 'the listener is closed'))
    }
    this.#connections.add(connection)
    if (!this.#paused) return this.#callbacks.onConnection(connection)
    const { maxPausedConnections } = this.#options
    if (this.#waiting.length < maxPausedConnections) {
      this.#waiting.push(connection)
      return
    }
    const message = `more than ${maxPausedConnections} connections came while the listener was paused`
    const error = new OverloadError('ERR_LIMITED', message)
    connection.destroy(error)
    this.#report(error)
  }

  #forget(connection: DrivenConnection): void {
    this.#connections.delete(connection)
    const at = this.#waiting.indexOf(connection)
    if (at >= 0) this.#waiting.splice(at, 1)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  #report(error: Error): void {
    this.#callbacks.onError?.(error)
  }

  async #close(): Promise<void> {
    const closed = new ClosedError('ERR_CLOSED', 'the listener is closed')
    for (const { connection } of [...this.#handshakes.values()]) connection.fail(closed)
    for (const connection of this.#waiting) connection.destroy(closed)
    this.#waiting = []
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    for (const endpoint of this.#endpoints) {
      if (this.#referenced) endpoint.release()
      await endpoint.close(closed)
    }
  }
}

interface Handshake {
  readonly connection: DrivenConnection
  readonly timer: Timer
}
