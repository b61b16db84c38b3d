/**
 * Chooses a transport by what is required of it, and says why it is that one and not another.
 *
 *     const selection = selectTransport({
 *       requirements: { encryption: true, prefer: 'latency' },
 *       candidates: ['tcp://db:5432', 'tls://db:5433', 'quic://db:5433'],
 *     })
 *     selection.chosen.url      // tls://db:5433
 *     explainSelection(selection)
 *
 * What is required refuses; what is preferred gives points. A person's choice comes before both, in
 * this order: for the connection, by the API, by the environment (HEDDLE_TRANSPORT), by configuration.
 * It does not lift encryption that is required, and a transport that is not available stays so.
 */
import { UsageError } from '../../core/errors.ts'
import { readTransportUrl } from '../../core/multiaddr-url.ts'
import { formatTransportUrl, type TransportUrl } from '../../core/transport-url.ts'
import {
  type Locality,
  profileOf,
  type TransportProfile,
  transportProfiles,
} from './transport-profiles.ts'

export interface TransportRequirements {
  /** Where the peer is. @default 'network' */
  readonly locality?: Locality
  /** Authenticated and encrypted. @default false */
  readonly encryption?: boolean
  /** Everything arrives. @default true */
  readonly reliability?: boolean
  /** … in order. @default as `reliability` */
  readonly order?: boolean
  /** What is sent as one piece arrives as one piece. @default false */
  readonly messageBoundaries?: boolean
  /** Longest message, in bytes. @default no message in particular */
  readonly messageBytes?: number
  /** Many streams over one connection that do not wait for one another. @default false */
  readonly multiplexing?: boolean
  /** The other side is a page in a browser. @default false */
  readonly browser?: boolean
  /** One sender, many receivers. @default false */
  readonly multicast?: boolean
  /** Both sides may be behind NAT. @default false */
  readonly peerToPeer?: boolean
  /**
   * What matters more: short answers, much data, or both by weight.
   *
   * @default 'latency', with a third of the weight on throughput
   */
  readonly prefer?:
    | 'latency'
    | 'throughput'
    | { readonly latency: number; readonly throughput: number }
}

/** A person's choice: the name of a transport, as in a URL. */
export interface TransportOverrides {
  /** For this connection only. */
  readonly connection?: string
  /** By the program. */
  readonly api?: string
  /** By HEDDLE_TRANSPORT; `transportOverride` reads it. */
  readonly environment?: string
  /** By a configuration file. */
  readonly config?: string
}

export interface SelectionOptions {
  readonly requirements?: TransportRequirements
  /** Where the peer can be reached: URLs or multiaddrs. @default every transport, without addresses */
  readonly candidates?: readonly (string | TransportUrl)[]
  readonly overrides?: TransportOverrides
  /** Why a transport is not available here, by its name; `unavailableTransports` finds out. */
  readonly unavailable?: Readonly<Record<string, string>>
  /** The user's own transports beside heddle's. */
  readonly profiles?: readonly TransportProfile[]
}

export interface TransportSelection {
  readonly chosen: SelectionRow
  readonly decidedBy: 'requirements' | keyof TransportOverrides
  /** Every candidate: the chosen one first, then by points, then those that were refused. */
  readonly table: readonly SelectionRow[]
}

export interface SelectionRow {
  readonly transport: string
  readonly url: string | undefined
  /** 0 to 100; undefined when it was refused. */
  readonly points: number | undefined
  /** What the points are made of, or every reason for which it was refused. */
  readonly reasons: readonly string[]
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED when nothing fits: the message has every reason */
export function selectTransport(options: SelectionOptions = {}): TransportSelection {
  const { requirements = {}, unavailable = {}, overrides = {} } = options
  const weights = weightsOf(requirements)
  const candidates = candidatesOf(options)
  const rows = candidates.map(({ url, transport, profile }): SelectionRow => {
    const refusals =
      profile === undefined
        ? [`${transport} is no transport that is known here`]
        : refusalsOf(profile, requirements)
    const missing = unavailable[transport]
    if (missing !== undefined) refusals.unshift(`not available: ${missing}`)
    if (profile === undefined || refusals.length > 0) {
      return { transport, url, points: undefined, reasons: refusals }
    }
    return { transport, url, ...pointsOf(profile, weights) }
  })
  const order = [...rows].sort((a, b) => (b.points ?? -1) - (a.points ?? -1))
  const manual = ORDER.find((by) => (overrides[by] ?? '') !== '')
  if (manual !== undefined)
    return manualSelection(manual, overrides[manual] as string, order, options)
  const chosen = order[0]
  if (chosen?.points === undefined) throw nothingFits(order)
  return { chosen, decidedBy: 'requirements', table: order }
}

/** The selection as lines of text, for logs and terminals. */
export function explainSelection(selection: TransportSelection): string {
  const { chosen, decidedBy, table } = selection
  const by = decidedBy === 'requirements' ? 'it fits best' : `chosen ${WHO[decidedBy]}`
  const lines = [`${chosen.url ?? chosen.transport}: ${by}`]
  const width = Math.max(...table.map((row) => (row.url ?? row.transport).length))
  for (const row of table) {
    const points = row.points === undefined ? '  no' : String(row.points).padStart(4)
    lines.push(`${points}  ${(row.url ?? row.transport).padEnd(width)}  ${row.reasons.join('; ')}`)
  }
  return lines.join('\n')
}

function manualSelection(
  by: keyof TransportOverrides,
  name: string,
  order: readonly SelectionRow[],
  options: SelectionOptions,
): TransportSelection {
  const { requirements = {}, unavailable = {} } = options
  const refuse = (why: string): UsageError =>
    new UsageError('ERR_OPTION_UNSUPPORTED', `transport ${name}, chosen ${WHO[by]}: ${why}`)
  const row = order.find((one) => one.transport === name)
  if (row === undefined) {
    const known = [...new Set(order.map((one) => one.transport))].join(', ')
    throw refuse(`not among the candidates (${known})`)
  }
  if (unavailable[name] !== undefined) throw refuse(`not available: ${unavailable[name]}`)
  const profile = findProfile(name, options)
  // An environment variable must not be able to take a connection's encryption away.
  if (requirements.encryption === true && profile?.encrypted !== true) {
    throw refuse('encryption is required, and it has none')
  }
  const chosen = { ...row, reasons: [`chosen ${WHO[by]}`, ...row.reasons] }
  return { chosen, decidedBy: by, table: [chosen, ...order.filter((one) => one !== row)] }
}

interface Candidate {
  readonly transport: string
  readonly url: string | undefined
  readonly profile: TransportProfile | undefined
}

function candidatesOf(options: SelectionOptions): readonly Candidate[] {
  const { candidates, profiles = [] } = options
  if (candidates === undefined) {
    return [...transportProfiles, ...profiles].map((profile) => ({
      transport: profile.name,
      url: undefined,
      profile,
    }))
  }
  return candidates.map((given) => {
    const parsed = typeof given === 'string' ? readTransportUrl(given) : given
    const profile = findProfile(parsed.transport, options)
    return { transport: parsed.transport, url: formatTransportUrl(parsed), profile }
  })
}

function findProfile(name: string, options: SelectionOptions): TransportProfile | undefined {
  return options.profiles?.find((profile) => profile.name === name) ?? profileOf(name)
}

/** Every reason, not only the first: who sees them can tell which requirement costs what. */
function refusalsOf(profile: TransportProfile, required: TransportRequirements): string[] {
  const { locality = 'network', reliability = true, order = reliability, messageBytes } = required
  const reasons: string[] = []
  if (REACH[profile.reach] < REACH[locality]) {
    reasons.push(`reaches a peer in the same ${profile.reach} only`)
  }
  if (required.encryption === true && !profile.encrypted) reasons.push('is not encrypted')
  if (reliability && !profile.reliable) reasons.push('may lose what is sent')
  if (order && !profile.ordered) reasons.push('may change the order')
  if (required.messageBoundaries === true && !profile.messageBoundaries) {
    reasons.push('has no message boundaries')
  }
  const { maxMessageBytes } = profile
  if (
    messageBytes !== undefined &&
    maxMessageBytes !== undefined &&
    messageBytes > maxMessageBytes
  ) {
    reasons.push(`messages of ${messageBytes} bytes are over its ${maxMessageBytes}`)
  }
  if (required.multiplexing === true && !profile.multiplexed)
    reasons.push('carries one stream only')
  if (required.browser === true && !profile.browser) reasons.push('does not exist in browsers')
  if (required.multicast === true && !profile.multicast) reasons.push('has one receiver only')
  if (required.peerToPeer === true && !profile.peerToPeer) {
    reasons.push('needs a side that can be reached')
  }
  return reasons
}

function pointsOf(
  profile: TransportProfile,
  weights: { readonly latency: number; readonly throughput: number },
): { readonly points: number; readonly reasons: readonly string[] } {
  const share = (rank: number): number => (RANKS - rank) / (RANKS - 1)
  const latency = 100 * weights.latency * share(profile.latencyRank)
  const throughput = 100 * weights.throughput * share(profile.throughputRank)
  const { setupRoundTrips } = profile
  return {
    points: Math.round(Math.max(0, latency + throughput)),
    reasons: [
      `latency ${Math.round(latency)} of ${Math.round(100 * weights.latency)}`,
      `throughput ${Math.round(throughput)} of ${Math.round(100 * weights.throughput)}`,
      `${setupRoundTrips} round trip${setupRoundTrips === 1 ? '' : 's'} to set up`,
    ],
  }
}

function weightsOf(requirements: TransportRequirements): { latency: number; throughput: number } {
  const { prefer = 'latency' } = requirements
  if (prefer === 'latency') return { latency: 2 / 3, throughput: 1 / 3 }
  if (prefer === 'throughput') return { latency: 1 / 3, throughput: 2 / 3 }
  const { latency, throughput } = prefer
  const sum = latency + throughput
  if (!(latency >= 0) || !(throughput >= 0) || !(sum > 0) || !Number.isFinite(sum)) {
    const message = `weights of latency ${latency} and throughput ${throughput}: expected 0 or more`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  return { latency: latency / sum, throughput: throughput / sum }
}

function nothingFits(order: readonly SelectionRow[]): UsageError {
  const reasons = order.map((row) => `${row.url ?? row.transport} ${row.reasons.join(', ')}`)
  const message = `no transport fits: ${reasons.join('; ') || 'there are no candidates'}`
  return new UsageError('ERR_OPTION_UNSUPPORTED', message, { detail: { table: order } })
}

const ORDER = ['connection', 'api', 'environment', 'config'] as const
const WHO: Readonly<Record<keyof TransportOverrides, string>> = {
  connection: 'for this connection',
  api: 'by the API',
  environment: 'by HEDDLE_TRANSPORT',
  config: 'by configuration',
}
const REACH: Readonly<Record<Locality, number>> = { process: 0, machine: 1, network: 2 }
const RANKS = transportProfiles.length
