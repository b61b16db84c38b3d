/**
 * Options of the WebRTC transport. One transport does both sides.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { MAX_WINDOW_BYTES, MESSAGE_COST_BYTES, MIN_WINDOW_BYTES } from './channel-flow.ts'
import { type CheckedIceServer, checkIceServers, type IceServer } from './ice-servers.ts'
import type { Signalling } from './signalling.ts'
import type { WebRtcDriver } from './webrtc-driver.ts'

export interface WebRtcOptions extends TransportBaseOptions {
  /** Carries offers, answers and candidates: `links/webrtc-signalling`, or your own. */
  signalling: Signalling
  /**
   * The library underneath: `w3cDriver(RTCPeerConnection)` in a browser.
   *
   * @default node-datachannel, imported by the first `connect` or `listen`
   */
  driver?: WebRtcDriver
  /**
   * STUN and TURN servers. Without any, peers reach each other within one network, or where one of
   * them has a public address. There is no default server, because asking one tells its owner who
   * talks: `seedIceServers` names the seed's.
   *
   * @default none
   */
  iceServers?: readonly IceServer[]
  /** `relay`: through TURN only, so that the peer does not learn our address. @default 'all' */
  iceTransportPolicy?: 'all' | 'relay'
  /** Local address for candidates, such as `127.0.0.1` in tests. node-datachannel only. */
  bindAddress?: string
  /** UDP ports to use, for firewalls. node-datachannel only. */
  portRange?: readonly [first: number, last: number]
  /** Name of the channel. Peers that are not heddle may tell channels apart by it. */
  label?: string
  /** Subprotocol of the channel (RFC 8832, section 5.1). @default '' */
  protocol?: string
  /** False: messages may overtake each other. There is no flow control then. @default true */
  ordered?: boolean
  /**
   * Makes the channel lossy: a message is given up after so many retransmissions, or so many
   * milliseconds. One or the other, never both (W3C WebRTC, createDataChannel, step 15; the seed's
   * default sets both, which no library accepts). There is no flow control then.
   *
   * @default reliable
   */
  unreliable?: { readonly maxRetransmits: number } | { readonly maxPacketLifeTimeMs: number }
  /**
   * Credit and half-close between heddle ends (channel-flow.ts). Agreed in the descriptions, so
   * other peers are reached as well, without it. Ordered and reliable channels only.
   *
   * @default true
   */
  flowControl?: boolean
  /** Bytes a heddle peer may send before we have read them. @default 4_194_304 */
  receiveWindowBytes?: number
  /**
   * Bytes held while nobody reads, of a peer without flow control: nothing can stop it. Over it the
   * connection is closed with ERR_LIMIT.
   *
   * @default 16_777_216
   */
  maxHeldBytes?: number
  /** Longest message accepted, announced to the peer. @default 262_144 */
  maxMessageBytes?: number
  /** `send` returns false above so many waiting bytes. @default 2_097_152 */
  highWaterMarkBytes?: number
  /** Connecting side: whole time for signalling, ICE, DTLS and the channel. @default 20_000 */
  connectTimeoutMs?: number
  /** Listening side: the same, from the offer on. @default 20_000 */
  acceptTimeoutMs?: number
  /** How long a clean close waits for the peer's part of it. @default 5_000 */
  closeTimeoutMs?: number
  /** Listening side: negotiations at a time; more are refused. @default 128 */
  maxPendingPeers?: number
  /** Candidates taken from a peer; more are ignored. @default 64 */
  maxCandidates?: number
  /** Channels that a peer may have open on one connection of peers. @default 16 */
  maxChannels?: number
}

type Numbers =
  | 'receiveWindowBytes'
  | 'maxHeldBytes'
  | 'maxMessageBytes'
  | 'highWaterMarkBytes'
  | 'connectTimeoutMs'
  | 'acceptTimeoutMs'
  | 'closeTimeoutMs'
  | 'maxPendingPeers'
  | 'maxCandidates'
  | 'maxChannels'
type Defaulted = Numbers | 'iceTransportPolicy' | 'label' | 'protocol' | 'ordered' | 'flowControl'

export const webRtcDefaults: Readonly<Required<Pick<WebRtcOptions, Defaulted>>> = Object.freeze({
  iceTransportPolicy: 'all',
  label: 'heddle',
  protocol: '',
  ordered: true,
  flowControl: true,
  receiveWindowBytes: 4_194_304, // 40 MB/s at 100 ms
  maxHeldBytes: 16_777_216, // what a peer has under way when it learns nothing of a pause
  maxMessageBytes: 262_144, // as browsers and libdatachannel announce
  highWaterMarkBytes: 2_097_152, // Chromium closes a channel above 16 MiB; libp2p stops here too
  connectTimeoutMs: 20_000, // ICE may try a relay last, after about ten seconds
  acceptTimeoutMs: 20_000,
  closeTimeoutMs: 5_000,
  maxPendingPeers: 128, // each costs about 263 KB and a thread
  maxCandidates: 64, // a machine with a few networks has about ten
  maxChannels: 16,
})

export type Unreliable = NonNullable<WebRtcOptions['unreliable']>

export type CheckedWebRtcOptions = Readonly<Required<Pick<WebRtcOptions, Defaulted>>> & {
  readonly signalling: Signalling
  readonly driver: WebRtcDriver | undefined
  readonly iceServers: readonly CheckedIceServer[]
  readonly bindAddress: string | undefined
  readonly portRange: readonly [first: number, last: number] | undefined
  readonly maxRetransmits: number | undefined
  readonly maxPacketLifeTimeMs: number | undefined
}

/** @throws UsageError ERR_OPTION_RANGE, ERR_ARGUMENT, ERR_ADDRESS_INVALID */
export function checkWebRtcOptions(options: WebRtcOptions): CheckedWebRtcOptions {
  if (typeof options.signalling?.join !== 'function') {
    throw new UsageError('ERR_ARGUMENT', 'webRtc needs `signalling`')
  }
  const checked = {
    ...withDefaults(options),
    signalling: options.signalling,
    driver: options.driver,
    iceServers: checkIceServers(options.iceServers ?? []),
    bindAddress: options.bindAddress,
    portRange: checkPortRange(options.portRange),
    ...checkReliability(options.unreliable),
  }
  if (checked.iceTransportPolicy === 'relay' && !hasTurn(checked.iceServers)) {
    throw new UsageError('ERR_ARGUMENT', "iceTransportPolicy 'relay' needs a TURN server")
  }
  return Object.freeze(checked)
}

function withDefaults(options: WebRtcOptions): Required<Pick<WebRtcOptions, Defaulted>> {
  const number = (name: Numbers, min: number, max: number): number =>
    checkInteger(name, options[name] ?? webRtcDefaults[name], min, max)
  const maxMessageBytes = number('maxMessageBytes', 1, MAX_BYTES)
  const leastWindow = Math.max(MIN_WINDOW_BYTES, maxMessageBytes + MESSAGE_COST_BYTES)
  const { iceTransportPolicy = webRtcDefaults.iceTransportPolicy } = options
  if (iceTransportPolicy !== 'all' && iceTransportPolicy !== 'relay') {
    throw new UsageError('ERR_ARGUMENT', `iceTransportPolicy is ${String(iceTransportPolicy)}`)
  }
  return {
    iceTransportPolicy,
    label: checkText('label', options.label ?? webRtcDefaults.label),
    protocol: checkText('protocol', options.protocol ?? webRtcDefaults.protocol),
    ordered: options.ordered ?? webRtcDefaults.ordered,
    flowControl: options.flowControl ?? webRtcDefaults.flowControl,
    receiveWindowBytes: number('receiveWindowBytes', leastWindow, MAX_WINDOW_BYTES),
    maxHeldBytes: number('maxHeldBytes', maxMessageBytes, MAX_BYTES),
    maxMessageBytes,
    highWaterMarkBytes: number('highWaterMarkBytes', 0, MAX_BYTES),
    connectTimeoutMs: number('connectTimeoutMs', 1, MAX_WAIT_MS),
    acceptTimeoutMs: number('acceptTimeoutMs', 1, MAX_WAIT_MS),
    closeTimeoutMs: number('closeTimeoutMs', 1, MAX_WAIT_MS),
    maxPendingPeers: number('maxPendingPeers', 1, 65_535),
    maxCandidates: number('maxCandidates', 1, 1_024),
    maxChannels: number('maxChannels', 1, 1_024),
  }
}

/** Which of the two lossy modes, if any: both at once is what W3C calls a TypeError. */
function checkReliability(
  unreliable: Unreliable | undefined,
): Pick<CheckedWebRtcOptions, 'maxRetransmits' | 'maxPacketLifeTimeMs'> {
  const { maxRetransmits, maxPacketLifeTimeMs } = (unreliable ?? {}) as {
    maxRetransmits?: number
    maxPacketLifeTimeMs?: number
  }
  if (maxRetransmits !== undefined && maxPacketLifeTimeMs !== undefined) {
    const message =
      `unreliable has maxRetransmits ${maxRetransmits} and maxPacketLifeTimeMs ` +
      `${maxPacketLifeTimeMs}: a channel has one limit or the other (RFC 8831, section 6.4)`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  if (unreliable !== undefined && maxRetransmits === undefined && !maxPacketLifeTimeMs) {
    const message = 'unreliable needs maxRetransmits or maxPacketLifeTimeMs'
    throw new UsageError('ERR_ARGUMENT', message)
  }
  if (maxRetransmits !== undefined) checkInteger('maxRetransmits', maxRetransmits, 0, 65_535)
  if (maxPacketLifeTimeMs !== undefined) {
    checkInteger('maxPacketLifeTimeMs', maxPacketLifeTimeMs, 1, 65_535)
  }
  return { maxRetransmits, maxPacketLifeTimeMs }
}

function checkPortRange(
  range: readonly [number, number] | undefined,
): readonly [number, number] | undefined {
  if (range === undefined) return undefined
  const first = checkInteger('portRange[0]', range[0], 1, 65_535)
  return [first, checkInteger('portRange[1]', range[1], first, 65_535)]
}

/** DCEP has 16 bits for the length of each (RFC 8832, section 5.1); a name needs far fewer. */
function checkText(name: string, value: string): string {
  if (typeof value === 'string' && value.length <= 1_024) return value
  throw new UsageError('ERR_ARGUMENT', `${name} must be a text of at most 1024 characters`)
}

function hasTurn(servers: readonly CheckedIceServer[]): boolean {
  return servers.some(({ urls }) => urls.some((url) => url.startsWith('turn')))
}

const MAX_BYTES = 0x4000_0000
const MAX_WAIT_MS = 3_600_000
