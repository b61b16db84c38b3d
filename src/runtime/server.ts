/**
 * The server's core, the same for every protocol and transport: who may connect, how many, what
 * state each connection is in, and how all of it ends.
 *
 *     transport.listen ──connection──▸ admit ──▸ limits ──▸ createConnection (the protocol)
 *                                                               │ to(state) … closed(reason)
 *     close(): stop accepting ─▸ drain() every connection ─▸ wait ─▸ destroy what is left
 *
 * A protocol plugs in with `createConnection`. It owns the bytes; the core owns the registry.
 */
import type { Address } from '../core/address.ts'
import { formatAddress } from '../core/address.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { Connection } from '../core/connection.ts'
import { type ConnectionState, ConnectionStateMachine } from '../core/connection-state.ts'
import { ClosedError, checkInteger, checkRange, OverloadError, toError } from '../core/errors.ts'
import { type Counter, type Gauge, type Meter, noopMeter } from '../core/metrics.ts'
import type { Server } from '../core/service.ts'
import type { Listener, ListenOptions, Transport } from '../core/transport.ts'

/** One connection as the protocol runs it. */
export interface ServerConnection {
  /** No call is in flight. */
  readonly idle: boolean
  /** Tells the peer, finishes what is in flight, takes nothing new, then closes. Idempotent. */
  drain(): void
  /** Closes now. `ConnectionControl.closed` follows. */
  destroy(reason: Error): void
}

/** What the protocol tells the core about a connection. */
export interface ConnectionControl {
  readonly connection: Connection
  readonly state: ConnectionState
  /** No call is in flight. */
  readonly idle: boolean
  /** Value of the monotonic clock. */
  readonly acceptedAt: number
  /** The state of the protocol: `authenticating`, `ready`, `draining` … It begins `connected`. */
  to(state: ConnectionState, reason?: Error): void
  /** The connection was handed over (upgrade, CONNECT): from now on `next` drains it. */
  replace(next: ServerConnection): void
  /** The connection has closed. Later calls do nothing. */
  closed(reason: Error | undefined): void
}

export interface ServerCoreOptions {
  clock: Clock
  /** Makes the protocol's side of an accepted, unopened connection. It owns the connection. */
  createConnection(connection: Connection, control: ConnectionControl): ServerConnection
  /**
   * Most connections at a time, all listeners together. Bounds memory: an idle HTTP/1.1 connection
   * takes a few KiB, so that this many stay well below 1 GiB.
   *
   * @default 20_000
   */
  maxConnections?: number
  /**
   * Most connections at a time from one address. Unlimited by default: behind a proxy or a NAT all
   * users share one.
   *
   * @default Infinity
   */
  maxConnectionsPerAddress?: number
  /**
   * At `maxConnections`: `pause` stops accepting, so that newcomers wait in the kernel's queue and
   * the peer's own timeouts apply; `reject` accepts and closes, so that a load balancer in front
   * turns elsewhere at once.
   *
   * @default 'pause'
   */
  whenFull?: 'pause' | 'reject'
  /**
   * Looks at a newcomer's address before a byte is read, TLS handshake included; an error refuses it
   * without an answer. `addressList` of `heddle/security` makes one from CIDR blocks.
   *
   * @default everybody
   */
  admitAddress?(remote: Address): Error | undefined
  /** Looks at a connection before a byte is read. An error returned refuses it. */
  admit?(connection: Connection): Error | undefined
  /** How a refused connection is told so. By default it is destroyed. */
  refuse?(connection: Connection, reason: Error): void
  /**
   * How long `close` waits for calls in flight, in milliseconds. Less than the 30 s that Kubernetes
   * grants between SIGTERM and SIGKILL.
   *
   * @default 10_000
   */
  drainTimeoutMs?: number
  onStateChange?: ServerObserver
  /** Errors that belong to no connection, and bugs of the protocol. */
  onError?(error: Error): void
  /** @default counts nothing */
  meter?: Meter
}

export type ServerObserver = (
  connection: ConnectionControl,
  next: ConnectionState,
  previous: ConnectionState,
  reason: Error | undefined,
) => void

export interface ServerStats {
  readonly connections: number
  readonly accepted: number
  readonly refused: number
  readonly states: ReadonlyMap<ConnectionState, number>
  /** Accepting is paused because `maxConnections` is reached. */
  readonly paused: boolean
}

export const serverDefaults: Readonly<{
  maxConnections: number
  maxConnectionsPerAddress: number
  whenFull: 'pause' | 'reject'
  drainTimeoutMs: number
}> = Object.freeze({
  maxConnections: 20_000,
  maxConnectionsPerAddress: Number.POSITIVE_INFINITY,
  whenFull: 'pause',
  drainTimeoutMs: 10_000,
})

export class ServerCore implements Server {
  readonly #options: ServerCoreOptions
  readonly #clock: Clock
  readonly #maxConnections: number
  readonly #maxPerAddress: number
  readonly #whenFull: 'pause' | 'reject'
  readonly #drainTimeoutMs: number
  readonly #listeners = new Set<Listener>()
  readonly #records = new Set<ConnectionRecord>()
  readonly #perAddress = new Map<string, number>()
  readonly #states = new Map<ConnectionState, number>()
  readonly #metrics: ServerMetrics
  readonly #force = new AbortController()
  #accepted = 0
  #refused = 0
  #paused = false
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined
  readonly #onDraining = new Set<() => void>()

  constructor(options: ServerCoreOptions) {
    const {
      clock,
      maxConnections = serverDefaults.maxConnections,
      maxConnectionsPerAddress = serverDefaults.maxConnectionsPerAddress,
      whenFull = serverDefaults.whenFull,
      drainTimeoutMs = serverDefaults.drainTimeoutMs,
      meter = noopMeter,
    } = options
    this.#options = options
    this.#clock = clock
    this.#maxConnections = checkInteger('maxConnections', maxConnections, 1, MAX_COUNT)
    const max = Number.POSITIVE_INFINITY
    this.#maxPerAddress = checkRange('maxConnectionsPerAddress', maxConnectionsPerAddress, 1, max)
    this.#whenFull = whenFull
    this.#drainTimeoutMs = checkRange('drainTimeoutMs', drainTimeoutMs, 0, MAX_COUNT)
    this.#metrics = new ServerMetrics(meter)
  }

  get draining(): boolean {
    return this.#closing !== undefined
  }

  /** Called once when it begins to drain, at once if it does already. Returns what takes that back. */
  whenDraining(callback: () => void): () => void {
    if (this.draining) callback()
    else this.#onDraining.add(callback)
    return () => this.#onDraining.delete(callback)
  }

  get stats(): ServerStats {
    return {
      connections: this.#records.size,
      accepted: this.#accepted,
      refused: this.#refused,
      states: new Map(this.#states),
      paused: this.#paused,
    }
  }

  get listeners(): Iterable<Listener> {
    return this.#listeners
  }

  /** Connections without a call in flight. Counted when asked: it looks at all of them. */
  countIdle(): number {
    let count = 0
    for (const record of this.#records) if (record.idle) count++
    return count
  }

  /** The connections that are open now, oldest first. */
  get connections(): Iterable<ConnectionControl> {
    return this.#records
  }

  /** @throws ClosedError ERR_CLOSED after `close` */
  async listen(
    transport: Transport,
    address: Address,
    options: Pick<ListenOptions, 'alpn' | 'backlog' | 'descriptor'> = {},
  ): Promise<Listener> {
    if (this.draining) throw closedError()
    const listener = await transport.listen(address, {
      ...options,
      onConnection: (connection) => this.#accept(connection),
      ...(this.#options.admitAddress && { admitAddress: this.#admitAddress }),
      onError: (error) => this.#options.onError?.(error),
    })
    if (this.draining) {
      await listener.close()
      throw closedError()
    }
    this.#listeners.add(listener)
    if (this.#paused) listener.pause()
    return listener
  }

  /** A connection from elsewhere: inherited, tunnelled, sniffed. The server owns it from here. */
  adopt(connection: Connection): void {
    this.#accept(connection)
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close()
    const { signal } = options
    if (signal === undefined) return this.#closing
    const cut = (): void => this.destroy(new ClosedError('ERR_CLOSED', 'the drain was cut short'))
    if (signal.aborted) cut()
    else {
      signal.addEventListener('abort', cut, { once: true })
      const done = (): void => signal.removeEventListener('abort', cut)
      this.#closing.then(done, done)
    }
    return this.#closing
  }

  /** Closes everything now. */
  destroy(reason: Error = new ClosedError('ERR_CLOSED', 'the server was destroyed')): void {
    this.#closing ??= this.#close()
    for (const record of this.#records) record.destroy(reason)
    this.#force.abort(reason)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { signal } = this.#force
    for (const callback of this.#onDraining) callback()
    this.#onDraining.clear()
    const closed = [...this.#listeners].map((listener) => listener.close({ signal }))
    for (const record of this.#records) record.drain()
    if (this.#records.size > 0) {
      closed.push(
        new Promise((resolve) => {
          this.#onEmpty = resolve
        }),
      )
    }
    const timer = this.#startDrainTimer()
    try {
      await Promise.all(closed)
    } finally {
      timer.cancel()
      this.#listeners.clear()
    }
  }

  #startDrainTimer(): Timer {
    return this.#clock.setTimer(this.#clock.now() + this.#drainTimeoutMs, () => {
      const message = `${this.#records.size} connections did not drain in ${this.#drainTimeoutMs} ms`
      this.destroy(new ClosedError('ERR_CLOSED', message))
    })
  }

  #accept(connection: Connection): void {
    const refusal = this.#refusal(connection)
    if (refusal !== undefined) {
      this.#refused++
      this.#metrics.refused.add()
      if (this.#options.refuse === undefined) connection.destroy(refusal)
      else this.#options.refuse(connection, refusal)
      return
    }
    this.#accepted++
    this.#metrics.accepted.add()
    const key = addressKey(connection.facts.remote)
    if (key !== undefined) this.#perAddress.set(key, (this.#perAddress.get(key) ?? 0) + 1)
    const record = new ConnectionRecord(
      connection,
      this.#clock.now(),
      this.#onState,
      this.#onClosed,
    )
    this.#records.add(record)
    if (this.#records.size >= this.#maxConnections && this.#whenFull === 'pause') this.#pause()
    record.to('connected')
    try {
      record.replace(this.#options.createConnection(connection, record))
    } catch (thrown) {
      const error = toError(thrown)
      connection.destroy(error)
      record.closed(error)
      this.#options.onError?.(error)
    }
  }

  #refusal(connection: Connection): Error | undefined {
    if (this.draining) return new ClosedError('ERR_DRAINING', 'the server is draining')
    if (this.#records.size >= this.#maxConnections) {
      const message = `${this.#records.size} connections, maxConnections ${this.#maxConnections}`
      return new OverloadError('ERR_LIMITED', message)
    }
    const { remote } = connection.facts
    const key = addressKey(remote)
    const count = key === undefined ? 0 : (this.#perAddress.get(key) ?? 0)
    if (count >= this.#maxPerAddress) {
      const limit = `maxConnectionsPerAddress ${this.#maxPerAddress}`
      const message = `${count} connections from ${formatAddress(remote)}, ${limit}`
      return new OverloadError('ERR_LIMITED', message)
    }
    // Once more: not every transport asks, and some connections come from elsewhere.
    return this.#options.admitAddress?.(remote) ?? this.#options.admit?.(connection)
  }

  readonly #admitAddress = (remote: Address): Error | undefined => {
    const refusal = this.#options.admitAddress?.(remote)
    if (refusal !== undefined) {
      this.#refused++
      this.#metrics.refused.add()
    }
    return refusal
  }

  readonly #onState = (
    record: ConnectionRecord,
    next: ConnectionState,
    previous: ConnectionState,
    reason: Error | undefined,
  ): void => {
    if (previous !== 'disconnected') this.#count(previous, -1)
    if (next !== 'closed' && next !== 'error') this.#count(next, 1)
    this.#options.onStateChange?.(record, next, previous, reason)
  }

  readonly #onClosed = (record: ConnectionRecord): void => {
    this.#records.delete(record)
    const key = addressKey(record.connection.facts.remote)
    if (key !== undefined) {
      const left = (this.#perAddress.get(key) ?? 1) - 1
      if (left > 0) this.#perAddress.set(key, left)
      else this.#perAddress.delete(key)
    }
    // Not at the first place: a full server must not pause and resume for every connection.
    const free = this.#maxConnections - this.#records.size
    if (this.#paused && free >= this.#maxConnections * RESUME_SHARE) this.#resume()
    if (this.#records.size === 0) this.#onEmpty?.()
  }

  #count(state: ConnectionState, by: number): void {
    const count = (this.#states.get(state) ?? 0) + by
    if (count > 0) this.#states.set(state, count)
    else this.#states.delete(state)
    this.#metrics.state(state).add(by)
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    for (const listener of this.#listeners) listener.pause()
  }

  #resume(): void {
    this.#paused = false
    if (this.draining) return
    for (const listener of this.#listeners) listener.resume()
  }
}

type RecordObserver = (
  record: ConnectionRecord,
  next: ConnectionState,
  previous: ConnectionState,
  reason: Error | undefined,
) => void

class ConnectionRecord implements ConnectionControl {
  readonly connection: Connection
  readonly acceptedAt: number
  readonly #machine: ConnectionStateMachine
  readonly #onClosed: (record: ConnectionRecord) => void
  #running: ServerConnection | undefined
  #draining = false
  #destroyed: Error | undefined
  #closed = false

  constructor(
    connection: Connection,
    acceptedAt: number,
    onState: RecordObserver,
    onClosed: (record: ConnectionRecord) => void,
  ) {
    this.connection = connection
    this.acceptedAt = acceptedAt
    this.#onClosed = onClosed
    this.#machine = new ConnectionStateMachine((next, previous, reason) => {
      onState(this, next, previous, reason)
    })
  }

  get state(): ConnectionState {
    return this.#machine.state
  }

  get idle(): boolean {
    return this.#running?.idle ?? true
  }

  /** Ignored where the life cycle has gone further already: `ready` after `draining`. */
  to(state: ConnectionState, reason?: Error): void {
    if (!this.#closed && this.#machine.can(state)) this.#machine.to(state, reason)
  }

  replace(next: ServerConnection): void {
    this.#running = next
    if (this.#closed) return
    if (this.#destroyed !== undefined) next.destroy(this.#destroyed)
    else if (this.#draining) next.drain()
  }

  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.to('draining')
    this.#running?.drain()
  }

  destroy(reason: Error): void {
    if (this.#destroyed !== undefined) return
    this.#destroyed = reason
    this.to('closing', reason)
    this.#running?.destroy(reason)
  }

  closed(reason: Error | undefined): void {
    if (this.#closed) return
    this.to(reason === undefined ? 'closed' : 'error', reason)
    this.#closed = true
    this.#running = undefined
    this.#onClosed(this)
  }
}

class ServerMetrics {
  readonly accepted: Counter
  readonly refused: Counter
  readonly #meter: Meter
  readonly #states = new Map<ConnectionState, Gauge>()

  constructor(meter: Meter) {
    this.#meter = meter
    const unit = '{connection}'
    this.accepted = meter.counter('heddle.server.connection.accepted', { unit })
    this.refused = meter.counter('heddle.server.connection.refused', { unit })
  }

  state(state: ConnectionState): Gauge {
    let gauge = this.#states.get(state)
    if (gauge === undefined) {
      gauge = this.#meter.gauge(
        'heddle.server.connection.count',
        { unit: '{connection}' },
        { state },
      )
      this.#states.set(state, gauge)
    }
    return gauge
  }
}

/** What is counted together. Unix and memory peers have no address that tells them apart. */
function addressKey(address: Address): string | undefined {
  return address.kind === 'ip' ? address.host : undefined
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the server is closed')
}

/** Of `maxConnections` that must be free before accepting goes on. */
const RESUME_SHARE = 0.01
const MAX_COUNT = 0x7fff_ffff
