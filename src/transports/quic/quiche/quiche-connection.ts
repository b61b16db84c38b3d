/**
 * One connection on quiche: what its events say, as streams, datagrams and an end.
 *
 *     handshaking ─► open ─► draining ─► closed
 *
 * The connection runs on a thread of the addon; events come in batches, calls are commands that are
 * carried out later. After `closed` none is made: a server's handles are used again.
 */
import { formatAddress } from '../../../core/address.ts'
import type { Timer } from '../../../core/clock.ts'
import type { ConnectionFacts, ConnectionRole } from '../../../core/connection.ts'
import { nextConnectionId } from '../../../core/connection-id.ts'
import type { DatagramSocket } from '../../../core/datagram-socket.ts'
import { ClosedError, OverloadError, toError, UsageError } from '../../../core/errors.ts'
import type { MultiplexedHandler, OpenStreamOptions } from '../../../core/multiplexed-connection.ts'
import { defer } from '../../../platform/process-access.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import type { DrivenConnection, DrivenSettings } from '../quic-driver.ts'
import { closedConnection, failedHandshake, IDLE_TIMEOUT } from '../quic-errors.ts'
import type { QuicCloseOptions, QuicCode } from '../quic-types.ts'
import {
  DATA,
  DATAGRAM,
  DRAIN,
  ERROR,
  FINISHED,
  HANDSHAKE_COMPLETE,
  type NativeEvent,
  type NativeMetrics,
  NEW_STREAM,
  RESET,
  SESSION_CLOSE,
  SESSION_TICKET,
  STREAM_BLOCKED,
} from './binding.ts'
import { checkWireCode, streamError } from './quiche-codes.ts'
import { QuicheDatagrams } from './quiche-datagrams.ts'
import { QuicheFacts, QuicheTls } from './quiche-facts.ts'
import type { QuicheLink } from './quiche-link.ts'
import { QuicheStream, type QuicheStreamOwner } from './quiche-stream.ts'

/** Of the transport's options, what its connections need. */
export interface QuicheConnectionOptions {
  readonly alpn: string
  /** Whether the peer's certificate is checked, where it shows one. */
  readonly verifies: boolean
  readonly unreliableDatagrams: boolean
  readonly maxUnreadBytes: number
  readonly maxPausedDatagrams: number
  readonly keepAliveMs: number
  tellUnreferenced(): void
}

type State = 'handshaking' | 'open' | 'draining' | 'closed'

export class QuicheConnection implements DrivenConnection, QuicheStreamOwner {
  readonly id: number = nextConnectionId()
  readonly #link: QuicheLink
  readonly #settings: DrivenSettings
  readonly #options: QuicheConnectionOptions
  readonly #streams = new Map<number, QuicheStream>()
  /** Streams of the peer that nobody was told of. */
  #waiting: QuicheStream[] = []
  /** Those that quiche has not sent everything of, whether or not they are open here. */
  readonly #unsent = new Set<number>()
  readonly #facts: Partial<Record<ConnectionRole, ConnectionFacts>> = {}
  #tls: QuicheTls | undefined
  #state: State = 'handshaking'
  #handler: MultiplexedHandler | undefined
  #closeTold = false
  #reason: Error | undefined
  #heard = false
  #acceptedStreams = 0
  #acceptedOpen = 0
  #unreadBytes = 0
  #reserved: number | undefined
  #awaited: Timer | undefined
  #retry: Timer | undefined
  #keepAlive: Timer | undefined
  #flush: Timer | undefined
  #flushing: { readonly code: number; readonly reason: string } | undefined
  #datagrams: QuicheDatagrams | undefined
  readonly #closed = Promise.withResolvers<void>()

  constructor(link: QuicheLink, settings: DrivenSettings, options: QuicheConnectionOptions) {
    this.#link = link
    this.#settings = settings
    this.#options = options
  }

  get facts(): ConnectionFacts {
    return this.streamFacts(this.#settings.role)
  }

  /** The peer's limit is not known before it is reached. */
  get openableStreams(): number {
    if (this.#state !== 'open' || this.#awaited !== undefined) return 0
    return this.#link.assumedStreams(this.#settings.maxConcurrentStreams) - this.#openedHere
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get highWaterMarkBytes(): number {
    return this.#settings.highWaterMarkBytes
  }

  get maxUnreadBytes(): number {
    return this.#options.maxUnreadBytes
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** The addon's thread keeps the process alive until the connection ends. */
  get referenced(): boolean {
    return this.#state !== 'closed'
  }

  set referenced(keeps: boolean) {
    if (!keeps) this.tellUnreferenced()
  }

  open(handler: MultiplexedHandler): void {
    if (this.#handler !== undefined || this.#closeTold) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    defer(() => (this.#state === 'closed' ? this.#tellClose() : this.#tellStreams()))
  }

  openStream(options: OpenStreamOptions = {}): QuicheStream | undefined {
    const { direction = 'bidirectional' } = options
    if (this.openableStreams <= 0) return this.#awaitStreams()
    const streamId = this.#reserved ?? this.#link.nextStream(direction)
    if (streamId === undefined) return this.#awaitStreams()
    if (direction === 'bidirectional') this.#reserved = undefined
    return this.#addStream(streamId, 'initiating')
  }

  datagrams(): DatagramSocket {
    if (!this.#options.unreliableDatagrams) {
      const message = 'datagrams were not asked for: pass unreliableDatagrams'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    this.#datagrams ??= this.#makeDatagrams()
    return this.#datagrams
  }

  close(options: QuicCloseOptions = {}): Promise<void> {
    const { signal, code = 0, reason = '' } = options
    if (this.#state === 'handshaking') this.destroy()
    if (this.#state === 'open') {
      this.#flushing = { code: checkWireCode(code), reason }
      this.#state = 'draining'
      this.#closeIfDrained()
    }
    if (signal === undefined || this.#state === 'closed') return this.#closed.promise
    const destroy = () => this.destroy(toError(signal.reason))
    if (signal.aborted) destroy()
    else {
      signal.addEventListener('abort', destroy, { once: true })
      void this.#closed.promise.then(() => signal.removeEventListener('abort', destroy))
    }
    return this.#closed.promise
  }

  destroy(reason?: Error): void {
    if (this.#state === 'closed') return
    this.#abandon(reason, reason ?? new ClosedError('ERR_CLOSED', 'the connection was destroyed'))
  }

  fail(error: Error): void {
    if (this.#state !== 'closed') this.#abandon(error, error)
  }

  // From its streams.

  codeOf(reason: Error | undefined): QuicCode {
    return this.#settings.codeOf(reason)
  }

  streamFacts(role: ConnectionRole): ConnectionFacts {
    const known = this.#facts[role]
    if (known !== undefined) return known
    const { transport, remote } = this.#settings
    const { local } = this.#link
    const metrics = () => this.metrics()
    const tls = this.#tls ?? this.#readTls([])
    const facts = new QuicheFacts({ transport, local, remote }, role, tls, metrics)
    if (this.#tls !== undefined) this.#facts[role] = facts
    return facts
  }

  send(stream: QuicheStream, bytes: Uint8Array, end: boolean): number | undefined {
    if (this.#state === 'closed') return undefined
    const taken = this.#link.send(stream.streamId, bytes, end)
    // The addon tells when there is room again (WRITE_READY), but not always to whom.
    if (taken === undefined) this.#retryLater()
    return taken
  }

  resetStream(stream: QuicheStream, code: number): void {
    if (this.#state !== 'closed') this.#link.resetStream(stream.streamId, code)
    this.#unsent.delete(stream.streamId)
  }

  countUnread(bytes: number): boolean {
    this.#unreadBytes += bytes
    return this.#unreadBytes <= this.#options.maxUnreadBytes
  }

  streamClosed(stream: QuicheStream): void {
    this.#streams.delete(stream.streamId)
    if (stream.facts.role === 'accepting') {
      const at = this.#waiting.indexOf(stream)
      if (at >= 0) this.#waiting.splice(at, 1)
      else this.#acceptedOpen -= 1
      defer(() => this.#tellStreams())
    }
    if (this.#state === 'open') this.#settings.onStreamClosed?.()
    if (this.#state === 'draining') defer(() => this.#closeIfDrained())
  }

  tellUnreferenced(): void {
    this.#options.tellUnreferenced()
  }

  // From its datagrams.

  sendDatagram(payload: Uint8Array): boolean {
    return this.#state !== 'closed' && this.#link.sendDatagram(payload)
  }

  metrics(): NativeMetrics | undefined {
    return this.#state === 'closed' ? undefined : this.#link.metrics()
  }

  // From the endpoint.

  onEvent(event: NativeEvent): void {
    if (this.#state === 'closed') return
    const { eventType, meta } = event
    if (eventType === SESSION_CLOSE) {
      return this.#lost(meta?.errorCode ?? 0, meta?.errorReason ?? '')
    }
    if (eventType === HANDSHAKE_COMPLETE) return this.#ready(meta?.peerCertificateChain ?? [])
    if (eventType === DATAGRAM) {
      if (!this.#options.unreliableDatagrams) return
      this.#datagrams ??= this.#makeDatagrams()
      return this.#datagrams.received(event.data ?? NOTHING)
    }
    if (eventType === SESSION_TICKET) this.#heard = true
    if (event.streamId >= 0) this.#onStreamEvent(event)
    else if (eventType === ERROR) this.fail(streamError(meta?.errorReason ?? 'unknown'))
  }

  /** There may be room again in the addon's queue. */
  onWriteReady(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    for (const stream of [...this.#streams.values()]) stream.flush()
  }

  #onStreamEvent(event: NativeEvent): void {
    this.#heard = true
    const { eventType, streamId } = event
    const stream = this.#streams.get(streamId) ?? this.#newcomer(event)
    switch (eventType) {
      case NEW_STREAM:
      case DATA:
        if (event.data !== undefined) stream?.onData(event.data)
        if (event.fin === true) stream?.onFin()
        return
      case FINISHED:
        return stream?.onFin()
      case STREAM_BLOCKED:
        this.#unsent.add(streamId)
        return stream?.onBlocked()
      case DRAIN:
        this.#unsent.delete(streamId)
        stream?.onWritable()
        return this.#closeIfDrained()
      case ERROR:
        // Until it is reset, quiche tries again to send what the peer no longer takes, and says so
        // each time: thousands of events a second.
        this.#link.resetStream(streamId, 0)
        this.#unsent.delete(streamId)
        stream?.onFailed(streamError(event.meta?.errorReason ?? 'unknown'))
        return this.#closeIfDrained()
      case RESET: // an echo of our own
        this.#unsent.delete(streamId)
    }
  }

  get #openedHere(): number {
    return this.#streams.size - this.#acceptedOpen - this.#waiting.length
  }

  /** Streams of the peer announce themselves with whatever comes of them first. */
  #newcomer(event: NativeEvent): QuicheStream | undefined {
    if (event.eventType !== NEW_STREAM) return undefined
    const { maxAcceptedStreams, maxConcurrentStreams } = this.#settings
    const code = () => checkWireCode(this.codeOf(SHUTTING_DOWN))
    this.#acceptedStreams += 1
    if (this.#acceptedStreams > maxAcceptedStreams || this.#state !== 'open') {
      this.#link.resetStream(event.streamId, code())
      if (this.#acceptedStreams > maxAcceptedStreams && this.#state === 'open') {
        const reason = `more than ${maxAcceptedStreams} streams on one connection`
        void this.close({ code: code(), reason })
      }
      return undefined
    }
    // quiche bounds those of two directions; these are of one, or whose owner has not noticed the end.
    if (this.#waiting.length >= maxConcurrentStreams) {
      this.#link.resetStream(event.streamId, checkWireCode(this.codeOf(TOO_MANY)))
      return undefined
    }
    const stream = this.#addStream(event.streamId, 'accepting')
    this.#waiting.push(stream)
    // After this event's own data: whoever opens it finds it there.
    defer(() => this.#tellStreams())
    return stream
  }

  #tellStreams(): void {
    while (
      this.#handler !== undefined &&
      this.#acceptedOpen < this.#settings.maxConcurrentStreams
    ) {
      const stream = this.#waiting.shift()
      if (stream === undefined) return
      this.#acceptedOpen += 1
      this.#handler.onStream(stream)
    }
  }

  #addStream(streamId: number, role: ConnectionRole): QuicheStream {
    const stream = new QuicheStream(this, streamId, role)
    this.#streams.set(streamId, stream)
    return stream
  }

  #makeDatagrams(): QuicheDatagrams {
    const { maxPausedDatagrams } = this.#options
    const made = new QuicheDatagrams(
      this,
      this.#link.local,
      this.#settings.remote,
      maxPausedDatagrams,
    )
    if (this.#state === 'closed') made.end(this.#reason)
    return made
  }

  #ready(chain: readonly Uint8Array[]): void {
    if (this.#state !== 'handshaking') return
    const tls = this.#readTls(chain)
    this.#tls = tls
    const refused = this.#settings.check?.({
      serverName: tls.serverName,
      authorized: tls.authorized,
      own: chain[0],
      chain: () => chain,
    })
    if (refused !== undefined) return this.#abandon(refused, refused)
    this.#state = 'open'
    this.#armKeepAlive()
    this.#settings.onSettled(undefined)
  }

  #readTls(chain: readonly Uint8Array[]): QuicheTls {
    const { role, serverName, ownAlpn } = this.#settings
    const { alpn, verifies } = this.#options
    return new QuicheTls({
      alpn: alpn === ownAlpn ? undefined : alpn,
      serverName,
      authorized: verifies && (role === 'initiating' || chain.length > 0),
      chain,
    })
  }

  #lost(code: number, words: string): void {
    const where = formatAddress(this.#settings.remote)
    const idle = code === 0 && words === 'idle timeout'
    // quiche does not tell its own codes from the application's. During the handshake there are none
    // of the application; and a server that refuses a client's certificate does so right after it.
    const early = this.#state === 'handshaking' || (!this.#heard && code >= 0x100 && code <= 0x1ff)
    const info = {
      code: idle ? IDLE_TIMEOUT : BigInt(code),
      reason: words,
      // A client learns of certificates that are bad by looking, a server by being told.
      local: this.#settings.role === 'initiating' && OF_CERTIFICATES.has(code),
      transport: early ? true : undefined,
    }
    if (this.#state === 'handshaking') {
      const error = failedHandshake(info, undefined, where, [])
      return this.#end(error, error)
    }
    const error = closedConnection({ ...info, local: false }, where)
    const clean = !idle && !early && code === 0
    this.#end(clean && this.#streams.size === 0 ? undefined : error, error)
  }

  /** Ends it from this side. */
  #abandon(reason: Error | undefined, forStreams: Error): void {
    const code = checkWireCode(this.codeOf(reason))
    this.#link.close(code, reason?.message ?? '')
    this.#end(reason, forStreams)
  }

  #end(reason: Error | undefined, forStreams: Error): void {
    const wasHandshaking = this.#state === 'handshaking'
    this.#state = 'closed'
    this.#reason = reason
    for (const timer of [this.#awaited, this.#retry, this.#keepAlive, this.#flush]) timer?.cancel()
    for (const stream of [...this.#streams.values()]) stream.connectionLost(forStreams)
    this.#datagrams?.end(reason)
    this.#link.released()
    if (wasHandshaking) this.#settings.onSettled(reason ?? forStreams)
    // After the streams' own.
    defer(() => {
      this.#closed.resolve()
      if (!wasHandshaking) this.#settings.onClosed?.(this)
      this.#tellClose()
    })
  }

  #tellClose(): void {
    const handler = this.#handler
    if (handler === undefined || this.#closeTold) return
    this.#closeTold = true
    this.#handler = undefined
    handler.onClose(this.#reason)
  }

  /**
   * The addon does not say what the peer has acknowledged, and drops what it has not sent when a
   * connection is closed. So the close waits until nothing is held back by a window, and then for
   * some round trips, in which what is lost once is sent again.
   */
  #closeIfDrained(): void {
    if (this.#state !== 'draining' || this.#streams.size > 0 || this.#unsent.size > 0) return
    if (this.#flush !== undefined) return
    const { rttMs = 0 } = this.metrics() ?? {}
    const at = systemClock.now() + Math.max(LEAST_FLUSH_MS, FLUSH_ROUND_TRIPS * rttMs)
    this.#flush = systemClock.setTimer(at, () => {
      this.#flush = undefined
      if (this.#unsent.size > 0) return
      const { code, reason } = this.#flushing ?? { code: 0, reason: '' }
      this.#link.close(code, reason)
      this.#end(undefined, CLOSED_CLEANLY)
    })
  }

  /** Nothing tells that the peer allows more: it is tried. */
  #awaitStreams(): undefined {
    if (this.#state !== 'open' || this.#awaited !== undefined) return undefined
    const look = (): void => {
      this.#awaited = undefined
      this.#reserved ??=
        this.openableStreams > 0 ? this.#link.nextStream('bidirectional') : undefined
      if (this.#reserved === undefined) return arm()
      this.#handler?.onStreamsAvailable()
    }
    const arm = (): void => {
      this.#awaited = systemClock.setTimer(systemClock.now() + LOOK_AGAIN_MS, look)
    }
    arm()
    return undefined
  }

  #retryLater(): void {
    if (this.#retry !== undefined) return
    this.#retry = systemClock.setTimer(systemClock.now() + LOOK_AGAIN_MS, () => this.onWriteReady())
  }

  /** quiche sends no PINGs by itself. */
  #armKeepAlive(): void {
    const { keepAliveMs } = this.#options
    this.#keepAlive = systemClock.setTimer(systemClock.now() + keepAliveMs, () => {
      this.#link.ping()
      this.#armKeepAlive()
    })
    this.#keepAlive.unref()
  }
}

const NOTHING = new Uint8Array(0)
const SHUTTING_DOWN = new ClosedError('ERR_DRAINING', 'no more streams are accepted')
const TOO_MANY = new OverloadError('ERR_LIMITED', 'too many streams wait')
const CLOSED_CLEANLY = new ClosedError('ERR_CLOSED', 'the connection was closed')
/** Alerts that say something of a certificate (RFC 8446, 6): those of a client are about the server's. */
const OF_CERTIFICATES: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48].map((n) => 0x100 + n))
const LOOK_AGAIN_MS = 20
/** Acknowledgements may be held back for 25 ms (RFC 9000, 18.2). */
const LEAST_FLUSH_MS = 30
const FLUSH_ROUND_TRIPS = 4
