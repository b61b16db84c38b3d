/**
 * What one property of the multiplexed kit runs in: a listener, pairs of connections, and a log for
 * each connection and stream that checks the contract of core/multiplexed-connection.ts.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type {
  MultiplexedConnection,
  MultiplexedHandler,
  OpenStreamOptions,
} from '../../core/multiplexed-connection.ts'
import type { Listener, ListenOptions, MultiplexedTransport } from '../../core/transport.ts'
import { KitWorld, type TurnLimits } from '../kit-world.ts'
import type { LeakProbes } from '../leak-check.ts'
import { type ConnectionHooks, ConnectionLog } from '../transport/connection-log.ts'

/** Made anew for each property. */
export interface MultiplexedFixture {
  readonly transport: MultiplexedTransport
  /** Where the accepting side needs another configuration (keys). @default `transport` */
  readonly listening?: MultiplexedTransport
  readonly address: Address
  readonly clock: Clock
  turn(): Promise<void>
  readonly leaks?: LeakProbes
  readonly connectOptions?: { readonly serverName?: string }
  dispose?(): void | Promise<void>
}

export interface MultiplexedProperty {
  readonly name: string
  /** Only where streams of one direction can be had; the other form where they cannot. */
  readonly needs?: 'unidirectional' | 'bidirectional only'
  run(world: MultiplexedWorld): Promise<void>
}

export interface MultiplexedWorldOptions extends TurnLimits {
  readonly bulkBytes: number
  /** Most streams that one side tries to open at once. */
  readonly maxStreams: number
}

export class MultiplexedLog implements MultiplexedHandler {
  readonly connection: MultiplexedConnection
  readonly violations: string[] = []
  /** Of the peer, in the order they came, opened. */
  readonly streams: ConnectionLog[] = []
  onStreamHook: ((log: ConnectionLog) => void) | undefined
  onCloseHook: (() => void) | undefined
  availables = 0
  closed = false
  closeReason: Error | undefined
  /** All that were opened here or accepted. */
  readonly all: ConnectionLog[] = []

  constructor(connection: MultiplexedConnection) {
    this.connection = connection
  }

  open(): this {
    this.connection.open(this)
    return this
  }

  /** Opens a stream and its log; fails where there is none to be had. */
  stream(options?: OpenStreamOptions, hooks: ConnectionHooks = {}): ConnectionLog {
    const log = this.tryStream(options, hooks)
    if (log === undefined) throw new Error('no stream could be opened')
    return log
  }

  tryStream(options?: OpenStreamOptions, hooks: ConnectionHooks = {}): ConnectionLog | undefined {
    const stream = this.connection.openStream(options)
    return stream === undefined ? undefined : this.#watch(stream, hooks)
  }

  onStream(stream: Connection): void {
    if (this.closed) this.violations.push('onStream came after onClose')
    const log = this.#watch(stream, {})
    this.streams.push(log)
    this.onStreamHook?.(log)
  }

  onStreamsAvailable(): void {
    if (this.closed) this.violations.push('onStreamsAvailable came after onClose')
    if (this.connection.openableStreams === 0) {
      this.violations.push('onStreamsAvailable with openableStreams 0')
    }
    this.availables += 1
  }

  onClose(reason: Error | undefined): void {
    if (this.closed) this.violations.push('onClose came twice')
    const open = this.all.filter((log) => !log.closed).length
    if (open > 0) this.violations.push(`onClose came before that of ${open} streams`)
    this.closed = true
    this.closeReason = reason
    this.onCloseHook?.()
  }

  #watch(stream: Connection, hooks: ConnectionHooks): ConnectionLog {
    const log = new ConnectionLog(stream, hooks).open()
    this.all.push(log)
    return log
  }
}

export class MultiplexedWorld extends KitWorld<MultiplexedFixture, MultiplexedWorldOptions> {
  readonly #logs: MultiplexedLog[] = []
  readonly #listeners: Listener[] = []

  async listen(options: Partial<ListenOptions<MultiplexedConnection>> = {}): Promise<Listener> {
    const transport = this.fixture.listening ?? this.fixture.transport
    const { onConnection = (connection) => void this.log(connection).open() } = options
    const listening = transport.listen(this.fixture.address, { ...options, onConnection })
    const listener = await this.resolved(listening)
    this.#listeners.push(listener)
    return listener
  }

  connect(
    to: Address,
    options: { signal?: AbortSignal; deadline?: number } = {},
  ): Promise<MultiplexedConnection> {
    return this.fixture.transport.connect(to, { ...this.fixture.connectOptions, ...options })
  }

  log(connection: MultiplexedConnection): MultiplexedLog {
    const log = new MultiplexedLog(connection)
    this.#logs.push(log)
    return log
  }

  /** Both ends of a new connection, neither opened. */
  async rawPair(): Promise<MultiplexedPair> {
    const accepted: MultiplexedConnection[] = []
    const listener = await this.listen({ onConnection: (one) => void accepted.push(one) })
    const client = await this.resolved(this.connect(listener.address))
    await this.until(() => accepted.length > 0, 'the connection is accepted')
    const server = accepted[0] as MultiplexedConnection
    return { client: this.log(client), server: this.log(server), listener }
  }

  async pair(): Promise<MultiplexedPair> {
    const pair = await this.rawPair()
    pair.client.open()
    pair.server.open()
    return pair
  }

  /** A stream that `from` opens, and the other end of it once its first byte has come. */
  async streamPair(from: MultiplexedLog, to: MultiplexedLog): Promise<StreamPair> {
    const before = to.streams.length
    const near = from.stream()
    near.write('!')
    await this.until(() => (to.streams[before]?.received ?? 0) > 0, 'the stream arrives')
    return { near, far: to.streams[before] as ConnectionLog }
  }

  async closeStream({ near, far }: StreamPair): Promise<void> {
    near.connection.end()
    far.connection.end()
    await this.until(() => near.closed && far.closed, 'both ends of the stream close')
    this.equal(near.closeReason, undefined, 'reason of a clean close')
    this.equal(far.closeReason, undefined, 'reason of a clean close')
  }

  async tearDown(): Promise<void> {
    for (const log of this.#logs) if (!log.closed) log.connection.destroy()
    const aborted = new AbortController()
    aborted.abort()
    const closing = this.#listeners.map((listener) => listener.close({ signal: aborted.signal }))
    await this.resolved(Promise.all(closing))
    await this.quiet()
    await this.fixture.dispose?.()
    for (const log of this.#logs) {
      const [violation] = [...log.violations, ...log.all.flatMap((stream) => stream.violations)]
      this.ok(violation === undefined, `contract of ${log.connection.facts.role}: ${violation}`)
    }
  }
}

export interface MultiplexedPair {
  readonly client: MultiplexedLog
  readonly server: MultiplexedLog
  readonly listener: Listener
}

export interface StreamPair {
  readonly near: ConnectionLog
  readonly far: ConnectionLog
}
