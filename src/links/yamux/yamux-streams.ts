/**
 * A transport whose connections are streams: those to one address share a yamux connection.
 *
 *     const transport = yamuxStreams(tcp())
 *     const client = httpClient({ origin, transport })   // any protocol, one TCP connection
 *
 * A connection is made when the first stream is asked for, and closed some time after the last one. When
 * it takes no more streams another one is made, up to a limit.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import {
  checkInteger,
  checkRange,
  OverloadError,
  TimeoutError,
  TransportError,
} from '../../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { StreamListener } from './stream-listener.ts'
import { YamuxTransport, type YamuxTransportOptions } from './yamux.ts'
import type { YamuxConnection } from './yamux-connection.ts'

export interface YamuxStreamsOptions extends YamuxTransportOptions {
  /**
   * Connections to one address at most. One more stream than they take is ERR_BUSY.
   *
   * @default 8: with 256 unacknowledged streams each, more means that the peer is stuck
   */
  maxConnections?: number
  /**
   * How long making a connection may take when the one who asks sets no deadline, in milliseconds.
   *
   * @default 10_000
   */
  connectTimeoutMs?: number
  /**
   * How long a connection without streams is kept, in milliseconds.
   *
   * @default 30_000
   */
  idleMs?: number
}

export const yamuxStreamsDefaults = Object.freeze({
  maxConnections: 8,
  connectTimeoutMs: 10_000,
  idleMs: 30_000,
} as const)

export function yamuxStreams(carrier: Transport, options: YamuxStreamsOptions = {}): Transport {
  return new YamuxStreams(carrier, options)
}

class YamuxStreams implements Transport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #connections: YamuxTransport
  readonly #limits: SharedLimits
  /** By address and server name; gone when nothing is left of them. */
  readonly #shared = new Map<string, SharedConnections>()

  constructor(carrier: Transport, options: YamuxStreamsOptions) {
    const {
      maxConnections = yamuxStreamsDefaults.maxConnections,
      connectTimeoutMs = yamuxStreamsDefaults.connectTimeoutMs,
      idleMs = yamuxStreamsDefaults.idleMs,
      ...rest
    } = options
    this.#connections = new YamuxTransport(carrier, rest)
    this.name = this.#connections.name
    this.traits = this.#connections.traits
    this.#limits = {
      clock: this.#connections.clock,
      maxConnections: checkInteger('maxConnections', maxConnections, 1, 65_536),
      connectTimeoutMs: checkRange('connectTimeoutMs', connectTimeoutMs, 1, 3_600_000),
      idleMs: checkRange('idleMs', idleMs, 0, 86_400_000),
    }
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    const { serverName } = options
    const key = `${formatAddress(address)} ${serverName ?? ''}`
    let shared = this.#shared.get(key)
    if (shared === undefined) {
      const make = (limits: ConnectOptions): Promise<YamuxConnection> =>
        this.#connections.connect(address, {
          ...limits,
          ...(serverName !== undefined && { serverName }),
        })
      shared = new SharedConnections(make, this.#limits, () => this.#shared.delete(key))
      this.#shared.set(key, shared)
    }
    return shared.stream(options)
  }

  async listen(address: Address, options: ListenOptions): Promise<Listener> {
    const streams = new StreamListener(options)
    const onConnection = (one: YamuxConnection): void => streams.admit(one)
    streams.listener = await this.#connections.listenFor(address, { ...options, onConnection })
    return streams
  }
}

interface SharedLimits {
  readonly clock: Clock
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly idleMs: number
}

/** The connections to one address. */
class SharedConnections {
  readonly #make: (options: ConnectOptions) => Promise<YamuxConnection>
  readonly #limits: SharedLimits
  readonly #onEmpty: () => void
  readonly #open = new Map<YamuxConnection, { streams: number; idle: Timer | undefined }>()
  #connecting: Promise<YamuxConnection> | undefined

  constructor(
    make: (options: ConnectOptions) => Promise<YamuxConnection>,
    limits: SharedLimits,
    onEmpty: () => void,
  ) {
    this.#make = make
    this.#limits = limits
    this.#onEmpty = onEmpty
  }

  async stream(options: ConnectOptions): Promise<Connection> {
    const { signal, deadline } = options
    if (signal?.aborted) throw this.#leave(signal.reason)
    if (deadline !== undefined && deadline <= this.#limits.clock.now()) throw this.#leave(tooLate())
    for (;;) {
      const stream = this.#openStream()
      if (stream !== undefined) return stream
      if (this.#connecting === undefined && this.#open.size >= this.#limits.maxConnections) {
        const message = `${this.#open.size} connections take no more streams now`
        throw new OverloadError('ERR_BUSY', message)
      }
      this.#connecting ??= this.#connect()
      const connection = await this.#waitFor(this.#connecting, options)
      // It may have gone while its promise was on its way.
      if (connection.openableStreams === 0 && !this.#open.has(connection)) {
        throw new TransportError('ERR_CONNECT', 'the connection was closed at once', {
          sent: 'nothing',
        })
      }
    }
  }

  #leave(reason: unknown): unknown {
    this.#dropIfEmpty()
    return reason
  }

  #openStream(): Connection | undefined {
    for (const [connection, use] of this.#open) {
      const stream = connection.openStream()
      if (stream === undefined) continue
      if (use.streams === 0) connection.ref()
      use.streams += 1
      use.idle?.cancel()
      use.idle = undefined
      stream.onClosed = () => this.#closedStream(connection)
      return stream
    }
    return undefined
  }

  #closedStream(connection: YamuxConnection): void {
    const use = this.#open.get(connection)
    if (use === undefined) return
    use.streams -= 1
    if (use.streams === 0) this.#watchIdle(connection)
  }

  #watchIdle(connection: YamuxConnection): void {
    const use = this.#open.get(connection)
    if (use === undefined) return
    const { clock, idleMs } = this.#limits
    use.idle?.cancel()
    use.idle = clock.setTimer(clock.now() + idleMs, () => void connection.close())
    // Nobody uses it: it does not keep the process alive.
    use.idle.unref()
    connection.unref()
  }

  async #connect(): Promise<YamuxConnection> {
    const { clock, connectTimeoutMs } = this.#limits
    try {
      // Who asked first may give up: the others wait for the same connection.
      const connection = await this.#make({ deadline: clock.now() + connectTimeoutMs })
      this.#open.set(connection, { streams: 0, idle: undefined })
      connection.open({
        onStream: (stream) => stream.destroy(), // this side listens to nothing
        onStreamsAvailable: () => {},
        onClose: () => {
          this.#open.get(connection)?.idle?.cancel()
          this.#open.delete(connection)
          this.#dropIfEmpty()
        },
      })
      this.#watchIdle(connection)
      return connection
    } finally {
      this.#connecting = undefined
      this.#dropIfEmpty()
    }
  }

  #dropIfEmpty(): void {
    if (this.#open.size === 0 && this.#connecting === undefined) this.#onEmpty()
  }

  /** Waits with the limits of one who asks. */
  #waitFor(
    connecting: Promise<YamuxConnection>,
    { signal, deadline }: ConnectOptions,
  ): Promise<YamuxConnection> {
    if (signal === undefined && deadline === undefined) return connecting
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const finish = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        finish()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (deadline !== undefined) {
        timer = this.#limits.clock.setTimer(deadline, () => {
          finish()
          reject(tooLate())
        })
      }
      connecting.then(resolve, reject).finally(finish)
    })
  }
}

function tooLate(): TimeoutError {
  const message = 'no connection for the stream before the deadline'
  return new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' })
}
