/**
 * A WebRTC driver within the process, on a manual clock: the contract of webrtc-driver.ts without
 * ICE, DTLS, SCTP and threads. Descriptions are short texts that name the peer.
 */
import type { Clock } from '../../src/core/clock.ts'
import type {
  ChannelEvents,
  ChannelSettings,
  DriverChannel,
  DriverPeer,
  DriverPeerFacts,
  PeerEvents,
  PeerSettings,
  PeerState,
  WebRtcDriver,
} from '../../src/transports/webrtc/webrtc-driver.ts'

export interface FakeWebRtcOptions {
  /** Bytes on their way before a message counts as buffered. @default 65_536 */
  flightBytes?: number
  /** No `onDrain`: what libraries have done. @default false */
  losesDrainEvents?: boolean
  /** No way between the peers: descriptions and candidates arrive, nothing comes of them. */
  separated?: boolean
  /** Of the candidates that each peer has. @default ['host'] */
  candidates?: readonly string[]
}

/** Peers that can reach each other. */
export class FakeWebRtc implements WebRtcDriver {
  readonly name = 'fake'
  readonly clock: Clock
  readonly options: Required<FakeWebRtcOptions>
  readonly peers = new Map<string, FakePeer>()
  /** Every settings that a peer was made with. */
  readonly settings: PeerSettings[] = []
  /** Nothing moves while it is true. */
  stalled = false
  #names = 0

  constructor(clock: Clock, options: FakeWebRtcOptions = {}) {
    this.clock = clock
    this.options = {
      flightBytes: 65_536,
      losesDrainEvents: false,
      separated: false,
      candidates: ['host'],
      ...options,
    }
  }

  get openPeers(): number {
    return this.peers.size
  }

  createPeer(settings: PeerSettings, events: PeerEvents): DriverPeer {
    this.settings.push(settings)
    this.#names += 1
    const peer = new FakePeer(this, `fake${this.#names}`, settings, events)
    this.peers.set(peer.name, peer)
    return peer
  }
}

export class FakePeer implements DriverPeer {
  readonly name: string
  readonly settings: PeerSettings
  readonly events: PeerEvents
  readonly channels = new Set<FakeChannel>()
  readonly candidates: string[] = []
  remote: FakePeer | undefined
  state: PeerState = 'connecting'
  readonly #world: FakeWebRtc
  #offered = false

  constructor(world: FakeWebRtc, name: string, settings: PeerSettings, events: PeerEvents) {
    this.#world = world
    this.name = name
    this.settings = settings
    this.events = events
  }

  createChannel(settings: ChannelSettings): FakeChannel {
    const channel = new FakeChannel(this.#world, this, settings)
    this.channels.add(channel)
    if (this.state === 'connected') this.#later(() => this.#openRemote(channel))
    else if (!this.#offered) {
      this.#offered = true
      this.#describe('offer')
    }
    return channel
  }

  setRemote(type: 'offer' | 'answer', sdp: string): void {
    const name = /^s=(fake\d+)\r$/m.exec(sdp)?.[1]
    const remote = name === undefined ? undefined : this.#world.peers.get(name)
    if (remote === undefined) {
      this.#later(() => this.become('failed', new Error('description makes no sense')))
      return
    }
    this.remote = remote
    if (type === 'offer') this.#describe('answer')
    else this.#later(() => this.#connect(remote))
  }

  addCandidate(candidate: string): void {
    this.candidates.push(candidate)
  }

  facts(): DriverPeerFacts {
    const found = this.state === 'connected'
    return {
      localFingerprint: `sha-256 ${this.name}`,
      remoteFingerprint: this.remote && `sha-256 ${this.remote.name}`,
      local: found ? { address: '127.0.0.1', port: 1, type: 'host' } : undefined,
      remote: found ? { address: '127.0.0.1', port: 2, type: 'host' } : undefined,
      roundTripMs: undefined,
    }
  }

  close(): void {
    if (!this.#world.peers.delete(this.name)) return
    const { remote } = this
    this.#later(() => this.become('closed'))
    if (remote === undefined || remote.remote !== this) return
    this.#later(() => {
      remote.become('disconnected')
      remote.become('closed')
      for (const channel of [...remote.channels]) channel.hasClosed()
    })
  }

  become(state: PeerState, error?: Error): void {
    if (this.state === 'closed') return
    this.state = state
    this.events.onState(state, error)
  }

  #describe(type: 'offer' | 'answer'): void {
    this.#later(() => {
      this.events.onDescription(type, `v=0\r\ns=${this.name}\r\nm=application\r\n`)
      for (const type of this.#world.options.candidates) {
        this.events.onCandidate(`candidate:1 1 UDP 1 127.0.0.1 1 typ ${type}`, '0')
      }
    })
  }

  #connect(remote: FakePeer): void {
    if (this.#world.options.separated) return
    if (!this.#world.peers.has(remote.name) || !this.#world.peers.has(this.name)) return
    remote.become('connected')
    this.become('connected')
    for (const channel of [...this.channels]) this.#openRemote(channel)
  }

  #openRemote(channel: FakeChannel): void {
    const { remote } = this
    if (remote === undefined || remote.state !== 'connected') return
    const other = new FakeChannel(this.#world, remote, channel.settings)
    remote.channels.add(other)
    channel.join(other)
    remote.events.onChannel(other)
    channel.opened()
  }

  #later(work: () => void): void {
    this.#world.clock.defer(work)
  }
}

export class FakeChannel implements DriverChannel {
  readonly settings: ChannelSettings
  readonly label: string
  readonly protocol: string
  bufferedAmount = 0
  isOpen = false
  events: ChannelEvents | undefined
  #world: FakeWebRtc
  #peer: FakePeer
  #other: FakeChannel | undefined
  #flight: (Uint8Array | string)[] = []
  #flightBytes = 0
  #moving = false
  #closing = false

  constructor(world: FakeWebRtc, peer: FakePeer, settings: ChannelSettings) {
    this.#world = world
    this.#peer = peer
    this.settings = settings
    this.label = settings.label
    this.protocol = settings.protocol
  }

  get maxMessageBytes(): number {
    return this.#other?.peer.settings.maxMessageBytes ?? 0
  }

  get peer(): FakePeer {
    return this.#peer
  }

  join(other: FakeChannel): void {
    this.#other = other
    other.#other = this
    this.isOpen = true
    other.isOpen = true
  }

  opened(): void {
    this.events?.onOpen()
  }

  attach(events: ChannelEvents): void {
    this.events = events
  }

  send(message: Uint8Array): boolean {
    return this.#put(message.slice(), message.length)
  }

  sendText(message: string): boolean {
    return this.#put(message, message.length)
  }

  close(): void {
    if (!this.isOpen) return this.#gone()
    this.isOpen = false
    this.#closing = true
    this.#move()
  }

  hasClosed(): void {
    this.#gone()
    if (!this.isOpen) return
    this.isOpen = false
    this.events?.onClosed()
  }

  /** What the network does on its own: for tests of what must not happen. */
  arrives(message: Uint8Array | string): void {
    this.events?.onMessage(message)
  }

  #put(message: Uint8Array | string, length: number): boolean {
    if (!this.isOpen) throw new Error('the channel is not open')
    this.#flight.push(message)
    this.#flightBytes += length
    this.bufferedAmount = Math.max(0, this.#flightBytes - this.#world.options.flightBytes)
    this.#move()
    return this.bufferedAmount === 0
  }

  /** One turn: at most `flightBytes` arrive. */
  #move(): void {
    if (this.#moving) return
    this.#moving = true
    this.#world.clock.defer(() => {
      this.#moving = false
      if (this.#world.stalled || this.#other === undefined) return
      let budget = this.#world.options.flightBytes
      while (budget > 0 && this.#flight.length > 0 && this.#other.isOpen) {
        const message = this.#flight.shift()!
        budget -= message.length
        this.#flightBytes -= message.length
        this.#other.events?.onMessage(message)
      }
      const had = this.bufferedAmount
      this.bufferedAmount = Math.max(0, this.#flightBytes - this.#world.options.flightBytes)
      if (this.#flight.length > 0 && this.#other.isOpen) this.#move()
      else if (this.#closing) this.#finish()
      if (had > 0 && this.bufferedAmount === 0 && !this.#world.options.losesDrainEvents) {
        this.events?.onDrain()
      }
    })
  }

  /** Goes on after a stall. */
  move(): void {
    this.#move()
  }

  #finish(): void {
    this.#gone()
    const other = this.#other
    if (other?.peer.state === 'connected') this.#world.clock.defer(() => other.hasClosed())
  }

  #gone(): void {
    this.#peer.channels.delete(this)
  }
}
