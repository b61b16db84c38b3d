/**
 * What is known of each transport, in one table: the only source of selection, of the README's table
 * and of docs/choosing-a-transport.md.
 *
 * Facts are the protocols' (set-up round trips, encryption) or heddle's own (limits). The two ranks
 * are measured: `npm run bench -- micro transport-ranks` sorts the transports of one machine by the
 * time of a 64-byte round trip and of a mebibyte in one direction.
 */

export type TransportKind = 'stream' | 'messages' | 'multiplexed' | 'datagrams'

/** How far it reaches, or how far away a peer is. */
export type Locality = 'process' | 'machine' | 'network'

export interface TransportProfile {
  /** As in a `TransportUrl`. */
  readonly name: string
  readonly kind: TransportKind
  /** Everything arrives, once, or the connection fails. */
  readonly reliable: boolean
  /** In the order in which it was sent. */
  readonly ordered: boolean
  /** Peers are authenticated and bytes encrypted. */
  readonly encrypted: boolean
  /** What was sent as one piece arrives as one piece. */
  readonly messageBoundaries: boolean
  /** Many streams that do not wait for one another, over one connection. */
  readonly multiplexed: boolean
  /** A page in a browser can be the other side. */
  readonly browser: boolean
  /** One datagram to many. */
  readonly multicast: boolean
  /** Both sides may be behind NAT. */
  readonly peerToPeer: boolean
  readonly reach: Locality
  /** Longest message by default, in bytes; undefined: no messages, or no limit of the transport. */
  readonly maxMessageBytes: number | undefined
  /** Round trips before the first byte of the application can be sent, resumption left aside. */
  readonly setupRoundTrips: number
  /** 1 answers soonest. */
  readonly latencyRank: number
  /** 1 moves most. */
  readonly throughputRank: number
}

const stream: Omit<TransportProfile, 'name' | 'reach' | 'latencyRank' | 'throughputRank'> = {
  kind: 'stream',
  reliable: true,
  ordered: true,
  encrypted: false,
  messageBoundaries: false,
  multiplexed: false,
  browser: false,
  multicast: false,
  peerToPeer: false,
  maxMessageBytes: undefined,
  setupRoundTrips: 0,
}

export const transportProfiles: readonly TransportProfile[] = Object.freeze([
  { ...stream, name: 'memory', reach: 'process', latencyRank: 1, throughputRank: 1 },
  { ...stream, name: 'unix', reach: 'machine', latencyRank: 2, throughputRank: 2 },
  {
    ...stream,
    name: 'udp',
    kind: 'datagrams',
    reliable: false,
    ordered: false,
    messageBoundaries: true,
    multicast: true,
    maxMessageBytes: 65_507,
    reach: 'network',
    latencyRank: 4, // Node makes 64 KiB of memory for each datagram that arrives
    throughputRank: 8, // … and has no segmentation offload: each one is a system call
  },
  {
    ...stream,
    name: 'tcp',
    setupRoundTrips: 1,
    reach: 'network',
    latencyRank: 3,
    throughputRank: 3,
  },
  {
    ...stream,
    name: 'tls',
    encrypted: true,
    setupRoundTrips: 2,
    reach: 'network',
    latencyRank: 6,
    throughputRank: 4,
  },
  {
    ...stream,
    name: 'ws',
    kind: 'messages',
    messageBoundaries: true,
    browser: true,
    maxMessageBytes: 16_777_216,
    setupRoundTrips: 2,
    reach: 'network',
    latencyRank: 5,
    throughputRank: 5,
  },
  {
    ...stream,
    name: 'wss',
    kind: 'messages',
    encrypted: true,
    messageBoundaries: true,
    browser: true,
    maxMessageBytes: 16_777_216,
    setupRoundTrips: 3,
    reach: 'network',
    latencyRank: 7,
    throughputRank: 6,
  },
  {
    ...stream,
    name: 'quic',
    kind: 'multiplexed',
    encrypted: true,
    multiplexed: true,
    setupRoundTrips: 1,
    reach: 'network',
    latencyRank: 8,
    throughputRank: 7,
  },
  {
    ...stream,
    name: 'webrtc',
    kind: 'messages',
    encrypted: true,
    messageBoundaries: true,
    browser: true,
    peerToPeer: true,
    maxMessageBytes: 262_144,
    setupRoundTrips: 4, // ICE, DTLS in two, SCTP; what the signalling takes comes on top
    reach: 'network',
    latencyRank: 9,
    throughputRank: 9,
  },
] as const satisfies readonly TransportProfile[])

export function profileOf(name: string): TransportProfile | undefined {
  return transportProfiles.find((profile) => profile.name === name)
}
