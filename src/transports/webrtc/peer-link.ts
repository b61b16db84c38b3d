/**
 * One connection of two peers: its negotiation through the signalling, and the channels on it.
 *
 *     negotiating ──► established ──► closing ──► closed
 *          └──────────────┴───────── failed ────────┘
 *
 * What comes through the signalling is from outside: it is checked, counted and bounded here.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import type { ConnectionRole } from '../../core/connection.ts'
import { HeddleError, TransportError } from '../../core/errors.ts'
import { ChannelConnection, type ChannelHost, connectFailure } from './channel-connection.ts'
import { announcedWindow, announceFlow } from './channel-flow.ts'
import { revealIceServers } from './ice-servers.ts'
import { NegotiationRecord } from './negotiation-record.ts'
import type { SignalCandidate, SignalMessage } from './signalling.ts'
import type {
  DriverChannel,
  DriverPeer,
  PeerEvents,
  PeerState,
  WebRtcDriver,
} from './webrtc-driver.ts'
import { makeFacts } from './webrtc-facts.ts'
import type { CheckedWebRtcOptions } from './webrtc-options.ts'

export interface PeerLinkSetup {
  readonly role: ConnectionRole
  readonly options: CheckedWebRtcOptions
  readonly driver: WebRtcDriver
  readonly clock: Clock
  readonly session: string
  readonly localPeer: string
  readonly remotePeer: string
  send(message: SignalMessage): void
}

export interface PeerLinkOwner {
  /** A channel is open: the first one, and on the accepting side every later one. */
  onConnection(connection: ChannelConnection): void
  /** The negotiation failed; before any `onConnection`. `onClosed` follows. */
  onFailed(error: Error): void
  /** A channel has closed. */
  onConnectionClosed(connection: ChannelConnection): void
  /** Nothing is left of it: once and last. */
  onClosed(): void
}

export class PeerLink implements PeerEvents, ChannelHost {
  readonly #setup: PeerLinkSetup
  readonly #owner: PeerLinkOwner
  readonly #peer: DriverPeer
  readonly #channels = new Set<ChannelConnection>()
  /** Those that we are opening beside the first, and what rejects who waits for them. */
  readonly #opening = new Map<ChannelConnection, (error: Error) => void>()
  #state: PeerState = 'connecting'
  #established = false
  #ended = false
  #closedTold = false
  #seq = 0
  #lastSeq = -1
  #remoteSet = false
  #candidates: SignalCandidate[] = []
  #candidateCount = 0
  /**
   * Ours, until the answer has been read. An accepting peer that knew them would reach us at once,
   * and libdatachannel, in the middle of reading the answer, may then check the peer's certificate
   * before it has the fingerprint: the handshake fails, if rarely.
   */
  #ownCandidates: SignalCandidate[] = []
  readonly #record = new NegotiationRecord()
  /** What the peer's description announces; undefined: it is not heddle. */
  #peerWindow: number | undefined
  #lingerTimer: Timer | undefined

  constructor(setup: PeerLinkSetup, owner: PeerLinkOwner) {
    this.#setup = setup
    this.#owner = owner
    const { options } = setup
    const settings = {
      iceServers: revealIceServers(options.iceServers),
      iceTransportPolicy: options.iceTransportPolicy,
      bindAddress: options.bindAddress,
      portRange: options.portRange,
      maxMessageBytes: options.maxMessageBytes,
    }
    this.#peer = setup.driver.createPeer(settings, this)
  }

  get connected(): boolean {
    return this.#state === 'connected'
  }

  get established(): boolean {
    return this.#established
  }

  /** Why it is not established yet, for the error of who gives up. */
  get missing(): string {
    if (this.connected) return 'the peers are connected, but their channel has not opened'
    if (this.#peer.facts().local !== undefined)
      return 'a way was found, but the handshake is not over'
    return this.#record.missing(this.#setup.options.iceServers.length > 0)
  }

  /** Initiating side: opens the first channel, which makes the offer. */
  offer(): void {
    const channel = this.#createChannel(this.#setup.options.label)
    const failed = (error: Error): void => {
      if (!this.#established) this.#fail(connectFailure(error, 'data channel'), true)
    }
    channel.attach({
      // The answer has come by now, so everything is known of the peer.
      onOpen: () => {
        if (this.#ended) return
        const connection = this.#connect(channel)
        channel.attach(connection)
        this.#accept(connection)
      },
      onClosed: () => failed(new Error('closed before it was open')),
      onError: failed,
      onMessage() {},
      onDrain() {},
    })
  }

  /** A message of this session, from the other peer. */
  receive(message: SignalMessage): void {
    // A message that comes again, or late, is nothing but noise: signalling keeps the order.
    if (this.#ended || message.seq <= this.#lastSeq) return
    this.#lastSeq = message.seq
    const { role } = this.#setup
    if (message.type === 'bye') {
      if (this.#established) return
      const text = `${this.#setup.remotePeer} refused: ${message.reason || 'no reason given'}`
      return this.#fail(new TransportError('ERR_CONNECT_REFUSED', text, NOTHING_SENT), false)
    }
    if (message.type === 'candidate') return this.#addCandidate(message.candidate!)
    const expected = role === 'initiating' ? 'answer' : 'offer'
    if (message.type !== expected || this.#remoteSet) return
    this.#setRemote(message.type, message.sdp!)
  }

  /** The signalling could not deliver a message of ours. */
  undeliverable(): void {
    if (this.#established || this.#ended || this.#lastSeq >= 0) return
    const text = `nobody is reached as webrtc://${this.#setup.remotePeer}`
    this.#fail(new TransportError('ERR_CONNECT_REFUSED', text, NOTHING_SENT), false)
  }

  /** Gives up. Channels that are open close with `reason`. */
  abandon(reason: Error): void {
    if (this.#established) {
      for (const connection of [...this.#channels]) connection.destroy(reason)
      this.#end()
    } else this.#fail(reason, true)
  }

  // Called by channels.

  channelDone(connection: ChannelConnection, abrupt: boolean): void {
    this.#opening.get(connection)?.(notConnected())
    this.#opening.delete(connection)
    if (!this.#channels.delete(connection)) return
    this.#owner.onConnectionClosed(connection)
    if (this.#channels.size > 0 || this.#opening.size > 0) return
    // The initiating side is the last to know that everything arrived, so it may leave at once.
    const heard = connection.facts.webRtc.flowControl && this.#setup.role === 'initiating'
    if (abrupt || heard || !this.connected) return this.#end()
    const { clock, options } = this.#setup
    const at = clock.now() + options.closeTimeoutMs
    this.#lingerTimer ??= clock.setTimer(at, () => this.#end())
  }

  openChannel(label: string | undefined): Promise<ChannelConnection> {
    return new Promise((resolve, reject) => {
      if (this.#ended || this.#lingerTimer !== undefined || !this.connected) {
        throw notConnected()
      }
      const channel = this.#createChannel(label ?? this.#setup.options.label)
      const connection = this.#connect(channel)
      this.#opening.set(connection, reject)
      connection.onOpened = () => {
        if (!this.#opening.delete(connection)) return
        this.#channels.add(connection)
        resolve(connection)
      }
      channel.attach(connection)
    })
  }

  // Called by the driver.

  onDescription(type: 'offer' | 'answer', sdp: string): void {
    if (this.#ended) return
    const { options, role } = this.#setup
    const announce = role === 'initiating' ? this.#mayControl : this.#peerWindow !== undefined
    const text = announce ? announceFlow(sdp, type, options.receiveWindowBytes) : sdp
    this.#send({ type, sdp: text })
  }

  onCandidate(candidate: string, mid: string): void {
    if (this.#ended || this.#established) return
    this.#record.found(candidate)
    if (this.#setup.role === 'accepting' || this.#remoteSet) {
      this.#send({ type: 'candidate', candidate: { candidate, mid } })
    } else this.#ownCandidates.push({ candidate, mid })
  }

  onChannel(channel: DriverChannel): void {
    const { role, options } = this.#setup
    if (this.#ended || (role === 'initiating' && !this.#established)) return channel.close()
    if (this.#channels.size >= options.maxChannels) return channel.close()
    const connection = this.#connect(channel)
    const opened = (): void => {
      connection.onOpened = undefined
      if (this.#ended) connection.destroy()
      else this.#accept(connection)
    }
    const isOpen = channel.isOpen
    if (!isOpen) connection.onOpened = opened
    channel.attach(connection)
    if (isOpen) opened()
  }

  onState(state: PeerState, error?: Error): void {
    this.#state = state
    if (state !== 'failed' && state !== 'closed') return
    const missing = this.#established ? '' : `: ${this.missing}`
    const failure = state === 'failed' ? new Error(`ICE or DTLS failed${missing}`) : undefined
    const cause = error ?? failure
    const reason = cause && new TransportError('ERR_RESET', cause.message, { cause })
    if (this.#established) {
      for (const connection of [...this.#channels]) connection.peerGone(reason)
    } else if (!this.#ended) {
      const why = cause ?? new Error(`the connection of peers is ${state}`)
      this.#fail(connectFailure(why, `connecting to ${this.#setup.remotePeer}`), true)
    }
    this.#end()
    if (state === 'closed') this.#tellClosed()
  }

  // Inside.

  #accept(connection: ChannelConnection): void {
    this.#channels.add(connection)
    this.#established = true
    this.#owner.onConnection(connection)
  }

  get #mayControl(): boolean {
    const { flowControl, ordered, maxRetransmits, maxPacketLifeTimeMs } = this.#setup.options
    const lossy = maxRetransmits !== undefined || maxPacketLifeTimeMs !== undefined
    return flowControl && ordered && !lossy
  }

  #createChannel(label: string): DriverChannel {
    const { protocol, ordered, maxRetransmits, maxPacketLifeTimeMs } = this.#setup.options
    const settings = { label, protocol, ordered, maxRetransmits, maxPacketLifeTimeMs }
    return this.#peer.createChannel(settings)
  }

  #connect(channel: DriverChannel): ChannelConnection {
    const { options, role, localPeer, remotePeer, clock } = this.#setup
    const { receiveWindowBytes, highWaterMarkBytes } = options
    const flow =
      this.#peerWindow === undefined
        ? undefined
        : { sendWindowBytes: this.#peerWindow, receiveWindowBytes }
    const facts = makeFacts({
      peer: this.#peer,
      role,
      localPeer,
      remotePeer,
      label: channel.label,
      protocol: channel.protocol,
      flowControl: flow !== undefined,
      receiveWindowBytes,
      highWaterMarkBytes,
    })
    return new ChannelConnection(channel, this, {
      clock,
      facts,
      highWaterMarkBytes,
      maxReceiveBytes: options.maxMessageBytes,
      maxHeldBytes: options.maxHeldBytes,
      closeTimeoutMs: options.closeTimeoutMs,
      flow,
    })
  }

  #setRemote(type: 'offer' | 'answer', sdp: string): void {
    this.#remoteSet = true
    this.#record.heard(sdp)
    if (this.#mayControl) this.#peerWindow = announcedWindow(sdp, type)
    this.#peer.setRemote(type, sdp)
    const early = this.#candidates
    this.#candidates = []
    for (const { candidate, mid } of early) this.#peer.addCandidate(candidate, mid)
    for (const candidate of this.#ownCandidates) this.#send({ type: 'candidate', candidate })
    this.#ownCandidates = []
  }

  #addCandidate({ candidate, mid }: SignalCandidate): void {
    // No more can be gained from candidates by the hundred, and each costs checks (RFC 8445, 6.1.2.5).
    if (this.#candidateCount >= this.#setup.options.maxCandidates) return
    this.#candidateCount += 1
    this.#record.told(candidate)
    if (this.#remoteSet) this.#peer.addCandidate(candidate, mid)
    else this.#candidates.push({ candidate, mid })
  }

  #send(part: Pick<SignalMessage, 'type'> & Partial<SignalMessage>): void {
    const { session, localPeer, remotePeer, send } = this.#setup
    const seq = this.#seq
    this.#seq += 1
    send({ ...part, session, from: localPeer, to: remotePeer, seq })
  }

  #fail(error: Error, tellPeer: boolean): void {
    if (this.#ended) return
    if (tellPeer) this.#send({ type: 'bye', reason: byeReason(error) })
    this.#end()
    this.#owner.onFailed(error)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#lingerTimer?.cancel()
    for (const reject of this.#opening.values()) reject(notConnected())
    this.#opening.clear()
    this.#candidates = []
    this.#peer.close()
  }

  #tellClosed(): void {
    if (this.#closedTold) return
    this.#closedTold = true
    this.#owner.onClosed()
  }
}

function notConnected(): TransportError {
  return new TransportError('ERR_CONNECT', 'the peers are no longer connected', NOTHING_SENT)
}

/** What the peer is told of an error: its code, nothing of our inside. */
function byeReason(error: Error): string {
  return error instanceof HeddleError ? error.code : 'given up'
}

const NOTHING_SENT = Object.freeze({ sent: 'nothing' } as const)
