/**
 * WebRTC by libdatachannel, through the package node-datachannel, an optional dependency that is
 * imported when it is first needed.
 *
 * An exception in one of its callbacks aborts the process, so each is wrapped: what a handler
 * throws is thrown again outside, where it is an ordinary uncaught exception. Calls for something
 * that the library has closed meanwhile throw; those are answered here.
 *
 * Each connection of peers has threads of its own and keeps the process alive until it is closed.
 */
import type * as NodeDataChannel from 'node-datachannel'
import { toError, UsageError } from '../../core/errors.ts'
import { defer, operatingSystem } from '../../platform/process-access.ts'
import { guard } from './guard.ts'
import { parseIceUrl } from './ice-servers.ts'
import type {
  ChannelEvents,
  ChannelSettings,
  DriverChannel,
  DriverPeer,
  DriverPeerFacts,
  PeerEvents,
  PeerIceServer,
  PeerSettings,
  PeerState,
  WebRtcDriver,
} from './webrtc-driver.ts'

/** What this machine can do, for `heddle transports`. */
export interface WebRtcAvailability {
  readonly available: boolean
  /** Why not. */
  readonly reason: string | undefined
  /** Name and version of the library. */
  readonly driver: string | undefined
}

/** Whether the default driver can be loaded here. Loads it. */
export async function webRtcAvailability(): Promise<WebRtcAvailability> {
  try {
    const library = await load()
    const driver = `node-datachannel (libdatachannel ${library.getLibraryVersion()})`
    return { available: true, reason: undefined, driver }
  } catch (error) {
    return { available: false, reason: absence(error), driver: undefined }
  }
}

/**
 * @throws UsageError ERR_OPTION_UNSUPPORTED, naming the package and why it cannot be loaded
 */
export async function nodeDataChannelDriver(): Promise<WebRtcDriver> {
  let library: Library
  try {
    library = await load()
  } catch (error) {
    const message = `webRtc: ${absence(error)}; give a \`driver\` instead`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message, { cause: error })
  }
  return {
    name: 'node-datachannel',
    createPeer: (settings, events) => new NativePeer(library, settings, events),
  }
}

type Library = typeof NodeDataChannel

function load(): Promise<Library> {
  loading ??= import('node-datachannel')
  return loading
}

function absence(error: unknown): string {
  const { code } = error as { code?: unknown }
  const why = code === 'ERR_MODULE_NOT_FOUND' ? 'is not installed' : toError(error).message
  return `the optional package node-datachannel cannot be loaded on ${operatingSystem}: ${why}`
}

let loading: Promise<Library> | undefined
let peerCount = 0

class NativePeer implements DriverPeer {
  readonly #peer: NodeDataChannel.PeerConnection
  readonly #events: PeerEvents
  /** The library frees what nothing refers to, so channels are kept until they have closed. */
  readonly #channels = new Set<NativeChannel>()
  #closed = false
  #released = false

  constructor(library: Library, settings: PeerSettings, events: PeerEvents) {
    this.#events = events
    peerCount += 1
    this.#peer = new library.PeerConnection(`heddle-${peerCount}`, toConfig(settings))
    this.#peer.onLocalDescription(
      guard((sdp, type) => {
        if (this.#closed || (type !== 'offer' && type !== 'answer')) return
        events.onDescription(type, sdp)
      }),
    )
    this.#peer.onLocalCandidate(
      guard((candidate, mid) => {
        if (!this.#closed) events.onCandidate(candidate.replace(/^a=/, ''), mid)
      }),
    )
    this.#peer.onDataChannel(
      guard((channel) => {
        if (this.#closed) return channel.close()
        events.onChannel(this.#adopt(channel))
      }),
    )
    this.#peer.onStateChange(guard((state) => this.#changed(state as PeerState | 'new')))
  }

  createChannel(settings: ChannelSettings): DriverChannel {
    const { label, protocol, ordered, maxRetransmits, maxPacketLifeTimeMs } = settings
    const config: NodeDataChannel.DataChannelInitConfig = { protocol, unordered: !ordered }
    if (maxRetransmits !== undefined) config.maxRetransmits = maxRetransmits
    if (maxPacketLifeTimeMs !== undefined) config.maxPacketLifeTime = maxPacketLifeTimeMs
    return this.#adopt(this.#peer.createDataChannel(label, config))
  }

  setRemote(type: 'offer' | 'answer', sdp: string): void {
    try {
      this.#peer.setRemoteDescription(type === 'offer' ? letOffererBegin(sdp) : sdp, type)
    } catch (error) {
      this.#failLater(toError(error))
    }
  }

  addCandidate(candidate: string, mid: string): void {
    if (this.#released || candidate === '') return
    try {
      this.#peer.addRemoteCandidate(candidate, mid)
    } catch {
      // One candidate less to try. If none is left, ICE fails.
    }
  }

  facts(): DriverPeerFacts {
    if (this.#released) return NO_FACTS
    const pair = this.#peer.getSelectedCandidatePair()
    const remote = this.#peer.remoteFingerprint() as NodeDataChannel.CertificateFingerprint | null
    const local = /^a=fingerprint:(\S+ \S+)/m.exec(this.#peer.localDescription()?.sdp ?? '')
    const rtt = this.#peer.rtt()
    return {
      localFingerprint: local?.[1],
      remoteFingerprint: remote ? `${remote.algorithm} ${remote.value}` : undefined,
      local: pair?.local,
      remote: pair?.remote,
      roundTripMs: rtt > 0 ? rtt : undefined,
    }
  }

  close(): void {
    // Also when the peer has closed: until then the library keeps callbacks, and so the process.
    if (this.#released) return
    this.#released = true
    // Before the peer: one that goes first takes their last callback with it, and a channel that
    // was never told that it closed keeps the process alive.
    for (const channel of [...this.#channels]) channel.close()
    this.#peer.close()
  }

  #adopt(channel: NodeDataChannel.DataChannel): NativeChannel {
    const adopted = new NativeChannel(channel, () => this.#channels.delete(adopted))
    this.#channels.add(adopted)
    return adopted
  }

  #changed(state: PeerState | 'new'): void {
    if (this.#closed || state === 'new') return
    if (state === 'closed') this.#closed = true
    const failed = state === 'failed' ? new Error('ICE or DTLS failed') : undefined
    this.#events.onState(state, failed)
  }

  #failLater(error: Error): void {
    defer(() => {
      if (!this.#closed) this.#events.onState('failed', error)
    })
  }
}

class NativeChannel implements DriverChannel {
  readonly label: string
  readonly protocol: string
  readonly #channel: NodeDataChannel.DataChannel
  readonly #forget: () => void
  #events: ChannelEvents | undefined
  #maxMessageBytes = 0
  #wasOpen = false
  #closed = false

  constructor(channel: NodeDataChannel.DataChannel, forget: () => void) {
    this.#channel = channel
    this.#forget = forget
    this.label = channel.getLabel()
    this.protocol = channel.getProtocol()
    channel.onClosed(guard(() => this.#hasClosed()))
  }

  get maxMessageBytes(): number {
    // Asked once: it is looked at before each message.
    if (this.#maxMessageBytes === 0) this.#maxMessageBytes = this.#channel.maxMessageSize()
    return this.#maxMessageBytes
  }

  get bufferedAmount(): number {
    return this.#closed ? 0 : this.#channel.bufferedAmount()
  }

  get isOpen(): boolean {
    if (this.#closed || !this.#channel.isOpen()) return false
    this.#wasOpen = true
    return true
  }

  attach(events: ChannelEvents): void {
    const first = this.#events === undefined
    this.#events = events
    if (!first) return
    const channel = this.#channel
    channel.onOpen(
      guard(() => {
        this.#wasOpen = true
        this.#events?.onOpen()
      }),
    )
    channel.onError(guard((text) => this.#events?.onError(new Error(text))))
    channel.onBufferedAmountLow(guard(() => this.#events?.onDrain()))
    // Last: messages that wait are given from here on.
    channel.onMessage(
      guard((message) => {
        if (this.#closed) return
        this.#events?.onMessage(message instanceof ArrayBuffer ? new Uint8Array(message) : message)
      }),
    )
  }

  send(message: Uint8Array): boolean {
    return this.#channel.sendMessageBinary(message)
  }

  sendText(message: string): boolean {
    return this.#channel.sendMessage(message)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // A thread of the library is closing it. Its `close` would take the callbacks away from under
    // that, and a channel that never tells that it has closed keeps the process alive.
    if (this.#wasOpen && !this.#channel.isOpen()) return
    this.#channel.close()
  }

  #hasClosed(): void {
    this.#forget()
    if (this.#closed) return
    this.#closed = true
    this.#events?.onClosed()
  }
}

/**
 * The description with the offerer as DTLS client. An answerer that takes that part itself sends
 * its first message as soon as it may, often before the offerer has read the answer: it is lost,
 * and comes again after one second (RFC 6347, section 4.2.4.1). An offerer that begins knows that
 * the answerer is ready. Both parts are open to the answerer (RFC 8842, section 5.3); still only
 * with libdatachannel on the other side, because werift numbers its channels wrongly then.
 */
function letOffererBegin(offer: string): string {
  if (!/^o=rtc /m.test(offer)) return offer
  return offer.replace(/^a=setup:actpass(?=\r?$)/gm, 'a=setup:active')
}

function toConfig(settings: PeerSettings): NodeDataChannel.RtcConfig {
  const { iceServers, iceTransportPolicy, bindAddress, portRange, maxMessageBytes } = settings
  const config: NodeDataChannel.RtcConfig = {
    iceServers: iceServers.flatMap(toServers),
    iceTransportPolicy,
    maxMessageSize: maxMessageBytes,
  }
  if (bindAddress !== undefined) config.bindAddress = bindAddress
  if (portRange !== undefined) [config.portRangeBegin, config.portRangeEnd] = portRange
  return config
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED for what libjuice, its ICE agent, does not speak */
function toServers(server: PeerIceServer): NodeDataChannel.IceServer[] {
  return server.urls.map((url) => {
    const { scheme, host, port, transport } = parseIceUrl(url)
    if (transport !== 'udp' || scheme.endsWith('s')) {
      const message = `node-datachannel reaches STUN and TURN servers over UDP only, not ${scheme} over ${transport}`
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    if (scheme === 'stun') return { hostname: host, port }
    const { username = '', credential = '' } = server
    return { hostname: host, port, username, password: credential, relayType: 'TurnUdp' }
  })
}

const NO_FACTS: DriverPeerFacts = Object.freeze({
  localFingerprint: undefined,
  remoteFingerprint: undefined,
  local: undefined,
  remote: undefined,
  roundTripMs: undefined,
})
