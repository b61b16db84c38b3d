/**
 * A connection as a Node `Duplex`, so that any driver of the ecosystem runs over any transport:
 *
 *     new Client({ connect: (_, done) => transport.connect(address).then((c) => done(null, toDuplex(c))) })
 *
 * - A chunk is copied on its way in: a connection lends its memory, a stream keeps it.
 * - A write is called back when the connection has taken every byte, so a driver that reuses its
 *   buffer after the callback stays right. Until then the stream's own backpressure holds it.
 * - `end`, `destroy`, errors and half-close mean the same on both sides. `close` comes after the
 *   connection's `onClose`.
 *
 * Drivers ask more of a socket than of a stream. What they ask is here, as far as it makes sense:
 * addresses, `ref`, an idle `setTimeout`; `setNoDelay` and `setKeepAlive` are accepted and do
 * nothing, because the transport has its own options for them.
 */
import { Duplex } from 'node:stream'
import type { Address } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { checkInteger, toError, UsageError } from '../../core/errors.ts'
import type { ConnectOptions, Transport } from '../../core/transport.ts'
import { defer } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'

export interface ToDuplexOptions {
  /** For `setTimeout`. @default the system clock */
  clock?: Clock
  /** Bytes that may wait unread before the connection is paused. @default 65_536 */
  readableHighWaterMarkBytes?: number
  /** Bytes that may wait unwritten before `write` returns false. @default 65_536 */
  writableHighWaterMarkBytes?: number
  /**
   * Whether the writing side stays open when the peer's has ended. Drivers count on sockets that
   * end with their peer.
   *
   * @default false, as `net.connect`
   */
  allowHalfOpen?: boolean
  /**
   * How long a duplex that was destroyed after its `end`, without an error, waits for the peer's
   * end, in milliseconds. A transport may lose what is on its way when it is destroyed at once.
   *
   * @default 2_000, as the driver
   */
  lingerMs?: number
}

export const toDuplexDefaults: Readonly<Required<Omit<ToDuplexOptions, 'clock'>>> = Object.freeze({
  readableHighWaterMarkBytes: 65_536,
  writableHighWaterMarkBytes: 65_536,
  allowHalfOpen: false,
  lingerMs: 2_000,
})

/**
 * Opens `connection`, which must not be open yet; the duplex owns it.
 *
 * @throws UsageError ERR_ALREADY_OPEN
 */
export function toDuplex(connection: Connection, options: ToDuplexOptions = {}): ConnectionDuplex {
  return new ConnectionDuplex(connection, options)
}

/**
 * As `net.connect`: a duplex at once, which connects meanwhile, then emits `connect` and `ready`.
 * What is written before waits; `destroy` gives the attempt up. For drivers that want a function
 * that makes a stream, as pg and mysql2 do:
 *
 *     new pg.Pool({ stream: () => dialDuplex(transport, address) })
 */
export function dialDuplex(
  transport: Transport,
  address: Address,
  options: DialDuplexOptions = {},
): ConnectionDuplex {
  const { serverName, deadline, ...rest } = options
  const connecting = {
    ...(serverName !== undefined && { serverName }),
    ...(deadline !== undefined && { deadline }),
  }
  return new ConnectionDuplex(
    (signal) => transport.connect(address, { ...connecting, signal }),
    rest,
  )
}

export interface DialDuplexOptions
  extends ToDuplexOptions,
    Pick<ConnectOptions, 'serverName' | 'deadline'> {}

/** Makes the connection of a duplex; rejects with the signal's reason when that aborts. */
type Dial = (signal: AbortSignal) => Promise<Connection>

export class ConnectionDuplex extends Duplex {
  readonly #clock: Clock
  readonly #dialing: AbortController | undefined
  #connection: Connection | undefined
  #wantsRef = true
  readonly #lingerMs: number
  #afterDrain: ((error?: Error | null) => void) | undefined
  #afterClose: (() => void) | undefined
  #closed = false
  #ended = false
  #idleMs = 0
  #lastActivity = 0
  #idleTimer: Timer | undefined
  #lingerTimer: Timer | undefined

  constructor(source: Connection | Dial, options: ToDuplexOptions = {}) {
    const {
      clock = systemClock,
      readableHighWaterMarkBytes = toDuplexDefaults.readableHighWaterMarkBytes,
      writableHighWaterMarkBytes = toDuplexDefaults.writableHighWaterMarkBytes,
      allowHalfOpen = toDuplexDefaults.allowHalfOpen,
      lingerMs = toDuplexDefaults.lingerMs,
    } = options
    const [readable, writable] = [readableHighWaterMarkBytes, writableHighWaterMarkBytes]
    super({
      allowHalfOpen,
      readableHighWaterMark: checkInteger('readableHighWaterMarkBytes', readable, 0, MAX_MARK),
      writableHighWaterMark: checkInteger('writableHighWaterMarkBytes', writable, 0, MAX_MARK),
      // Until it calls back, Node holds reads, writes and the end.
      ...(typeof source === 'function' && {
        construct: (done: (error?: Error | null) => void) => void this.#dial(source, done),
      }),
    })
    this.#clock = clock
    this.#lingerMs = checkInteger('lingerMs', lingerMs, 0, 3_600_000)
    if (typeof source === 'function') this.#dialing = new AbortController()
    else this.#attach(source)
  }

  /**
   * What is below.
   *
   * @throws UsageError ERR_NOT_OPEN while it is being connected
   */
  get connection(): Connection {
    if (this.#connection !== undefined) return this.#connection
    throw new UsageError('ERR_NOT_OPEN', 'the duplex is not connected yet')
  }

  /** As on `net.Socket`: false of a duplex that was made of a connection. */
  get connecting(): boolean {
    return this.#connection === undefined && !this.destroyed
  }

  get pending(): boolean {
    return this.connecting
  }

  override destroy(error?: Error): this {
    // Node waits with the rest until the attempt has ended.
    if (this.connecting) this.#dialing?.abort(error ?? new UsageError('ERR_STATE', 'destroyed'))
    return super.destroy(error)
  }

  override _read(): void {
    this.connection.resume()
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.connection.write(chunk)
    this.#waitForDrain(callback)
  }

  override _writev(
    chunks: { chunk: Uint8Array }[],
    callback: (error?: Error | null) => void,
  ): void {
    this.connection.writeAll(chunks.map(({ chunk }) => chunk))
    this.#waitForDrain(callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#ended = true
    this.connection.end()
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.setTimeout(0)
    // Nothing was connected: there is nothing to close.
    if (this.#closed || this.#connection === undefined) return callback(error)
    this.#afterClose = () => callback(error)
    if (error !== null || !this.#ended || this.#lingerMs === 0) {
      return this.connection.destroy(error ?? undefined)
    }
    // Our end is on its way: the connection closes by itself when the peer's has come as well.
    this.connection.resume()
    const at = this.#clock.now() + this.#lingerMs
    this.#lingerTimer = this.#clock.setTimer(at, () => this.connection.destroy())
    this.#lingerTimer.unref()
  }

  // What drivers ask of a socket.

  get remoteAddress(): string | undefined {
    return hostOf(this.#connection?.facts.remote)
  }

  get remotePort(): number | undefined {
    return portOf(this.#connection?.facts.remote)
  }

  get localAddress(): string | undefined {
    return hostOf(this.#connection?.facts.local)
  }

  get localPort(): number | undefined {
    return portOf(this.#connection?.facts.local)
  }

  get encrypted(): boolean {
    return this.#connection?.facts.tls !== undefined
  }

  get authorized(): boolean {
    return this.#connection?.facts.tls?.authorized ?? false
  }

  get alpnProtocol(): string | false {
    return this.#connection?.facts.tls?.alpn ?? false
  }

  get timeout(): number {
    return this.#idleMs
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /**
   * Where to is known already; some drivers call this on whatever stream they are given, and wait
   * for `connect`.
   */
  connect(): this {
    if (!this.connecting) defer(() => this.emit('connect'))
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  /** Emits `timeout` when nothing was read or written for so long; nothing is closed. 0: never. */
  setTimeout(idleMs: number, callback?: () => void): this {
    this.#idleMs = idleMs
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    if (callback !== undefined) {
      if (idleMs > 0) this.once('timeout', callback)
      else this.off('timeout', callback)
    }
    this.#active()
    return this
  }

  ref(): this {
    this.#wantsRef = true
    this.#connection?.ref()
    return this
  }

  unref(): this {
    this.#wantsRef = false
    this.#connection?.unref()
    return this
  }

  /** Ends, then destroys when everything has been written. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  async #dial(dial: Dial, done: (error?: Error | null) => void): Promise<void> {
    const { signal } = this.#dialing as AbortController
    let connection: Connection
    try {
      connection = await dial(signal)
    } catch (error) {
      return done(toError(error))
    }
    if (signal.aborted) {
      connection.destroy()
      return done(toError(signal.reason))
    }
    this.#attach(connection)
    if (!this.#wantsRef) connection.unref()
    this.emit('connect')
    this.emit('ready')
    done()
  }

  #attach(connection: Connection): void {
    this.#connection = connection
    connection.open({
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#settleWrite(null),
      onEnd: () => {
        if (!this.destroyed) this.push(null)
      },
      onClose: (reason) => this.#onClose(reason),
    })
  }

  #onData(chunk: Uint8Array): void {
    if (this.destroyed) return
    this.#active()
    if (!this.push(Buffer.from(chunk))) this.connection.pause()
  }

  #waitForDrain(callback: (error?: Error | null) => void): void {
    this.#active()
    if (this.connection.writableLength === 0) return callback()
    this.#afterDrain = callback
  }

  #settleWrite(error: Error | null): void {
    const callback = this.#afterDrain
    this.#afterDrain = undefined
    callback?.(error)
  }

  #onClose(reason: Error | undefined): void {
    this.#closed = true
    this.#lingerTimer?.cancel()
    const closed = this.#afterClose
    if (closed !== undefined) return closed()
    // A clean close leaves what was not read yet in place; the stream ends when it has been.
    if (reason === undefined) return
    this.#settleWrite(reason)
    this.destroy(reason)
  }

  #active(): void {
    if (this.#idleMs === 0) return
    this.#lastActivity = this.#clock.now()
    this.#idleTimer ??= this.#armIdleTimer()
  }

  #armIdleTimer(): Timer {
    const timer = this.#clock.setTimer(this.#lastActivity + this.#idleMs, () => {
      this.#idleTimer = undefined
      // Moved later by activity, which costs nothing until here.
      if (this.#clock.now() < this.#lastActivity + this.#idleMs) {
        this.#idleTimer = this.#armIdleTimer()
      } else {
        this.emit('timeout')
      }
    })
    timer.unref()
    return timer
  }
}

function hostOf(address: Address | undefined): string | undefined {
  return address?.kind === 'ip' ? address.host : undefined
}

function portOf(address: Address | undefined): number | undefined {
  return address?.kind === 'ip' ? address.port : undefined
}

const MAX_MARK = 0x4000_0000
