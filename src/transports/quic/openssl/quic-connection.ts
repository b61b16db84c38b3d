/**
 * One QUIC connection: handshake, streams both ways, the end.
 *
 *     handshaking ─► open ─► draining ─► closed ─► (its SSL object is freed once drained)
 *            └──────────┴───────┴──────────▲
 *
 * `closed` is when the owner has been told. What OpenSSL still does afterwards (sending
 * CONNECTION_CLOSE, answering what arrives late) concerns nobody.
 */
import { formatAddress } from '../../../core/address.ts'
import type { Timer } from '../../../core/clock.ts'
import type { ConnectionFacts, ConnectionRole } from '../../../core/connection.ts'
import { nextConnectionId } from '../../../core/connection-id.ts'
import { ClosedError, toError, UsageError } from '../../../core/errors.ts'
import type { MultiplexedHandler, OpenStreamOptions } from '../../../core/multiplexed-connection.ts'
import { defer } from '../../../platform/process-access.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import type { DrivenConnection, DrivenSettings } from '../quic-driver.ts'
import { checkCode, closedConnection, failedHandshake } from '../quic-errors.ts'
import type { QuicCloseOptions, QuicCode } from '../quic-types.ts'
import type { AttachedPeer } from './attachment.ts'
import { ConnectionHandle } from './connection-handle.ts'
import type { Endpoint, EndpointConnection } from './endpoint.ts'
import {
  EVENT_CONNECTION_DRAINED,
  EVENT_CONNECTION_ERROR,
  EVENT_INCOMING_BIDI,
  EVENT_INCOMING_UNI,
  EVENT_OPENABLE_BIDI,
  EVENT_OPENABLE_UNI,
} from './functions.ts'
import { hasFailed, type Polled } from './poll-table.ts'
import { QuicFacts, QuicTls } from './quic-facts.ts'
import { OpensslStream, type StreamOrigin, type StreamOwner } from './quic-stream.ts'
import type { StreamHandle } from './stream-handle.ts'

type State = 'handshaking' | 'open' | 'draining' | 'closed'

export class OpensslConnection
  implements DrivenConnection, EndpointConnection, StreamOwner, Polled
{
  slot = -1
  readonly id: number = nextConnectionId()
  readonly endpoint: Endpoint
  readonly peerKey: string
  readonly #settings: DrivenSettings
  readonly #handle: ConnectionHandle
  readonly #peer: AttachedPeer
  readonly #streams = new Set<OpensslStream>()
  readonly #startedAt: number = systemClock.now()
  #readyAt = 0
  #receivedBefore = 0
  #state: State = 'handshaking'
  #handler: MultiplexedHandler | undefined
  #tls: QuicTls | undefined
  readonly #facts: Partial<Record<ConnectionRole, ConnectionFacts>> = {}
  #awaited = 0
  #acceptedStreams = 0
  /** Streams of the peer that are open here. */
  #acceptedOpen = 0
  #reason: Error | undefined
  #closeTold = false
  #lateClose: Timer | undefined
  /** Streams that are closed for their owners and wait for the close of the connection. */
  #unfreed: StreamHandle[] = []
  #held = true
  #sessionSaved = false
  #flushing: { readonly code: bigint; readonly reason: string } | undefined
  readonly #closed = Promise.withResolvers<void>()

  /** Takes over an SSL object that has been prepared. */
  constructor(endpoint: Endpoint, ssl: number, peer: AttachedPeer, settings: DrivenSettings) {
    this.endpoint = endpoint
    this.#handle = new ConnectionHandle(endpoint.openssl, ssl)
    this.#peer = peer
    this.peerKey = peer.key
    this.#settings = settings
    endpoint.hold()
    this.#want()
    endpoint.adopt(this)
  }

  get ssl(): number {
    return this.#handle.ssl
  }

  get facts(): ConnectionFacts {
    return this.streamFacts(this.#settings.role === 'initiating' ? 'local' : 'remote')
  }

  get openableStreams(): number {
    return this.#state === 'open' ? this.#handle.openable('bidirectional') : 0
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get highWaterMarkBytes(): number {
    return this.#settings.highWaterMarkBytes
  }

  get isHandshaking(): boolean {
    return this.#state === 'handshaking'
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  open(handler: MultiplexedHandler): void {
    if (this.#handler !== undefined || this.#closeTold) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    if (this.#state === 'closed') defer(() => this.#tellClose())
    else this.#want()
  }

  openStream(options: OpenStreamOptions = {}): OpensslStream | undefined {
    const { direction = 'bidirectional' } = options
    if (this.#state !== 'open') return undefined
    const ssl = this.#handle.openable(direction) > 0 ? this.#handle.openStream(direction) : 0
    if (ssl === 0) {
      this.#awaited |= direction === 'bidirectional' ? EVENT_OPENABLE_BIDI : EVENT_OPENABLE_UNI
      this.#want()
      return undefined
    }
    return this.#addStream(ssl, 'local', direction)
  }

  datagrams(): never {
    const message = "OpenSSL 3.5 has no datagrams of QUIC (RFC 9221): driver 'quiche' has"
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }

  close(options: QuicCloseOptions = {}): Promise<void> {
    const { signal, code = 0, reason = '' } = options
    if (this.#state === 'handshaking') this.destroy()
    if (this.#state === 'open') {
      this.#state = 'draining'
      this.#flushing = { code: checkCode(code), reason }
      this.#want()
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

  /** Whether this connection, apart from its streams, keeps the process alive. */
  get referenced(): boolean {
    return this.#held
  }

  set referenced(keeps: boolean) {
    if (keeps === this.#held || this.#state === 'closed') return
    this.#held = keeps
    if (keeps) this.endpoint.hold()
    else this.endpoint.release()
  }

  codeOf(reason: Error | undefined): QuicCode {
    return this.#settings.codeOf(reason)
  }

  /** Streams that the peer opened are accepted by us, whoever dialled the connection. */
  streamFacts(origin: StreamOrigin): ConnectionFacts {
    const role = origin === 'local' ? 'initiating' : 'accepting'
    const known = this.#facts[role]
    if (known !== undefined) return known
    const { transport, remote } = this.#settings
    const local = this.endpoint.attachment.local
    const facts = new QuicFacts(transport, role, local, remote, () => this.#readTls())
    if (this.#tls !== undefined) this.#facts[role] = facts
    return facts
  }

  streamClosed(stream: OpensslStream): void {
    this.#streams.delete(stream)
    if (stream.facts.role === 'accepting') {
      this.#acceptedOpen -= 1
      if (this.#acceptedOpen === this.#settings.maxConcurrentStreams - 1) this.#want()
    }
    if (this.#state === 'open') {
      this.#saveSession()
      this.#settings.onStreamClosed?.()
    }
    // Its own onClose comes first.
    if (this.#state === 'draining') defer(() => this.#closeIfDrained())
  }

  get closesLater(): boolean {
    return this.#lateClose !== undefined
  }

  freeLater(handle: StreamHandle): void {
    this.#unfreed.push(handle)
  }

  // From the endpoint.

  handshake(): boolean {
    if (this.#state !== 'handshaking') return this.#step()
    const step = this.#handle.handshake(this.#isClient ? 'client' : 'server')
    if (step === 'pending') return false
    if (step === 'failed') this.#lost(this.endpoint.openssl.takeErrors())
    else this.#ready()
    return true
  }

  onEvents(events: number): void {
    if (hasFailed(events)) return this.#gone()
    if ((events & EVENT_CONNECTION_ERROR) !== 0 && this.#state !== 'closed') {
      this.#lost(this.endpoint.openssl.takeErrors())
    }
    if ((events & EVENT_CONNECTION_DRAINED) !== 0) return this.#gone()
    if ((events & (EVENT_INCOMING_BIDI | EVENT_INCOMING_UNI)) !== 0) this.#acceptStreams()
    if ((events & (EVENT_OPENABLE_BIDI | EVENT_OPENABLE_UNI)) !== 0 && this.#awaited !== 0) {
      this.#awaited = 0
      this.#want()
      if (this.#state === 'open') this.#handler?.onStreamsAvailable()
    }
  }

  fail(error: Error): void {
    if (this.#state !== 'closed') this.#abandon(error, error)
  }

  free(): void {
    if (this.#handle.ssl === 0) return
    this.#cancelLateClose()
    for (const stream of [...this.#streams]) stream.freeNow()
    this.#freeStreams()
    this.endpoint.table.remove(this)
    this.endpoint.forget(this)
    this.#handle.free()
    this.#peer.forget()
  }

  get #isClient(): boolean {
    return this.#settings.role === 'initiating'
  }

  #want(): void {
    let events = EVENT_CONNECTION_DRAINED
    if (this.#state !== 'closed') events |= EVENT_CONNECTION_ERROR
    if (this.#handler !== undefined && this.#state !== 'closed') {
      events |= this.#awaited
      if (this.#takesStreams) events |= EVENT_INCOMING_BIDI | EVENT_INCOMING_UNI
    }
    this.endpoint.table.want(this, events)
    this.endpoint.wake()
  }

  #ready(): void {
    this.#readyAt = systemClock.now()
    this.#receivedBefore = this.endpoint.receivedCount
    const tls = this.#readTls()
    const refused = this.#settings.check?.({
      serverName: tls.serverName,
      authorized: tls.authorized,
      own: tls.der,
      chain: () => this.#handle.verifiedChain(),
    })
    if (refused !== undefined) return this.#abandon(refused, refused)
    this.#state = 'open'
    this.#want()
    this.#settings.onSettled(undefined)
  }

  #readTls(): QuicTls {
    if (this.#tls !== undefined) return this.#tls
    const tls = new QuicTls(this.#handle, this.#settings, this.endpoint.context.verifies)
    // While the handshake goes on there is little to know, and it changes.
    if (this.#readyAt > 0) this.#tls = tls
    return tls
  }

  #addStream(
    ssl: number,
    origin: StreamOrigin,
    direction: 'bidirectional' | 'unidirectional',
  ): OpensslStream {
    const stream = new OpensslStream(this, ssl, origin, direction)
    this.#streams.add(stream)
    return stream
  }

  /**
   * OpenSSL gives credit for another stream as soon as one is accepted, not when one has ended: what
   * bounds the streams that are open is that the next one is not accepted. It waits in OpenSSL.
   */
  get #takesStreams(): boolean {
    return this.#state !== 'open' || this.#acceptedOpen < this.#settings.maxConcurrentStreams
  }

  #acceptStreams(): void {
    const { maxAcceptedStreams } = this.#settings
    while (this.#handler !== undefined && this.#state !== 'closed') {
      if (!this.#takesStreams) return this.#want()
      const ssl = this.#handle.acceptStream()
      if (ssl === 0) return
      this.#acceptedStreams += 1
      const over = this.#acceptedStreams > maxAcceptedStreams
      if (over || this.#state !== 'open') {
        this.#handle.refuse(ssl, checkCode(this.codeOf(SHUTTING_DOWN)))
        // Each stream costs memory until its connection ends: end it once its work is done.
        if (over && this.#state === 'open') {
          const reason = `more than ${maxAcceptedStreams} streams on one connection`
          void this.close({ code: this.codeOf(SHUTTING_DOWN), reason })
        }
        continue
      }
      this.#acceptedOpen += 1
      this.#handler.onStream(this.#addStream(ssl, 'remote', this.#handle.directionOf(ssl)))
    }
  }

  /** The last stream of a draining connection has gone: flush, then close. */
  #closeIfDrained(): void {
    if (this.#state !== 'draining' || this.#streams.size > 0) return
    this.endpoint.adopt(this) // whose passes call `handshake`, which goes on with closing
  }

  /** @returns whether nothing is left to do for this connection in each pass */
  #step(): boolean {
    if (this.#state !== 'draining' || this.#flushing === undefined) return true
    if (this.#streams.size > 0) return true
    if (this.#isTooYoung) {
      if (this.#lateClose === undefined) this.#sendCloseLater(() => this.#closeIfDrained())
      return true
    }
    this.#handle.shutdown(this.#flushing.code, this.#flushing.reason, true)
    if (this.#handle.closeInfo() === undefined) return false
    this.#end(undefined, CLOSED_CLEANLY)
    return true
  }

  #lost(reasons: readonly string[]): void {
    const info = this.#handle.closeInfo()
    const where = formatAddress(this.#settings.remote)
    if (this.#state === 'handshaking') {
      const verification = this.#isClient || info?.local ? this.#handle.verification() : undefined
      const error = failedHandshake(info, verification, where, reasons)
      return this.#end(error, error)
    }
    const error = closedConnection(info, where)
    // A peer that closes with 0 when nothing is under way has done nothing wrong.
    const clean = info !== undefined && !info.transport && info.code === 0n
    this.#end(clean && this.#streams.size === 0 ? undefined : error, error)
  }

  /** Tells everybody; `forStreams` is what those hear that are open. */
  #end(reason: Error | undefined, forStreams: Error): void {
    if (this.#state === 'closed') return
    this.#saveSession()
    const wasHandshaking = this.#state === 'handshaking'
    this.#state = 'closed'
    this.#reason = reason
    this.#flushing = undefined
    for (const stream of [...this.#streams]) stream.connectionLost(forStreams)
    if (this.#held) this.endpoint.release()
    this.#held = false
    this.#want()
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

  /** Ends it from this side. The close goes first: a peer is not to hear of resets before it. */
  #abandon(reason: Error | undefined, forStreams: Error): void {
    this.#saveSession()
    this.#sendClose(checkCode(this.codeOf(reason)), reason?.message ?? '')
    this.#end(reason, forStreams)
  }

  #sendClose(code: bigint, reason: string): void {
    const send = () => {
      this.#handle.shutdown(code, reason, false)
      this.#freeStreams()
      this.endpoint.wake()
    }
    if (this.#isTooYoung) this.#sendCloseLater(send)
    else send()
  }

  /**
   * A client that closes before the server has confirmed the handshake is never heard by it, and
   * keeps a place there until the idle timeout. OpenSSL does not tell of the confirmation, but the
   * first ticket comes with it; from a server that gives none, anything that arrives has to do.
   */
  get #isTooYoung(): boolean {
    if (!this.#isClient || this.#readyAt === 0) return false
    const age = systemClock.now() - this.#readyAt
    if (age > MAX_CLOSE_DELAY_MS || this.#handle.hasSession) return false
    const heard = this.endpoint.receivedCount > this.#receivedBefore
    return !heard || age < 4 * this.#closeDelayMs
  }

  get #closeDelayMs(): number {
    return Math.max(LEAST_CLOSE_DELAY_MS, this.#readyAt - this.#startedAt)
  }

  #sendCloseLater(send: () => void): void {
    if (this.#lateClose === undefined) this.endpoint.hold()
    const at = systemClock.now() + this.#closeDelayMs
    this.#lateClose = systemClock.setTimer(at, () => {
      if (this.#handle.ssl !== 0 && this.#isTooYoung) return this.#sendCloseLater(send)
      this.#lateClose = undefined
      this.endpoint.release()
      if (this.#handle.ssl !== 0) send()
    })
  }

  #freeStreams(): void {
    for (const handle of this.#unfreed) handle.free()
    this.#unfreed = []
  }

  #cancelLateClose(): void {
    if (this.#lateClose === undefined) return
    this.#lateClose.cancel()
    this.#lateClose = undefined
    this.endpoint.release()
  }

  #saveSession(): void {
    const { onSession } = this.#settings
    if (onSession === undefined || this.#sessionSaved || this.#readyAt === 0) return
    const session = this.#handle.session()
    if (session === undefined) return
    this.#sessionSaved = true
    onSession(session)
  }

  /** OpenSSL has nothing left to say for it. */
  #gone(): void {
    if (this.#state !== 'closed') this.#lost(this.endpoint.openssl.takeErrors())
    this.free()
  }
}

const SHUTTING_DOWN = new ClosedError('ERR_DRAINING', 'no more streams are accepted')
const CLOSED_CLEANLY = new ClosedError('ERR_CLOSED', 'the connection was closed')
/** Loopback: a handshake there takes less than what follows it. */
const LEAST_CLOSE_DELAY_MS = 2
/** A server that says nothing for so long after a handshake is gone. */
const MAX_CLOSE_DELAY_MS = 1_000
