/**
 * What one property of the message kit runs in: a listener, pairs of connections with their logs, and
 * rows of numbered messages.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  Listener,
  ListenOptions,
  MessageTransport,
  TransportTraits,
} from '../../core/transport.ts'
import { KitWorld, type TurnLimits } from '../kit-world.ts'
import type { LeakProbes } from '../leak-check.ts'
import { type MessageHooks, MessageLog, numbered } from './message-log.ts'

/** Made anew for each property. */
export interface MessageFixture {
  readonly transport: MessageTransport
  /** Where the accepting side needs another configuration (keys). @default `transport` */
  readonly listening?: MessageTransport
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

export interface MessageProperty {
  readonly name: string
  /** Not run for transports without it. */
  readonly needs?: keyof TransportTraits
  run(world: MessageWorld): Promise<void>
}

export interface MessageWorldOptions extends TurnLimits {
  /** Length of what "bulk" means here, over all messages. */
  readonly bulkBytes: number
}

export class MessageWorld extends KitWorld<MessageFixture, MessageWorldOptions> {
  readonly #logs: MessageLog[] = []
  readonly #listeners: Listener[] = []

  async listen(
    options: Partial<ListenOptions<MessageConnection>> = {},
    at?: Address,
  ): Promise<Listener> {
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
  ): Promise<MessageConnection> {
    return this.fixture.transport.connect(to, { ...this.fixture.connectOptions, ...options })
  }

  /** A log for a connection, watched for violations; not opened. */
  log(connection: MessageConnection, hooks: MessageHooks = {}): MessageLog {
    const log = new MessageLog(connection, hooks)
    this.#logs.push(log)
    return log
  }

  /** Both ends of a new connection, neither opened. */
  async rawPair(): Promise<MessagePair> {
    const accepted: MessageConnection[] = []
    const listener = await this.listen({ onConnection: (one) => void accepted.push(one) })
    const client = await this.resolved(this.connect(listener.address))
    await this.until(() => accepted.length > 0, 'the connection is accepted')
    const server = accepted[0] as MessageConnection
    return { client: this.log(client), server: this.log(server), listener }
  }

  /** Both ends of a new connection, opened. */
  async pair(): Promise<MessagePair> {
    const pair = await this.rawPair()
    pair.client.open()
    pair.server.open()
    return pair
  }

  /** The size of the messages that make pressure: large, but any transport takes it. */
  get pressureBytes(): number {
    return PRESSURE_MESSAGE_BYTES
  }

  /** Sends numbered messages until `send` returns false. @returns the number of the next one */
  fill(log: MessageLog, key: number, from: number = 0): number {
    const bytes = Math.min(PRESSURE_MESSAGE_BYTES, log.connection.maxMessageBytes)
    const most = from + Math.ceil(MAX_PRESSURE_BYTES / Math.max(1, bytes))
    for (let index = from; index < most; index++) {
      if (!log.send(numbered(key, index, bytes))) return index + 1
    }
    this.ok(false, `send took ${MAX_PRESSURE_BYTES} bytes that nobody read, and never said false`)
    return most
  }

  /**
   * As `fill`, until nothing moves any more. Some connections say false because they send in a later
   * turn, long before the peer's buffers are full.
   */
  async fillUntilStuck(log: MessageLog, key: number): Promise<number> {
    let index = 0
    for (let drains = -1; drains !== log.drains; await this.quiet()) {
      drains = log.drains
      index = this.fill(log, key, index)
    }
    return index
  }

  /** Ends both sides and waits for both to be closed cleanly. */
  async closeBoth({ client, server }: MessagePair): Promise<void> {
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

export interface MessagePair {
  readonly client: MessageLog
  readonly server: MessageLog
  readonly listener: Listener
}

/** Far above what kernels buffer on loopback. */
const MAX_PRESSURE_BYTES = 256 * 1024 * 1024
const PRESSURE_MESSAGE_BYTES = 16_000
