/**
 * WebRTC by libdatachannel, through the package node-datachannel, an optional dependency that is
 * imported when it is first needed.
 *
 * An exception in one of its callbacks aborts the process, so each is wrapped: what a handler
 * throws is thrown again outside, where it is an ordinary uncaught exception. Calls for something
 * that the library has closed meanwhile throw; those are answered here.
 *
 * Each connection of peers has threads of its own and keeps the process alive until it is closed,
 * and each channel until it has told that it closed. So no channel may miss that: its own `close`
 * takes the callbacks away, also from under a thread that is closing it at the moment because the
 * peer left. It is called only for channels that are open; all others are left to the library, which
 * closes them with the connection, and what has not been told then is released after a while.
 */
import type * as NodeDataChannel from 'node-datachannel'
import type { Clock, Timer } from '../../core/clock.ts'
import { toError, UsageError } from '../../core/errors.ts'
import { defer, operatingSystem } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'
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
  return nativeDriver(library)
}

/** Over a library that is loaded. The clock is for what the library never tells. */
export function nativeDriver(library: Library, clock: Clock = systemClock): WebRtcDriver {
  return {
    name: 'node-datachannel',
    createPeer: (settings, events) => new NativePeer(library, clock, settings, events),
  }
}

export type Library = typeof NodeDataChannel

function load(): Promise<Library> {
  loading ??= import('node-datachannel')
  return loading
}

/** Why the library is not there, from what importing it threw. */
export function absence(error: unknown, system: string = operatingSystem): string {
  const { code } = error as { code?: unknown }
  const why = code === 'ERR_MODULE_NOT_FOUND' ? 'is not installed' : toError(error).message
  return `the optional package node-datachannel cannot be loaded on ${system}: ${why}`
}

let loading: Promise<Library> | undefined
let peerCount = 0

class NativePeer implements DriverPeer {
  readonly #peer: NodeDataChannel.PeerConnection
  readonly #events: PeerEvents
  readonly #clock: Clock
  /** The library frees what nothing refers to, so channels are kept until they have closed. */
  readonly #channels = new Set<NativeChannel>()
  #closed = false
  #released = false
  #timer: Timer | undefined

  constructor(library: Library, clock: Clock, settings: PeerSettings, events: PeerEvents) {
    this.#events = events
    this.#clock = clock
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
        const adopted = this.#adopt(channel)
        if (!this.#closed) return events.onChannel(adopted)
        adopted.close()
        this.#releaseLater()
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
    // With the peer the library closes its channels, and they tell so.
    for (const channel of this.#channels) channel.leave()
    this.#peer.close()
    if (this.#closed) return
    this.#timer = this.#after(CLOSE_TIMEOUT_MS, () => this.#changed('closed'))
  }

  #adopt(channel: NodeDataChannel.DataChannel): NativeChannel {
    const adopted = new NativeChannel(channel, () => this.#channels.delete(adopted))
    this.#channels.add(adopted)
    return adopted
  }

  #changed(state: PeerState | 'new'): void {
    if (this.#closed || state === 'new') return
    if (state === 'closed') {
      this.#closed = true
      this.#timer?.cancel()
      this.#releaseLater()
    }
    this.#events.onState(state)
  }

  /** Channels that had no stream yet are not closed with the peer. */
  #releaseLater(): void {
    if (this.#channels.size === 0) return
    this.#after(RELEASE_MS, () => {
      for (const channel of this.#channels) channel.release()
      this.#after(RELEASE_MS, () => {
        for (const channel of [...this.#channels]) channel.drop()
      })
    })
  }

  /** While the library holds the process there is something to release; else nothing waits for it. */
  #after(ms: number, callback: () => void): Timer {
    const timer = this.#clock.setTimer(this.#clock.now() + ms, callback)
    timer.unref()
    return timer
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
  readonly #forget: () => void
  #channel: NodeDataChannel.DataChannel | undefined
  #events: ChannelEvents | undefined
  #maxMessageBytes = 0
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
    if (this.#maxMessageBytes === 0) this.#maxMessageBytes = this.#native().maxMessageSize()
    return this.#maxMessageBytes
  }

  get bufferedAmount(): number {
    return this.#closed ? 0 : this.#native().bufferedAmount()
  }

  get isOpen(): boolean {
    return !this.#closed && this.#native().isOpen()
  }

  attach(events: ChannelEvents): void {
    const first = this.#events === undefined
    this.#events = events
    if (!first) return
    const channel = this.#native()
    channel.onOpen(
      guard(() => {
        if (!this.#closed) this.#events?.onOpen()
        else if (channel.isOpen()) channel.close()
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
    return this.#native().sendMessageBinary(message)
  }

  sendText(message: string): boolean {
    return this.#native().sendMessage(message)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // One that is not open yet is closed when it opens, or with the peer.
    const channel = this.#native()
    if (channel.isOpen()) channel.close()
  }

  /** The peer is being closed, and this with it. */
  leave(): void {
    this.#closed = true
  }

  /** Once the peer has closed: nothing of the library closes it any more. */
  release(): void {
    this.#closed = true
    this.#channel?.close()
  }

  /** It will never tell. Without us the garbage collector frees it, and the process can end. */
  drop(): void {
    this.#channel = undefined
    this.#forget()
  }

  #native(): NodeDataChannel.DataChannel {
    if (this.#channel === undefined) throw new Error('the channel is closed')
    return this.#channel
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

/** The library closes within milliseconds; a peer that it loses must not hold a listener for ever. */
const CLOSE_TIMEOUT_MS = 5_000
/** Much longer than the library's threads take from closing a channel to telling of it. */
const RELEASE_MS = 100
const NO_FACTS: DriverPeerFacts = Object.freeze({
  localFingerprint: undefined,
  remoteFingerprint: undefined,
  local: undefined,
  remote: undefined,
  roundTripMs: undefined,
})
