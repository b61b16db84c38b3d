/**
 * What one property of the transport kit runs in: a listener, pairs of connections with their logs,
 * and waiting without a clock of its own.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { Listener, ListenOptions, Transport, TransportTraits } from '../../core/transport.ts'
import { KitWorld, type TurnLimits } from '../kit-world.ts'
import type { LeakProbes } from '../leak-check.ts'
import { type ConnectionHooks, ConnectionLog, pattern } from './connection-log.ts'

/** Made anew for each property. */
export interface TransportFixture {
  readonly transport: Transport
  /** Where the accepting side needs another configuration (keys). @default `transport` */
  readonly listening?: Transport
  /** Where to listen. As port 0 where the transport has that. */
  readonly address: Address
  readonly clock: Clock
  /** Lets whatever is under way go on. Called until a condition holds, a limited number of times. */
  turn(): Promise<void>
  /** An address where nobody listens. */
  readonly nobody?: Address
  /** Counts that must be back where they were. */
  readonly leaks?: LeakProbes
  /** Options of every connect: the server name for TLS. */
  readonly connectOptions?: { readonly serverName?: string }
  dispose?(): void | Promise<void>
}

export interface TransportProperty {
  readonly name: string
  /** Not run for transports without it. */
  readonly needs?: keyof TransportTraits
  run(world: TransportWorld): Promise<void>
}

export interface WorldOptions extends TurnLimits {
  /** Length of what "bulk" means here. */
  readonly bulkBytes: number
}

export class TransportWorld extends KitWorld<TransportFixture, WorldOptions> {
  readonly #logs: ConnectionLog[] = []
  readonly #listeners: Listener[] = []

  async listen(options: Partial<ListenOptions> = {}, at?: Address): Promise<Listener> {
    const transport = this.fixture.listening ?? this.fixture.transport
    const { onConnection = (connection) => this.log(connection).open() } = options
    const listening = transport.listen(at ?? this.fixture.address, { ...options, onConnection })
    const listener = await this.resolved(listening)
    this.#listeners.push(listener)
    return listener
  }

  connect(
    to: Address,
    options: { signal?: AbortSignal; deadline?: number } = {},
  ): Promise<Connection> {
    return this.fixture.transport.connect(to, { ...this.fixture.connectOptions, ...options })
  }

  /** A log for a connection, watched for violations; not opened. */
  log(connection: Connection, hooks: ConnectionHooks = {}): ConnectionLog {
    const log = new ConnectionLog(connection, hooks)
    this.#logs.push(log)
    return log
  }

  /** Both ends of a new connection, neither opened. */
  async rawPair(): Promise<ConnectionPair> {
    const accepted: Connection[] = []
    const listener = await this.listen({ onConnection: (one) => void accepted.push(one) })
    const client = await this.resolved(this.connect(listener.address))
    await this.until(() => accepted.length > 0, 'the connection is accepted')
    const server = accepted[0] as Connection
    return { client: this.log(client), server: this.log(server), listener }
  }

  /** Both ends of a new connection, opened. */
  async pair(client: ConnectionHooks = {}, server: ConnectionHooks = {}): Promise<ConnectionPair> {
    const pair = await this.rawPair()
    pair.client.hooks = client
    pair.server.hooks = server
    pair.client.open()
    pair.server.open()
    return pair
  }

  /** Writes pattern bytes until `write` returns false. @returns how many were written */
  fill(log: ConnectionLog, key: number, from: number = 0): number {
    let sent = from
    while (sent < from + MAX_PRESSURE_BYTES) {
      const chunk = pattern(key, sent, PRESSURE_CHUNK_BYTES)
      sent += chunk.length
      if (!log.send(chunk)) return sent
    }
    this.ok(false, `write took ${MAX_PRESSURE_BYTES} bytes that nobody read, and never said false`)
    return sent
  }

  /**
   * As `fill`, until nothing moves any more. Some transports say false because they take bytes in a
   * later turn (TLS), long before the peer's buffers are full.
   */
  async fillUntilStuck(log: ConnectionLog, key: number): Promise<number> {
    let sent = 0
    for (let drains = -1; drains !== log.drains; await this.quiet()) {
      drains = log.drains
      sent = this.fill(log, key, sent)
    }
    return sent
  }

  /** Writes `total` pattern bytes, waiting for `onDrain` whenever `write` says so. */
  async sendAll(log: ConnectionLog, key: number, total: number, chunkBytes: number): Promise<void> {
    let sent = 0
    while (sent < total && !log.closed) {
      const chunk = pattern(key, sent, Math.min(chunkBytes, total - sent))
      sent += chunk.length
      const { drains } = log
      if (log.send(chunk)) continue
      await this.until(() => log.drains > drains || log.closed, 'onDrain after write said false')
    }
  }

  /** Ends both sides and waits for both to be closed cleanly. */
  async closeBoth({ client, server }: ConnectionPair): Promise<void> {
    client.connection.end()
    server.connection.end()
    await this.until(() => client.closed && server.closed, 'both sides close after both ended')
    this.equal(client.closeReason, undefined, 'reason of a clean close')
    this.equal(server.closeReason, undefined, 'reason of a clean close')
  }

  /** Destroys what a property left, then says what it violated. */
  async tearDown(): Promise<void> {
    for (const log of this.#logs) if (!log.closed) log.connection.destroy()
    const aborted = new AbortController()
    aborted.abort()
    const closing = this.#listeners.map((listener) => listener.close({ signal: aborted.signal }))
    await this.resolved(Promise.all(closing))
    await this.quiet()
    await this.fixture.dispose?.()
    for (const log of this.#logs) {
      const violation = log.violations[0]
      this.ok(violation === undefined, `contract of ${log.connection.facts.role}: ${violation}`)
    }
  }
}

export interface ConnectionPair {
  readonly client: ConnectionLog
  readonly server: ConnectionLog
  readonly listener: Listener
}

/** Far above what kernels buffer on loopback. */
const MAX_PRESSURE_BYTES = 256 * 1024 * 1024
const PRESSURE_CHUNK_BYTES = 65_536
