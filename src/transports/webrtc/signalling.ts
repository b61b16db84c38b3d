/**
 * How two peers that cannot reach each other yet exchange what WebRTC needs: an offer, an answer,
 * and candidates. WebRTC leaves this to the application (RFC 8829, section 3.3), so it is an
 * interface here; `links/webrtc-signalling` has implementations, and any other way to carry small
 * JSON objects will do.
 *
 *     connecting side                    listening side
 *     offer     seq 0  ───────────────►
 *     candidate seq 1… ───────────────►  at most `maxCandidates`
 *                      ◄───────────────  answer    seq 0
 *                      ◄───────────────  candidate seq 1…
 *     bye              ◄──────────────►  whoever gives up
 *
 * Both descriptions carry the fingerprint of a DTLS certificate. So whoever can change signalling
 * messages can be the man in the middle: carry them over TLS, and sign them where the server in
 * between is not trusted.
 */

/** One step of a negotiation. Plain JSON. */
export interface SignalMessage {
  readonly type: 'offer' | 'answer' | 'candidate' | 'bye'
  /** Chosen at random by the connecting side: 32 hexadecimal digits. */
  readonly session: string
  /** Names of peers, as the signalling knows them. */
  readonly from: string
  readonly to: string
  /** Counts the messages of one peer in one session, from 0. */
  readonly seq: number
  /** Of an offer and an answer. */
  readonly sdp?: string
  /** Of a candidate. */
  readonly candidate?: SignalCandidate
  /** Of a bye, for people. */
  readonly reason?: string
  /** Of signed messages: who signed, and the signature, both base64url. */
  readonly key?: string
  readonly signature?: string
}

export interface SignalCandidate {
  /** `candidate:…`, as in SDP without `a=` (RFC 8839, section 5.1). */
  readonly candidate: string
  readonly mid: string
}

export interface Signalling {
  /**
   * Makes a peer reachable. Without a name the signalling chooses one that nobody has.
   *
   * @throws TransportError ERR_ADDRESS_IN_USE when somebody else has the name
   */
  join(
    peer: string | undefined,
    handler: SignalHandler,
    options?: { signal?: AbortSignal },
  ): Promise<SignallingMembership>
}

export interface SignallingMembership {
  /** The name under which this peer is reached. */
  readonly peer: string
  /** `message.from` is `peer`. Messages between two peers keep their order. */
  send(message: SignalMessage): void
  /** Idempotent. The name is free again. */
  leave(): void
}

export interface SignalHandler {
  /** Whatever it was, it is data from outside: the receiver checks it. */
  onSignal(message: SignalMessage): void
  /** Nobody has the name that the message was for. */
  onUndeliverable(message: { readonly session: string; readonly to: string }): void
  /** The signalling is gone: once and last. Not after `leave`. */
  onLost(reason: Error): void
}

/** Bounds of what one message may hold. Where messages are parsed they are checked against these. */
export const SIGNAL_LIMITS: Readonly<{
  maxPeerNameLength: number
  maxSdpLength: number
  maxCandidateLength: number
  maxReasonLength: number
}> = Object.freeze({
  maxPeerNameLength: 256,
  maxSdpLength: 65_536, // a description of one data channel section has about 600 characters
  maxCandidateLength: 1_024, // the longest form with an IPv6 address and a TCP type is below 300
  maxReasonLength: 256,
})

/**
 * What is wrong with a value that should be a {@link SignalMessage}; undefined: nothing.
 * Unknown members are allowed, so that later versions can add some.
 */
export function signalProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'not an object'
  const message = value as Partial<Record<keyof SignalMessage, unknown>>
  const { type, session, from, to, seq } = message
  if (typeof type !== 'string' || !TYPES.has(type)) return 'type is unknown'
  if (typeof session !== 'string' || !SESSION.test(session)) return 'session is malformed'
  if (!isPeerName(from)) return 'from is not a name of 1 to 256 characters'
  if (!isPeerName(to)) return 'to is not a name of 1 to 256 characters'
  if (!Number.isInteger(seq) || (seq as number) < 0 || (seq as number) > MAX_SEQ) {
    return 'seq is out of range'
  }
  for (const name of ['key', 'signature'] as const) {
    if (message[name] !== undefined && !isText(message[name], 1, 128)) return `${name} is malformed`
  }
  if (message.reason !== undefined && !isText(message.reason, 0, SIGNAL_LIMITS.maxReasonLength)) {
    return 'reason is malformed'
  }
  if (type === 'offer' || type === 'answer') {
    if (isText(message.sdp, 1, SIGNAL_LIMITS.maxSdpLength)) return undefined
    return `sdp is missing or longer than ${SIGNAL_LIMITS.maxSdpLength} characters`
  }
  return type === 'candidate' ? candidateProblem(message.candidate) : undefined
}

/** Whether a value can be the name of a peer. */
export function isPeerName(value: unknown): value is string {
  return isText(value, 1, SIGNAL_LIMITS.maxPeerNameLength)
}

function candidateProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'candidate is missing'
  const { candidate, mid } = value as Partial<SignalCandidate>
  const { maxCandidateLength } = SIGNAL_LIMITS
  // An empty one says that no more will come (RFC 8838, section 8.2).
  if (!isText(candidate, 0, maxCandidateLength)) {
    return `candidate is missing or longer than ${maxCandidateLength} characters`
  }
  return isText(mid, 0, 64) ? undefined : 'mid is malformed'
}

function isText(value: unknown, min: number, max: number): value is string {
  return typeof value === 'string' && value.length >= min && value.length <= max
}

const TYPES: ReadonlySet<string> = new Set(['offer', 'answer', 'candidate', 'bye'])
const SESSION = /^[0-9a-f]{32}$/
const MAX_SEQ = 0xffff
