/**
 * WebRTC by whatever has the W3C's `RTCPeerConnection`: a browser, or a library in its shape.
 *
 *     webRtc({ signalling, driver: w3cDriver(RTCPeerConnection), clock })
 *
 * What the W3C's interface has no way to set is refused, not ignored.
 */
import { toError, UsageError } from '../../core/errors.ts'
import { guard } from './guard.ts'
import type {
  CandidateFacts,
  ChannelEvents,
  ChannelSettings,
  DriverChannel,
  DriverPeer,
  DriverPeerFacts,
  PeerEvents,
  PeerSettings,
  PeerState,
  WebRtcDriver,
} from './webrtc-driver.ts'

/** The part of the W3C's interface that is used; that of the DOM fits. */
export interface W3cPeerConnection {
  readonly connectionState: string
  readonly localDescription: { readonly sdp: string } | null | undefined
  readonly remoteDescription: { readonly sdp: string } | null | undefined
  readonly sctp?: unknown
  createDataChannel(label: string, options: W3cChannelOptions): W3cDataChannel
  createOffer(): Promise<unknown>
  createAnswer(): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: what createOffer gave; libraries type it differently
  setLocalDescription(description: any): Promise<unknown>
  setRemoteDescription(description: {
    readonly type: 'offer' | 'answer'
    readonly sdp: string
  }): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: an RTCIceCandidateInit; libraries type it differently
  addIceCandidate(candidate: any): Promise<unknown>
  close(): unknown
}

export interface W3cChannelOptions {
  protocol: string
  ordered: boolean
  maxRetransmits?: number
  maxPacketLifeTime?: number
}

export interface W3cDataChannel {
  readonly label: string
  readonly protocol: string
  readonly readyState: string
  readonly bufferedAmount: number
  // biome-ignore lint/suspicious/noExplicitAny: bytes; libraries differ in which views they name
  send(data: any): unknown
  close(): unknown
}

export interface W3cDriverOptions {
  /** Members of `RTCConfiguration` that heddle has no option for: `certificates`, a library's own. */
  readonly configuration?: Readonly<Record<string, unknown>>
  /**
   * What a channel is given for bytes that are its own to keep: `Buffer.from` for a library that
   * wants a Buffer.
   *
   * @default the bytes
   */
  readonly toData?: (bytes: Uint8Array<ArrayBuffer>) => unknown
}

/** The class of a browser or a library. */
export type W3cPeerConnectionClass = new (
  // biome-ignore lint/suspicious/noExplicitAny: an RTCConfiguration; libraries type it differently
  configuration: any,
) => W3cPeerConnection

export function w3cDriver(
  peerConnection: W3cPeerConnectionClass,
  options: W3cDriverOptions = {},
): WebRtcDriver {
  return {
    name: 'w3c',
    createPeer(settings, events) {
      refuseUnsupported(settings)
      const iceServers = settings.iceServers.map((server) => ({
        ...server,
        urls: [...server.urls],
      }))
      const { iceTransportPolicy } = settings
      const configuration = { iceServers, iceTransportPolicy, ...options.configuration }
      const { toData = (bytes) => bytes } = options
      return new W3cPeer(new peerConnection(configuration), events, toData)
    },
  }
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED */
function refuseUnsupported({ bindAddress, portRange }: PeerSettings): void {
  const name = bindAddress !== undefined ? 'bindAddress' : portRange && 'portRange'
  if (name === undefined) return
  const message = `${name}: the W3C's RTCPeerConnection has no way to set it`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

class W3cPeer implements DriverPeer {
  readonly #peer: W3cPeerConnection
  readonly #events: PeerEvents
  readonly #toData: ToData
  readonly #channels = new Set<W3cChannel>()
  #negotiating = false
  #described = false
  /** Candidates that were found before the description was handed out. */
  #early: [candidate: string, mid: string][] = []
  #remoteReady: Promise<void> = Promise.resolve()
  #closed = false

  constructor(peer: W3cPeerConnection, events: PeerEvents, toData: ToData) {
    this.#peer = peer
    this.#toData = toData
    this.#events = events
    const on = peer as unknown as Handlers
    on.onicecandidate = guard((event) => this.#found(event as CandidateEvent))
    on.ondatachannel = guard((event) => {
      if (!this.#closed) events.onChannel(this.#adopt((event as ChannelEvent).channel))
    })
    on.onconnectionstatechange = guard(() => this.#changed(peer.connectionState))
  }

  /** What one message may have, as both descriptions and the library say. */
  get maxMessageBytes(): number {
    const { sctp, remoteDescription } = this.#peer
    const announced = /^a=max-message-size:(\d+)/m.exec(remoteDescription?.sdp ?? '')?.[1]
    // Without a number it is 64 KiB, and 0 means any (RFC 8841, section 6).
    const remote = announced === undefined ? 65_536 : Number(announced) || MAX_MESSAGE_BYTES
    const { maxMessageSize } = (sctp ?? {}) as { maxMessageSize?: number | null }
    return Math.min(remote, maxMessageSize || MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES)
  }

  createChannel(settings: ChannelSettings): DriverChannel {
    const { label, protocol, ordered, maxRetransmits, maxPacketLifeTimeMs } = settings
    const options: W3cChannelOptions = { protocol, ordered }
    if (maxRetransmits !== undefined) options.maxRetransmits = maxRetransmits
    if (maxPacketLifeTimeMs !== undefined) options.maxPacketLifeTime = maxPacketLifeTimeMs
    const channel = this.#adopt(this.#peer.createDataChannel(label, options))
    if (!this.#negotiating) {
      this.#negotiating = true
      this.#try(() => this.#describe('offer'))
    }
    return channel
  }

  setRemote(type: 'offer' | 'answer', sdp: string): void {
    this.#negotiating = true
    this.#remoteReady = this.#try(async () => {
      await this.#peer.setRemoteDescription({ type, sdp })
      if (type === 'offer') await this.#describe('answer')
    })
  }

  addCandidate(candidate: string, mid: string): void {
    if (candidate === '') return
    const given = { candidate, sdpMid: mid, sdpMLineIndex: 0 }
    // One that cannot be used is one less to try. If none is left, ICE fails.
    this.#remoteReady.then(() => this.#peer.addIceCandidate(given)).catch(() => {})
  }

  facts(): DriverPeerFacts {
    const { localDescription, remoteDescription, sctp } = this.#peer
    const { transport } = (sctp ?? {}) as { transport?: { iceTransport?: IceTransport } }
    const pair = transport?.iceTransport?.getSelectedCandidatePair?.()
    return {
      localFingerprint: fingerprintOf(localDescription?.sdp),
      remoteFingerprint: fingerprintOf(remoteDescription?.sdp),
      local: candidateFacts(pair?.local),
      remote: candidateFacts(pair?.remote),
      roundTripMs: undefined,
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const channel of this.#channels) channel.close()
    // Libraries return promises here, which may fail when the peer was never connected.
    Promise.resolve(this.#peer.close()).catch(() => {})
    // Closing is not an event for the side that closes (W3C WebRTC, section 4.4.1.7).
    queueMicrotask(guard(() => this.#events.onState('closed')))
  }

  #adopt(channel: W3cDataChannel): W3cChannel {
    const adopted = new W3cChannel(channel, this, this.#toData, () =>
      this.#channels.delete(adopted),
    )
    this.#channels.add(adopted)
    return adopted
  }

  async #describe(type: 'offer' | 'answer'): Promise<void> {
    const peer = this.#peer
    const description = await (type === 'offer' ? peer.createOffer() : peer.createAnswer())
    await peer.setLocalDescription(description)
    if (this.#closed) return
    this.#events.onDescription(type, peer.localDescription?.sdp ?? '')
    this.#described = true
    for (const [candidate, mid] of this.#early) this.#events.onCandidate(candidate, mid)
    this.#early = []
  }

  #found({ candidate: found }: CandidateEvent): void {
    if (this.#closed || !found?.candidate) return
    const candidate = found.candidate.replace(/^a=/, '')
    const mid = found.sdpMid ?? '0'
    if (this.#described) this.#events.onCandidate(candidate, mid)
    else this.#early.push([candidate, mid])
  }

  #changed(state: string): void {
    if (this.#closed || state === 'new') return
    if (state === 'closed') return this.close()
    this.#events.onState(state as PeerState)
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!this.#closed) guard(() => this.#events.onState('failed', toError(error)))()
    }
  }
}

class W3cChannel implements DriverChannel {
  readonly label: string
  readonly protocol: string
  readonly #channel: W3cDataChannel
  readonly #peer: W3cPeer
  readonly #toData: ToData
  readonly #forget: () => void
  #events: ChannelEvents | undefined
  /** Messages that came before anybody was attached. */
  #early: (Uint8Array | string)[] = []
  #closed = false

  constructor(channel: W3cDataChannel, peer: W3cPeer, toData: ToData, forget: () => void) {
    this.#channel = channel
    this.#peer = peer
    this.#toData = toData
    this.#forget = forget
    this.label = channel.label
    this.protocol = channel.protocol
    const on = channel as unknown as Handlers
    on.binaryType = 'arraybuffer'
    on.onopen = guard(() => this.#events?.onOpen())
    on.onmessage = guard((event) => this.#received((event as MessageEventLike).data))
    on.onbufferedamountlow = guard(() => this.#events?.onDrain())
    on.onclose = guard(() => this.#hasClosed())
    on.onerror = guard((event) => this.#failed(event))
  }

  get maxMessageBytes(): number {
    return this.#peer.maxMessageBytes
  }

  get bufferedAmount(): number {
    return this.#closed ? 0 : this.#channel.bufferedAmount
  }

  get isOpen(): boolean {
    return !this.#closed && this.#channel.readyState === 'open'
  }

  attach(events: ChannelEvents): void {
    this.#events = events
    const early = this.#early
    this.#early = []
    for (const message of early) events.onMessage(message)
  }

  send(message: Uint8Array): boolean {
    // A copy: libraries in JavaScript keep what they are given.
    this.#channel.send(this.#toData(new Uint8Array(message)))
    return this.#channel.bufferedAmount === 0
  }

  sendText(message: string): boolean {
    this.#channel.send(message)
    return this.#channel.bufferedAmount === 0
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forget()
    this.#channel.close()
  }

  #received(data: unknown): void {
    if (this.#closed) return
    const message =
      data instanceof ArrayBuffer ? new Uint8Array(data) : (data as Uint8Array | string)
    if (this.#events === undefined) this.#early.push(message)
    else this.#events.onMessage(message)
  }

  #failed(event: unknown): void {
    if (this.#closed) return
    const { error } = event as { error?: unknown }
    this.#events?.onError(toError(error ?? event))
  }

  #hasClosed(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forget()
    this.#events?.onClosed()
  }
}

type ToData = NonNullable<W3cDriverOptions['toData']>

/** Event handler attributes, which every implementation has. */
type Handlers = Record<string, unknown>

interface CandidateEvent {
  readonly candidate?: { readonly candidate?: string; readonly sdpMid?: string | null } | null
}
interface ChannelEvent {
  readonly channel: W3cDataChannel
}
interface MessageEventLike {
  readonly data: unknown
}
interface IceTransport {
  getSelectedCandidatePair?(): { local?: IceCandidate; remote?: IceCandidate } | null | undefined
}
interface IceCandidate {
  readonly address?: string | null
  readonly port?: number | null
  readonly type?: string | null
}

function candidateFacts(candidate: IceCandidate | undefined): CandidateFacts | undefined {
  const { address, port, type } = candidate ?? {}
  return address && port ? { address, port, type: type ?? 'unknown' } : undefined
}

function fingerprintOf(sdp: string | undefined): string | undefined {
  return /^a=fingerprint:(\S+ \S+)/m.exec(sdp ?? '')?.[1]
}

/** What Chromium sends at most. */
const MAX_MESSAGE_BYTES = 262_144
