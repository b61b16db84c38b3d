/**
 * The listening side: a name in the signalling, negotiations that are under way, connections.
 */
import type { UrlAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import {
  ClosedError,
  ProtocolError,
  TimeoutError,
  TransportError,
  toError,
} from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import type { ChannelConnection } from './channel-connection.ts'
import { PeerLink } from './peer-link.ts'
import {
  type SignalHandler,
  type SignallingMembership,
  type SignalMessage,
  signalProblem,
} from './signalling.ts'
import { webRtcAddress } from './webrtc-address.ts'
import type { WebRtcDriver } from './webrtc-driver.ts'
import type { CheckedWebRtcOptions } from './webrtc-options.ts'

export interface WebRtcListenerSetup {
  readonly options: CheckedWebRtcOptions
  readonly driver: WebRtcDriver
  readonly clock: Clock
  readonly listen: ListenOptions<MessageConnection>
}

export class WebRtcListener implements Listener, SignalHandler {
  readonly #setup: WebRtcListenerSetup
  #membership: SignallingMembership | undefined
  /** By peer and session: nobody can speak in another peer's session. */
  readonly #links = new Map<string, PeerLink>()
  /** Offers that came while paused, with the candidates after them. */
  readonly #waiting = new Map<string, SignalMessage[]>()
  /** Sessions that are over: an offer that comes again is not answered. Oldest first. */
  readonly #past = new Set<string>()
  readonly #connections = new Set<ChannelConnection>()
  #paused = false
  #closing: Promise<void> | undefined
  #resolveClosed: (() => void) | undefined

  constructor(setup: WebRtcListenerSetup) {
    this.#setup = setup
  }

  /** Before anything else. */
  joined(membership: SignallingMembership): void {
    this.#membership = membership
  }

  get address(): UrlAddress {
    return webRtcAddress(this.#membership!.peer)
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const message of waiting.flat()) this.onSignal(message)
  }

  close(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = new Promise((resolve) => {
        this.#resolveClosed = resolve
      })
      for (const messages of this.#waiting.values()) this.#refuse(messages[0]!, 'ERR_CLOSED')
      this.#waiting.clear()
      for (const link of this.#links.values()) if (!link.established) link.abandon(closedError())
      this.#membership?.leave()
      this.#settle()
    }
    const { signal } = options
    if (signal === undefined) return this.#closing
    const destroyAll = (): void => {
      for (const link of [...this.#links.values()]) link.abandon(closedError())
    }
    if (signal.aborted) destroyAll()
    else {
      signal.addEventListener('abort', destroyAll, { once: true })
      void this.#closing.then(() => signal.removeEventListener('abort', destroyAll))
    }
    return this.#closing
  }

  /** What keeps a process alive is the signalling's connection, and each peer's own threads. */
  ref(): void {}
  unref(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // Called by the signalling.

  onSignal(message: SignalMessage): void {
    if (this.#closing !== undefined) return
    const problem = signalProblem(message)
    if (problem !== undefined) {
      const error = new ProtocolError('ERR_MALFORMED', `signalling message: ${problem}`)
      return this.#setup.listen.onError?.(error)
    }
    if (message.to !== this.#membership?.peer) return
    const key = keyOf(message)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      if (message.type === 'bye') this.#waiting.delete(key)
      else if (waiting.length <= this.#setup.options.maxCandidates) waiting.push(message)
      return
    }
    const link = this.#links.get(key)
    if (link !== undefined) return link.receive(message)
    if (message.type === 'offer' && !this.#past.has(key)) this.#offered(key, message)
  }

  onUndeliverable(message: { readonly session: string; readonly to: string }): void {
    this.#links.get(keyOf({ session: message.session, from: message.to }))?.undeliverable()
  }

  onLost(reason: Error): void {
    if (this.#closing !== undefined) return
    const message = `the signalling is lost: ${reason.message}`
    this.#setup.listen.onError?.(new TransportError('ERR_ACCEPT', message, { cause: reason }))
  }

  // Inside.

  #offered(key: string, offer: SignalMessage): void {
    const { options, listen } = this.#setup
    if (this.#pendingCount >= options.maxPendingPeers) return this.#refuse(offer, 'ERR_LIMITED')
    if (this.#paused) {
      this.#waiting.set(key, [offer])
      return
    }
    if (listen.admitAddress?.(webRtcAddress(offer.from)) !== undefined) {
      this.#remember(key)
      return this.#refuse(offer, 'ERR_FORBIDDEN')
    }
    this.#negotiate(key, offer)
  }

  #negotiate(key: string, offer: SignalMessage): void {
    const { options, driver, clock, listen } = this.#setup
    const { session, from } = offer
    const timer = clock.setTimer(clock.now() + options.acceptTimeoutMs, () => {
      const within = `within ${options.acceptTimeoutMs} ms`
      const message = `${from} was not connected ${within}: ${link.missing}`
      link.abandon(new TimeoutError('ERR_CONNECT_TIMEOUT', message))
    })
    const setup = {
      role: 'accepting',
      options,
      driver,
      clock,
      session,
      localPeer: this.#membership!.peer,
      remotePeer: from,
      send: (message: SignalMessage) => this.#membership?.send(message),
    } as const
    const link = new PeerLink(setup, {
      onConnection: (connection) => {
        timer.cancel()
        this.#accept(connection)
      },
      onFailed: (error) => {
        if (this.#closing === undefined) listen.onError?.(error)
      },
      onConnectionClosed: (connection) => void this.#connections.delete(connection),
      onClosed: () => {
        timer.cancel()
        this.#links.delete(key)
        this.#remember(key)
        this.#settle()
      },
    })
    this.#links.set(key, link)
    link.receive(offer)
  }

  #accept(connection: ChannelConnection): void {
    this.#connections.add(connection)
    try {
      this.#setup.listen.onConnection(connection)
    } catch (error) {
      connection.destroy(toError(error))
      this.#setup.listen.onError?.(toError(error))
    }
  }

  get #pendingCount(): number {
    let count = this.#waiting.size
    for (const link of this.#links.values()) if (!link.established) count += 1
    return count
  }

  #refuse(offer: SignalMessage, reason: string): void {
    const { session, from, to } = offer
    this.#membership?.send({ type: 'bye', session, from: to, to: from, seq: 0, reason })
  }

  #remember(key: string): void {
    this.#past.add(key)
    if (this.#past.size <= MAX_PAST) return
    for (const oldest of this.#past) {
      this.#past.delete(oldest)
      return
    }
  }

  #settle(): void {
    if (this.#closing !== undefined && this.#links.size === 0) this.#resolveClosed?.()
  }
}

function keyOf({ session, from }: { readonly session: string; readonly from: string }): string {
  return `${session} ${from}`
}

function closedError(): ClosedError {
  return new ClosedError('ERR_CLOSED', 'the listener was closed')
}

/** Sessions remembered against replayed offers: 300 KB at most. */
const MAX_PAST = 1_024
