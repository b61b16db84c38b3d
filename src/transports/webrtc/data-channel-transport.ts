/**
 * The transport itself, for whatever driver: connecting, and the way to a listener.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { TimeoutError, TransportError, toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  TransportTraits,
} from '../../core/transport.ts'
import type { WebRtcConnection } from './channel-connection.ts'
import { PeerLink } from './peer-link.ts'
import {
  type SignalHandler,
  type SignallingMembership,
  type SignalMessage,
  signalProblem,
} from './signalling.ts'
import { peerOfAddress } from './webrtc-address.ts'
import type { WebRtcDriver } from './webrtc-driver.ts'
import { WebRtcListener } from './webrtc-listener.ts'
import type { CheckedWebRtcOptions } from './webrtc-options.ts'

export interface WebRtcTransport extends MessageTransport {
  connect(address: Address, options?: ConnectOptions): Promise<WebRtcConnection>
}

/** Where the driver comes from: loading it may fail, so it is asked for when it is needed. */
export type DriverLoader = () => Promise<WebRtcDriver>

export class DataChannelTransport implements WebRtcTransport {
  readonly name = 'webrtc'
  readonly traits: TransportTraits
  readonly #options: CheckedWebRtcOptions
  readonly #clock: Clock
  readonly #load: DriverLoader

  constructor(options: CheckedWebRtcOptions, clock: Clock, load: DriverLoader) {
    this.#options = options
    this.#clock = clock
    this.#load = load
    const { flowControl, ordered, maxRetransmits, maxPacketLifeTimeMs } = options
    const lossy = maxRetransmits !== undefined || maxPacketLifeTimeMs !== undefined
    const halfClose = flowControl && ordered && !lossy
    this.traits = Object.freeze({
      halfClose,
      secure: true,
      messageBoundaries: true,
      ordered,
      reliable: !lossy,
    })
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<WebRtcConnection> {
    const peer = peerOfAddress(address)
    const { signal, deadline = Number.POSITIVE_INFINITY } = options
    signal?.throwIfAborted()
    const until = Math.min(deadline, this.#clock.now() + this.#options.connectTimeoutMs)
    const attempt = new ConnectAttempt(this.#options, this.#clock, this.#load, peer, until)
    return attempt.run(signal)
  }

  async listen(address: Address, options: ListenOptions<MessageConnection>): Promise<Listener> {
    if (options.descriptor !== undefined) {
      const message = 'a WebRTC listener has no descriptor to take over'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    const peer = peerOfAddress(address)
    const driver = await this.#load()
    const setup = { options: this.#options, driver, clock: this.#clock, listen: options }
    const listener = new WebRtcListener(setup)
    listener.joined(await this.#options.signalling.join(peer === '0' ? undefined : peer, listener))
    return listener
  }
}

/** One `connect`: whichever comes first of a channel, a failure, the deadline and the signal. */
class ConnectAttempt {
  readonly #options: CheckedWebRtcOptions
  readonly #clock: Clock
  readonly #load: DriverLoader
  readonly #peer: string
  readonly #until: number
  readonly #session = randomSession()
  /** Ends the waiting for the signalling. */
  readonly #aborter = new AbortController()
  #membership: SignallingMembership | undefined
  #link: PeerLink | undefined
  #settle: ((outcome: WebRtcConnection | { readonly error: unknown }) => void) | undefined

  constructor(
    options: CheckedWebRtcOptions,
    clock: Clock,
    load: DriverLoader,
    peer: string,
    until: number,
  ) {
    this.#options = options
    this.#clock = clock
    this.#load = load
    this.#peer = peer
    this.#until = until
  }

  run(signal: AbortSignal | undefined): Promise<WebRtcConnection> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#fail(signal?.reason)
      const timer = this.#clock.setTimer(this.#until, () => this.#fail(this.#late()))
      this.#settle = (outcome) => {
        this.#settle = undefined
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#membership?.leave()
        this.#aborter.abort()
        if ('error' in outcome) reject(outcome.error)
        else resolve(outcome)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (this.#until <= this.#clock.now()) return this.#fail(this.#late())
      this.#start().catch((error: unknown) => this.#fail(error))
    })
  }

  async #start(): Promise<void> {
    const driver = await this.#load()
    if (this.#settle === undefined) return
    const handler: SignalHandler = {
      onSignal: (message) => this.#receive(message),
      onUndeliverable: ({ session }) => {
        if (session === this.#session) this.#link?.undeliverable()
      },
      onLost: (reason) => {
        const message = `the signalling is lost: ${reason.message}`
        this.#fail(new TransportError('ERR_CONNECT', message, { cause: reason, sent: 'nothing' }))
      },
    }
    const { signal } = this.#aborter
    const membership = await this.#options.signalling.join(undefined, handler, { signal })
    if (this.#settle === undefined) return membership.leave()
    this.#membership = membership
    this.#negotiate(driver, membership)
  }

  #negotiate(driver: WebRtcDriver, membership: SignallingMembership): void {
    const setup = {
      role: 'initiating',
      options: this.#options,
      driver,
      clock: this.#clock,
      session: this.#session,
      localPeer: membership.peer,
      remotePeer: this.#peer,
      send: (message: SignalMessage) => membership.send(message),
    } as const
    this.#link = new PeerLink(setup, {
      onConnection: (connection) => {
        if (this.#settle === undefined) connection.destroy()
        else this.#settle(connection)
      },
      onFailed: (error) => this.#settle?.({ error }),
      onConnectionClosed() {},
      onClosed() {},
    })
    this.#link.offer()
  }

  #receive(message: SignalMessage): void {
    if (signalProblem(message) !== undefined) return // somebody else's noise cannot end the attempt
    const { session, from, to } = message
    if (session !== this.#session || from !== this.#peer || to !== this.#membership?.peer) return
    this.#link?.receive(message)
  }

  /** The peer is told, so that it need not wait for us. */
  #fail(error: unknown): void {
    if (this.#settle === undefined) return
    const link = this.#link
    const settle = this.#settle
    this.#settle = undefined
    link?.abandon(toError(error))
    this.#settle = settle
    settle({ error })
  }

  #late(): TimeoutError {
    const missing = this.#link?.missing ?? 'the signalling has not answered'
    const message = `connecting to webrtc://${this.#peer} took too long: ${missing}`
    return new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' })
  }
}

/** Not guessable: who does not see the signalling cannot speak in a session. */
function randomSession(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
