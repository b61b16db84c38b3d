/**
 * The few things that heddle asks of a WebRTC library. `nodeDataChannelDriver` is the one on Node;
 * `w3cDriver` takes the `RTCPeerConnection` of a browser, or of a library that has the same shape.
 *
 * Contract of every driver:
 * - No call throws for what the peer did: that comes as `onState('failed')`.
 * - No callback is called from within a call of the same peer, and none after `onState('closed')`.
 * - `close` is idempotent, and `onState('closed')` comes once, also when the peer closed.
 * - What a callback throws never reaches the library: there it would abort the process.
 */

export interface WebRtcDriver {
  /** `node-datachannel`, `w3c`, … */
  readonly name: string
  createPeer(settings: PeerSettings, events: PeerEvents): DriverPeer
}

export interface PeerSettings {
  readonly iceServers: readonly PeerIceServer[]
  readonly iceTransportPolicy: 'all' | 'relay'
  /** Local address that candidates are gathered on. Undefined: all. */
  readonly bindAddress: string | undefined
  readonly portRange: readonly [first: number, last: number] | undefined
  /** Largest message that is accepted, announced as `a=max-message-size` (RFC 8841, section 6). */
  readonly maxMessageBytes: number
}

/** One server, credentials in the clear: only drivers see this. */
export interface PeerIceServer {
  readonly urls: readonly string[]
  readonly username?: string
  readonly credential?: string
}

export interface PeerEvents {
  /** The local description is ready to be sent. */
  onDescription(type: 'offer' | 'answer', sdp: string): void
  onCandidate(candidate: string, mid: string): void
  /** The peer opened a channel. `attach` it before this returns: nothing is lost then. */
  onChannel(channel: DriverChannel): void
  /**
   * `failed` and `closed` are final; `disconnected` may recover. An error says what else than ICE or
   * DTLS has failed, or why.
   */
  onState(state: PeerState, error?: Error): void
}

export type PeerState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed'

export interface ChannelSettings {
  readonly label: string
  readonly protocol: string
  readonly ordered: boolean
  /** At most one of the two (RFC 8831, section 6.4). */
  readonly maxRetransmits: number | undefined
  readonly maxPacketLifeTimeMs: number | undefined
}

export interface DriverPeer {
  /** Opens a channel; the first one makes the offer. */
  createChannel(settings: ChannelSettings): DriverChannel
  /** An offer makes the answer. */
  setRemote(type: 'offer' | 'answer', sdp: string): void
  addCandidate(candidate: string, mid: string): void
  facts(): DriverPeerFacts
  close(): void
}

export interface DriverPeerFacts {
  /** `sha-256 AB:CD:…` of the certificates, as in SDP (RFC 8122, section 5). */
  readonly localFingerprint: string | undefined
  readonly remoteFingerprint: string | undefined
  /** The pair of candidates in use. */
  readonly local: CandidateFacts | undefined
  readonly remote: CandidateFacts | undefined
  readonly roundTripMs: number | undefined
}

export interface CandidateFacts {
  readonly address: string
  readonly port: number
  /** `host`, `srflx`, `prflx`, `relay` (RFC 8445, section 5.1.1) */
  readonly type: string
}

export interface DriverChannel {
  readonly label: string
  readonly protocol: string
  /** Valid once it is open. */
  readonly maxMessageBytes: number
  /** Bytes given to `send` that have not been handed to the network. */
  readonly bufferedAmount: number
  readonly isOpen: boolean
  /** Takes over from a handler before. Messages that came before the first one are given to it. */
  attach(events: ChannelEvents): void
  /**
   * Copies or sends the bytes before it returns.
   *
   * @returns false when they wait: `onDrain` tells when `bufferedAmount` is 0 again
   * @throws Error when the channel is not open
   */
  send(message: Uint8Array): boolean
  sendText(message: string): boolean
  /** What was sent before is delivered first. No message is received any more. */
  close(): void
}

export interface ChannelEvents {
  onOpen(): void
  /** The bytes are the receiver's to keep. */
  onMessage(message: Uint8Array | string): void
  onDrain(): void
  /** By the peer, or because the peers are no longer connected; once and last. Not after `close`. */
  onClosed(): void
  onError(error: Error): void
}
